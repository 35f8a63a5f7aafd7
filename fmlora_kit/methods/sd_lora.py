"""SD-LoRA: magnitudes and directions of LoRA apart (Wu et al., ICLR 2025, arXiv 2501.13198).

W_t = W0 + sum_{j<t} alpha_j A_j B_j / (|A_j|_F |B_j|_F) + alpha_t A_t B_t

Task t trains a fresh pair A_t (d_out, r_t), B_t (r_t, d_in) on every adapted map and all magnitudes
alpha_1 .. alpha_t, one scalar per task shared by all layers and maps and back at 0.8 when the task
begins; the backbone and earlier pairs are frozen. The current pair is not normalised, as in the
public code (the paper writes the norm under every pair). No sample and no feature is kept.

Published with rank 10 on q and v of every block, SGD with momentum 0.9 (the paper says Adam) at
0.008 to 0.01, batch 128, 20 epochs, a growing linear head. [ours] AdamW of the common training
loop with our learning rate, our heads, and no limit of 20 tasks.

Rank reduction (SD-LoRA-RR) lets later tasks have smaller ranks, since later directions count less:
10 for the first four tasks, 8 for the next four, 6 from then on [published numbers].
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from fmlora_kit.adapters.updates import DecoupledUpdate, Magnitudes, check_rank
from fmlora_kit.checks import Count, Positive, Weight
from fmlora_kit.methods.base import Method
from fmlora_kit.streams.task import Task


class SDLoRA(Method):
    """A new LoRA pair per task; earlier ones stay as frozen directions of trained magnitudes.

    The number of tasks need not be known, and every earlier pair must be kept apart, since its
    magnitude is trained again on each task: the size grows with the tasks.

    Args:
        rank: r of every pair.
        later_ranks: ranks of later tasks, never growing: ``later_ranks[0]`` from task
            ``tasks_per_rank`` + 1 on, and so on, the last one to the end. Default: always ``rank``.
        tasks_per_rank: how many tasks have the same rank; only matters with ``later_ranks``.
        magnitude: where all alpha_j are set when a task begins.
        magnitude_lr: learning rate of the alpha_j; default: ``lr``, as published.
        maps: which linear maps of each block are adapted.
        blocks: which blocks are adapted, e.g. (9, 10, 11); default: every one.
    """

    name = "sd_lora"
    keeps_first_blocks = True
    grows = True
    trained = "the task's LoRA pairs; the magnitudes of all tasks so far; the task's head rows"
    frozen = "the backbone; earlier LoRA pairs (directions); head rows of other classes"
    stores = "one LoRA pair per map and task, one magnitude per task"
    default_lr = 5e-3  # [ours]: for AdamW

    def __init__(
        self,
        backbone,
        n_classes: int,
        *,
        rank: Count = 10,
        later_ranks: Sequence[int] = (),
        tasks_per_rank: Count = 4,
        magnitude: Positive = 0.8,
        magnitude_lr: Weight | None = None,
        maps: Sequence[str] = ("q", "v"),
        blocks: Sequence[int] | None = None,
        **options,
    ):
        super().__init__(backbone, n_classes, **options)
        self.set_options(rank=rank, later_ranks=later_ranks, tasks_per_rank=tasks_per_rank)
        self.set_options(magnitude=magnitude, magnitude_lr=magnitude_lr, maps=maps, blocks=blocks)
        self.magnitudes = Magnitudes()
        self.adapt(
            lambda s: DecoupledUpdate(s.d_in, s.d_out, self.magnitudes), self.maps, self.blocks
        )
        self.rank_steps = (self.rank, *self.later_ranks)
        for site in self.sites:
            check_rank(self.rank, site.d_in, site.d_out)
        if any(not 1 <= r <= before for before, r in pairwise(self.rank_steps)):
            rule, given = "at least 1 and not grow from rank on", self.later_ranks
            raise ValueError(f"later_ranks must be {rule}, got {given} after {self.rank}")

    # --- the verbs -------------------------------------------------------------------------------
    def begin_task(self, task: Task) -> None:
        """Freeze the last pair as a direction, open a fresh one, and reset every magnitude."""
        self.unmerge()
        rank, start = self.next_rank, self.generator(0, self.n_tasks_done)
        self.magnitudes.open(self.magnitude)
        self.magnitudes.requires_grad_(True)
        for update in self.updates.values():
            update.open(rank, start)
        self.ranks = [rank] * len(self.sites) if len(self.rank_steps) > 1 else []
        super().begin_task(task)

    def end_task(self, task: Task) -> None:
        """Freeze the pair and the magnitudes."""
        for p in [*self.parts(), self.magnitudes.values]:
            p.requires_grad_(False)
        super().end_task(task)

    def parts(self) -> list[nn.Parameter]:
        """A_t and B_t of every adapted map."""
        return list(self.factors().values())

    def parameter_groups(self) -> list[dict]:
        """The task's pairs, the head rows, and the magnitudes of all tasks so far."""
        rate = self.lr if self.magnitude_lr is None else self.magnitude_lr
        return [*super().parameter_groups(), {"params": [self.magnitudes.values], "lr": rate}]

    def kept(self) -> dict[str, Tensor]:
        """The head, all magnitudes so far, and the task's own pairs as trained."""
        return super().kept() | {"magnitudes": self.magnitudes.values} | self.factors()

    @torch.no_grad()
    def restore(self, task_classes, state) -> None:
        """Freeze the last pair as it was frozen then, and take the next one and the magnitudes."""
        self.magnitudes.open(self.magnitude)
        for name, update in self.updates.items():
            update.open(len(state[f"{name}.b"]), torch.Generator())
        super().restore(task_classes, state)
        for update in self.updates.values():
            update.requires_grad_(False)  # and the magnitudes, which are part of each

    # --- sizes -----------------------------------------------------------------------------------
    @property
    def next_rank(self) -> int:
        """Rank of the task that comes next."""
        step = self.n_tasks_done // self.tasks_per_rank
        return self.rank_steps[min(step, len(self.rank_steps) - 1)]

    def _deployed_buffers(self) -> list[Tensor]:
        return [buffer for u in self.updates.values() for buffer in (u.past_a, u.past_b)]


class SDLoRARR(SDLoRA):
    """SD-LoRA-RR: rank 10 for four tasks, 8 for the next four, 6 from then on.

    The ranks and the steps are the published ones; where the steps lie (tasks 5 and 9) is as in the
    public code, since the paper's own notation leaves it open by one task. Where ``rank`` is set
    below 8, say so in ``later_ranks`` too.
    """

    name = "sd_lora_rr"

    def __init__(self, backbone, n_classes: int, *, later_ranks: Sequence[int] = (8, 6), **options):
        super().__init__(backbone, n_classes, later_ranks=later_ranks, **options)
