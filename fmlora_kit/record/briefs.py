"""Many records without their arrays, in one JSON file: what a comparison is drawn from."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from fmlora_kit.record import storage
from fmlora_kit.record.record import Record
from fmlora_kit.record.storage import RecordError
from fmlora_kit.record.task import TaskResult

BRIEFS_VERSION = 1


def save_briefs(records: Iterable[Record], file: str | os.PathLike) -> None:
    """Write `Record.brief` of each record into one file, atomically; a line per task.

    Raises:
        RecordError: the file cannot be written.
    """
    file = Path(file)
    document = {
        "format_version": BRIEFS_VERSION,
        "records": [_to_json(record.brief()) for record in records],
    }
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        storage.write_atomically(file.parent, file.name, storage.to_json_bytes(document))
    except OSError as error:
        raise RecordError(f"cannot write {file}: {error.strerror or error}") from error


def load_briefs(file: str | os.PathLike) -> list[Record]:
    """Read what `save_briefs` wrote, checked in full.

    Raises:
        RecordError: the file is missing, is not of this format or of a newer one, or breaks a rule.
    """
    try:
        document = json.loads(Path(file).read_text(encoding="utf-8"))
        version = document["format_version"]
        if version > BRIEFS_VERSION:
            raise RecordError(f"format_version is {version}, this version reads {BRIEFS_VERSION}")
        return [_from_json(entry) for entry in document["records"]]
    except OSError as error:
        raise RecordError(f"cannot read {file}: {error.strerror or error}") from error
    except (RecordError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"{file} must be a file of brief records: {error}") from error


def _to_json(record: Record) -> dict:
    tasks = [task.to_json() for task in record.tasks]
    seconds = storage.nan_to_none(record.seconds.tolist())
    return {**record.header(), "tasks": tasks, "seconds": seconds}


def _from_json(entry: dict) -> Record:
    values = dict(entry)
    seconds = storage.none_to_nan(values.pop("seconds"))
    none = np.zeros(0, dtype=np.int64)
    arrays = {"predictions": none, "losses": none}
    tasks = [
        TaskResult.from_stored(task, None, arrays, s)
        for task, s in zip(values.pop("tasks"), seconds, strict=True)
    ]
    return Record(**values, tasks=tuple(tasks))
