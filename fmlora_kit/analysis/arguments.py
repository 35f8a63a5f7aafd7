"""What the functions of this room take: a record, a task or a layer of it, an accuracy matrix."""

from __future__ import annotations

import numpy as np

from fmlora_kit import checks
from fmlora_kit.record import Record


def check_record(record: Record, n_tasks: int = 0) -> Record:
    """The record, if it is one (no path, None or list) with at least ``n_tasks`` finished tasks."""
    checks.instance("record", record, Record, "a Record")
    done = len(record.tasks)
    if done < n_tasks:
        rule = "a finished task" if n_tasks == 1 else f"at least {n_tasks} finished tasks"
        raise ValueError(f"record must have {rule}, got {done or 'none'}")
    return record


def index_of(wanted: int | str, names: tuple[str, ...], what: str) -> int:
    """The index of a task or layer that is given by its name, or by its index from 0.

    Args:
        wanted: name or index.
        names: all there are.
        what: "task" or "layer", for the message of the ValueError if there is none such.
    """
    if isinstance(wanted, str):
        if wanted in names:
            return names.index(wanted)
    elif isinstance(wanted, int | np.integer) and not isinstance(wanted, bool):
        if 0 <= wanted < len(names):
            return int(wanted)
    rule = f"one of {checks.shown(names, 400)}, or an index from 0 to {len(names) - 1}"
    raise checks.fail(what, rule, wanted)


def check_accuracy(accuracy: np.ndarray, name: str = "accuracy") -> np.ndarray:
    """The (T, T) matrix as floats."""
    try:
        matrix = checks.numbers(name, accuracy).astype(float)
    except ValueError:
        matrix = None
    if matrix is None or matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        got = checks.shown(accuracy) if matrix is None else f"shape {matrix.shape}"
        raise ValueError(f"{name} must be a square matrix (T, T), got {got}")
    return matrix
