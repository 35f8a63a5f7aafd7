"""Accuracy on test sets: class-incremental and with the task given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fmlora_kit.methods.base import Method
from fmlora_kit.streams.task import Task


@dataclass(frozen=True)
class Scores:
    """What the model says of one test set.

    Attributes:
        predictions: (n,) predicted classes, arg-max over all classes seen.
        accuracy: fraction right.
        oracle_accuracy: fraction right, arg-max over the task's own classes only.
    """

    predictions: np.ndarray
    accuracy: float
    oracle_accuracy: float


def evaluate(model: Method, task: Task) -> Scores:
    """Predict the task's test images, over all classes seen and over the task's own."""
    model.hold(task.test_images)
    features = model.extract(task.test_images)
    predictions = _best(model.scores(features), model.seen)
    oracle = _best(model.scores(features, task.classes), task.classes)
    return Scores(
        predictions,
        float(np.mean(predictions == task.test_labels)),
        float(np.mean(oracle == task.test_labels)),
    )


def _best(scores: np.ndarray, classes: Sequence[int]) -> np.ndarray:
    return np.asarray(classes, dtype=np.int64)[scores.argmax(axis=1)]
