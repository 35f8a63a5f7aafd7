"""RanPAC: random projections of frozen features, and ridge regression on sums over all tasks.

McDonnell et al. 2023, "RanPAC: Random Projections and Pre-trained Models for Continual Learning",
arXiv 2307.02251, algorithm 1 without its first-session adaptation:

h(x) = relu(P f(x))                    P: (M, d), entries N(0, 1), never trained
G    = sum over all images of h h^T    (M, M)
C    = sum over all images of h y^T    (M, classes), y one-hot
W    = (G + lambda I)^-1 C;  scores h(x)^T W

Nothing is trained by gradient and every image is seen once. Sums do not know the order of tasks.
lambda: for each task, 10^-8 .. 10^8, the one with the least squared error on a random fifth of its
own training images after a fit to the others; then W from all sums. [ours]: M = 1000 instead of the
published 10000, for a width of 128 instead of 768 (its Gram matrix takes 4 MB of a record per
task); first-session adaptation of the backbone is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from fmlora_kit.adapters.head import Head
from fmlora_kit.adapters.ridge import RandomProjection, RidgeSums, choose_ridge
from fmlora_kit.checks import Count, Positive
from fmlora_kit.methods import description
from fmlora_kit.methods.base import HeadOptions, Method
from fmlora_kit.streams.task import Task

_PROJECTION, _SPLIT = 1, 2  # what randomness is for


class RanPAC(Method):
    """Ridge regression on random projections of the frozen features.

    The projection is the last step of ``vit.forward_head``, so features are h(x), of width M.

    Args:
        backbone: it must pool as timm's `VisionTransformer` does.
        projections: M; published: 10000.
        ridge: lambda; None chooses it anew for every task.
        options: ``head`` "linear" is RanPAC; "cosine" and "lda" are its ablations: class means, or
            linear discriminants, of h.
    """

    name = "ranpac"
    keeps_first_blocks = True
    trained = description.NOTHING
    frozen = "the backbone; the random projection"
    masked = description.NO_LOSS
    default_head = HeadOptions("linear")

    def __init__(
        self,
        backbone,
        n_classes: int,
        *,
        projections: Count = 1000,
        ridge: Positive | None = None,
        **options,
    ):
        super().__init__(backbone, n_classes, **options)
        self.set_options(projections=projections, ridge=ridge)
        if type(self.vit).forward_head is not VisionTransformer.forward_head:
            kind = type(self.vit).__name__
            raise ValueError(f"backbone must have timm's own forward_head, got {kind}'s")
        width, start = self.projections, self.generator(_PROJECTION)
        projection = RandomProjection(self.vit.num_features, width, start).to(self.pixel_mean)
        self.vit.head_drop = nn.Sequential(self.vit.head_drop, projection).eval()
        self.head = Head(n_classes, width, **self.described["head"]).to(self.pixel_mean)
        self.seen_so_far = RidgeSums(n_classes, width)
        if self.head.kind == "linear":
            self.stores = description.HEAD_STORES["ridge"]
            self.masked += "; the least squares are over all classes seen so far"
            self.head_rows = "after each task all rows are set by ridge regression on all sums"

    # --- the verbs -------------------------------------------------------------------------------
    def begin_task(self, task: Task) -> None:
        """Nothing to prepare but the head's rows; ValueError if one image is to choose lambda."""
        if self.ridge is None and len(task.train_labels) < 2:
            raise ValueError(
                f"ridge must be given where a task has fewer than 2 training images, got None and "
                f"{len(task.train_labels)} in {task.name!r}"
            )
        super().begin_task(task)

    @torch.no_grad()
    def end_task(self, task: Task) -> None:
        """Add the task's images to the sums, and solve for all rows."""
        if self.head.kind != "linear":
            super().end_task(task)
            return
        h = self.extract(task.train_images).double()
        y = F.one_hot(torch.tensor(task.train_labels), self.head.n_classes).double()
        order = torch.randperm(len(h), generator=self.generator(_SPLIT, self.n_tasks_done))
        ridge = choose_ridge(h[order], y[order]) if self.ridge is None else self.ridge
        self.scalars["ridge"] = ridge
        self.seen_so_far.add(h, y)
        self._close_head(task)
        self.head.weight.copy_(self.seen_so_far.solve(ridge))

    def scores(self, features: Tensor, classes: Sequence[int] | None = None) -> np.ndarray:
        """Logits from extracted features, never in half precision: (n, M) -> (n, classes)."""
        with torch.autocast(self.device.type, enabled=False):
            return super().scores(features, classes)

    def kept(self) -> dict[str, Tensor]:
        """The head; with "linear" also both sums so far."""
        return super().kept() | self._sums()

    @property
    def n_training_state(self) -> int:
        """G (one triangle of it) and C; they do not grow with the number of tasks."""
        return super().n_training_state + sum(t.numel() for t in self._sums().values())

    def _sums(self) -> dict[str, Tensor]:
        both = {"gram": self.seen_so_far.gram, "sums": self.seen_so_far.sums}
        return both if self.head.kind == "linear" else {}
