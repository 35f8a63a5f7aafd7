"""How far average colour alone goes: what every accuracy on photos should be held against."""

from __future__ import annotations

import numpy as np

from fmlora_kit import checks
from fmlora_kit.streams.task import Stream


def accuracy_by_colour(stream: Stream) -> float:
    """Accuracy on all test images of the class whose mean colour is nearest: a fraction.

    All tasks at once; a class's mean is over its training images of all tasks.

    Args:
        stream: its images are all read, a task at a time.

    Raises:
        ValueError: it is no stream.
    """
    checks.instance("stream", stream, Stream, "a stream")
    x, y = _colours(stream, "train")
    classes = np.unique(y)
    means = np.stack([x[y == c].mean(axis=0) for c in classes])
    tested, labels = _colours(stream, "test")
    distance = np.linalg.norm(tested[:, None] - means, axis=2)
    return float(np.mean(classes[distance.argmin(axis=1)] == labels))


def _colours(stream: Stream, part: str) -> tuple[np.ndarray, np.ndarray]:
    """(n, 3) mean colour and (n,) label of every image."""
    colours = [getattr(task, f"{part}_images").mean(axis=(1, 2)) for task in stream.tasks]
    labels = [getattr(task, f"{part}_labels") for task in stream.tasks]
    return np.concatenate(colours), np.concatenate(labels)
