"""Features of images, from a model as it is now and as it was after every task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from timm.models.vision_transformer import VisionTransformer

from fmlora_kit import checks
from fmlora_kit.analysis.arguments import check_record
from fmlora_kit.analysis.features import FeatureHistory
from fmlora_kit.methods import Method
from fmlora_kit.probes.images import first_of_each_class, merged
from fmlora_kit.record import Record
from fmlora_kit.streams import Stream, Task
from fmlora_kit.training import models_over_time
from fmlora_kit.training.device import precision


def features_over_time(
    record: Record,
    stream: Stream,
    per_class: int | None = None,
    *,
    split: str = "test",
    label: str | None = None,
    backbone: VisionTransformer | None = None,
) -> FeatureHistory:
    """Features of the images with the model as it was after each task of a record.

    The images are those of all tasks that the record has finished, at every moment: also before
    their own task is learned, since what the model makes of a task by then is worth seeing.

    Args:
        record: of a run on ``stream``, with a finished task.
        stream: where the images are.
        per_class: only the first so many images of each class, 1 or more; default: all.
        split: "test" or "train".
        label: what figures call it; default: the method's name.
        backbone: the backbone of the run; default: loaded by the name in the record.

    Raises:
        ValueError: ``stream`` has other tasks than the record.
    """
    check_record(record, 1)
    checks.instance("stream", stream, Stream, "a Stream")
    checks.checked("label", label, str | None)
    tasks = stream.tasks[: len(record.tasks)]
    if [(t.name, t.classes) for t in record.tasks] != [(t.name, tuple(t.classes)) for t in tasks]:
        rule = f"have the record's tasks {list(record.task_names)} with the same classes"
        raise ValueError(f"stream must {rule}, got {[task.name for task in tasks]}")
    checks.choice("split", split, ("test", "train"))
    models = merged(models_over_time(record, backbone))
    return _make_history(label or record.method, models, tasks, split, per_class)


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
        per_class: only the first so many images of each class, 1 or more; default: all.
        split: "test" or "train".
        label: what figures call it; default: the model's name.
    """
    checks.instance("model", model, Method, "a Method")
    checks.instance("stream", stream, Stream, "a Stream")
    checks.checked("label", label, str | None)
    checks.choice("split", split, ("test", "train"))
    return _make_history(label or model.name, [model], stream.tasks, split, per_class)


def _make_history(
    label: str, models: Iterable[Method], tasks: Sequence[Task], split: str, per_class: int | None
) -> FeatureHistory:
    """What ``models``, one after the other, make of the chosen images of ``tasks``."""
    if per_class is not None:
        checks.integer("per_class", per_class, 1)
    images, labels, moments, learned, names = [], [], [], [], []
    for task in tasks:
        own = getattr(task, f"{split}_labels")
        rows = first_of_each_class(own, per_class)
        called = dict(zip(task.classes, task.class_names, strict=True))
        images.append(getattr(task, f"{split}_images")[rows])
        labels.append(own[rows])
        names += [called[c] for c in own[rows].tolist()]
    for model in models:
        with precision(model.device):  # batches never mix tasks
            moments.append(np.concatenate([model.extract(batch).numpy() for batch in images]))
        learned.append(model.n_tasks_done)
    return FeatureHistory(
        label=label,
        features=np.stack(moments),
        learned=np.array(learned),
        labels=np.concatenate(labels),
        tasks=np.repeat(np.arange(len(tasks)), [len(own) for own in labels]),
        names=tuple(names),
        task_names=tuple(task.name for task in tasks),
    )
