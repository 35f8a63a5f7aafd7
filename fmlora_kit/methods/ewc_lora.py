"""EWC on LoRA: sequential LoRA whose factors are held where old tasks' Fisher information is large.

Elastic weight consolidation, Kirkpatrick et al. 2017, arXiv 1612.00796, eq. 3, over the factors A,
B of every adapted map:

    loss = cross-entropy + lambda / 2 sum_i F_i (theta_i - theta*_i)^2

theta* are the factors when the last task ended. F is one diagonal for all old tasks, kept as in
online EWC (Schwarz et al. 2018, arXiv 1805.06370): F <- gamma F + F_t. F_t, of the finished task,

    F_t = mean over images of (d log p(y | x) / d theta)^2,   y drawn from the model's own p(. | x),

with p over the task's own classes, since they are what the loss compares. Two shortcuts are common
and are not taken: to square the gradient of a batch's mean loss, and to use the true labels, whose
gradients vanish on what is learned well.

Frozen: backbone and earlier head rows. Published: SGD, lambda chosen per problem, no LoRA. [ours]:
lambda 1000 and head (the best of a few on two held-out seeds), gamma 1, at most 100 images for F,
AdamW.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fmlora_kit.checks import Count, Share, Weight
from fmlora_kit.methods.base import HeadOptions
from fmlora_kit.methods.sequential_lora import SequentialLoRA
from fmlora_kit.streams.task import Task

_FISHER = 11  # what randomness is for


class EWCLoRA(SequentialLoRA):
    """Sequential LoRA with elastic weight consolidation.

    Args:
        strength: lambda; 0 is sequential LoRA (with the same head).
        decay: gamma, how much of the old Fisher information stays when a task is added.
        fisher_images: at most so many of a task's training images are used for F_t.
        options: see `SequentialLoRA` (rank, alpha, maps).
    """

    name = "ewc_lora"
    stores = "one Fisher diagonal of the LoRA pairs (constant size)"
    default_head = HeadOptions("lda")

    def __init__(
        self,
        backbone,
        n_classes: int,
        *,
        strength: Weight = 1000.0,
        decay: Share = 1.0,
        fisher_images: Count = 100,
        **options,
    ):
        super().__init__(backbone, n_classes, **options)
        self.set_options(strength=strength, decay=decay, fisher_images=fisher_images)
        self.fisher = {name: torch.zeros_like(p.detach()) for name, p in self.factors().items()}
        self.anchor: dict[str, Tensor] = {}

    def begin_task(self, task: Task) -> None:
        """Prepare; the factors are held where they are now."""
        super().begin_task(task)
        self.fisher = {name: f.to(self.device) for name, f in self.fisher.items()}
        self.anchor = {name: p.detach().clone() for name, p in self.factors().items()}

    def loss(self, images: Tensor, labels: Tensor, progress: float = 0.0) -> Tensor:
        """Local cross-entropy + lambda / 2 sum_i F_i (theta_i - theta*_i)^2."""
        loss = super().loss(images, labels, progress)
        if self.strength and self.n_tasks_done:
            loss = loss + self.strength / 2 * self.penalty()
        return loss

    def penalty(self) -> Tensor:
        """sum_i F_i (theta_i - theta*_i)^2."""
        moved = [
            (self.fisher[name].to(p) * (p - self.anchor[name]).square()).sum()
            for name, p in self.factors().items()
        ]
        return torch.stack(moved).sum()

    def end_task(self, task: Task) -> None:
        """Add the task's Fisher information, then finish."""
        for name, new in self._fisher_of(task).items():
            self.fisher[name] = self.decay * self.fisher[name].to(new) + new
        super().end_task(task)

    def kept(self) -> dict[str, Tensor]:
        """The head, A and B of every map, and their Fisher information."""
        return super().kept() | {f"{name}.fisher": value for name, value in self.fisher.items()}

    @property
    def n_training_state(self) -> int:
        """The Fisher diagonal; theta* are the deployed factors themselves."""
        return super().n_training_state + sum(f.numel() for f in self.fisher.values())

    @torch.enable_grad()
    def _fisher_of(self, task: Task) -> dict[str, Tensor]:
        factors = self.factors()
        draw = self.generator(_FISHER, self.n_tasks_done)
        chosen = torch.randperm(len(task.train_labels), generator=draw)[: self.fisher_images]
        sums = {name: torch.zeros_like(p.detach()) for name, p in factors.items()}
        for k in chosen.tolist():
            image = torch.from_numpy(task.train_images[k : k + 1].copy()).to(self.device)
            log_p = self.head.local(self.features(image))[0].log_softmax(0)
            label = int(torch.multinomial(log_p.detach().exp().cpu(), 1, generator=draw))
            gradients = torch.autograd.grad(log_p[label], list(factors.values()))
            for name, gradient in zip(factors, gradients, strict=True):
                sums[name] += gradient.square()
        return {name: value / len(chosen) for name, value in sums.items()}
