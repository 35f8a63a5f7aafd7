"""How alike tasks and classes are in a feature space, before anything is learned in it.

T tasks, C classes, d features. Class means are compared by the Mahalanobis distance under the
within-class covariance that all classes share, as linear discriminant analysis does: a direction
in which images of one class differ widely (their style, say) counts little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmlora_kit import checks
from fmlora_kit.analysis.confusion import ClassConfusion
from fmlora_kit.analysis.features import FeatureHistory, check_history

SHRINKAGE = 0.1  # of the covariance, as FM-LoRA's head has it
SUBSPACE = 3  # directions, as DRS keeps
_AT_ONCE = 1_000  # images or classes, so that those to thousands of classes take little memory


@dataclass(frozen=True, eq=False)
class TaskSimilarity:
    """How alike tasks and classes are in one feature space.

    Attributes:
        label: whose features.
        affinity: (T, T) |U_i^T U_j|_F^2 / k of the subspaces in which the tasks' class means
            differ most, in 0..1; 1 on the diagonal. What DRS measures novelty by.
        confusion: (T, T) share of task i's test images nearest to a class mean of task j.
        means: (C, d) class means, in coordinates in which the Euclidean distance is the Mahalanobis
            distance of `distances`.
        classes: (C,) class ids, task by task.
        names: (C,) their names.
        tasks: (C,) index of the task of each class.
        task_names: (T,).
        accuracy: share of test images nearest to the mean of their own class.
    """

    label: str
    affinity: np.ndarray
    confusion: np.ndarray
    means: np.ndarray
    classes: np.ndarray
    names: tuple[str, ...]
    tasks: np.ndarray
    task_names: tuple[str, ...]
    accuracy: float

    @property
    def distances(self) -> np.ndarray:
        """(C, C) Mahalanobis distance between class means; of 8,000 classes it takes 512 MB."""
        return _distances(self.means, self.means)

    def between(self, task: int, other: int) -> np.ndarray:
        """(C_i, C_j) distances from each class of one task to each of another."""
        return _distances(self.means[self.tasks == task], self.means[self.tasks == other])


def task_similarity(
    train: FeatureHistory, test: FeatureHistory, *, moment: int = -1
) -> TaskSimilarity:
    """How alike the tasks of a class-incremental stream are in the feature space of one moment.

    Args:
        train: training features, which class means and covariance are taken from.
        test: test features of the same tasks from the same model.
        moment: which moment of both.

    Raises:
        ValueError: the two are not of the same tasks, a class belongs to two tasks, or a task has
            fewer than 2 classes.
    """
    check_history(train, "train")
    check_history(test, "test")
    checks.integer("moment", moment)
    for history in (train, test):
        if not -len(history.learned) <= moment < len(history.learned):
            raise checks.fail("moment", f"one of the {len(history.learned)} moments", moment)
    classes, rows = np.unique(train.labels, return_index=True)
    order = np.argsort(train.tasks[rows], kind="stable")
    classes, rows = classes[order], rows[order]
    tasks = train.tasks[rows]
    _check(train, test, classes, tasks)
    means, covariance = _fit(train.features[moment], train.labels, classes)
    # Whitened once, Mahalanobis distances are Euclidean ones, d instead of d^2 products a pair.
    root = np.linalg.cholesky(np.linalg.inv(covariance))
    white, images = means @ root, test.features[moment]
    nearest = [_apart(part @ root, white).argmin(axis=1) for part in _parts(images)]
    nearest, n = np.concatenate(nearest), len(train.task_names)
    taken = np.zeros((n, n))
    np.add.at(taken, (test.tasks, tasks[nearest]), 1)
    return TaskSimilarity(
        label=train.label,
        affinity=_affinity([means[tasks == i] for i in range(n)]),
        confusion=taken / np.bincount(test.tasks, minlength=n)[:, None],
        means=white,
        classes=classes,
        names=tuple(train.names[row] for row in rows),
        tasks=tasks,
        task_names=train.task_names,
        accuracy=float(np.mean(classes[nearest] == test.labels)),
    )


def errors_by_closeness(similarity: TaskSimilarity, confusion: ClassConfusion) -> np.ndarray:
    """(C - 1,) share of all errors that fall on the k-th closest other class.

    If closeness told nothing, each would have 1 / (C - 1) of them.

    The confusion, with at least one error, is from a record of the same classes in the same order.
    """
    checks.instance("similarity", similarity, TaskSimilarity, "a TaskSimilarity")
    checks.instance("confusion", confusion, ClassConfusion, "a ClassConfusion")
    if not np.array_equal(similarity.classes, confusion.classes):
        raise ValueError("similarity and confusion must be of the same classes in the same order")
    counts, n = confusion.counts, len(confusion.counts)
    if not (total := counts.sum() - np.trace(counts)):
        raise ValueError("confusion must hold at least one error, got none")
    found = np.zeros(n - 1)
    wrong = np.flatnonzero(counts.sum(axis=1) > counts.diagonal())
    for rows in _parts(wrong):  # of thousands of classes, whole matrices take gigabytes
        for own, apart in zip(rows, _apart(similarity.means[rows], similarity.means), strict=True):
            apart[own] = np.inf
            taken = np.flatnonzero(counts[own])
            taken = taken[taken != own]
            ranks = _places(apart, taken)
            found += np.bincount(ranks, weights=counts[own, taken], minlength=n)[: n - 1]
    return found / total


def _places(values: np.ndarray, which: np.ndarray) -> list[int]:
    """Places of some values when all are sorted; of equal ones the first comes first."""
    counted = np.count_nonzero
    return [counted(values < values[k]) + counted(values[:k] == values[k]) for k in which]


def _fit(
    features: np.ndarray, labels: np.ndarray, classes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Class means, (C, d), and the (d, d) shrunk covariance within classes, all alike in weight.

    As scikit-learn's LinearDiscriminantAnalysis has them with equal priors and this shrinkage; that
    class makes a (C, C) matrix besides.
    """
    from sklearn.covariance import shrunk_covariance

    place = np.argsort(classes)[np.searchsorted(np.sort(classes), labels)]
    n = np.bincount(place)[:, None]
    order = np.argsort(place, kind="stable")
    means = np.add.reduceat(features[order].astype(float), np.cumsum(n) - n[:, 0]) / n
    covariance = np.zeros((features.shape[1],) * 2)
    for rows in _parts(np.arange(len(labels))):
        centred = features[rows] - means[place[rows]]
        covariance += centred.T @ (centred / n[place[rows]])
    return means, shrunk_covariance(covariance / len(classes), SHRINKAGE)


