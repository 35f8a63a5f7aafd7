"""How far the features of the same test images move while tasks are learned: linear CKA.

n images, d features, m moments (the model after some tasks), T tasks.

Linear CKA (Kornblith et al. 2019, "Similarity of Neural Network Representations Revisited", arXiv
1905.00414) compares the geometry of the same images in two feature spaces: 1 if the one is the
other rotated, mirrored, shifted and scaled. With few images for many features the plain estimate
is far above 0 for unrelated features too; the debiased one (unbiased HSIC: Song et al. 2012,
"Feature Selection via Dependence Maximization", JMLR 13, eq. 5) is 0 there on average.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from fmlora_kit import checks

MIN_IMAGES = 4  # the unbiased HSIC divides by n - 3


@dataclass(frozen=True, eq=False)
class FeatureHistory:
    """Features of the same images at several moments. Arrays are copied and read-only.

    Images of tasks not learned yet are there too, at every moment: `seen` tells them apart.

    Attributes:
        label: whose features, such as the method's name.
        features: (m, n, d) at each moment.
        learned: (m,) how many tasks the model had learned by each moment; rises.
        labels: (n,) class id of each image.
        tasks: (n,) index of the task each image is from, from 0.
        names: (n,) class name of each image.
        task_names: (T,).

    Raises:
        ValueError: shapes do not fit, a task index is out of range, or features are not finite.
    """

    label: str
    features: np.ndarray
    learned: np.ndarray
    labels: np.ndarray
    tasks: np.ndarray
    names: tuple[str, ...]
    task_names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Copy and check every field."""
        for name in ("features", "learned", "labels", "tasks"):
            array = np.array(getattr(self, name))
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "task_names", tuple(self.task_names))
        if self.features.ndim != 3 or 0 in self.features.shape:
            raise ValueError(
                f"features must be (moments, images, d), none of them 0, got {self.features.shape}"
            )
        if not np.isfinite(self.features).all():
            raise ValueError("features must be finite, got NaN or infinity")
        moments, n, _ = self.features.shape
        for name, length in (("learned", moments), ("labels", n), ("tasks", n), ("names", n)):
            found = len(getattr(self, name))
            if found != length:
                raise ValueError(f"{name} must have {length} entries, got {found}")
        if (np.diff(self.learned) <= 0).any():
            raise ValueError(f"learned must rise from moment to moment, got {self.learned}")
        if not set(np.unique(self.tasks).tolist()) <= set(range(len(self.task_names))):
            raise checks.fail(
                "tasks", f"between 0 and {len(self.task_names) - 1}", set(self.tasks.tolist())
            )

    def seen(self, moment: int) -> np.ndarray:
        """(n,) True for the images of the tasks learned by then."""
        return self.tasks < self.learned[moment]

    def of_task(self, task: int, moment: int) -> np.ndarray:
        """(n_i, d) features of one task's images at a moment."""
        return self.features[moment, self.tasks == task]


def check_history(history: FeatureHistory, name: str = "history") -> FeatureHistory:
    """The features over time, if they are that (``name`` is for the error)."""
    return checks.instance(name, history, FeatureHistory, "a FeatureHistory")


@checks.held
def linear_cka(x: np.ndarray, y: np.ndarray, *, debiased: bool = False) -> float:
    """Linear CKA of the same n images in two feature spaces.

    HSIC(K, M) / sqrt(HSIC(K, K) HSIC(M, M)) with K = X X^T and M = Y Y^T of the centred features.

    Args:
        x: (n, d) features, n at least 4.
        y: (n, e) features of the same images, in the same order.
        debiased: take the unbiased HSIC: about 0 for unrelated features, however few the images;
            it may come out a little below 0.

    Returns:
        1 for the same geometry; NaN if all images have the same features in one of the spaces.
    """
    x, y = x.astype(float), y.astype(float)
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y):
        raise ValueError(
            f"x and y must be matrices with one row per image, got {x.shape}, {y.shape}"
        )
    if len(x) < MIN_IMAGES:
        raise ValueError(f"x and y must have at least {MIN_IMAGES} images, got {len(x)}")
    kernels = len(x) <= max(x.shape[1], y.shape[1])
    return _cka(_geometry(x, kernels, debiased), _geometry(y, kernels, debiased))


