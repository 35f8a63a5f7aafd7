"""A record's folder on disk: written atomically, read with every hash checked.

    record.json             what a person reads: format version, hashes, configuration, accuracies
    task_000.safetensors    the arrays of the first task (predictions, losses, snapshot), and so on
    timing.json             seconds per task, apart, so that all other files are the same for the
    same run

`record.json` is written last: it names the other files with their hashes, so a run killed at any
moment leaves either the earlier record or the new one. This module knows files and hashes;
`record.py` knows what is in them.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import safetensors.numpy
from safetensors import SafetensorError

from fmlora_kit.checks import as_path

FORMAT_VERSION = 2  # 2 added test_labels and traces; 1 is read as well
RECORD_FILE = "record.json"
TIMING_FILE = "timing.json"
LINE_LENGTH = 100


class RecordError(ValueError):
    """A record or its folder breaks a rule; the message names the thing, the rule and the value."""


# What reading a damaged or crafted file of records may raise: all become a RecordError.
DAMAGE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True)
class StoredTask:
    """One task as it lies on disk: an entry in record.json and an array file of its own."""

    entry: dict
    sha256: str  # of the file
    arrays: Callable[[], bytes]  # called only when the file has to be written


def task_file(index: int) -> str:
    """Name of the array file of task `index` (0-based)."""
    return f"task_{index:03d}.safetensors"


def sha256(data: bytes) -> str:
    """Hexadecimal SHA-256 digest."""
    return hashlib.sha256(data).hexdigest()


def save_folder(
    folder: str | os.PathLike,
    header: dict,
    tasks: list[StoredTask],
    seconds: list[float],
    *,
    replace: bool = False,
) -> Path:
    """Write a record's folder; array files that are already there are left alone.

    The header is JSON-able and the same after every task; seconds are NaN where unknown. A
    different or longer record that lies in `folder` is overwritten only with `replace`.

    Raises:
        RecordError: `folder` holds another record, cannot be written, or the disk is full. What was
            saved there before stays as it was.
    """
    folder = as_path("folder", folder)
    goes_on = not replace and (folder / RECORD_FILE).exists()
    already = _tasks_already_saved(folder, header, tasks) if goes_on else 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if replace:
            (folder / RECORD_FILE).unlink(missing_ok=True)
        for index, task in enumerate(tasks):
            if index >= already or not (folder / task_file(index)).exists():
                write_atomically(folder, task_file(index), task.arrays())
        write_atomically(folder, TIMING_FILE, to_json_bytes({"seconds": nan_to_none(seconds)}))
        body = {**header, "tasks": [_listed(index, task) for index, task in enumerate(tasks)]}
        document = {"format_version": FORMAT_VERSION, "sha256": content_hash(body), "record": body}
        write_atomically(folder, RECORD_FILE, to_json_bytes(document))
    except OSError as error:
        kept = "" if replace else " The record saved there before, if any, is unchanged."
        raise RecordError(
            f"cannot save the record in {folder}: the folder must be writable and the disk must "
            f"have room, got: {error.strerror or error}.{kept}"
        ) from error
    return folder


def load_folder(
    folder: str | os.PathLike,
) -> tuple[dict, list[tuple[dict, str, dict]], list[float]]:
    """Read the header, per task (entry, sha256, arrays), and seconds per task (NaN if unknown).

    Raises:
        RecordError: a file is missing, truncated, altered, or written by a newer version.
    """
    folder = as_path("folder", folder)
    body = _read_body(folder)
    listed = body.pop("tasks", None)
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise RecordError(f"{folder / RECORD_FILE}: 'tasks' must be a list of objects")
    tasks = []
    for index, entry in enumerate(listed):
        digest, name, rule = entry.pop("sha256", None), entry.pop("file", None), task_file(index)
        if name != rule:
            where = f"{folder / RECORD_FILE}: file of task {index}"
            raise RecordError(f"{where} must be {rule!r}, got {name!r}")
        data = _read_file(folder, name)
        if sha256(data) != digest:
            rule = f"does not match its hash in {RECORD_FILE}: the file ({len(data)} bytes)"
            raise RecordError(f"{folder / name} {rule} is truncated or was altered")
        try:
            tasks.append((entry, digest, safetensors.numpy.load(data)))
        except (SafetensorError, *DAMAGE) as error:
            raise RecordError(f"arrays must be in safetensors format, got: {error}") from error
    return body, tasks, _read_seconds(folder, len(tasks))


def to_json_text(value: object, indent: int = 0) -> str:
    """JSON for people: what fits on a line, and any list of scalars, stays on one line."""
    flat = json.dumps(value, allow_nan=False, ensure_ascii=False)
    if not isinstance(value, dict | list) or len(flat) + indent <= LINE_LENGTH:
        return flat
    if isinstance(value, list) and not any(isinstance(item, dict | list) for item in value):
        return flat
    pad, named = " " * indent, isinstance(value, dict)
    if named:
        dumped = (f"{json.dumps(key, ensure_ascii=False)}: " for key in value)
        pairs = zip(dumped, value.values(), strict=True)
    else:
        pairs = (("", item) for item in value)
    inside = ",\n".join(f"{pad} {key}{to_json_text(item, indent + 1)}" for key, item in pairs)
    return f"{'[{'[named]}\n{inside}\n{pad}{']}'[named]}"


def to_json_bytes(value: object) -> bytes:
    """The file of `to_json_text`."""
    return (to_json_text(value) + "\n").encode("utf-8")


def content_hash(body: object) -> str:
    """Digest of what a JSON document says, however it is laid out."""
    canonical = json.dumps(body, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return sha256(canonical.encode("utf-8"))


def _listed(index: int, task: StoredTask) -> dict:
    return {**task.entry, "file": task_file(index), "sha256": task.sha256}


def _tasks_already_saved(folder: Path, header: dict, tasks: list[StoredTask]) -> int:
    """How many of `tasks` are in `folder`; raises if another run is there, so that none is lost."""
    try:
        body = _read_body(folder)
    except RecordError as error:
        raise RecordError(f"will not overwrite a record that cannot be read: {error}") from error
    listed = body.pop("tasks", [])
    # Through JSON and back, so that tuples and lists compare as they lie on disk.
    ours = json.loads(json.dumps([header, [_listed(i, task) for i, task in enumerate(tasks)]]))
    if body != ours[0] or listed != ours[1][: len(listed)] or len(listed) > len(tasks):
        raise RecordError(
            f"{folder} holds another record ({body.get('method')!r} on {body.get('stream')!r}, "
            f"seed {body.get('seed')}, {len(listed)} tasks), which this one ({len(tasks)} tasks) "
            "does not continue; choose another folder, or save with replace=True"
        )
    return len(listed)


def _read_file(folder: Path, name: str) -> bytes:
    try:
        if (folder / name).exists() and not (folder / name).is_file():  # a FIFO would wait for ever
            raise RecordError(f"{folder / name} must be a regular file")
        return (folder / name).read_bytes()
    except FileNotFoundError as error:
        rule = f"folder must hold a record, there is no complete record in {folder}"
        raise RecordError(f"{rule}: {name} is missing") from error
    except OSError as error:
        raise RecordError(f"cannot read {folder / name}: {error.strerror or error}") from error


def _read_json(folder: Path, name: str) -> dict:
    data = _read_file(folder, name)
    try:
        document = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a ValueError
        rule = "is not valid JSON: it is truncated or was altered"
        raise RecordError(f"{folder / name} {rule} ({error})") from error
    if not isinstance(document, dict):
        raise RecordError(f"{folder / name} must hold a JSON object, got {type(document).__name__}")
    return document


def _read_body(folder: Path) -> dict:
    document, file = _read_json(folder, RECORD_FILE), folder / RECORD_FILE
    version, body = document.get("format_version"), document.get("record")
    if type(version) is not int or version < 1:
        raise RecordError(f"{file}: format_version must be a positive integer, got {version!r}")
    if version > FORMAT_VERSION:
        raise RecordError(
            f"{file} has record format {version}, but the newest that this "
            f"fmlora_kit reads is format {FORMAT_VERSION}; update fmlora_kit"
        )
    try:
        matches = isinstance(body, dict) and content_hash(body) == document.get("sha256")
    except (ValueError, RecursionError):  # NaN or Infinity, which this module never writes
        matches = False
    if not matches:
        raise RecordError(f"{file} does not match its own hash: it was altered")
    return body


def _read_seconds(folder: Path, n_tasks: int) -> list[float]:
    """Seconds of the first `n_tasks` tasks; a kill may leave one more than there are tasks."""
    if not (folder / TIMING_FILE).exists():
        return [math.nan] * n_tasks
    seconds = _read_json(folder, TIMING_FILE).get("seconds")
    if not isinstance(seconds, list) or not all(
        value is None or (isinstance(value, int | float) and value >= 0) for value in seconds
    ):
        rule = "'seconds' must be a list of numbers >= 0 or null"
        raise RecordError(f"{folder / TIMING_FILE}: {rule}")
    try:
        seconds = [float(value) for value in none_to_nan(seconds[:n_tasks])]
    except OverflowError as error:
        raise RecordError(f"{folder / TIMING_FILE}: 'seconds' must be numbers: {error}") from error
    return seconds + [math.nan] * (n_tasks - len(seconds))


def nan_to_none(values: Iterable[float]) -> list[float | None]:
    """Numbers as strict JSON has them."""
    return [None if math.isnan(value) else value for value in values]


def none_to_nan(values: Iterable[float | None]) -> list[float]:
    """The inverse of `nan_to_none`."""
    return [math.nan if value is None else value for value in values]


def write_atomically(folder: Path, name: str, data: bytes) -> None:
    """Write to a temporary name, flush to the disk, rename: readers see the old file or the new.

    The temporary name is fixed: the next run removes what a killed one left behind, or anybody put
    there.
    """
    temporary = folder / f".{name}.tmp"
    try:
        temporary.unlink(missing_ok=True)
        with open(temporary, "xb") as file:  # fails where there is a link again, and follows none
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, folder / name)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    try:  # make the rename itself durable, where the system lets a directory be opened
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
