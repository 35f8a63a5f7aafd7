"""What is kept of a class instead of its images: a Gaussian of its features, to draw others from.

Features of class c are taken to be N(mu_c, S_c + 1e-4 I), with the mean and the unbiased covariance
(or its diagonal alone) of its training images; layers are then trained on features drawn from it
(Wang et al. 2023, HiDe-Prompt, arXiv 2310.07234; the kinds are named as in its public code).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from fmlora_kit.checks import choice

KINDS = ("covariance", "variance")
FLOOR = 1e-4  # published; without it a class with fewer images than dimensions has no density


class ClassGaussians:
    """One Gaussian per class and task, in the order they came.

    A class that comes again in another task (domain-incremental) has a Gaussian of its own there.
    Everything is in float64 on the CPU, because not every accelerator has double precision. Of a
    feature of width d, "covariance" keeps (d, d), "variance" the diagonal alone, (d,).
    """

    def __init__(self, d: int, kind: str):
        self.kind = choice("statistics", kind, KINDS)
        self.upper = torch.triu_indices(d, d)
        self.means = torch.zeros(0, d, dtype=torch.float64)
        diagonal, numbers = kind == "variance", {"dtype": torch.float64}
        self.spreads = torch.zeros(0, d if diagonal else self.upper.shape[1], **numbers)
        self.factors = torch.zeros(0, *([d] if diagonal else [d, d]), **numbers)
        self.labels: list[int] = []
        self.owners: list[int] = []

    def learn(self, features: Tensor, labels: Tensor, classes: Sequence[int]) -> None:
        """One task more: features (n, d) of its training images, labels (n,)."""
        x = features.detach().cpu().double()
        groups = [x[labels == k] for k in classes]
        means = torch.stack([mine.mean(dim=0) for mine in groups])
        self.take(classes, means, torch.stack([self._spread(mine) for mine in groups]))

    def take(self, classes: Sequence[int], means: Tensor, spreads: Tensor) -> None:
        """One task more: its means (k, d) and what `latest` said of their spreads."""
        self.owners += [max(self.owners, default=-1) + 1] * len(classes)
        self.labels += list(classes)
        self.means = torch.cat([self.means, means])
        self.spreads = torch.cat([self.spreads, spreads])
        self.factors = torch.cat([self.factors, self._factor(spreads)])

    def latest(self) -> tuple[Tensor, Tensor]:
        """Means (k, d) and spreads of the last task: variances, or upper triangles."""
        own = [task == self.owners[-1] for task in self.owners]
        return self.means[own], self.spreads[own]

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """``n`` features of every Gaussian: (m n, d), and which Gaussian each is of: (m n,)."""
        m, d = self.means.shape
        noise = torch.randn(m, n, d, generator=generator, dtype=torch.float64)
        diagonal = self.kind == "variance"
        noise = noise * self.factors[:, None] if diagonal else noise @ self.factors.mT
        x = self.means[:, None] + noise
        return x.flatten(0, 1), torch.arange(m).repeat_interleave(n)

    @property
    def n_numbers(self) -> int:
        """Numbers kept: of a symmetric covariance, one triangle."""
        return self.means.numel() + self.spreads.numel()

    def _spread(self, x: Tensor) -> Tensor:
        inside = x - x.mean(dim=0)
        n = max(len(x) - 1, 1)
        if self.kind == "variance":
            return inside.square().sum(dim=0) / n
        return (inside.T @ inside / n)[self.upper[0], self.upper[1]]

    def _factor(self, spreads: Tensor) -> Tensor:
        if self.kind == "variance":
            return (spreads + FLOOR).sqrt()
        d = self.means.shape[1]
        full = spreads.new_zeros(len(spreads), d, d)
        full[:, self.upper[0], self.upper[1]] = spreads
        full = full + full.triu(1).mT + FLOOR * torch.eye(d, dtype=full.dtype)
        return torch.linalg.cholesky(full)


@dataclass(frozen=True)
class Rehearsal:
    """How a layer is trained on drawn features: SGD with momentum 0.9 and a cosine over the epochs.

    Optimiser and its numbers are those of HiDe-Prompt's public code.
    """

    epochs: int  # each with newly drawn features, all used once
    lr: float  # learning rate at the start
    n_samples: int  # features drawn of every Gaussian in each epoch; also the size of a batch

    def fit(
        self,
        logits: Callable[[Tensor], Tensor],
        parameters: Sequence[Tensor],
        gaussians: ClassGaussians,
        targets: Tensor,
        generator: torch.Generator,
    ) -> None:
        """Minimise the cross-entropy of ``logits``, (n, d) -> (n, rows), in ``parameters``.

        Features are on their device and in their precision; ``targets`` (m,) is the right row for
        each of the m Gaussians, ``generator`` the randomness of features and of their order.
        """
        optimiser = torch.optim.SGD(parameters, lr=self.lr, momentum=0.9, weight_decay=5e-4)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(self.epochs, 1))
        for _ in range(self.epochs):
            x, which = gaussians.sample(self.n_samples, generator)
            x, wanted = x.to(parameters[0]), targets[which].to(parameters[0].device)
            order = torch.randperm(len(x), generator=generator)
            for batch in order.to(x.device).split(self.n_samples):
                optimiser.zero_grad()
                F.cross_entropy(logits(x[batch]), wanted[batch]).backward()
                optimiser.step()
            schedule.step()
