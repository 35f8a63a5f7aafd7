"""Run one method over a whole stream; a run that was killed goes on where its record ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm.auto import tqdm

from fmlora_kit.checks import as_path, checked, fail, instance, integer
from fmlora_kit.methods.base import Method
from fmlora_kit.record import Record
from fmlora_kit.record.card import COMPUTES, NOT_RECORDED, flat
from fmlora_kit.streams.task import Stream
from fmlora_kit.training.device import describe_device, is_watched
from fmlora_kit.training.loop import Budget, describe, takes_budget, train_task
from fmlora_kit.training.parallel import group_of, together
from fmlora_kit.training.rebuild import replay

if TYPE_CHECKING:
    from accelerate import Accelerator


@takes_budget
def start_record(
    model: Method, stream: Stream, budget: Budget | None = None, *, processes: int = 1
) -> Record:
    """An empty record that names the method, the stream, the training budget and the device.

    Raises:
        ValueError: ``model`` is built for another number of classes or other images, the stream's
            classes are not numbered from 0 without a gap, or a value is no such thing.
    """
    instance("model", model, Method, "a method")
    instance("stream", stream, Stream, "a Stream")
    budget = checked("budget", budget, Budget | None) or Budget()
    integer("processes", processes, 1)
    n, known = stream.n_classes, {k for task in stream for k in task.classes}
    if gaps := sorted({*range(n)} - known):
        rule = f"number its {n} classes from 0 to {n - 1}"
        raise ValueError(f"stream must {rule}, got none with {gaps[0]}, but {max(known)}")
    if model.head.n_classes != stream.n_classes:
        given = f"one for {model.head.n_classes}"
        raise ValueError(
            f"model must be built for the stream's {stream.n_classes} classes, got {given}"
        )
    takes, given = model.vit.patch_embed.img_size, stream.tasks[0].train_images.shape[1:3]
    if tuple(takes) != given:
        size = takes[0] if len(set(takes)) == 1 else tuple(takes)
        raise ValueError(
            f"stream must have images of {takes[0]} x {takes[1]} pixels, which the backbone takes, "
            f"got {given[0]} x {given[1]}: read it with image_size={size}"
        )
    where = describe_device(model.device, model.pixel_mean.dtype)
    if processes > 1:
        where["processes"] = processes
    return Record.start(model, stream, training={**describe(budget), **where})


@takes_budget
def run(
    model: Method,
    stream: Stream,
    budget: Budget | None = None,
    *,
    folder: str | Path | None = None,
    on_task: Callable[[Record], None] = lambda record: None,
    show_progress: bool | None = None,
    accelerator: Accelerator | None = None,
    cache_bytes: int = 0,
) -> Record:
    """Learn every task of ``stream`` in order, in this process or in several together.

    With ``folder``, the record is saved after every task. If the folder holds the beginning of this
    very run, it is taken up there: the record at the end is bit for bit that of a run never
    interrupted, because all randomness depends on the seed and the task's number alone.

    With ``accelerator``, every process calls this with the same arguments, see `training.parallel`:
    ``model`` is moved to the accelerator's device, all return the same record but for rounding, the
    main process alone writes ``folder`` and calls ``on_task``, and all read ``folder`` when they go
    on.

    The model must be fresh, as built. ``on_task`` is called with the record after every task; bars
    show progress over tasks and over steps, by default where somebody can see them move: in a
    terminal and in a notebook. For ``cache_bytes`` see `Method.cache_frozen_blocks`.

    Raises:
        ValueError: the folder holds another run, ``model`` is not fresh or built for another number
            of classes, a value is no such thing, or processes do not agree on what to run.
        RecordError: the folder is damaged, or cannot be written.
        TrainingError: the loss is not finite; the record keeps all finished tasks.
    """
    if checked("show_progress", show_progress, bool | None) is None:
        show_progress = is_watched()
    if not callable(on_task):
        raise fail("on_task", "a function of a record", on_task)
    if folder is not None:  # from here on it is the same one wherever the process goes
        folder = as_path("folder", folder).absolute()
    instance("model", model, Method, "a method")
    if integer("cache_bytes", cache_bytes, 0):
        model.cache_frozen_blocks(cache_bytes)
    if model.n_tasks_done:
        given = f"one that has learned {model.n_tasks_done} tasks: build it anew for another run"
        raise ValueError(f"model must be fresh, got {given}")
    group, leads = group_of(accelerator), accelerator is None or accelerator.is_main_process
    if accelerator is not None:
        model.to(accelerator.device)
    record = start_record(model, stream, budget, processes=group.size if group else 1)
    if folder is not None and (folder / "record.json").exists():
        record = _resume(model, record, Record.load(folder), folder)
    if group:
        group.agree(_facts(record))
    left, shown = stream[len(record.tasks) :], show_progress and leads
    for task in tqdm(left, desc=model.name, unit="task", disable=not shown):
        with together(model, accelerator):
            result = train_task(model, task, stream, budget, show_progress=shown)
        record = record.with_task(result)
        if leads and folder is not None:
            record.save(folder)
        if leads:
            on_task(record)
    if group:
        accelerator.wait_for_everyone()  # until then the folder may lack the last task
    return record


def _facts(record: Record) -> dict:
    """What processes must agree on before they learn together; devices may differ."""
    inexact = ("training.device", f"method.{COMPUTES}")
    facts = {what: v for what, v in flat(record.config).items() if what not in inexact}
    finished = "number of tasks found in the folder (on a file system that all processes share)"
    return {"seed": record.seed, **facts, finished: len(record.tasks)}


def _resume(model: Method, fresh: Record, kept: Record, folder: str | Path) -> Record:
    parts = ("method", "stream", "seed", "config", "versions")
    there, here = ({part: getattr(r, part) for part in parts} for r in (kept, fresh))
    for side in (there, here):  # `replay` compares what backbones compute, within rounding
        exact = {k: v for k, v in side["config"].get("method", {}).items() if k != COMPUTES}
        side["config"] = {**side["config"], "method": exact}
    if there != here:
        raise ValueError(
            f"folder must be empty or hold this very run, got another one in {folder}: "
            f"{kept.method} on {kept.stream}, seed {kept.seed}; {_difference(there, here)}"
        )
    replay(model, kept)
    return kept


def _difference(there: dict, here: dict) -> str:
    """Where two runs differ, in words: ``training.device 'cpu' there, 'mps' here``."""
    found, kept, fresh = [], flat(there), flat(here)
    for name in dict.fromkeys((*kept, *fresh)):
        old, new = (side.get(name, NOT_RECORDED) for side in (kept, fresh))
        if old != new:
            found.append(f"{name.removeprefix('config.')} {old!r} there, {new!r} here")
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return "; ".join(found[:3]) + more
