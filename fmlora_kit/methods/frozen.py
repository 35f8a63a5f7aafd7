"""The frozen backbone: with a trained head, and with class means alone."""

from __future__ import annotations

from fmlora_kit.methods.base import Method


class FrozenBackbone(Method):
    """Nothing of the backbone is trained; each task's head rows are, by local cross-entropy."""

    name = "frozen_backbone"


class NearestClassMean(Method):
    """Nothing is trained: the head's rows are the class means of the frozen features.

    arg-max of the cosine to class means (Mensink et al. 2013, doi 10.1109/TPAMI.2013.83, with cosine
    distance).
    """

    name = "nearest_class_mean"

    def parameter_groups(self) -> list[dict]:
        """Nothing to train."""
        return []
