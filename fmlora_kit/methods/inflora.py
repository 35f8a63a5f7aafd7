"""InfLoRA: every task's update keeps out of the directions that old tasks' inputs use.

Liang and Li 2024, arXiv 2404.00228. A branch per task, W_t = W0 + sum_{j<=t} B_j A_j, on k and v of
every block; A_t: (r, d_in), B_t: (d_out, r) (letters as in the public code; the paper's text swaps
them). A_t is fixed before training:

    X_t    = mean x x^T of the task's inputs, with the current model                  (d_in, d_in)
    A_t    = top-r left singular vectors of (I - P) X_t, as rows, divided by sqrt(3)
    P      = projection onto old tasks' inputs: DualGPM's memory, threshold
             eps_t = lambda + (1 - lambda) t / T                             (`adapters.dual_gpm`)

so that B_t A_t x = 0 for every x that the memory holds. Frozen: backbone, A_t, earlier branches and
head rows; trained: B_t from zero and the task's head rows. The division by sqrt(3) is taken from
the public code.

Published: k and v, rank 10, lambda 0.95 (CIFAR-100, DomainNet; 0.98 on ImageNet-R), Adam 5e-4 with
a cosine, batch 128, one linear head per task. [ours]: AdamW, learning rate and head (the best of
a few on two held-out seeds); finished branches are summed, so that the deployed size is that of the
plain backbone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from fmlora_kit.adapters.protection import DualGPM, leading_directions, rising_share
from fmlora_kit.adapters.updates import FoldedUpdate
from fmlora_kit.checks import Count, Share
from fmlora_kit.methods.base import HeadOptions, Method, numpy, tensor
from fmlora_kit.streams.task import Task


class InfLoRA(Method):
    """Interference-free LoRA.

    Args:
        rank: r of every task's branch.
        maps: which linear maps of each block are adapted.
        blocks: which blocks are adapted, e.g. (9, 10, 11); default: every one.
        threshold: lambda, the share of the first task's input energy that the memory holds.
        n_tasks: T of eps_t. A method knows only its classes: give the length of the stream [ours].
    """

    name = "inflora"
    keeps_first_blocks = True
    trained = "B of the task's branch; the task's head rows"
    frozen = "the backbone; A of every branch; earlier branches; head rows of other classes"
    # keeps_features stays False: an orthonormal basis of old inputs is a statistic of them, of
    # bounded size, and no single input can be read off it. Branches are summed: nothing grows.
    stores = "a basis of old tasks' inputs per adapted layer (at most half of all directions)"
    needs_n_tasks = True
    default_lr = 5e-3
    default_head = HeadOptions("lda")

    def __init__(
        self,
        backbone,
        n_classes: int,
        *,
        rank: Count = 10,
        maps: Sequence[str] = ("k", "v"),
        blocks: Sequence[int] | None = None,
        threshold: Share = 0.95,
        n_tasks: Count = 10,
        **options,
    ):
        super().__init__(backbone, n_classes, **options)
        self.set_options(rank=rank, maps=maps, blocks=blocks, threshold=threshold, n_tasks=n_tasks)
        self.adapt(lambda s: FoldedUpdate(s.d_in, s.d_out, self.rank), self.maps, self.blocks)
        # q, k and v of a block read the same input: one memory.
        self.memories = {s.path: DualGPM.empty(s.d_in) for s in self.sites}
        self.pairs: dict[str, tuple[Tensor, Tensor]] = {}

    def begin_task(self, task: Task) -> None:
        """Choose A_t among the directions that old inputs leave free; B_t starts at zero."""
        self._check_length(task)
        self.unmerge()
        features, moments = self._look_at(task)
        self._open_head(task, features)
        free = {path: memory.free for path, memory in self.memories.items()}
        for site in self.sites:
            a = leading_directions(moments[site.name], free[site.path], self.rank)
            self.updates[site.name].open(a / math.sqrt(3))
        self.scalars = {"threshold": rising_share(self.threshold, self.n_tasks_done, self.n_tasks)}

    @torch.no_grad()
    def end_task(self, task: Task) -> None:
        """Fold B_t A_t into the sum, and take the task's inputs into the memory."""
        self.pairs = {n: (u.a.clone(), u.b.detach().clone()) for n, u in self.updates.items()}
        for name, pair in self.pairs.items():
            self.updates[name].fold(*pair)
        features, moments = self._look_at(task)
        share = self.scalars["threshold"]
        moment = {site.path: moments[site.name] for site in self.sites}
        self.memories = {p: memory.grow(moment[p], share) for p, memory in self.memories.items()}
        taken = [m.old.shape[1] / len(m.basis) for m in self.memories.values()]
        self.scalars["memory_share"] = float(np.mean(taken))
        self._close_head(task, features)

    def parts(self) -> list[nn.Parameter]:
        """B of the current task's branches."""
        return [update.b for update in self.updates.values() if update.b.numel()]

    def snapshot(self) -> dict[str, np.ndarray]:
        """A_t and B_t of every map, the memory of every input, and the head.

        A memory is named by what it holds: "<input>.old" or "<input>.free", (d_in, k).
        """
        arrays = super().snapshot()
        for name, (a, b) in self.pairs.items():
            arrays |= {f"{name}.a": numpy(a), f"{name}.b": numpy(b)}
        for path, memory in self.memories.items():
            arrays[f"{path}.{memory.holds}"] = numpy(memory.basis)
        return arrays

    @torch.no_grad()
    def restore(self, task_classes, state) -> None:
        """Fold the task's branches exactly as they were folded then."""
        super().restore(task_classes, state)
        for name, update in self.updates.items():
            a, b = (tensor(state[f"{name}.{k}"], self.pixel_mean) for k in "ab")
            update.fold(a, b)
            self.pairs[name] = (a, b)
        for path in self.memories:
            holds = "old" if f"{path}.old" in state else "free"
            self.memories[path] = DualGPM(tensor(state[f"{path}.{holds}"]), holds)

    @property
    def n_training_state(self) -> int:
        """The memories: at most d_in / 2 directions of each input."""
        return super().n_training_state + sum(m.basis.numel() for m in self.memories.values())
