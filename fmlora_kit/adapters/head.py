"""The classification head: a row per class of the stream, only the current task's are trained.

Ridge regression on random projections of features, from sums over all tasks, is RanPAC's rule
(McDonnell et al. 2023, arXiv 2307.02251, algorithm 1). `methods.ranpac` is the method; here the
same rule is the head of another method.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fmlora_kit.checks import choice, integer, number

HEADS = ("lda", "cosine", "linear", "ridge")
SET_AFTERWARDS = ("lda", "ridge")  # rows follow from statistics of all tasks when a task ends


class Head(nn.Module):
    """Logits over classes; rows exist for the whole stream, so its size never changes.

    ``cosine`` [ours]: logit = scale * cos(feature, row); a new row starts at its class mean, so
    logits of different tasks are comparable. ``lda`` [ours] trains like ``cosine``; when a task
    ends, its rows are set by linear discriminant analysis from class means and one covariance
    shared by all classes, row = S^-1 mu, bias = -mu . S^-1 mu / 2 (streaming LDA, Hayes and Kanan
    2020, arXiv 1909.01520): what varies inside classes, such as style, no longer counts.
    ``ridge`` [ours] trains like ``cosine`` too; when a task ends, its rows are those of ridge
    regression on random projections, RanPAC's rule (`RidgeSums`), which also separates classes
    that no plane can, such as the same character in several styles.
    ``linear``: logit = row . feature + bias, as published baselines do.

    Args:
        n_classes: classes of the whole stream.
        d: feature width.
        kind: "lda", "cosine", "linear" or "ridge".
        scale: of cosine logits.
        shrinkage: of the shared covariance towards a multiple of the identity, only for "lda".
        projections: M, only for "ridge".
        seed: of the random projection.
    """

    def __init__(
        self,
        n_classes: int,
        d: int,
        kind: str,
        scale: float,
        shrinkage: float,
        projections: int = 1000,
        seed: int = 0,
    ):
        super().__init__()
        self.kind = choice("head", kind, HEADS)
        self.n_classes = integer("n_classes", n_classes, 1)
        self.scale = number("scale", scale, above=0)
        self.shrinkage = number("shrinkage", shrinkage, above=0, high=1)
        projections = integer("projections", projections, 1)
        self.projection = self.seen_so_far = None
        if kind == "ridge":
            noise = torch.Generator().manual_seed(zlib.crc32(f"projection {seed}".encode()))
            self.projection = RandomProjection(d, projections, noise)
            self.seen_so_far = RidgeSums(n_classes, projections)
        width = projections if self.projection else d
        self.register_buffer("weight", torch.zeros(n_classes, width))
        self.register_buffer("bias", torch.zeros(n_classes))
        # Statistics of "lda": on the CPU, because not every accelerator has double precision.
        self.means = torch.zeros(n_classes, d, dtype=torch.float64)
        self.counts = torch.zeros(n_classes, dtype=torch.float64)
        self.scatter = torch.zeros(d, d, dtype=torch.float64)
        self.rows = nn.Parameter(torch.zeros(0, d))
        self.offsets = nn.Parameter(torch.zeros(0))
        self.current: list[int] = []

    def open(self, classes: Sequence[int], start: Tensor | None = None) -> None:
        """Begin training the rows of ``classes``, from ``start`` (k, d) or from what they hold."""
        if max(classes) >= self.n_classes or min(classes) < 0:
            given = f"{min(classes)} to {max(classes)}"
            raise ValueError(f"classes must be from 0 to {self.n_classes - 1}, got {given}")
        self.current = list(classes)
        rows = self.weight[self.current] if start is None else start.to(self.weight)
        self.rows = nn.Parameter(rows.clone())
        offsets = self.bias[self.current].clone()
        self.offsets = nn.Parameter(offsets, requires_grad=self.kind == "linear")

    @torch.no_grad()
    def close(self) -> None:
        """Write the trained rows back; they are frozen from now on."""
        if self.kind != "ridge":
            self.weight[self.current] = self.rows
            self.bias[self.current] = self.offsets
        self.rows = nn.Parameter(self.rows[:0].clone())
        self.offsets = nn.Parameter(self.offsets[:0].clone())
        self.current = []

    @torch.no_grad()
    def align(self, features: Tensor, labels: Tensor, classes: Sequence[int]) -> None:
        """Take the finished task's statistics in, and set all rows; only for "lda" and "ridge".

        LDA pools a class seen before (domain-incremental) with what is known of it: the covariance
        then also counts how far its mean lies from task to task.

        Args:
            features: of the task's training images, (n, d).
            labels: (n,) global class ids.
            classes: the task's classes.
        """
        if self.kind == "ridge":
            self._align_ridge(features, labels)
            return
        x, y = features.double().cpu(), labels.cpu()
        for k in classes:
            mine = x[y == k]
            mean, n, before = mine.mean(dim=0), float(len(mine)), float(self.counts[k])
            shift = mean - self.means[k]
            self.scatter += (mine - mean).T @ (mine - mean)
            self.scatter += (before * n / (before + n)) * torch.outer(shift, shift)
            self.counts[k] += n
            self.means[k] += shift * (n / (before + n))
        self._solve()

    def _solve(self) -> None:
        covariance = self.scatter / self.counts.sum()
        d = len(covariance)
        level = covariance.diagonal().mean().clamp(min=1e-8) * torch.eye(d, dtype=torch.float64)
        covariance = (1 - self.shrinkage) * covariance + self.shrinkage * level
        rows = torch.linalg.solve(covariance, self.means.T).T
        self.weight.copy_(rows)
        self.bias.copy_(-(rows * self.means).sum(dim=1) / 2)

    def _align_ridge(self, features: Tensor, labels: Tensor) -> None:
        h = self.projection(features.to(self.weight)).cpu().double()
        y = F.one_hot(labels.cpu(), self.n_classes).double()
        order = torch.randperm(len(h), generator=torch.Generator().manual_seed(len(h)))
        self.seen_so_far.add(h, y)
        self.weight.copy_(self.seen_so_far.solve(choose_ridge(h[order], y[order])))

    @property
    def statistics(self) -> dict[str, Tensor]:
        """What is kept of the tasks seen, to set the rows again: by name; empty if trained."""
        if self.kind == "lda":
            return {"means": self.means, "counts": self.counts, "scatter": self.scatter}
        if self.kind == "ridge":
            return {"gram": self.seen_so_far.gram, "sums": self.seen_so_far.sums}
        return {}

    @property
    def n_deployed(self) -> int:
        """Numbers needed to predict."""
        n = self.weight.numel() + self.bias.numel() * (self.kind in ("lda", "linear"))
        return n + (self.projection.matrix.numel() if self.projection else 0)

    def local(self, features: Tensor) -> Tensor:
        """Logits of the classes in training only: (n, d) -> (n, k)."""
        return self._logits(features, self.rows, self.offsets, linear=self.kind == "linear")

    def forward(self, features: Tensor, classes: Sequence[int]) -> Tensor:
        """Logits of ``classes``: (n, d) -> (n, len(classes))."""
        keep = list(classes)
        if self.projection is not None:
            return self.projection(features) @ self.weight[keep].T
        rows, offsets = self.weight[keep], self.bias[keep]
        return self._logits(features, rows, offsets, linear=self.kind != "cosine")

    def _logits(self, features: Tensor, rows: Tensor, offsets: Tensor, *, linear: bool) -> Tensor:
        if linear:
            return features @ rows.T + offsets
        return self.scale * F.normalize(features, dim=1) @ F.normalize(rows, dim=1).T


def class_means(features: Tensor, labels: Tensor, classes: Sequence[int]) -> Tensor:
    """Mean unit feature of each class: (n, d), (n,) -> (k, d)."""
    unit = F.normalize(features, dim=1)
    return torch.stack([unit[labels == k].mean(dim=0) for k in classes])


RIDGES = tuple(10.0**k for k in range(-8, 9))
FITTED = 0.8  # share of a task's images that lambda's candidates are fitted to


class RandomProjection(nn.Module):
    """f -> relu(P f): (..., d) -> (..., M), P frozen at N(0, 1).

    Args:
        d: inputs.
        width: M.
        generator: randomness of P.
    """

    def __init__(self, d: int, width: int, generator: torch.Generator):
        super().__init__()
        start = torch.randn(width, d, generator=generator)
        self.matrix = nn.Parameter(start, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., d) -> (..., M), never in half precision."""
        with torch.autocast(x.device.type, enabled=False):
            return F.relu(x.to(self.matrix) @ self.matrix.T)


