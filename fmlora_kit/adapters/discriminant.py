"""Discriminant analysis from statistics that grow task by task: class means, one shared covariance.

row = S^-1 mu, bias = -mu . S^-1 mu / 2, S shrunk towards a multiple of the identity.

With one mean a class: streaming LDA (Hayes and Kanan 2020, arXiv 1909.01520). With several, the
modes of a class: mixture discriminant analysis (Hastie and Tibshirani 1996, JRSS B 58), here
[ours] with k-means inside a task, at least `IMAGES_A_MODE` images a mode, the modes of different
tasks kept apart, and without the modes' weights: a class scores the log-sum-exp over its modes. At
most ``slots`` modes a class are kept, so that the size is constant: above that the two are merged
whose union adds least scatter (Ward 1963, doi 10.1080/01621459.1963.10500845).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from fmlora_kit.adapters.drift import fit_drift

IMAGES_A_MODE = 8  # at least, for k-means inside a task


class Discriminant:
    """Means and counts of all modes of all classes, and the scatter inside modes.

    On the CPU, because not every accelerator has double precision.

    Args:
        n_classes: classes of the whole stream.
        d: feature width.
        slots: modes a class at most; with 1, a class seen again has one mean over all its images,
            and the covariance also counts how far its mean lies from task to task.
        modes: of a class inside one task.
        compensate: move what is kept along with the features (`adapters.drift`).
    """

    def __init__(self, n_classes: int, d: int, slots: int, modes: int, compensate: bool):
        self.slots, self.modes, self.compensate = slots, min(modes, slots), compensate
        self.means = torch.zeros(n_classes * slots, d, dtype=torch.float64)
        self.counts = torch.zeros(n_classes * slots, dtype=torch.float64)
        self.scatter = torch.zeros(d, d, dtype=torch.float64)

    def add(
        self, features: Tensor, labels: Tensor, classes: Sequence[int], before: Tensor | None = None
    ) -> None:
        """Take a task's training images in.

        Args:
            features: (n, d), float64, on the CPU.
            labels: (n,) global class ids.
            classes: the task's classes.
            before: the features of the same images before the task, (n, d).
        """
        used = self.counts > 0
        known = any(used[self._places(k)].any() for k in classes)
        if self.compensate and before is not None and used.any() and not known:
            drift = fit_drift(before, features)
            self.means[used] = drift.move(self.means[used])
            self.scatter = drift.turn(self.scatter)
        for k in classes:
            self._add_class(k, features[labels == k])

    def rows(self, shrinkage: float) -> tuple[Tensor, Tensor]:
        """Rows (classes x slots, d) and biases of all modes; an empty slot's is out of reach."""
        covariance = self.scatter / self.counts.sum()
        d = len(covariance)
        level = covariance.diagonal().mean().clamp(min=1e-8) * torch.eye(d, dtype=torch.float64)
        covariance = (1 - shrinkage) * covariance + shrinkage * level
        rows = torch.linalg.solve(covariance, self.means.T).T
        biases = -(rows * self.means).sum(dim=1) / 2
        empty = (self.counts == 0) & (self.slots > 1)
        return rows, biases.masked_fill(empty, -1e30)

    def _places(self, k: int) -> slice:
        return slice(k * self.slots, (k + 1) * self.slots)

    def _add_class(self, k: int, x: Tensor) -> None:
        at = self._places(k)
        kept = self.counts[at] > 0
        means, counts = list(self.means[at][kept]), self.counts[at][kept].tolist()
        for mine in self._split(x):
            mean = mine.mean(dim=0)
            self.scatter += (mine - mean).T @ (mine - mean)
            means.append(mean)
            counts.append(float(len(mine)))
        while len(means) > self.slots:
            self._merge_nearest(means, counts)
        self.means[at], self.counts[at] = 0.0, 0.0
        self.means[at][: len(means)] = torch.stack(means)
        self.counts[at][: len(counts)] = torch.tensor(counts, dtype=torch.float64)

    def _split(self, x: Tensor) -> Iterator[Tensor]:
        """One class's images, a mode at a time."""
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning

        n = max(1, min(self.modes, len(x) // IMAGES_A_MODE))
        if n == 1:
            yield x
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different images than modes
            mode = torch.from_numpy(KMeans(n, n_init=4, random_state=0).fit_predict(x.numpy()))
        yield from (x[mode == m] for m in mode.unique())

    def _merge_nearest(self, means: list[Tensor], counts: list[float]) -> None:
        stacked, n = torch.stack(means), torch.tensor(counts, dtype=torch.float64)
        cost = torch.cdist(stacked, stacked).square() * n * n[:, None] / (n + n[:, None])
        i, j = divmod(int(cost.fill_diagonal_(torch.inf).argmin()), len(means))
        share, shift = counts[j] / (counts[i] + counts[j]), means[j] - means[i]
        self.scatter += counts[i] * share * torch.outer(shift, shift)
        means[i] = means[i] + shift * share
        counts[i] += counts[j]
        del means[j], counts[j]
