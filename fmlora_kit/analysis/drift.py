"""Where features take the means of classes learned earlier, and where the head expects them.

A head of class statistics keeps a mean per class. While later tasks are learned the features move,
and the true mean with them; drift compensation (`adapters.drift`) moves the kept one without any
image of the class. Both distances, here, say how much of the drift it undoes.

m moments (the model after some tasks), C classes, d features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmlora_kit.analysis.arguments import check_record
from fmlora_kit.analysis.features import FeatureHistory, check_history
from fmlora_kit.record import Record


@dataclass(frozen=True, eq=False)
class MeanDrift:
    """Distances of class means, each as a share of that to the nearest other class's true mean.

    Attributes:
        label: whose features.
        moved: (m, C) the true mean now, from the true mean when the class was learned.
        left: (m, C) the true mean now, from the one that the head keeps.
        tasks: (C,) index of the task of each class, from 0.
        names: (C,) class names.
        task_names: (T,).
    """

    label: str
    moved: np.ndarray  # NaN before a class is learned, as in ``left``
    left: np.ndarray
    tasks: np.ndarray
    names: tuple[str, ...]
    task_names: tuple[str, ...]

    @property
    def earlier(self) -> np.ndarray:
        """(m, 2) ``moved`` and ``left``, means over the classes of earlier tasks; NaN at first."""
        rows = np.full((len(self.moved), 2), np.nan)
        for t in range(1, len(rows)):
            before = self.tasks < t
            rows[t] = self.moved[t, before].mean(), self.left[t, before].mean()
        return rows


def mean_drift(record: Record, history: FeatureHistory) -> MeanDrift:
    """True and kept class means after every task of a record.

    Args:
        record: class-incremental, with a head of class means ("lda" or "mda").
        history: of the record's training images at every moment:
            `probes.features_over_time(record, stream, split="train")`.

    Raises:
        ValueError: no means are kept, classes come again, or ``history`` is not of ``record``.
    """
    from scipy.spatial.distance import cdist

    check_record(record, 2)
    check_history(history)
    if any("head.means" not in task.state for task in record.tasks):
        raise ValueError("record must be of a head that keeps class means, lda or mda")
    if record.scenario != "class-incremental":
        raise ValueError(f"record must be class-incremental, got {record.scenario}")
    if history.learned.tolist() != list(range(1, len(record.tasks) + 1)):
        rule = f"of the moments after tasks 1 to {len(record.tasks)}"
        raise ValueError(f"history must be {rule}, got {history.learned.tolist()}")
    classes, first = np.unique(history.labels, return_index=True)
    if classes.tolist() != sorted(c for task in record.tasks for c in task.classes):
        raise ValueError("history must be of the record's classes, got others")
    tasks = history.tasks[first]
    true = np.stack(
        [[x[history.labels == c].mean(axis=0) for c in classes] for x in history.features]
    ).astype(float)
    moved, left = np.full((2, *true.shape[:2]), np.nan)
    for t, result in enumerate(record.tasks):
        seen = tasks <= t
        between = cdist(true[t, seen], true[t, seen])
        np.fill_diagonal(between, np.inf)
        unit = between.min(axis=1)
        own = true[tasks[seen], np.flatnonzero(seen)]
        kept = _kept_means(result.state, record.n_classes)[classes[seen]]
        moved[t, seen] = np.linalg.norm(true[t, seen] - own, axis=1) / unit
        left[t, seen] = np.linalg.norm(true[t, seen] - kept, axis=1) / unit
    names = tuple(history.names[k] for k in first)
    return MeanDrift(history.label, moved, left, tasks, names, history.task_names)


def _kept_means(state: dict[str, np.ndarray], n_classes: int) -> np.ndarray:
    """(n_classes, d): of a class's modes the mean by their images."""
    counts = state["head.counts"].reshape(n_classes, -1, 1)
    modes = state["head.means"].reshape(n_classes, counts.shape[1], -1)
    return (modes * counts).sum(axis=1) / np.maximum(counts.sum(axis=1), 1)
