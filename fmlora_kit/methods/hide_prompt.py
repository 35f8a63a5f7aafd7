"""HiDe-Prompt: learn inside the task, guess the task, then set one output layer for all tasks.

Wang et al. 2023, "Hierarchical Decomposition of Prompt-Based Continual Learning", arXiv 2310.07234.
Three parts, each with a loss of its own; f is the frozen ViT, h(x) its feature under a prefix:

Within-task prediction (WTP). Task t trains e_t, which starts as P_{t-1}, through the ensemble
    P_t = (1 - ensemble) e_t + ensemble * mean of P_1 .. P_{t-1}
    L = CE over the task's classes (h(x; P_t))
        + contrast * mean over the rows i of M of  -log softmax(M M^T / temperature)[i, i]
    M: class means of earlier tasks' features and those of the batch, below one another; every row
    is to lie apart from all others.
Task-identity inference (TII). A linear layer on the features of f without any prefix, over all
    classes of all tasks; each test image takes the prefix of the task of its likeliest class.
Task-adaptive prediction (TAP). The head is trained again, over all classes seen, on h.

For TII and TAP no image is kept, but a Gaussian of each class, of its features without a prefix and
of those under P_t; after every task but the first both layers are trained on features drawn from
them, see `adapters.class_gaussians`.

Published: blocks 0 to 4; on CIFAR-100 length 5, ensemble 0.01, temperature 0.8, contrast 0.1, Adam
at 0.03 * 24 / 256, batches of 24, 50 epochs; 30 epochs of SGD at 0.005 for TII and TAP. Formulas
are those of the public code. [ours]: TII is learned from drawn features alone, by one linear layer
from zero (there: two layers, first trained on the images); a covariance per class where the code's
default is 10 centroids, which 15 to 30 images per class do not give; ``samples`` a class for TAP
too, 24 (there: 24 for TII, 120 for TAP); all drawn features are used (there: as many batches as
there are earlier classes); the cosine head; the learning rate, the best of 0.03, 0.1, 0.3 on two
held-out seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fmlora_kit.adapters.class_gaussians import KINDS as STATISTICS
from fmlora_kit.adapters.class_gaussians import ClassGaussians, Rehearsal
from fmlora_kit.adapters.prompts import attend_to, check_blocks, prefix_width
from fmlora_kit.checks import Count, Positive, Weight, number, one_of
from fmlora_kit.methods import description
from fmlora_kit.methods.base import PromptedMethod, numpy, tensor
from fmlora_kit.methods.encoder import finite
from fmlora_kit.streams.task import Task

REHEARSED = ("cosine", "linear")  # heads whose rows TAP trains
_START, _TII, _TAP = range(1, 4)  # what randomness is for


class HiDePrompt(PromptedMethod):
    """HiDe-Prompt. Task t trains its prefix and its head rows, then both layers over all classes.

    Args:
        length: keys, and as many values, of a prefix in each of its blocks.
        blocks: where prefixes stand; default: the first five, or all of fewer.
        ensemble: share of the mean of earlier prefixes in P_t.
        contrast: weight of the contrastive loss.
        temperature: of the contrastive loss.
        statistics: "covariance" or "variance", what is kept of a class besides its mean.
        sample_epochs: of TII and of TAP, each.
        sample_lr: learning rate of TII and of TAP.
        samples: features drawn per class and epoch.
        start: the first prefix starts uniform from -start to start.
        options: heads "lda", "mda" and "ridge" take the place of TAP: their rows follow from
            statistics of all classes.
    """

    name = "hide_prompt"
    trained = "the task's own prefix and head rows; then head and task guess, on drawn features"
    frozen = "the backbone; earlier tasks' prefixes; until the task ends, other classes' head rows"
    stores = "one prefix per task; Gaussians of each class's features, with and without the prefix"
    masked = f"{description.CURRENT_ONLY}; then, on drawn features, all classes seen compete"
    tested = f"{description.ALL_SEEN}; "
    tested += "each image takes the prefix of the task of its likeliest class"
    grows = True
    loss_by_image = False  # images of a batch are told apart from one another
    default_lr = 1e-1

    def __init__(
        self,
        backbone,
        n_classes: int,
        *,
        length: Count = 5,
        blocks: Sequence[int] | None = None,
        ensemble: Annotated[float, partial(number, low=0, below=1)] = 0.01,
        contrast: Weight = 0.1,
        temperature: Positive = 0.8,
        statistics: Annotated[str, one_of(STATISTICS)] = "covariance",
        sample_epochs: Count = 30,
        sample_lr: Weight = 5e-3,
        samples: Count = 24,
        start: Positive = 1.0,
        **options,
    ):
        super().__init__(backbone, n_classes, **options)
        blocks = range(min(5, len(self.vit.blocks))) if blocks is None else blocks
        self.set_options(length=length, blocks=blocks, ensemble=ensemble, contrast=contrast)
        self.set_options(temperature=temperature, statistics=statistics)
        self.set_options(sample_epochs=sample_epochs, sample_lr=sample_lr)
        self.set_options(samples=samples, start=start)
        check_blocks("blocks", self.blocks, self.vit)
        self.rehearsal = Rehearsal(self.sample_epochs, self.sample_lr, self.samples)
        d = self.vit.num_features
        self.uninstructed = ClassGaussians(d, self.statistics)
        self.instructed = ClassGaussians(d, self.statistics)
        self.own = nn.ParameterList()  # P of every finished task
        self.register_parameter("current", None)  # e of the task in training
        self.guess = (torch.zeros(0, d, dtype=torch.float64), torch.zeros(0, dtype=torch.float64))
        if self.head.kind in REHEARSED:
            rows = description.HEAD_ROWS[self.head.kind]
            self.head_rows = f"{rows}; after each task all rows are trained on drawn features"

    # --- the verbs -------------------------------------------------------------------------------
    def begin_task(self, task: Task) -> None:
        """A new prefix, a copy of the previous one; new head rows at the class means."""
        shape = (len(self.blocks), 2, self.length, prefix_width(self.vit))
        start = self.own[-1] if self.own else self._uniform(shape, self.start, _START)
        self.current = nn.Parameter(start.detach().clone())
        super().begin_task(task)

    def loss(self, images: Tensor, labels: Tensor, progress: float = 0.0) -> Tensor:
        """Local cross-entropy under P_t + contrast times the contrastive loss."""
        features = self.features(images)
        place = torch.tensor(self.head.current, device=labels.device)
        right = (labels[:, None] == place).int().argmax(dim=1)
        loss = F.cross_entropy(self.head.local(features), right)
        if not self.contrast:
            return loss
        earlier = self.instructed.means.to(features)
        return loss + self.contrast * contrastive(features, earlier, self.temperature)

    def end_task(self, task: Task) -> None:
        """Freeze P_t, keep the classes' Gaussians, and train TII and TAP on all of them."""
        labels = torch.tensor(task.train_labels)
        features = self.extract(task.train_images)
        plain = [self.query(batch).cpu() for batch in self.batches(task.train_images)]
        self._close_head(task, features)
        self.instructed.learn(features, labels, task.classes)
        self.uninstructed.learn(finite(torch.cat(plain)), labels, task.classes)
        self.own.append(nn.Parameter(self.prompt().detach(), requires_grad=False))
        self.current = None
        self._infer_tasks()
        if self.n_tasks_done > 1 and self.head.kind in REHEARSED:
            self._adapt_head()

    def parts(self) -> list[nn.Parameter]:
        """The current task's prefix."""
        return [] if self.current is None else [self.current]

    def snapshot(self) -> dict[str, np.ndarray]:
        """The task's P and Gaussians, the layer that guesses the task, and the head."""
        arrays = {"prefix.own": self.own[-1]}
        arrays |= zip(("tii.weight", "tii.bias"), self.guess, strict=True)
        for name, gaussians in self._statistics().items():
            means, spreads = gaussians.latest()
            arrays |= {f"{name}.means": means, f"{name}.spreads": spreads}
        return super().snapshot() | {name: numpy(array) for name, array in arrays.items()}

    @torch.no_grad()
    def restore(self, task_classes, state) -> None:
        """Add the task's P and Gaussians; take both layers from the snapshot."""
        super().restore(task_classes, state)
        arrays = {key: tensor(value) for key, value in state.items()}
        own = arrays["prefix.own"].to(self.device)
        self.own.append(nn.Parameter(own, requires_grad=False))
        for name, gaussians in self._statistics().items():
            gaussians.take(task_classes, arrays[f"{name}.means"], arrays[f"{name}.spreads"])
        self.guess = (arrays["tii.weight"], arrays["tii.bias"])

    @property
    def n_training_state(self) -> int:
        """Two Gaussians for every class of every task; they grow with the tasks."""
        kept = sum(gaussians.n_numbers for gaussians in self._statistics().values())
        return super().n_training_state + kept

    # --- prompts ---------------------------------------------------------------------------------
    def prompt(self) -> Tensor:
        """P_t of the task in training: (blocks, 2, length, d)."""
        if not self.own:
            return self.current
        earlier = torch.stack(list(self.own)).mean(dim=0)
        return (1 - self.ensemble) * self.current + self.ensemble * earlier

    def choice(self, images: Tensor) -> Tensor:
        """Whose prefix each image takes, by its own query alone: (n,) numbers of tasks, from 0."""
        weight, bias = self.guess
        likeliest = (self.query(images).cpu().double() @ weight.T + bias).argmax(dim=1)
        return torch.tensor(self.uninstructed.owners)[likeliest]

    def features(self, images: Tensor) -> Tensor:
        """Pooled features (n, d) under the prefix of the task in training or of the guessed one."""
        if self.current is not None:
            own = self.prompt()[None]
        elif self.own:
            own = torch.stack(list(self.own))[self.choice(images).to(self.device)]
        else:
            return super().features(images)
        prefixes = {b: (own[:, i, 0], own[:, i, 1]) for i, b in enumerate(self.blocks)}
        with attend_to(self.vit, prefixes):
            return super().features(images)

    # --- steps -----------------------------------------------------------------------------------
    def _infer_tasks(self) -> None:
        """TII: a row for each class of each task, from zero."""
        m, d = self.uninstructed.means.shape
        weight, bias = (torch.zeros(shape, dtype=torch.float64) for shape in ((m, d), (m,)))
        if self.n_tasks_done > 1:
            layer = (weight.requires_grad_(), bias.requires_grad_())
            self.rehearsal.fit(
                lambda x: F.linear(x, *layer),
                layer,
                self.uninstructed,
                torch.arange(m),
                self.generator(_TII, self.n_tasks_done),
            )
        self.guess = (weight.detach(), bias.detach())

    def _adapt_head(self) -> None:
        """TAP: all rows of classes seen, from where the head is."""
        self.head.open(self.seen)
        self.rehearsal.fit(
            self.head.local,
            [p for p in (self.head.rows, self.head.offsets) if p.requires_grad],
            self.instructed,
            torch.tensor([self.seen.index(label) for label in self.instructed.labels]),
            self.generator(_TAP, self.n_tasks_done),
        )
        self.head.close()

    def _statistics(self) -> dict[str, ClassGaussians]:
        return {"uninstructed": self.uninstructed, "instructed": self.instructed}

    def _deployed_buffers(self) -> list[Tensor]:
        return [*self.own, *self.guess]


def contrastive(features: Tensor, earlier: Tensor, temperature: float) -> Tensor:
    """Mean of -log softmax(M M^T / temperature)[i, i], M = [class means (m, d); batch (n, d)]."""
    with torch.autocast(features.device.type, enabled=False):  # dot products need all their digits
        rows = torch.cat([earlier, features])
        near = rows @ rows.T / temperature
        return F.cross_entropy(near, torch.arange(len(rows), device=rows.device))
