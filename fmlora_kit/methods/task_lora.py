"""LoRA per task, kept apart: no forgetting inside a task, but the task must be known or guessed.

W_t = W0 + (alpha / r) A_t B_t for the images of task t (LoRA: Hu et al. 2021, arXiv 2106.09685; to
guess the task first and then use its own module: HiDe-Prompt, arXiv 2310.07234). Every task starts
from the frozen backbone with a fresh pair A_t (d_out, r), B_t (r, d_in) and head rows of its own;
both are frozen when it ends. No paper fixes the numbers [ours]: rank 10 on q and v, as SD-LoRA.

Which task a test image belongs to [ours]: the task of the nearest class by features of the frozen
backbone, see `adapters.task_choice`; each image for itself, so that the other images of a batch
say nothing of its task. The image is then judged by that task's adapter and head rows alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import numpy as np
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from fmlora_kit.adapters.head import Head, class_means
from fmlora_kit.adapters.sites import to_timm
from fmlora_kit.adapters.task_guess import CHOICES, TaskChoice, TaskUpdates
from fmlora_kit.adapters.updates import LoRAUpdate, check_rank
from fmlora_kit.checks import Count, Positive, fail, number, one_of
from fmlora_kit.methods.base import Method, factors_of, numpy, tensor
from fmlora_kit.methods.encoder import finite
from fmlora_kit.streams.task import Task

IDENTITIES = ("inferred", "oracle")
OUTSIDE = -1e4  # score of a class that the image's task does not have
_ONE_ADAPTER = (
    "needs one update for all images, got one adapter per task; "
    "task_as_timm(task) gives the plain ViT of a task"
)
_START = "each task's rows start at its class means"
_ROWS = {
    "cosine": _START,
    "linear": "each task's rows start at zero",
    "lda": f"{_START}; when it ends they are set from its own class means and covariance",
}


class TaskLoRA(Method):
    """One LoRA and one head per task; `extract` says with each image's features which task it took.

    Args:
        rank: r of every adapter.
        alpha: updates are scaled by alpha / r; default alpha = r.
        task_identity: "inferred": the adapter is always the guessed task's. "oracle": wherever the
            classes asked for belong to one task alone, it is that task's, so that a record's
            ``oracle_accuracy`` is that of each task's own adapter (every adapter is then run on
            every image); over all classes the task is still guessed. See also `oracle_logits`.
        choice: how the task is guessed, "lda" or "nearest_mean" [ours].
        shrinkage: of the covariance of choice "lda".
        maps: which linear maps of each block are adapted.
        options: a head "lda" is set from its own task's statistics alone.
    """

    name = "task_lora"
    one_model = False
    grows = True
    trained = "the task's own LoRA pairs and head rows"
    frozen = "the backbone; the LoRA pairs and head rows of earlier tasks"
    default_lr = 5e-3  # [ours]

    def __init__(
        self,
        backbone,
        n_classes: int,
        *,
        rank: Count = 10,
        alpha: Positive | None = None,
        task_identity: Annotated[str, one_of(IDENTITIES)] = "inferred",
        choice: Annotated[str, one_of(CHOICES)] = "lda",
        shrinkage: Annotated[float, partial(number, above=0, high=1)] = 0.1,
        maps: Sequence[str] = ("q", "v"),
        **options,
    ):
        super().__init__(backbone, n_classes, **options)
        if self.head.kind in ("mda", "ridge"):
            rule = "cosine, linear or lda: the other heads are one for all tasks"
            raise fail("head", rule, self.head.kind)
        alpha = rank if alpha is None else alpha
        self.set_options(rank=rank, alpha=alpha, task_identity=task_identity)
        self.set_options(choice=choice, shrinkage=shrinkage, maps=maps)
        self.adapt(lambda _: TaskUpdates(), self.maps, None)
        for site in self.sites:
            check_rank(self.rank, site.d_in, site.d_out)
        self.choose = TaskChoice(self.vit.num_features, self.choice, self.shrinkage)
        self.heads = nn.ModuleList()
        self.task_classes: list[tuple[int, ...]] = []
        spread = " and one scatter matrix" if choice == "lda" else ""
        self.stores = (
            f"one LoRA pair per map and task, one head per task; class means{spread} of frozen "
            "features, to guess the task"
        )
        self.tested = (
            "no task identity: each image's task is guessed by the nearest class of frozen "
            "features, and that task's classes alone compete"
        )
        if task_identity == "oracle":
            self.tested += "; accuracy with the task given uses that task's own adapter"

    # --- the verbs -------------------------------------------------------------------------------
    def begin_task(self, task: Task) -> None:
        """A fresh adapter and fresh head rows, from the frozen backbone."""
        self.scalars = {}
        self.frozen_features = self._extract_with(None, task.train_images)
        self._open_adapter(self.generator(0, self.n_tasks_done))
        means = class_means(self.frozen_features, torch.tensor(task.train_labels), task.classes)
        self._new_head()
        self.head.open(task.classes, None if self.head.kind == "linear" else means)

    def end_task(self, task: Task) -> None:
        """Freeze adapter and head, and note where the task's classes lie."""
        for p in self.parts():
            p.requires_grad_(False)
        lda, images = self.head.kind == "lda", task.train_images
        self._close_head(task, self._extract_with(self.n_tasks_done, images) if lda else None)
        labels = torch.tensor(task.train_labels)
        self.choose.learn(self.frozen_features, labels, task.classes)
        self.frozen_features = None
        self._finish(task.classes)

    def parts(self) -> list[nn.Parameter]:
        """A_t and B_t of every adapted map; nothing before the first task."""
        if not any(len(update.tasks) for update in self.updates.values()):
            return []
        return [p for update in self.updates.values() for p in update.latest.parameters()]

    @torch.inference_mode()
    def extract(self, images: np.ndarray) -> Tensor:
        """Features and the task they were taken with: (n, d + 1), on the CPU.

        The last column is the number of the guessed task from 0, or -1 (frozen backbone) before any
        task is learned. With ``task_identity="oracle"`` the features of all tasks' adapters stand
        side by side before it, in the tasks' order.
        """
        if not self.n_tasks_done:
            frozen = self._extract_with(None, images)
            return torch.cat([frozen, frozen.new_full((len(frozen), 1), -1)], dim=1)
        return torch.cat([self._extract_batch(batch) for batch in self.batches(images)])

    @torch.inference_mode()
    def scores(self, features: Tensor, classes: Sequence[int] | None = None) -> np.ndarray:
        """Logits from what `extract` gave: (n, ..) -> (n, classes).

        A class that the image's task does not have scores `OUTSIDE`. Classes that all belong to one
        task alone are scored by that task's head, with "oracle" on its own features too.
        """
        wanted = list(self.seen if classes is None else classes)
        blocks, tasks = features[:, :-1], features[:, -1].long()
        given = [t for t, known in enumerate(self.task_classes) if {*wanted} <= {*known}]
        if len(given) == 1:
            tasks = torch.full_like(tasks, given[0])
        if self.task_identity == "oracle":
            blocks = blocks.unflatten(1, (self.n_tasks_done, -1))
            blocks = blocks[torch.arange(len(tasks)), tasks]
        out = blocks.new_full((len(blocks), len(wanted)), OUTSIDE)
        for t in tasks.unique().tolist():
            rows = (tasks == t).nonzero()
            own = torch.tensor([k for k, c in enumerate(wanted) if c in self.task_classes[t]])
            if len(own):
                known = [wanted[k] for k in own]
                out[rows, own] = self.heads[t](blocks[rows[:, 0]].to(self.device), known).cpu()
        return out.numpy()

    def choose_task(self, images: np.ndarray) -> np.ndarray:
        """The guessed task of each image, from 0: (n,); one must have been learned."""
        return self.choose(self._extract_with(None, images)).numpy()

    @torch.inference_mode()
    def oracle_logits(
        self, images: np.ndarray, task: int, classes: Sequence[int] | None = None
    ) -> np.ndarray:
        """Scores where the task is given: by its own adapter and head, (n, classes).

        Images are uint8 (n, height, width, 3), all of one task (a number from 0); classes are some
        of that task, default: all of them, in their order.
        """
        self._check_learned(task)
        wanted = list(self.task_classes[task] if classes is None else classes)
        foreign = [c for c in wanted if c not in self.task_classes[task]]
        if foreign:
            rule = f"of task {task}, among {self.task_classes[task]}"
            raise ValueError(f"classes must be {rule}, got {foreign}")
        features = self._extract_with(task, images)
        return self.heads[task](features.to(self.device), wanted).cpu().numpy()

    # --- the record ------------------------------------------------------------------------------
    def snapshot(self) -> dict[str, np.ndarray]:
        """The task's own adapter, head rows and class means; the scatter of all tasks so far."""
        own = list(self.task_classes[-1])
        arrays = {
            "head.rows": numpy(self.head.weight[own]),
            "head.offsets": numpy(self.head.bias[own]),
            "choice.means": numpy(self.choose.means[-1]),
            "choice.scatter": numpy(self.choose.scatter),
            "choice.count": np.array(self.choose.count),
        }
        return arrays | factors_of({name: update.latest for name, update in self.updates.items()})

    @torch.no_grad()
    def restore(self, task_classes, state) -> None:
        """Add the task's adapter and head, as they were when it ended."""
        arrays = {key: tensor(value) for key, value in state.items()}
        self._open_adapter(torch.Generator())
        for name, update in self.updates.items():
            for k, factor in update.latest.requires_grad_(False).named_parameters():
                factor.copy_(arrays[f"{name}.{k}"])
        self._new_head()
        self.head.weight[list(task_classes)] = arrays["head.rows"].to(self.head.weight)
        self.head.bias[list(task_classes)] = arrays["head.offsets"].to(self.head.bias)
        statistics = (arrays[f"choice.{part}"] for part in ("means", "scatter"))
        self.choose.take(*statistics, int(arrays["choice.count"]))
        self._count(task_classes)
        self._finish(task_classes)

    def describe(self) -> dict:
        """See `Method`; no head keeps statistics here, since its task does not come again."""
        return super().describe() | {"stores": self.stores, "head_rows": _ROWS[self.head.kind]}

    # --- sizes and other views -------------------------------------------------------------------
    @property
    def n_deployed(self) -> int:
        """Backbone, every task's adapter and head rows, and what the task is guessed by."""
        row = self.vit.num_features + (self.head.kind != "cosine")
        heads = sum(len(classes) * row for classes in self.task_classes)
        return sum(p.numel() for p in self.vit.parameters()) + heads + self.choose.n_deployed

    @property
    def n_training_state(self) -> int:
        """What taking in a further task needs besides: for choice "lda" means and scatter."""
        return self.choose.n_training_state

    def merge(self) -> None:
        """Always a ValueError: there is no one weight to fold the adapters of all tasks into."""
        raise ValueError(f"merge {_ONE_ADAPTER}")

    def to_timm(self) -> VisionTransformer:
        """Always a ValueError: there is no one plain ViT; see `task_as_timm`."""
        raise ValueError(f"to_timm {_ONE_ADAPTER}")

    def task_as_timm(self, task: int) -> VisionTransformer:
        """The backbone with the adapter of one task folded in, as a plain timm ViT."""
        self._check_learned(task)
        before = self._activate(task)
        plain = to_timm(self.vit)
        self._activate(before)
        return plain

    # --- steps -----------------------------------------------------------------------------------
    def _check_learned(self, task: int) -> None:
        if not 0 <= task < self.n_tasks_done:
            rule = f"from 0 and below the {self.n_tasks_done} learned"
            raise ValueError(f"task must be {rule}, got {task}")

    def _open_adapter(self, start: torch.Generator) -> None:
        for site in self.sites:
            fresh = LoRAUpdate(site.d_in, site.d_out, self.rank, self.alpha, start)
            self.updates[site.name].tasks.append(fresh.to(self.pixel_mean))
        self._activate(self.n_tasks_done)

    def _new_head(self) -> None:
        fresh = Head(len(self.head.weight), self.vit.num_features, **self.described["head"])
        self.head = fresh.to(self.pixel_mean)

    def _finish(self, classes: Sequence[int]) -> None:
        self.heads.append(self.head)
        self.task_classes.append(tuple(classes))
        self._activate(None)

    def _activate(self, task: int | None) -> int | None:
        before = next(iter(self.updates.values())).active
        for update in self.updates.values():
            update.active = task
        return before

    @torch.inference_mode()
    def _extract_with(self, task: int | None, images: np.ndarray) -> Tensor:
        before = self._activate(task)
        features = torch.cat([self.features(batch).cpu() for batch in self.batches(images)])
        self._activate(before)
        return finite(features)

    def _extract_batch(self, images: Tensor) -> Tensor:
        before = self._activate(None)
        tasks = self.choose(self.features(images))
        if self.task_identity == "oracle":
            blocks = [self._features_of(t, images) for t in range(self.n_tasks_done)]
            features = torch.cat(blocks, dim=1)
        else:
            shape = (len(images), self.vit.num_features)
            features = torch.empty(shape, dtype=self.pixel_mean.dtype)
            for t in tasks.unique().tolist():
                rows = (tasks == t).nonzero()[:, 0]
                features[rows] = self._features_of(t, images[rows.to(images.device)])
        self._activate(before)
        return torch.cat([finite(features), tasks[:, None].to(features)], dim=1)

    def _features_of(self, task: int, images: Tensor) -> Tensor:
        self._activate(task)
        return self.features(images).cpu()
