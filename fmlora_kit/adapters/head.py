"""The classification head: a row per class of the stream, only the current task's are trained."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fmlora_kit.adapters.discriminant import Discriminant
from fmlora_kit.adapters.ridge import RandomProjection, RidgeSums, choose_ridge
from fmlora_kit.checks import choice, integer, number

HEADS = ("lda", "mda", "cosine", "linear", "ridge")
DISCRIMINANTS = ("lda", "mda")
SET_AFTERWARDS = (*DISCRIMINANTS, "ridge")  # rows follow from statistics of all tasks


class Head(nn.Module):
    """Logits over classes; rows exist for the whole stream, so its size never changes.

    ``cosine`` [ours]: logit = scale * cos(feature, row); a new row starts at its class mean, so
    logits of different tasks are comparable. ``linear``: logit = row . feature + bias, as published
    baselines do. The others [ours] train like ``cosine``; when a task ends, all rows are set from
    statistics of all tasks. ``lda``: linear discriminant analysis (`adapters.discriminant`): what
    varies inside classes, such as style, no longer counts. ``mda``: the same with several modes a
    class, a row each. ``ridge``: RanPAC's rule (`adapters.ridge`), which separates classes that no
    plane can, such as the same character in several styles.

    Args:
        n_classes: classes of the whole stream.
        d: feature width.
        kind: one of `HEADS`.
        scale: of cosine logits.
        shrinkage: of the shared covariance towards a multiple of the identity, for discriminants.
        projections: M, only for "ridge".
        modes: of a class in a task, only for "mda".
        max_modes: of a class, only for "mda": the size of the head is that of so many rows a class.
        compensate: discriminants move what they keep along with the features (`adapters.drift`).
        ridge: lambda of "ridge"; None chooses it anew for every task.
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
        modes: int = 1,
        max_modes: int = 8,
        compensate: bool = False,
        ridge: float | None = None,
        seed: int = 0,
    ):
        super().__init__()
        self.kind = choice("head", kind, HEADS)
        self.n_classes = integer("n_classes", n_classes, 1)
        self.scale = number("scale", scale, above=0)
        self.shrinkage = number("shrinkage", shrinkage, above=0, high=1)
        projections = integer("projections", projections, 1)
        self.slots = integer("max_modes", max_modes, 1) if kind == "mda" else 1
        self.projection, self.sums, self.ridge = None, None, ridge
        if kind == "ridge":
            noise = torch.Generator().manual_seed(zlib.crc32(f"projection {seed}".encode()))
            self.projection = RandomProjection(d, projections, noise)
            self.sums = RidgeSums(n_classes, projections)
        elif kind in DISCRIMINANTS:
            modes = integer("modes", modes, 1) if kind == "mda" else 1
            self.sums = Discriminant(n_classes, d, self.slots, modes, compensate)
        width = projections if self.projection else d
        self.register_buffer("weight", torch.zeros(n_classes * self.slots, width))
        self.register_buffer("bias", torch.zeros(n_classes * self.slots))
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
        if self.slots == 1 and self.projection is None:
            self.weight[self.current] = self.rows
            self.bias[self.current] = self.offsets
        self.rows = nn.Parameter(self.rows[:0].clone())
        self.offsets = nn.Parameter(self.offsets[:0].clone())
        self.current = []

    @torch.no_grad()
    def align(
        self,
        features: Tensor,
        labels: Tensor,
        classes: Sequence[int],
        before: Tensor | None = None,
    ) -> None:
        """Take the finished task's statistics in, and set all rows; only for heads set afterwards.

        Args:
            features: of the task's training images, (n, d).
            labels: (n,) global class ids.
            classes: the task's classes.
            before: the same images' features before the task, (n, d), for ``compensate``.
        """
        labels = labels.cpu()
        if self.kind == "ridge":
            h = self.projection(features.to(self.weight)).cpu().double()
            y = F.one_hot(labels, self.n_classes).double()
            order = torch.randperm(len(h), generator=torch.Generator().manual_seed(len(h)))
            self.sums.add(h, y)
            ridge = choose_ridge(h[order], y[order]) if self.ridge is None else self.ridge
            self.weight.copy_(self.sums.solve(ridge))
            return
        before = None if before is None else before.double().cpu()
        self.sums.add(features.double().cpu(), labels, classes, before)
        rows, biases = self.sums.rows(self.shrinkage)
        self.weight.copy_(rows)
        self.bias.copy_(biases)

    @property
    def statistics(self) -> dict[str, Tensor]:
        """What is kept of the tasks seen, to set the rows again: by name; empty if trained."""
        if self.sums is None:
            return {}
        names = ("gram", "sums") if self.kind == "ridge" else ("means", "counts", "scatter")
        return {name: getattr(self.sums, name) for name in names}

    @property
    def n_deployed(self) -> int:
        """Numbers needed to predict."""
        biased = self.kind in ("linear", *DISCRIMINANTS)
        n = self.weight.numel() + self.bias.numel() * biased
        return n + (self.projection.matrix.numel() if self.projection else 0)

    @property
    def compensates(self) -> bool:
        """Does `align` want the features before the task?"""
        return self.kind in DISCRIMINANTS and self.sums.compensate

    def places(self, classes: Sequence[int]) -> list[int]:
        """The rows of ``classes`` in ``weight`` and ``bias``: one a class, or its modes in turn."""
        return [k * self.slots + mode for k in classes for mode in range(self.slots)]

    def local(self, features: Tensor) -> Tensor:
        """Logits of the classes in training only: (n, d) -> (n, k)."""
        return self._logits(features, self.rows, self.offsets, linear=self.kind == "linear")

    def forward(self, features: Tensor, classes: Sequence[int]) -> Tensor:
        """Logits of ``classes``: (n, d) -> (n, len(classes))."""
        keep = self.places(classes)
        if self.projection is not None:
            return self.projection(features) @ self.weight[keep].T
        rows, offsets = self.weight[keep], self.bias[keep]
        logits = self._logits(features, rows, offsets, linear=self.kind != "cosine")
        if self.slots == 1:
            return logits
        return logits.unflatten(-1, (-1, self.slots)).logsumexp(dim=-1)

    def _logits(self, features: Tensor, rows: Tensor, offsets: Tensor, *, linear: bool) -> Tensor:
        if linear:
            return features @ rows.T + offsets
        return self.scale * F.normalize(features, dim=1) @ F.normalize(rows, dim=1).T


def class_means(features: Tensor, labels: Tensor, classes: Sequence[int]) -> Tensor:
    """Mean unit feature of each class: (n, d), (n,) -> (k, d)."""
    unit = F.normalize(features, dim=1)
    return torch.stack([unit[labels == k].mean(dim=0) for k in classes])