class RidgeSums:
    """G = sum of h h^T and C = sum of y h^T, over every image seen; the order does not matter.

    On the CPU, because not every accelerator has double precision. G is symmetric: its upper
    triangle is kept.

    Args:
        n_classes: classes of the whole stream.
        width: M.
    """

    def __init__(self, n_classes: int, width: int):
        self.upper = torch.triu_indices(width, width)
        self.gram = torch.zeros(self.upper.shape[1], dtype=torch.float64)
        self.sums = torch.zeros(n_classes, width, dtype=torch.float64)

    def add(self, h: Tensor, y: Tensor) -> None:
        """Take images in: projected features (n, M) and one-hot labels (n, classes), float64."""
        self.gram += (h.T @ h)[self.upper[0], self.upper[1]]
        self.sums += y.T @ h

    def solve(self, ridge: float) -> Tensor:
        """W, (classes, M): (G + lambda I)^-1 C."""
        m = self.sums.shape[1]
        full = torch.zeros(m, m, dtype=torch.float64)
        full[self.upper[0], self.upper[1]] = self.gram
        return solve_ridge(full + full.triu(1).T, self.sums.T, ridge).T


def solve_ridge(gram: Tensor, sums: Tensor, ridge: float) -> Tensor:
    """(G + lambda I)^-1 C: (M, M), (M, classes) -> (M, classes)."""
    return torch.linalg.solve(gram + ridge * torch.eye(len(gram), dtype=gram.dtype), sums)


def choose_ridge(h: Tensor, y: Tensor) -> float:
    """The lambda of `RIDGES` that, fitted to the first 80%, errs least on the rest (squared error).

    Args:
        h: projected features, (n, M), in random order: sorted by class, the last fifth would hold
            classes that the fit has never seen.
        y: one-hot labels, (n, classes).
    """
    n = int(FITTED * len(h))
    u, s, vt = torch.linalg.svd(h[:n], full_matrices=False)
    held_out, targets = h[n:] @ vt.T, u.T @ y[:n]
    errors = []
    for ridge in RIDGES:
        shrunk = (s / (s.square() + ridge))[:, None] * targets
        errors.append((held_out @ shrunk - y[n:]).square().mean().item())
    return RIDGES[int(np.argmin(errors))]
