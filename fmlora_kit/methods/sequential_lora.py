"""Sequential LoRA: one adapter per map, trained on one task after another, nothing protected.

W = W0 + (alpha / r) A B, A and B trained on every task in turn (Hu et al. 2021, arXiv 2106.09685;
as the plain baseline of continual learning, e.g. in SD-LoRA, arXiv 2501.13198).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from fmlora_kit.adapters.updates import LoRAUpdate
from fmlora_kit.checks import Count, Positive
from fmlora_kit.methods.base import HeadOptions, Method
from fmlora_kit.streams.task import Task


class SequentialLoRA(Method):
    """Adapters of rank ``rank`` on q and v of every block, trained on each task in turn.

    Args:
        rank: r of every adapter.
        alpha: updates are scaled by alpha / r; default alpha = r.
        maps: which linear maps of each block are adapted.
        blocks: which blocks are adapted, e.g. (9, 10, 11); default: every one.
    """

    name = "sequential_lora"
    keeps_first_blocks = True
    trained = "the LoRA pairs A, B; the task's head rows"

    def __init__(
        self,
        backbone,
        n_classes: int,
        *,
        rank: Count = 32,
        alpha: Positive | None = None,
        maps: Sequence[str] = ("q", "v"),
        blocks: Sequence[int] | None = None,
        **options,
    ):
        super().__init__(backbone, n_classes, **options)
        alpha = rank if alpha is None else alpha
        self.set_options(rank=rank, alpha=alpha, maps=maps, blocks=blocks)
        scaled = (self.rank, self.alpha, self.generator(0))
        self.adapt(lambda s: LoRAUpdate(s.d_in, s.d_out, *scaled), self.maps, self.blocks)

    def parts(self) -> list[nn.Parameter]:
        """A and B of every adapter."""
        return list(self.factors().values())

    def kept(self) -> dict[str, Tensor]:
        """The head, and A and B of every map."""
        return super().kept() | self.factors()


class FirstTaskLoRA(SequentialLoRA):
    """Adapters trained on the first task, then frozen: what adaptation without any drift gives."""

    name = "first_task_lora"
    default_lr = 5e-3
    default_head = HeadOptions("lda")
    trained = "the LoRA pairs A, B on the first task alone; the task's head rows"
    frozen = "the backbone; the LoRA pairs after the first task; head rows of other classes"

    def parts(self) -> list[nn.Parameter]:
        """A and B on the first task; nothing afterwards."""
        return super().parts() if self.n_tasks_done == 0 else []

    def end_task(self, task: Task) -> None:
        """Finish; from now on the adapters are part of the frozen backbone."""
        for p in self.parts():
            p.requires_grad_(False)
        super().end_task(task)

    def restore(self, task_classes, state) -> None:
        """Take A and B from the snapshot, frozen."""
        super().restore(task_classes, state)
        for update in self.updates.values():
            update.requires_grad_(False)


class Joint(SequentialLoRA):
    """The upper bound: the same adapters, trained on all tasks at once (`Stream.joined`)."""

    name = "joint"
    keeps_features = True
    stores = "every training image of every task"
    masked = "no: all tasks are given as one, so that all classes compete"
