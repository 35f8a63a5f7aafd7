"""Full fine-tuning: every weight of the backbone is trained on one task after another."""

from __future__ import annotations

from torch import Tensor, nn

from fmlora_kit.methods.base import Method


class FullFinetuning(Method):
    """All weights of the backbone are trained in turn, nothing protected."""

    name = "full_finetuning"
    trained = "every weight of the backbone; the task's head rows"
    frozen = "head rows of other classes"
    default_lr = 1e-4

    def __init__(self, backbone, n_classes: int, **options):
        super().__init__(backbone, n_classes, **options)
        self.vit.requires_grad_(True)

    def parts(self) -> list[nn.Parameter]:
        """Every weight of the backbone."""
        return list(self.vit.parameters())

    def kept(self) -> dict[str, Tensor]:
        """The head, and every weight of the backbone."""
        return super().kept() | {f"vit.{name}": p for name, p in self.vit.named_parameters()}
