"""LoRA pairs kept apart, one per task, and which task an image belongs to."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fmlora_kit.adapters.updates import LoRAUpdate, LowRankUpdate
from fmlora_kit.checks import choice, number

CHOICES = ("lda", "nearest_mean")


class TaskUpdates(LowRankUpdate):
    """x -> s A_t B_t x of the one active task t; nothing while no task is active."""

    def __init__(self):
        super().__init__()
        self.tasks = nn.ModuleList()
        self.active: int | None = None

    def factors(self) -> tuple[Tensor, Tensor] | None:
        """Of the active task; None while no task is active."""
        return None if self.active is None else self.tasks[self.active].factors()

    def delta(self) -> Tensor | float:
        """The active task's update as a matrix: (d_out, d_in)."""
        return 0.0 if self.active is None else self.tasks[self.active].delta()

    @property
    def latest(self) -> LoRAUpdate:
        """The last task's own."""
        return self.tasks[-1]


class TaskChoice:
    """The task whose class lies nearest, by features that never change.

    ``nearest_mean``: the largest cosine to a class mean. ``lda``: the largest score of linear
    discriminant analysis, f . S^-1 mu - mu . S^-1 mu / 2, with one covariance S shared by all
    classes of all tasks (streaming LDA, arXiv 1909.01520). A class that comes again in another task
    (domain-incremental) has a mean of its own there. Everything is in float64 on the CPU, so that
    every image is judged by itself and on any device alike. ``d`` is the feature width,
    ``shrinkage`` that of S towards a multiple of the identity.
    """

    def __init__(self, d: int, kind: str, shrinkage: float):
        self.kind = choice("choice", kind, CHOICES)
        self.shrinkage = number("shrinkage", shrinkage, above=0, high=1)
        self.means: list[Tensor] = []
        self.scatter = torch.zeros(d, d, dtype=torch.float64)
        self.count = 0
        self.weight = torch.zeros(0, d, dtype=torch.float64)
        self.bias = torch.zeros(0, dtype=torch.float64)

    def learn(self, features: Tensor, labels: Tensor, classes: Sequence[int]) -> None:
        """One task more: features (n, d) of its images, labels (n,)."""
        x = self._comparable(features)
        means = torch.stack([x[labels == k].mean(dim=0) for k in classes])
        place = (labels[:, None] == torch.tensor(list(classes))).int().argmax(dim=1)
        inside = x - means[place]
        self.take(means, self.scatter + inside.T @ inside, self.count + len(x))

    def take(self, means: Tensor, scatter: Tensor, count: int) -> None:
        """Statistics after one task more: its means (k, d); of all tasks, the scatter and count."""
        self.means.append(means)
        self.scatter, self.count = scatter, count
        every = torch.cat(self.means)
        if self.kind == "nearest_mean":
            self.weight, self.bias = F.normalize(every, dim=1), every.new_zeros(len(every))
            return
        covariance = scatter / count
        level = covariance.diagonal().mean().clamp(min=1e-8)
        spread = level * torch.eye(len(covariance), dtype=covariance.dtype)
        covariance = (1 - self.shrinkage) * covariance + self.shrinkage * spread
        self.weight = torch.linalg.solve(covariance, every.T).T
        self.bias = -(self.weight * every).sum(dim=1) / 2

    def __call__(self, features: Tensor) -> Tensor:
        """The task of each image: (n, d) -> (n,) numbers from 0."""
        if not self.means:
            raise ValueError("a task can only be chosen after one has been learned, got none")
        owner = torch.cat([torch.full((len(m),), t) for t, m in enumerate(self.means)])
        return owner[(self._comparable(features) @ self.weight.T + self.bias).argmax(dim=1)]

    def _comparable(self, features: Tensor) -> Tensor:
        x = features.detach().cpu().double()
        return F.normalize(x, dim=1) if self.kind == "nearest_mean" else x

    @property
    def n_deployed(self) -> int:
        """Numbers needed to choose: a row per class and task, for "lda" an offset too."""
        return self.weight.numel() + (len(self.bias) if self.kind == "lda" else 0)

    @property
    def n_training_state(self) -> int:
        """Numbers needed to take in further tasks: for "lda" the means, the scatter, the count."""
        return self.weight.numel() + self.scatter.numel() + 1 if self.kind == "lda" else 0
