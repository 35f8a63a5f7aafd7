"""Who is taken for whom: confusion between tasks and between classes, from stored predictions.

Class-incremental: a class belongs to one task, so a wrong prediction names the task that took the
image. Domain-incremental: every task has the same classes, so a prediction names a class but no
task; `class_confusion` and `class_history` apply there, the tables over tasks raise `ValueError`.

`after` is how many tasks had been learned; without it all that are finished. Brief records lack
predictions and test labels. n tasks learned, C classes seen, P = pairs (task, class): as many as
classes in class-incremental streams, tasks times classes in domain-incremental ones. Shares are
fractions of test images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmlora_kit import checks
from fmlora_kit.analysis.arguments import check_record
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
        lost_to: (k,) pair, (k,) column of the class it is taken for now (among the C seen), and
            (k,) share right when learned and wrong now; by pair and column, none of them zero.
        n_seen: C.
    """

    tasks: np.ndarray
    classes: np.ndarray
    names: tuple[str, ...]
    n_images: np.ndarray
    accuracy: np.ndarray
    lost_to: tuple[np.ndarray, np.ndarray, np.ndarray]
    n_seen: int

    @property
    def lost(self) -> np.ndarray:
        """(P, C) share right when learned and wrong now, by the class they are taken for now."""
        lost = np.zeros((self.tasks.size, self.n_seen))
        lost[self.lost_to[0], self.lost_to[1]] = self.lost_to[2]
        return lost

    def takers(self, p: int) -> tuple[np.ndarray, np.ndarray]:
        """(k,) columns of the classes that took a pair's images, most first, and (k,) shares."""
        pairs, columns, shares = self.lost_to
        mine = slice(*np.searchsorted(pairs, (p, p + 1)))
        order = np.argsort(-shares[mine], kind="stable")
        return columns[mine][order], shares[mine][order]

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
    """
    n = _count_learned(record, after)
    owner = _class_owner(record, "task_confusion")
    shares = np.zeros((n, n))
    for i, predicted in enumerate(_predictions(record, n - 1)):
        shares[i] = np.bincount(owner[predicted], minlength=n)[:n] / predicted.size
    return shares


def lost_images(record: Record, after: int | None = None) -> LostImages:
    """Of what each task had right when just learned: how much which task took, what came back."""
    n = _count_learned(record, after)
    owner = _class_owner(record, "lost_images")
    lost, regained = np.zeros((n, n)), np.zeros(n)
    for i, now in enumerate(_predictions(record, n - 1)):
        labels, then = _labels(record, i), _predictions(record, i)[i]
        gone = (then == labels) & (now != labels)
        lost[i] = np.bincount(owner[now[gone]], minlength=n)[:n] / labels.size
        regained[i] = np.mean((then != labels) & (now == labels))
    return LostImages(lost, regained)


def class_history(record: Record, after: int | None = None) -> ClassHistory:
    """Accuracy of each class of each task over time, and what its lost images are taken for."""
    n = _count_learned(record, after)
    seen, _, _ = _seen_classes(record, n)
    labels = np.concatenate([_labels(record, i) for i in range(n)])
    tasks = np.repeat(np.arange(n), [len(task.classes) for task in record.tasks[:n]])
    classes = np.concatenate([task.classes for task in record.tasks[:n]])
    firsts = np.searchsorted(tasks, np.arange(n))  # each task's first pair
    pair = np.concatenate(
        [
            _columns(record, np.array(task.classes))[_labels(record, i)] + firsts[i]
            for i, task in enumerate(record.tasks[:n])
        ]
    )  # of every test image, task by task
    sizes = np.bincount(pair, minlength=tasks.size)
    accuracy = np.full((n, tasks.size), np.nan)
    for t in range(n):
        predicted = record.tasks[t].predictions
        right = predicted == labels[: predicted.size]
        known = (tasks <= t) & (sizes > 0)
        hits = np.bincount(pair[: predicted.size][right], minlength=tasks.size)
        accuracy[t, known] = hits[known] / sizes[known]
    then = np.concatenate([_predictions(record, i)[i] for i in range(n)])
    now = record.tasks[n - 1].predictions
    gone = (then == labels) & (now != labels)
    rows, columns, images = _tally(pair[gone], _columns(record, seen)[now[gone]])
    lost_to = (rows, columns, images / sizes[rows])
    names = tuple(name for task in record.tasks[:n] for name in task.class_names)
    return ClassHistory(tasks, classes, names, sizes, accuracy, lost_to, seen.size)


def class_confusion(
    record: Record, after: int | None = None, *, task: int | None = None, most: int | None = None
) -> ClassConfusion:
    """Confusion matrix over all classes seen, task by task; of the images of one task, from 0.

    With more than ``most`` classes, every other task is one column that bears its name and has the
    id -1; without a task, or where tasks share the classes, ValueError.
    """
    n = _count_learned(record, after)
    if task is not None:
        task = checks.integer("task", task, 0, n - 1)
    seen, names, tasks = _seen_classes(record, n)
    chosen = range(n) if task is None else [task]
    columns = _columns(record, seen)
    if checks.checked("most", most, checks.Count | None) is not None and seen.size > most:
        if task is None or record.scenario != "class-incremental":
            rule = f"of at most {most} classes to be told apart here (task= shows one task's)"
            raise checks.fail("record", rule, seen.size)
        own = tasks == task
        kept = own | np.append(True, np.diff(tasks) != 0)  # of other tasks the first class
        columns = np.append(np.cumsum(kept) - 1, -1)[columns]
        pairs = zip(np.flatnonzero(kept), tasks[kept], strict=True)
        names = tuple(names[k] if t == task else record.tasks[t].name for k, t in pairs)
        seen, tasks = np.where(own, seen, -1)[kept], tasks[kept]
    predictions = _predictions(record, n - 1)
    truth = columns[np.concatenate([_labels(record, i) for i in chosen])]
    guess = columns[np.concatenate([predictions[i] for i in chosen])]
    counts = np.zeros((seen.size, seen.size), dtype=np.int64)
    rows, taken, images = _tally(truth, guess)
    counts[rows, taken] = images
    return ClassConfusion(counts, seen, names, tasks)


def _count_learned(record: Record, after: int | None) -> int:
    """How many tasks had been learned, from 1."""
    done = len(check_record(record, 1).tasks)
    return done if after is None else checks.integer("after", after, 1, done)


def _class_owner(record: Record, what: str) -> np.ndarray:
    """(n_classes,) index of the task that has the class; the last index plus one if none has."""
    if record.scenario != "class-incremental":
        raise ValueError(
            f"record must be class-incremental for {what}, so that a class belongs to one task, "
            f"got scenario {record.scenario!r} (class_confusion and class_history apply)"
        )
    owner = np.full(record.n_classes, record.n_tasks)
    for i, task in enumerate(record.tasks):
        owner[list(task.classes)] = i
    return owner


def _predictions(record: Record, t: int) -> list[np.ndarray]:
    """What the model of after task t said of the test images of tasks 0..t."""
    task = record.tasks[t]
    if not task.predictions.size:
        raise ValueError(
            f"record must hold predictions, got none of task {task.name!r} (a brief record)"
        )
    return np.split(task.predictions, np.cumsum(record.n_test[:t]))


def _labels(record: Record, i: int) -> np.ndarray:
    task = record.tasks[i]
    if not task.test_labels.size:
        raise ValueError(
            f"record must hold test_labels for every task, got none of task {task.name!r} (a "
            "brief record, or one made before labels were kept: train again)"
        )
    return task.test_labels


def _seen_classes(record: Record, n: int) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """Ids, names and first tasks of the classes of the first n tasks, in the order of the tasks."""
    first: dict[int, tuple[str, int]] = {}
    for i, task in enumerate(record.tasks[:n]):
        for c, name in zip(task.classes, task.class_names, strict=True):
            first.setdefault(c, (name, i))
    names, tasks = zip(*first.values(), strict=True)
    return np.array(list(first)), names, np.array(tasks)


def _columns(record: Record, classes: np.ndarray) -> np.ndarray:
    """(n_classes,) where each class id stands among ``classes``; -1 where it does not."""
    columns = np.full(record.n_classes, -1)
    columns[classes] = np.arange(classes.size)
    return columns


def _tally(rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distinct pairs (row, column) and how often each occurs; column -1 does not count.

    A table of thousands of classes is nearly empty: only what is in it costs time and memory.
    """
    known = columns >= 0
    width = columns.max(initial=0) + 1
    pairs, counts = np.unique(rows[known] * width + columns[known], return_counts=True)
    return pairs // width, pairs % width, counts
