"""Some test images of every task, and what a model says of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from fmlora_kit import checks
from fmlora_kit.analysis.arguments import check_record
from fmlora_kit.methods import Method
from fmlora_kit.record import Record
from fmlora_kit.streams import Stream
from fmlora_kit.training.device import precision

_BATCH = 30  # a small ViT is quickest on a CPU while a batch stays in its cache


@dataclass(frozen=True, eq=False)
class ProbeImages:
    """n test images of T tasks, in order, in batches."""

    batches: tuple[np.ndarray, ...]  # (batch, height, width, 3) uint8 each
    labels: np.ndarray  # (n,) class ids
    task_of: np.ndarray  # (n,) the task that each is of, from 0

    @property
    def sizes(self) -> np.ndarray:
        """(T,) how many images there are of each task."""
        return np.bincount(self.task_of)

    def share(self, true: np.ndarray) -> np.ndarray:
        """(T,) share of each task's images for which ``true`` (n,) holds."""
        return np.bincount(self.task_of, weights=true) / self.sizes

    def accuracy(self, predictions: np.ndarray) -> np.ndarray:
        """(T,) share of predicted classes (n,) that are right."""
        return self.share(predictions == self.labels)

    def predict(self, model: Method, features: Sequence[Tensor] | None = None) -> np.ndarray:
        """(n,) predicted classes, arg-max over all seen; features: (batch, d) of each batch."""
        if features is None:
            with precision(model.device):
                features = [model.extract(batch) for batch in self.batches]
        best = [model.scores(part).argmax(axis=1) for part in features]
        return np.asarray(model.seen, dtype=np.int64)[np.concatenate(best)]


def probe_images(record: Record, stream: Stream, n_images: int | None) -> ProbeImages:
    """The first test images of each class, ``n_images`` of every finished task (None: all).

    Raises:
        ValueError: ``stream`` is not the record's, or ``n_images`` below the number of classes.
    """
    check_record(record, 1)
    checks.instance("stream", stream, Stream, "a Stream")
    ours, theirs = stream.describe(), record.config.get("stream", {})
    if ours != theirs:
        raise ValueError(
            f"stream must be the one of the record, {record.stream!r} with crc32 "
            f"{theirs.get('crc32')}, got {stream.name!r} with crc32 {ours['crc32']}"
        )
    tasks = stream[: len(record.tasks)]
    chosen = []
    for task in tasks:
        n, each = len(np.unique(task.test_labels)), None
        if n_images is not None and (each := checks.integer("n_images", n_images) // n) < 1:
            rule = f"at least one per class, {n} for task {task.name!r}"
            raise ValueError(f"n_images must be {rule}, got {n_images}")
        chosen.append(first_of_each_class(task.test_labels, each))
    pairs = list(zip(tasks, chosen, strict=True))
    images = np.concatenate([task.test_images[rows] for task, rows in pairs])
    return ProbeImages(
        batches=tuple(images[k : k + _BATCH] for k in range(0, len(images), _BATCH)),
        labels=np.concatenate([task.test_labels[rows] for task, rows in pairs]),
        task_of=np.repeat(np.arange(len(tasks)), [len(rows) for rows in chosen]),
    )


def merged(models: Iterable[Method]) -> Iterator[Method]:
    """Each model with its updates in its weights while it is looked at."""
    for model in models:
        with model.merged():
            yield model


def first_of_each_class(labels: np.ndarray, n: int | None) -> np.ndarray:
    """Rows of the first ``n`` images of each class (None: all), in their own order."""
    return np.sort(np.concatenate([np.flatnonzero(labels == c)[:n] for c in np.unique(labels)]))
