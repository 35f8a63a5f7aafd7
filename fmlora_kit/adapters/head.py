"""The classification head: rows for every class of the stream, only the current task's are trained."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HEADS = ("cosine", "linear")


class Head(nn.Module):
    """Logits over classes; rows exist for the whole stream, so its size never changes.

    ``cosine`` [ours]: logit = scale * cos(feature, row); a new row starts at its class mean, so logits of
    different tasks are comparable. ``linear``: logit = row . feature + bias, as published baselines do.

    Args:
        n_classes: classes of the whole stream.
        d: feature width.
        kind: "cosine" or "linear".
        scale: of cosine logits.

    Raises:
        ValueError: unknown ``kind``, or no class.
    """

    def __init__(self, n_classes: int, d: int, kind: str = "cosine", scale: float = 16.0):
        super().__init__()
        if kind not in HEADS:
            raise ValueError(f"head must be one of {HEADS}, got {kind!r}")
        if n_classes < 1:
            raise ValueError(f"n_classes must be at least 1, got {n_classes}")
        self.kind, self.scale = kind, scale
        self.register_buffer("weight", torch.zeros(n_classes, d))
        self.register_buffer("bias", torch.zeros(n_classes))
        self.rows = nn.Parameter(torch.zeros(0, d))
        self.offsets = nn.Parameter(torch.zeros(0))
        self.current: list[int] = []

    def open(self, classes: Sequence[int], start: Tensor | None = None) -> None:
        """Begin training the rows of ``classes``, from ``start`` (k, d) or from what they hold."""
        if max(classes) >= len(self.weight) or min(classes) < 0:
            raise ValueError(
                f"classes must be below n_classes = {len(self.weight)}, got {max(classes)}"
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

    def local(self, features: Tensor) -> Tensor:
        """Logits of the classes in training only: (n, d) -> (n, k)."""
        return self._logits(features, self.rows, self.offsets)

    def forward(self, features: Tensor, classes: Sequence[int]) -> Tensor:
        """Logits of ``classes``: (n, d) -> (n, len(classes))."""
        keep = list(classes)
        return self._logits(features, self.weight[keep], self.bias[keep])

    def _logits(self, features: Tensor, rows: Tensor, offsets: Tensor) -> Tensor:
        if self.kind == "linear":
            return features @ rows.T + offsets
        return self.scale * F.normalize(features, dim=1) @ F.normalize(rows, dim=1).T


def class_means(features: Tensor, labels: Tensor, classes: Sequence[int]) -> Tensor:
    """Mean unit feature of each class: (n, d), (n,) -> (k, d)."""
    unit = F.normalize(features, dim=1)
    return torch.stack([unit[labels == k].mean(dim=0) for k in classes])
