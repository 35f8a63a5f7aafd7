"""The frozen backbone: with a trained head, and with class means alone."""

from __future__ import annotations

from fmlora_kit.methods import card
from fmlora_kit.methods.base import Method


class FrozenBackbone(Method):
    """The backbone stays; each task's cosine head rows are trained, by local cross-entropy."""

    name = "frozen_backbone"


class NearestClassMean(FrozenBackbone):
    """Nothing is trained: the head's rows are the class means of the frozen features.

    arg-max of the cosine to class means (Mensink et al. 2013, doi 10.1109/TPAMI.2013.83, with
    cosine distance).
    """

    name = "nearest_class_mean"
    trained = card.NOTHING
    frozen = "the backbone"
    stores = "class means, as head rows"
    masked = card.NO_LOSS

    def parameter_groups(self) -> list[dict]:
        """Nothing to train."""
        return []


class StreamingLDA(Method):
    """Nothing is trained: class means and one shared covariance of the frozen features.

    Streaming linear discriminant analysis (Hayes and Kanan 2020, arXiv 1909.01520): what the head
    of FM-LoRA gives when no adapter helps it.
    """

    name = "streaming_lda"
    trained = card.NOTHING
    frozen = "the backbone"
    masked = card.NO_LOSS
    default_head = "lda"

    def parameter_groups(self) -> list[dict]:
        """Nothing to train."""
        return []
