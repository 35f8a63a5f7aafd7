"""Many records without their arrays, in one JSON file: what a comparison is drawn from.

All the records below a folder, and what could not be read.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from fmlora_kit.checks import as_path, instance, listed
from fmlora_kit.record import storage
from fmlora_kit.record.record import Record
from fmlora_kit.record.storage import RECORD_FILE, RecordError
from fmlora_kit.record.task import TaskResult

BRIEFS_VERSION = 1


def save_briefs(records: Iterable[Record], file: str | os.PathLike) -> None:
    """Write `Record.brief` of each record into one file, atomically, or raise RecordError."""
    file = as_path("file", file)
    rule = "a list of Records"
    records = [instance("records", each, Record, rule) for each in listed("records", records)]
    briefs = [
        {
            **record.header(),
            "tasks": [task.to_json() for task in record.brief().tasks],
            "seconds": storage.nan_to_none(record.seconds.tolist()),
        }
        for record in records
    ]
    document = {"format_version": BRIEFS_VERSION, "sha256": storage.content_hash(briefs)}
    document["records"] = briefs
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        storage.write_atomically(file.parent, file.name, storage.to_json_bytes(document))
    except OSError as error:
        raise RecordError(f"cannot write {file}: {error.strerror or error}") from error


def load_briefs(file: str | os.PathLike) -> list[Record]:
    """Read what `save_briefs` wrote; RecordError if it is missing, newer, altered or breaks a rule.

    A file of an earlier fmlora_kit has no hash: it is read, and a warning says so.
    """
    path = as_path("file", file)
    try:
        if path.exists() and not path.is_file():  # a FIFO would wait for ever
            raise RecordError("it is no regular file")
        document = json.loads(path.read_text(encoding="utf-8"))
        _check_document(document)
        arrays, found = dict.fromkeys(("predictions", "losses"), np.zeros(0, dtype=np.int64)), []
        for entry in document["records"]:
            header = {k: v for k, v in entry.items() if k not in ("tasks", "seconds")}
            pairs = zip(entry["tasks"], storage.none_to_nan(entry["seconds"]), strict=True)
            tasks = (TaskResult.from_stored(task, None, arrays, s) for task, s in pairs)
            found.append(Record(**header, tasks=tuple(tasks)))
    except OSError as error:
        raise RecordError(f"cannot read {file}: {error.strerror or error}") from error
    except storage.DAMAGE as error:
        raise RecordError(f"{file} must be a file of brief records: {error}") from error
    if "sha256" not in document:
        why = "changes to it cannot be noticed; save_briefs writes one"
        warnings.warn(f"{file} has no hash: {why}", stacklevel=2)
    return found


def _check_document(document: dict) -> None:
    version, hashed = document["format_version"], "sha256" in document
    if type(version) is not int or version != BRIEFS_VERSION:
        raise RecordError(f"format_version is {version}, this version reads {BRIEFS_VERSION}")
    if document.keys() != {"format_version", "records", *["sha256"][:hashed]}:
        raise RecordError(f"it has format_version, sha256 and records, got {[*document]}")
    if hashed and storage.content_hash(document["records"]) != document["sha256"]:
        raise RecordError("it does not match its own hash: it was altered")


@dataclass(frozen=True)
class Shelf:
    """Records by where they lie, relative to the folder that was searched."""

    records: dict[str, Record]  # the readable ones, in the order of their names
    unreadable: dict[str, str]  # for each of the others the reason


def load_records(folder: str | os.PathLike) -> Shelf:
    """Read every record below an existing folder; what cannot be read is named with the reason."""
    root = as_path("folder", folder)
    if not root.is_dir():
        raise RecordError(f"folder must be a folder that exists, got {str(folder)!r}")
    shelf = Shelf({}, {})
    for file in sorted(root.rglob(RECORD_FILE)):
        name = file.parent.relative_to(root).as_posix()
        name = root.resolve().name if name == "." else name
        try:
            shelf.records[name] = Record.load(file.parent)
        except (RecordError, OSError) as error:
            shelf.unreadable[name] = str(error)
    return shelf