@checks.held
def cka_since_learned(history: FeatureHistory, *, debiased: bool = True) -> np.ndarray:
    """(m, T) CKA of each task's test images now with what they were when just learned.

    1 at the task's own moment; NaN before it, and for a task that is not in the history. A task
    must have at least 4 images; ``debiased``: see `linear_cka`.
    """
    own = [
        int(np.argmax(check_history(history).learned > i)) for i in range(len(history.task_names))
    ]
    return _cka_over_time(
        history, debiased, lambda i, k: own[i] if history.learned[k] > i else None
    )


@checks.held
def cka_consecutive(
    history: FeatureHistory, *, debiased: bool = True, to_come: bool = True
) -> np.ndarray:
    """(m, T) CKA of each task's test images between every moment and the one before.

    Tasks not learned by the moment before are there too, how far the model's view of them moved,
    unless ``to_come`` is False: then they are NaN, as the first row is. Other arguments as of
    `cka_since_learned`.
    """
    before = np.append(0, check_history(history).learned[:-1])
    return _cka_over_time(
        history, debiased, lambda i, k: k - 1 if k and (to_come or i < before[k]) else None
    )


def _cka_over_time(
    history: FeatureHistory, debiased: bool, earlier: Callable[[int, int], int | None]
) -> np.ndarray:
    """(m, T) CKA of task i's images at moment k with those at ``earlier(i, k)``; NaN for None."""
    table = np.full((len(history.learned), len(history.task_names)), np.nan)
    for i in np.unique(history.tasks):
        own = history.tasks == i
        if (n := np.count_nonzero(own)) < MIN_IMAGES:
            raise ValueError(f"history must have at least {MIN_IMAGES} images of a task, got {n}")
        kernels = n <= history.features.shape[2]

        @lru_cache(maxsize=2)  # a moment is met with the one before, or with the task's own
        def at(k: int, own=own, kernels=kernels) -> _Geometry:
            return _geometry(history.features[k, own].astype(float), kernels, debiased)

        for k in range(len(table)):
            if (before := earlier(i, k)) is not None:
                table[k, i] = _cka(at(before), at(k))
    return table


@dataclass(frozen=True, eq=False)
class _Geometry:
    """What HSIC needs of n images: their centred kernel (n, n), or, if smaller, features (n, d)."""

    matrix: np.ndarray
    kernel: bool
    diagonal: np.ndarray | None  # (n,) of the kernel; None: the plain HSIC

    def hsic(self, other: _Geometry) -> float:
        """HSIC up to a factor that cancels; unbiased by Song et al. 2012, eq. 5."""
        a, b = self.matrix, other.matrix
        inner = np.sum(a * b) if self.kernel else np.sum((a.T @ b) ** 2)
        if self.diagonal is None:
            return float(inner)
        # Rows of a centred kernel sum to 0: without the diagonal, which does not count, to minus it
        n, k, m = len(a), self.diagonal, other.diagonal
        inner -= k @ m
        return float(inner + k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (k @ m))

    @cached_property
    def own(self) -> float:
        """HSIC with itself."""
        return self.hsic(self)


def _geometry(x: np.ndarray, kernel: bool, debiased: bool) -> _Geometry:
    x = x - x.mean(axis=0)
    return _Geometry(x @ x.T if kernel else x, kernel, np.sum(x * x, axis=1) if debiased else None)


def _cka(one: _Geometry, other: _Geometry) -> float:
    scale = one.own * other.own
    return one.hsic(other) / np.sqrt(scale) if scale > 0 else float("nan")
