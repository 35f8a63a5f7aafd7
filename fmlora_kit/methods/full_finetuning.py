"""Full fine-tuning: every weight of the backbone is trained on one task after another."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from fmlora_kit.methods.base import Method, numpy, tensor


class FullFinetuning(Method):
    """All weights of the backbone are trained in turn, nothing protected.

    Args:
        backbone, n_classes: see `Method`.
        options: see `Method`.
    """

    name = "full_finetuning"
    trained = "every weight of the backbone; the task's head rows"
    frozen = "head rows of other classes"
    default_lr = 2e-4

    def __init__(self, backbone, n_classes: int, **options):
        super().__init__(backbone, n_classes, **options)
        self.vit.requires_grad_(True)

    def parts(self) -> list[nn.Parameter]:
        """Every weight of the backbone."""
        return list(self.vit.parameters())

    def snapshot(self) -> dict[str, np.ndarray]:
        """Every weight of the backbone, and the head."""
        weights = {f"vit.{name}": numpy(p) for name, p in self.vit.named_parameters()}
        return super().snapshot() | weights

    @torch.no_grad()
    def restore(self, task_classes, state) -> None:
        """Take every weight from the snapshot."""
        super().restore(task_classes, state)
        for name, p in self.vit.named_parameters():
            p.copy_(tensor(state[f"vit.{name}"]))
