"""What every single step of a stream did to the tasks before it."""

from __future__ import annotations

import numpy as np

from fmlora_kit.record import Record


def step_changes(accuracy: np.ndarray) -> np.ndarray:
    """(T, T) a[t, i] - a[t-1, i]: how learning task t changed the accuracy on task i < t.

    Its mean per row, averaged over the rows and negated, is `forgetting_step`; the sum of a column
    is a[T, i] - a[i, i], so that every task's whole fall is shared out over those who caused it.

    Args:
        accuracy: (T, T) accuracy matrix a[t, i], NaN where not evaluated.

    Returns:
        Fractions; NaN where i >= t, and where one of the two was not evaluated.

    Raises:
        ValueError: the matrix is not square.
    """
    accuracy = np.asarray(accuracy, dtype=float)
    if accuracy.ndim != 2 or accuracy.shape[0] != accuracy.shape[1]:
        raise ValueError(f"accuracy must be a square matrix (T, T); got shape {accuracy.shape}")
    changes = np.full(accuracy.shape, np.nan)
    changes[1:] = np.diff(accuracy, axis=0)
    changes[~np.tri(len(accuracy), k=-1, dtype=bool)] = np.nan
    return changes


def before_learning(record: Record) -> np.ndarray:
    """(tasks finished,) accuracy on each task just before it was learned; NaN where not tested.

    With task identity given, that is arg-max over the task's own classes. Less chance, and averaged
    over the tasks, it is the forward transfer of Lopez-Paz and Ranzato, arXiv 1706.08840.
    """
    n = len(record.tasks)
    return np.append(
        np.full(min(n, 1), np.nan), np.diag(record.oracle_accuracy, k=1)[: max(n - 1, 0)]
    )
