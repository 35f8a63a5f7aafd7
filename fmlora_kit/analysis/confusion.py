"""Who is taken for whom: confusion between tasks and between classes, from stored predictions.

Class-incremental: a class belongs to one task, so a wrong prediction names the task that took the
image. Domain-incremental: every task has the same classes, so a prediction names a class but no
task; `class_confusion` and `class_history` apply there, the tables over tasks raise `ValueError`.

n tasks learned, C classes seen, P = pairs (task, class): as many as classes in class-incremental
streams, tasks times classes in domain-incremental ones. Shares are fractions of test images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import confusion_matrix

from fmlora_kit.record import Record


@dataclass(frozen=True)
class LostImages:
    """What became of the test images that each task had right when it was just learned.

    Args:
        lost: (n, n) lost[i, j]: share of task i's test images that were right then and are taken
            for a class of task j now; lost[i, i]: for a wrong class of its own task.
        regained: (n,) share of task i's test images that were wrong then and are right now.
    """

    lost: np.ndarray
    regained: np.ndarray

    @property
    def net(self) -> np.ndarray:
        """(n,) a[i, i] - a[now, i]: what was lost, less what was regained."""
        return self.lost.sum(axis=1) - self.regained


@dataclass(frozen=True)
class ClassHistory:
    """Accuracy of every class of every task, over time; one entry per pair (task, class).

    Args:
        tasks: (P,) index of the task.
        classes: (P,) class id.
        names: (P,) name of the class.
        n_images: (P,) test images.
        accuracy: (n, P) fraction right after each task learned; NaN before the pair's own.
        lost: (P, C) share right when learned and wrong now, by the class they are taken for now.
    """

    tasks: np.ndarray
    classes: np.ndarray
    names: tuple[str, ...]
    n_images: np.ndarray
    accuracy: np.ndarray
    lost: np.ndarray

    @property
    def forgetting(self) -> np.ndarray:
        """(P,) accuracy when just learned minus accuracy now; NaN for the last task."""
        learned = self.accuracy[self.tasks, np.arange(self.tasks.size)]
        return np.where(self.tasks < len(self.accuracy) - 1, learned - self.accuracy[-1], np.nan)


@dataclass(frozen=True)
class ClassConfusion:
    """How often each class is taken for each other one.

    Args:
        counts: (C, C) test images of the class (row) taken for the class (column).
        classes: (C,) class ids, in the order of the tasks.
        names: (C,) their names.
        tasks: (C,) index of the task that has the class first.
    """

    counts: np.ndarray
    classes: np.ndarray
    names: tuple[str, ...]
    tasks: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """(C, C) the counts as fractions of each row; NaN for a class without test images."""
        images = self.counts.sum(axis=1, keepdims=True).astype(float)
        return np.divide(
            self.counts, images, out=np.full(self.counts.shape, np.nan), where=images > 0
        )


def task_confusion(record: Record, after: int | None = None) -> np.ndarray:
    """(n, n) share of task i's test images (row) predicted as a class of task j (column).

    A row sums to 1. The diagonal is the right task, not always the right class.

    Args:
        record: a class-incremental run.
        after: how many tasks had been learned; all that are finished without it.

    Raises:
        ValueError: the record is domain-incremental, or `after` is out of range.
    """
    n = _after(record, after)
    owner = _owner(record, "task_confusion")
    shares = np.zeros((n, n))
    for i, predicted in enumerate(_predictions(record, n - 1)):
        shares[i] = np.bincount(owner[predicted], minlength=n)[:n] / predicted.size
    return shares


def lost_images(record: Record, after: int | None = None) -> LostImages:
    """Of what each task had right when just learned: how much which task took, and what came back.

    Args:
        record: a class-incremental run with test labels.
        after: how many tasks had been learned; all that are finished without it.

    Raises:
        ValueError: the record is domain-incremental or has no test labels, or `after` is out of
            range.
    """
    n = _after(record, after)
    owner = _owner(record, "lost_images")
    lost, regained = np.zeros((n, n)), np.zeros(n)
    for i, now in enumerate(_predictions(record, n - 1)):
        labels, then = _labels(record, i), _predictions(record, i)[i]
        gone = (then == labels) & (now != labels)
        lost[i] = np.bincount(owner[now[gone]], minlength=n)[:n] / labels.size
        regained[i] = np.mean((then != labels) & (now == labels))
    return LostImages(lost, regained)


def class_history(record: Record, after: int | None = None) -> ClassHistory:
    """Accuracy of each class of each task over time, and what its lost images are taken for.

    Args:
        record: a run of either scenario, with test labels.
        after: how many tasks had been learned; all that are finished without it.

    Raises:
        ValueError: the record has no test labels, or `after` is out of range.
    """
    n = _after(record, after)
    seen, _, _ = _classes(record, n)
    pairs = [(i, c, name) for i in range(n) for c, name in _named(record, i)]
    masks = [_labels(record, i) == c for i, c, _ in pairs]
    accuracy = np.full((n, len(pairs)), np.nan)
    lost = np.zeros((len(pairs), seen.size))
    for t in range(n):
        predicted = _predictions(record, t)
        for p, (i, c, _) in enumerate(pairs):
            if i <= t and masks[p].any():
                accuracy[t, p] = np.mean(predicted[i][masks[p]] == c)
    now = _predictions(record, n - 1)
    for p, (i, c, _) in enumerate(pairs):
        gone = masks[p] & (_predictions(record, i)[i] == c) & (now[i] != c)
        lost[p] = (now[i][gone, None] == seen).sum(axis=0) / max(masks[p].sum(), 1)
    tasks, classes, names = zip(*pairs, strict=True)
    sizes = np.array([mask.sum() for mask in masks])
    return ClassHistory(np.array(tasks), np.array(classes), names, sizes, accuracy, lost)


def class_confusion(
    record: Record, after: int | None = None, *, task: int | None = None
) -> ClassConfusion:
    """Confusion matrix over all classes seen: scikit-learn's, with the classes task by task.

    Args:
        record: a run of either scenario, with test labels.
        after: how many tasks had been learned; all that are finished without it.
        task: count the test images of this task alone, from 0.

    Raises:
        ValueError: the record has no test labels, or `after` or `task` is out of range.
    """
    n = _after(record, after)
    if task is not None and not 0 <= task < n:
        raise ValueError(f"task must be from 0 to {n - 1}, one of those learned; got {task!r}")
    seen, names, tasks = _classes(record, n)
    chosen = range(n) if task is None else [task]
    truth = np.concatenate([_labels(record, i) for i in chosen])
    predicted = np.concatenate([_predictions(record, n - 1)[i] for i in chosen])
    return ClassConfusion(confusion_matrix(truth, predicted, labels=seen), seen, names, tasks)


def _after(record: Record, after: int | None) -> int:
    done = len(record.tasks)
    if not done:
        raise ValueError(f"record of {record.method!r} must have a finished task; got none")
    if after is None:
        return done
    if isinstance(after, bool) or not isinstance(after, int | np.integer) or not 1 <= after <= done:
        raise ValueError(f"after must be a number of tasks learned, 1 to {done}; got {after!r}")
    return int(after)


def _owner(record: Record, what: str) -> np.ndarray:
    """(n_classes,) index of the task that has the class; the last index plus one if none has."""
    if record.scenario != "class-incremental":
        raise ValueError(
            f"{what} needs a class-incremental record, where a class belongs to one task; got "
            f"scenario {record.scenario!r} (class_confusion and class_history apply)"
        )
    owner = np.full(record.n_classes, record.n_tasks)
    for i, task in enumerate(record.tasks):
        owner[list(task.classes)] = i
    return owner


def _predictions(record: Record, t: int) -> list[np.ndarray]:
    """What the model of after task t said of the test images of tasks 0..t."""
    return np.split(record.tasks[t].predictions, np.cumsum(record.n_test[:t]))


def _labels(record: Record, i: int) -> np.ndarray:
    task = record.tasks[i]
    if not task.test_labels.size:
        raise ValueError(
            f"record must hold test_labels for every task; task {task.name!r} has none (records "
            "made before they were kept lack them: train again)"
        )
    return task.test_labels


def _named(record: Record, i: int) -> zip:
    return zip(record.tasks[i].classes, record.tasks[i].class_names, strict=True)


def _classes(record: Record, n: int) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """Ids, names and first tasks of the classes of the first n tasks, in the order of the tasks."""
    first: dict[int, tuple[str, int]] = {}
    for i in range(n):
        for c, name in _named(record, i):
            first.setdefault(c, (name, i))
    names, tasks = zip(*first.values(), strict=True)
    return np.array(list(first)), names, np.array(tasks)
