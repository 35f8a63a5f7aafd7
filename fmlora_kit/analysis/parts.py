"""Where accuracy goes from when a task was learned to the end: drift, and competition."""

from __future__ import annotations

import numpy as np

from fmlora_kit.record import Record

LEARNED, GIVEN, END = "just learned, task given", "at the end, task given", "at the end"


def accuracy_parts(record: Record) -> dict[str, float]:
    """Three accuracies, means over tasks, and what lies between them; fractions.

    LEARNED is mean_i of the accuracy on task i after task i, GIVEN that after the last task, both
    with task identity given (arg-max over the task's own classes); END is the final accuracy over
    all classes. "drift" is LEARNED - GIVEN, "competition" GIVEN - END.

    Args:
        record: with at least one finished task.

    Raises:
        ValueError: no task is finished.
    """
    n = len(record.tasks)
    if not n:
        raise ValueError("record must have a finished task; got none")
    oracle = record.oracle_accuracy[:n, :n]
    learned, given = float(np.mean(np.diag(oracle))), float(np.mean(oracle[-1]))
    end = float(np.mean(record.accuracy[n - 1, :n]))
    return {
        LEARNED: learned,
        GIVEN: given,
        END: end,
        "drift": learned - given,
        "competition": given - end,
    }
