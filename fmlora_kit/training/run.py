"""Run one method over a whole stream; a run that was killed goes on where its record ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tqdm.auto import tqdm

from fmlora_kit.methods.base import Method
from fmlora_kit.record import Record
from fmlora_kit.record.card import NOT_RECORDED, flat
from fmlora_kit.streams.task import Stream
from fmlora_kit.training.device import describe_device
from fmlora_kit.training.loop import Budget, describe, train_task
from fmlora_kit.training.rebuild import replay


def start_record(model: Method, stream: Stream, budget: Budget | None = None) -> Record:
    """An empty record that names the method, the stream, the training budget and the device."""
    where = describe_device(model.device, model.pixel_mean.dtype)
    return Record.start(model, stream, training={**describe(budget or Budget()), **where})


def run(
    model: Method,
    stream: Stream,
    budget: Budget | None = None,
    *,
    folder: str | Path | None = None,
    on_task: Callable[[Record], None] = lambda record: None,
    show_progress: bool = False,
) -> Record:
    """Learn every task of ``stream`` in order.

    With ``folder``, the record is saved after every task. If the folder holds the beginning of this
    very run, it is taken up there: the record at the end is bit for bit that of a run never
    interrupted, because all randomness depends on the seed and the task's number alone.

    Args:
        model: fresh, as built.
        stream: the tasks.
        budget: epochs and batch size.
        folder: where the record is kept.
        on_task: called with the record after every task.
        show_progress: show bars, over tasks and over steps.

    Raises:
        ValueError: the folder holds another run, or ``model`` is not fresh.
        RecordError: the folder is damaged, or cannot be written.
        TrainingError: the loss is not finite; the record keeps all finished tasks.
    """
    record = start_record(model, stream, budget)
    if folder is not None and (Path(folder) / "record.json").exists():
        record = _resume(model, record, Record.load(folder), folder)
    bar = tqdm(stream[len(record.tasks) :], desc=model.name, unit="task", disable=not show_progress)
    for task in bar:
        result = train_task(model, task, stream, budget, show_progress=show_progress)
        record = record.with_task(result)
        if folder is not None:
            record.save(folder)
        on_task(record)
    return record


def _resume(model: Method, fresh: Record, kept: Record, folder: str | Path) -> Record:
    parts = ("method", "stream", "seed", "config", "versions")
    there, here = ({part: getattr(r, part) for part in parts} for r in (kept, fresh))
    if there != here:
        raise ValueError(
            f"folder must be empty or hold this very run, got another one in {folder}: "
            f"{kept.method} on {kept.stream}, seed {kept.seed}; {_difference(there, here)}"
        )
    replay(model, kept)
    return kept


def _difference(there: dict, here: dict) -> str:
    """Where two runs differ, in words: ``training.device 'cpu' there, 'mps' here``."""
    found = []
    kept, fresh = flat(there), flat(here)
    for name in dict.fromkeys((*kept, *fresh)):
        values = [side.get(name, NOT_RECORDED) for side in (kept, fresh)]
        if values[0] != values[1]:
            found.append(f"{name.removeprefix('config.')} {values[0]!r} there, {values[1]!r} here")
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return "; ".join(found[:3]) + more
