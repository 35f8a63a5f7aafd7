"""The classification head: a row per class of the stream, only the current task's are trained."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HEADS = ("lda", "cosine", "linear")


class Head(nn.Module):
    """Logits over classes; rows exist for the whole stream, so its size never changes.

    ``cosine`` [ours]: logit = scale * cos(feature, row); a new row starts at its class mean, so
    logits of different tasks are comparable. ``lda`` [ours] trains like ``cosine``; when a task
    ends, its rows are set by linear discriminant analysis from class means and one covariance
    shared by all classes, row = S^-1 mu, bias = -mu . S^-1 mu / 2 (streaming LDA, Hayes and Kanan
    2020, arXiv 1909.01520): what varies inside classes, such as style, no longer counts.
    ``linear``: logit = row . feature + bias, as published baselines do.

    Args:
        n_classes: classes of the whole stream.
        d: feature width.
        kind: "lda", "cosine" or "linear".
        scale: of cosine logits.
        shrinkage: of the shared covariance towards a multiple of the identity, only for "lda".

    Raises:
        ValueError: unknown ``kind``, no class, or a number out of range.
    """

    def __init__(self, n_classes: int, d: int, kind: str, scale: float, shrinkage: float):
        super().__init__()
        if kind not in HEADS:
            raise ValueError(f"head must be one of {HEADS}, got {kind!r}")
        if n_classes < 1:
            raise ValueError(f"n_classes must be at least 1, got {n_classes}")
        if not scale > 0:
            raise ValueError(f"scale must be above 0, got {scale}")
        if not 0 < shrinkage <= 1:
            raise ValueError(f"shrinkage must be above 0 and at most 1, got {shrinkage}")
        self.kind, self.scale, self.shrinkage = kind, scale, shrinkage
        self.register_buffer("weight", torch.zeros(n_classes, d))
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
        if max(classes) >= len(self.weight) or min(classes) < 0:
            raise ValueError(
                f"classes must be from 0 and below n_classes = {len(self.weight)}, "
                f"got {min(classes)} to {max(classes)}"
            )
        self.current = list(classes)
        rows = self.weight[self.current] if start is None else start.to(self.weight)
        self.rows = nn.Parameter(rows.clone())
        self.offsets = nn.Parameter(
            self.bias[self.current].clone(), requires_grad=self.kind == "linear"
        )

    @torch.no_grad()
    def close(self) -> None:
        """Write the trained rows back; they are frozen from now on."""
        self.weight[self.current] = self.rows
        self.bias[self.current] = self.offsets
        self.rows = nn.Parameter(self.rows[:0].clone())
        self.offsets = nn.Parameter(self.offsets[:0].clone())
        self.current = []

    @torch.no_grad()
    def align(self, features: Tensor, labels: Tensor, classes: Sequence[int]) -> None:
        """Take the finished task's statistics in, and set all rows by LDA; only for "lda".

        A class seen before (domain-incremental) is pooled with what is known of it: the covariance
        then also counts how far its mean lies from task to task.

        Args:
            features: of the task's training images, (n, d).
            labels: (n,) global class ids.
            classes: the task's classes.
        """
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

    def local(self, features: Tensor) -> Tensor:
        """Logits of the classes in training only: (n, d) -> (n, k)."""
        return self._logits(features, self.rows, self.offsets, linear=self.kind == "linear")

    def forward(self, features: Tensor, classes: Sequence[int]) -> Tensor:
        """Logits of ``classes``: (n, d) -> (n, len(classes))."""
        keep = list(classes)
        linear = self.kind != "cosine"
        return self._logits(features, self.weight[keep], self.bias[keep], linear=linear)

    def _logits(self, features: Tensor, rows: Tensor, offsets: Tensor, *, linear: bool) -> Tensor:
        if linear:
            return features @ rows.T + offsets
        return self.scale * F.normalize(features, dim=1) @ F.normalize(rows, dim=1).T


def class_means(features: Tensor, labels: Tensor, classes: Sequence[int]) -> Tensor:
    """Mean unit feature of each class: (n, d), (n,) -> (k, d)."""
    unit = F.normalize(features, dim=1)
    return torch.stack([unit[labels == k].mean(dim=0) for k in classes])
