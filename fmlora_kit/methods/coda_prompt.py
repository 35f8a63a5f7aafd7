"""CODA-Prompt: prefixes put together from a pool of components, by attention to the query.

Smith et al. 2023, arXiv 2211.13218. With q(x) the feature of the frozen, unprompted ViT (its class
token, where it pools by that), the prefix of each block is (eq. 4 and 5)

    p(x) = sum_m cos(q(x) * A_m, K_m) P_m,    K_m, A_m: (d,), P_m: (length, d)

over the components of all tasks so far; the first half of p(x) are keys, the second half values.
The pool is split evenly over the tasks. Task t trains its own components, the earlier ones stay as
they are; its own start orthonormal to one another and orthogonal to all earlier ones. The loss is
the cross-entropy over the task's classes, plus mu (|K K^T - I|^2 + |A A^T - I|^2 + |P P^T - I|^2),
squares averaged over the entries of each matrix and summed over the blocks.

Published: 100 components, length 8, blocks 0 to 4, Adam 1e-3, batches of 128, 20 to 50 epochs; mu
is 0.1 in the paper and 0 in the code it ships (which averages the squares, the paper takes a norm);
here 0.1. [ours]: the learning rate, the head, and a QR factorisation for the Gram-Schmidt start:
trained components are no longer orthogonal to one another, so the textbook's way, taking their
directions out one after the other, would not leave new ones orthogonal to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import torch
from torch import Tensor, nn

from fmlora_kit.adapters.prompts import attend_to, check_blocks, prefix_width
from fmlora_kit.checks import Count, Weight, fail, integer
from fmlora_kit.methods import description
from fmlora_kit.methods.base import PromptedMethod
from fmlora_kit.streams.task import Task

KINDS = ("key", "attention", "prompt")


class CODAPrompt(PromptedMethod):
    """CODA-Prompt. Task t trains its components and its head rows; all else is frozen.

    Args:
        components: size of the pool in each block, at most as many as can be orthogonal; each task
            gets components // n_tasks of them.
        n_tasks: tasks the pool is split over; a stream must not be longer [ours: said here].
        length: of a prefix, half keys and half values.
        blocks: where prefixes stand.
        mu: weight of the orthogonality of components.
    """

    name = "coda_prompt"
    trained = "the task's components (keys, attentions, prompts); the task's head rows"
    frozen = "the backbone; earlier tasks' components; head rows of other classes"
    stores = "components per task: keys, attentions, prompts"
    tested = f"{description.ALL_SEEN}; each image weighs all components by its query"
    grows = True
    needs_n_tasks = True
    default_lr = 1e-2

    def __init__(
        self,
        backbone,
        n_classes: int,
        *,
        components: Count = 100,
        n_tasks: Count = 10,
        length: Annotated[int, partial(integer, low=2)] = 8,
        blocks: Sequence[int] = (0, 1, 2, 3, 4),
        mu: Weight = 0.1,
        **options,
    ):
        super().__init__(backbone, n_classes, **options)
        self.set_options(components=components, n_tasks=n_tasks)
        self.set_options(length=length, blocks=blocks, mu=mu)
        check_blocks("blocks", self.blocks, self.vit)
        if self.length % 2:
            raise fail("length", "even", self.length)
        widest = min(self.vit.num_features, self.length * prefix_width(self.vit))
        if not self.n_tasks <= self.components <= widest:
            rule = f"between n_tasks {self.n_tasks} and the backbone's width {widest}"
            raise fail("components", f"{rule} (more cannot be orthogonal)", self.components)
        self.n_each = self.components // self.n_tasks
        self.pool = nn.ModuleDict({kind: nn.ParameterList() for kind in KINDS})

    # --- the verbs -------------------------------------------------------------------------------
    def begin_task(self, task: Task) -> None:
        """The task's components, orthogonal to all earlier ones; head rows at the class means."""
        self._check_length(task)
        self._open()
        super().begin_task(task)

    def loss(self, images: Tensor, labels: Tensor, progress: float = 0.0) -> Tensor:
        """Local cross-entropy + mu times the orthogonality loss."""
        loss = super().loss(images, labels, progress)
        if not self.mu:
            return loss
        return loss + self.mu * sum(orthogonality(self.rows_of(kind)) for kind in KINDS)

    def end_task(self, task: Task) -> None:
        """Freeze the task's components."""
        self.pool.requires_grad_(False)
        super().end_task(task)

    def parts(self) -> list[nn.Parameter]:
        """The current task's components."""
        return [p for kind in KINDS for p in self.pool[kind] if p.requires_grad]

    def kept(self) -> dict[str, Tensor]:
        """The head, and the task's components."""
        return super().kept() | {f"components.{kind}": self.pool[kind][-1] for kind in KINDS}

    def restore(self, task_classes, state) -> None:
        """Add the task's components, frozen."""
        self._open()
        super().restore(task_classes, state)
        self.pool.requires_grad_(False)

    # --- components ------------------------------------------------------------------------------
    def rows_of(self, kind: str) -> Tensor:
        """All that are there so far of one of `KINDS`: (blocks, m, d), prompts length * d wide."""
        return torch.cat(list(self.pool[kind]), dim=1)

    def weights(self, query: Tensor) -> Tensor:
        """cos(q * A_m, K_m), each image for itself: (n, d) -> (n, blocks, m)."""
        keys, attentions = self.rows_of("key"), self.rows_of("attention")
        with torch.autocast(query.device.type, enabled=False):  # cosines need all their digits
            dots = torch.einsum("nd,bmd->nbm", query, attentions * keys)
            squares = torch.einsum("nd,bmd->nbm", query.square(), attentions.square())
        return dots / (squares.clamp(min=1e-16).sqrt() * keys.norm(dim=2).clamp(min=1e-8))

    def features(self, images: Tensor) -> Tensor:
        """Pooled features under each image's own prefix: uint8 (n, h, w, 3) -> (n, d)."""
        if not self.pool["key"]:
            return super().features(images)
        weights = self.weights(self.query(images))
        p = torch.einsum("nbm,bme->nbe", weights, self.rows_of("prompt"))
        keys, values = p.unflatten(2, (2, self.length // 2, -1)).unbind(dim=2)
        prefixes = {b: (keys[:, i], values[:, i]) for i, b in enumerate(self.blocks)}
        with attend_to(self.vit, prefixes):
            return super().features(images)

    @torch.no_grad()
    def _open(self) -> None:
        prompt_width = self.length * prefix_width(self.vit)
        for i, (kind, pool) in enumerate(self.pool.items()):
            width = prompt_width if kind == "prompt" else self.vit.num_features
            none = self.pixel_mean.new_zeros(len(self.blocks), 0, width)
            earlier = self.rows_of(kind) if pool else none
            noise = self.generator(i, self.n_tasks_done)
            start = [orthonormal_rows(rows.double().cpu(), self.n_each, noise) for rows in earlier]
            pool.append(nn.Parameter(torch.stack(start).to(self.pixel_mean)))

    def _deployed_buffers(self) -> list[Tensor]:
        return [p for kind in KINDS for p in self.pool[kind]]


def orthonormal_rows(earlier: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """``n`` orthonormal rows, orthogonal to all rows of ``earlier`` (m, d): (n, d).

    Gram-Schmidt on random rows, after the earlier ones: columns m to m + n of the QR factorisation.
    """
    noise = torch.randn(n, earlier.shape[1], generator=generator, dtype=torch.float64)
    return torch.linalg.qr(torch.cat([earlier, noise]).T)[0][:, len(earlier) :].T


def orthogonality(rows: Tensor) -> Tensor:
    """Mean square of R R^T - I, summed over blocks: (blocks, m, d) -> ()."""
    eye = torch.eye(rows.shape[1]).to(rows)
    return (rows @ rows.mT - eye).square().mean(dim=(1, 2)).sum()
