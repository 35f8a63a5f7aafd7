"""The frozen backbone: with a trained head, and with class means alone."""

from __future__ import annotations

import torch
from torch import Tensor

from fmlora_kit.adapters.head import class_means
from fmlora_kit.methods import description
from fmlora_kit.methods.base import HeadOptions, Method
from fmlora_kit.streams.task import Task


class FrozenBackbone(Method):
    """The backbone stays; each task's cosine head rows are trained, by local cross-entropy."""

    name = "frozen_backbone"
    keeps_first_blocks = True


class NearestClassMean(FrozenBackbone):
    """Nothing is trained: the head's rows are the class means of the frozen features.

    arg-max of the cosine to class means (Mensink et al. 2013, doi 10.1109/TPAMI.2013.83, with
    cosine distance). A class that comes again, as in a domain-incremental stream, has the mean over
    all its images so far.
    """

    name = "nearest_class_mean"
    trained = description.NOTHING
    frozen = "the backbone"
    stores = "class means, as head rows, and of how many images each is"
    masked = description.NO_LOSS

    def __init__(self, backbone, n_classes: int, **options):
        super().__init__(backbone, n_classes, **options)
        self.counts = torch.zeros(self.head.n_classes, dtype=torch.float64)

    @torch.no_grad()
    def end_task(self, task: Task) -> None:
        """Finish; with a cosine head, means of classes that came before run over all images."""
        labels, classes = torch.tensor(task.train_labels), list(task.classes)
        n = torch.bincount(labels, minlength=len(self.counts))[classes]
        before = self.counts[classes]
        if self.head.kind == "cosine":
            if before.any():
                means = class_means(self.extract(task.train_images), labels, classes)
                share = (n / (before + n))[:, None].to(self.head.rows)
                self.head.rows += share * (means.to(share) - self.head.rows)
            self.counts[classes] += n
        super().end_task(task)

    def kept(self) -> dict[str, Tensor]:
        """The head, and of how many images each class mean is."""
        return super().kept() | {"counts": self.counts}

    @property
    def n_training_state(self) -> int:
        """Counts are needed only to take a further task in."""
        return super().n_training_state + self.counts.numel()


class StreamingLDA(Method):
    """Nothing is trained: class means and one shared covariance of the frozen features.

    Streaming linear discriminant analysis (Hayes and Kanan 2020, arXiv 1909.01520): what the head
    of FM-LoRA gives when no adapter helps it.
    """

    name = "streaming_lda"
    keeps_first_blocks = True
    trained = description.NOTHING
    frozen = "the backbone"
    masked = description.NO_LOSS
    default_head = HeadOptions("lda")
