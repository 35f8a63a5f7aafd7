"""Features of images, from a model as it is now and as it was after every task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from timm.models.vision_transformer import VisionTransformer

from fmlora_kit import checks
from fmlora_kit.analysis.arguments import check_record
from fmlora_kit.analysis.features import FeatureHistory
from fmlora_kit.methods import Method
from fmlora_kit.record import Record
from fmlora_kit.streams import Stream, Task
from fmlora_kit.training import models_over_time
from fmlora_kit.training.device import precision

SPLITS = ("test", "train")


def features_over_time(
    record: Record,
    stream: Stream,
    per_class: int | None = None,
    *,
    label: str | None = None,
    backbone: VisionTransformer | None = None,
) -> FeatureHistory:
    """Features of the test images with the model as it was after each task of a record.

    The images are those of all tasks that the record has finished, at every moment: also before
    their own task is learned, since what the model makes of a task by then is worth seeing.

    Args:
        record: of a run on ``stream``.
        stream: where the images are.
        per_class: only the first so many test images of each class; default: all.
        label: what figures call it; default: the method's name.
        backbone: the backbone of the run; default: loaded by the name in the record.

    Raises:
        ValueError: ``stream`` has other tasks than the record, ``per_class`` is below 1, or the
            record has no finished task.
    """
    _check_same_tasks(record, stream)
    tasks = stream.tasks[: len(record.tasks)]
    chosen = [_choose_rows(task.test_labels, per_class) for task in tasks]
    images = [task.test_images[rows] for task, rows in zip(tasks, chosen, strict=True)]
    moments = [_extract_features(model, images) for model in models_over_time(record, backbone)]
    learned = range(1, len(moments) + 1)
    return _make_history(label or record.method, moments, learned, tasks, "test", chosen)


def features_now(
    model: Method,
    stream: Stream,
    per_class: int | None = None,
    *,
    split: str = "test",
    label: str | None = None,
) -> FeatureHistory:
    """Features of all tasks' images with a model as it is: a history of one moment.

    With ``fk.NearestClassMean(backbone, n_classes)``, fresh, they are those of the frozen backbone.

    Args:
        model: any method, fresh or not.
        stream: where the images are; all of its tasks are used.
        per_class: only the first so many images of each class; default: all.
        split: "test" or "train".
        label: what figures call it; default: the model's name.

    Raises:
        ValueError: ``split`` is unknown or ``per_class`` is below 1.
    """
    checks.instance("model", model, Method, "a Method")
    checks.instance("stream", stream, Stream, "a Stream")
    checks.choice("split", split, SPLITS)
    chosen = [_choose_rows(getattr(task, f"{split}_labels"), per_class) for task in stream.tasks]
    images = [
        getattr(task, f"{split}_images")[rows]
        for task, rows in zip(stream.tasks, chosen, strict=True)
    ]
    moment = _extract_features(model, images)
    return _make_history(
        label or model.name, [moment], [model.n_tasks_done], stream.tasks, split, chosen
    )


def _choose_rows(labels: np.ndarray, per_class: int | None) -> np.ndarray:
    """Rows of the first ``per_class`` images of each class, in their own order."""
    if per_class is None:
        return np.arange(len(labels))
    checks.integer("per_class", per_class, 1)
    rows = [np.flatnonzero(labels == c)[:per_class] for c in np.unique(labels)]
    return np.sort(np.concatenate(rows))


def _extract_features(model: Method, images: Sequence[np.ndarray]) -> np.ndarray:
    """(n, d) features of all images, task by task: batches never mix tasks."""
    with precision(model.device):
        return np.concatenate([model.extract(batch).numpy() for batch in images])


def _make_history(
    label: str,
    moments: Sequence[np.ndarray],
    learned: Sequence[int],
    tasks: Sequence[Task],
    split: str,
    chosen: Sequence[np.ndarray],
) -> FeatureHistory:
    labels = [
        getattr(task, f"{split}_labels")[rows] for task, rows in zip(tasks, chosen, strict=True)
    ]
    names = []
    for task, own in zip(tasks, labels, strict=True):
        called = dict(zip(task.classes, task.class_names, strict=True))
        names += [called[c] for c in own.tolist()]
    return FeatureHistory(
        label=label,
        features=np.stack(moments),
        learned=np.array(learned),
        labels=np.concatenate(labels),
        tasks=np.repeat(np.arange(len(tasks)), [len(own) for own in labels]),
        names=tuple(names),
        task_names=tuple(task.name for task in tasks),
    )


def _check_same_tasks(record: Record, stream: Stream) -> None:
    check_record(record, 1)
    checks.instance("stream", stream, Stream, "a Stream")
    ours = [(task.name, task.classes) for task in record.tasks]
    theirs = [(task.name, tuple(task.classes)) for task in stream.tasks[: len(ours)]]
    if ours != theirs:
        raise ValueError(
            f"stream must have the record's tasks {[name for name, _ in ours]} with the same "
            f"classes, got {[name for name, _ in theirs]}"
        )