def _parts(rows: np.ndarray) -> list[np.ndarray]:
    return np.array_split(rows, max(1, -(-len(rows) // _AT_ONCE)))


def _distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    from scipy.spatial.distance import cdist

    return cdist(one, other)


def _apart(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(n, C) numbers that rise along a row as the distance |x - y| does: |y|^2 / 2 - x . y."""
    inner = rows @ others.T
    return np.subtract(np.sum(others**2, axis=1) / 2, inner, out=inner)


def _affinity(means: list[np.ndarray]) -> np.ndarray:
    """(T, T) affinity of the subspaces spanned by each task's class means, around their middle."""
    bases = []
    for own in means:
        _, _, v = np.linalg.svd(own - own.mean(axis=0), full_matrices=False)
        bases.append(v[: min(SUBSPACE, len(own) - 1)])
    return np.array([[np.sum((u @ v.T) ** 2) / min(len(u), len(v)) for v in bases] for u in bases])


def _check(
    train: FeatureHistory, test: FeatureHistory, classes: np.ndarray, tasks: np.ndarray
) -> None:
    if train.task_names != test.task_names:
        raise ValueError(
            f"train and test must be of the same tasks, got {train.task_names}, {test.task_names}"
        )
    pairs = set(zip(train.labels.tolist(), train.tasks.tolist(), strict=True))
    if len(pairs) > len(classes):
        raise ValueError("a class must belong to one task (class-incremental), got shared classes")
    few = [name for i, name in enumerate(train.task_names) if np.sum(tasks == i) < 2]
    if few:
        raise ValueError(f"every task must have at least 2 classes, got fewer for {few[0]!r}")
