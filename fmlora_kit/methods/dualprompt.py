"""DualPrompt: one prefix shared by all tasks, one of its own per task, found by its key.

Wang et al. 2022, arXiv 2204.04799. With q(x) the feature of the frozen, unprompted ViT (its class
token, where it pools by that), task t trains

    L = CE over the task's classes (f(x; G, E_t)) - pull * cos(q(x), key_t)

and at test time each image takes the E of the key that is nearest to its own q(x).

    G: (blocks, 2, g_length, d)    keys and values before those of the first blocks  [paper: 0, 1]
    E_t: (blocks, 2, e_length, d)  the same for later blocks; starts as E_{t-1}  [paper: 2, 3, 4]
    key_t: (d,)

Lengths and pull are those of the public runs on CIFAR-100 (there: Adam, 0.03 * 24 / 256, batches of
24, 5 epochs; on ImageNet-R E is 20 long). [ours]: the head; a higher learning rate, as a task has a
few dozen steps here and about a thousand there; and ``start``: prompts and keys start uniform from
-1 to 1 as published, a narrower start lets keys turn to their queries in fewer steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fmlora_kit.adapters.prompts import attend_to, check_blocks, prefix_width
from fmlora_kit.checks import Count, Positive, Weight
from fmlora_kit.methods import description
from fmlora_kit.methods.base import PromptedMethod
from fmlora_kit.streams.task import Task

_SHARED, _OWN, _KEY = range(1, 4)  # what randomness is for


class DualPrompt(PromptedMethod):
    """DualPrompt. Task t trains G, E_t, key_t and its head rows; all else is frozen.

    Args:
        g_length: keys, and as many values, of the shared prefix in each of its blocks.
        e_length: the same for each task's own prefix.
        g_blocks: where the shared prefix stands.
        e_blocks: where the tasks' own prefixes stand.
        pull: weight of the cosine between queries and the task's key.
        start: prompts and keys start uniform from -start to start.
    """

    name = "dualprompt"
    trained = "the shared prefix; the task's own prefix and key; the task's head rows"
    frozen = "the backbone; earlier tasks' own prefixes and keys; head rows of other classes"
    stores = "one prefix and one key per task"
    tested = f"{description.ALL_SEEN}; "
    tested += "each image takes the prefix whose key is nearest to its query"
    grows = True
    default_lr = 3e-2

    def __init__(
        self,
        backbone,
        n_classes: int,
        *,
        g_length: Count = 5,
        e_length: Count = 5,
        g_blocks: Sequence[int] = (0, 1),
        e_blocks: Sequence[int] = (2, 3, 4),
        pull: Weight = 1.0,
        start: Positive = 1.0,
        **options,
    ):
        super().__init__(backbone, n_classes, **options)
        self.set_options(g_length=g_length, e_length=e_length, g_blocks=g_blocks, e_blocks=e_blocks)
        self.set_options(pull=pull, start=start)
        check_blocks("g_blocks", self.g_blocks, self.vit)
        check_blocks("e_blocks", self.e_blocks, self.vit)
        if set(self.g_blocks) & set(self.e_blocks):
            given = f"{self.g_blocks} and {self.e_blocks}"
            raise ValueError(f"g_blocks must not be in e_blocks, got {given}")
        shape = (len(self.g_blocks), 2, self.g_length, prefix_width(self.vit))
        self.shared = nn.Parameter(self._uniform(shape, self.start, _SHARED, 0))
        self.own, self.keys = nn.ParameterList(), nn.ParameterList()
        self._in_task = False

    # --- the verbs -------------------------------------------------------------------------------
    def begin_task(self, task: Task) -> None:
        """A new E, a copy of the previous one, and a new key; new head rows at the class means."""
        self._open()
        with self._own_prefix():
            super().begin_task(task)

    def loss(self, images: Tensor, labels: Tensor, progress: float = 0.0) -> Tensor:
        """Local cross-entropy under E_t, and the key drawn to the task's queries."""
        with self._own_prefix():
            loss = super().loss(images, labels, progress)
        near = F.cosine_similarity(self.query(images), self.keys[-1][None]).mean()
        return loss - self.pull * near

    def end_task(self, task: Task) -> None:
        """Freeze E_t and its key."""
        self._freeze()
        with self._own_prefix():
            super().end_task(task)

    def parts(self) -> list[nn.Parameter]:
        """G, the current task's E, and its key."""
        return [p for p in (self.shared, *self.own[-1:], *self.keys[-1:]) if p.requires_grad]

    def kept(self) -> dict[str, Tensor]:
        """The head, G as it is now, and the task's E and key."""
        now = {"shared": self.shared, "own": self.own[-1], "key": self.keys[-1]}
        return super().kept() | {f"prefix.{name}": p for name, p in now.items()}

    def restore(self, task_classes, state) -> None:
        """Take G from the snapshot, and add the task's E and key, frozen."""
        self._open()
        super().restore(task_classes, state)
        self._freeze()

    # --- prompts ---------------------------------------------------------------------------------
    def choice(self, images: Tensor) -> Tensor:
        """Whose E each image takes, by its own query alone: (n,) numbers of tasks, from 0."""
        keys = torch.stack(list(self.keys))
        return F.cosine_similarity(self.query(images)[:, None], keys, dim=2).argmax(dim=1)

    def features(self, images: Tensor) -> Tensor:
        """Pooled features under G and the chosen E: uint8 (n, height, width, 3) -> (n, d)."""
        prefixes = {b: _pair(self.shared[None, i]) for i, b in enumerate(self.g_blocks)}
        if self._in_task:
            own = self.own[-1][None]
        elif self.own:
            own = torch.stack(list(self.own))[self.choice(images)]
        if self.own:
            prefixes |= {b: _pair(own[:, i]) for i, b in enumerate(self.e_blocks)}
        with attend_to(self.vit, prefixes):
            return super().features(images)

    @contextmanager
    def _own_prefix(self) -> Iterator[None]:
        """While a task is learned its E is known, and no image chooses."""
        self._in_task = True
        try:
            yield
        finally:
            self._in_task = False

    def _open(self) -> None:
        shape = (len(self.e_blocks), 2, self.e_length, prefix_width(self.vit))
        own = self.own[-1] if self.own else self._uniform(shape, self.start, _OWN, 0)
        self.own.append(nn.Parameter(own.detach().clone()))
        key = self._uniform((self.vit.num_features,), self.start, _KEY, self.n_tasks_done)
        self.keys.append(nn.Parameter(key))

    def _freeze(self) -> None:
        for p in (self.own[-1], self.keys[-1]):
            p.requires_grad_(False)

    def _deployed_buffers(self) -> list[Tensor]:
        return [self.shared, *self.own, *self.keys]


def _pair(prefix: Tensor) -> tuple[Tensor, Tensor]:
    """(n, 2, length, d) -> keys and values, each (n, length, d)."""
    return prefix[:, 0], prefix[:, 1]
