"""All the records below a folder, and what could not be read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from fmlora_kit.record.record import Record
from fmlora_kit.record.storage import RECORD_FILE, RecordError


@dataclass(frozen=True)
class Shelf:
    """Records by where they lie, relative to the folder that was searched.

    Args:
        records: the readable ones, in the order of their names.
        unreadable: for each of the others the reason.
    """

    records: dict[str, Record]
    unreadable: dict[str, str]


def load_records(folder: str | os.PathLike) -> Shelf:
    """Read every record below a folder; one that cannot be read is named with its reason.

    Raises:
        RecordError: `folder` is not a folder.
    """
    root = Path(folder)
    if not root.is_dir():
        raise RecordError(f"folder must be a folder that exists; got {str(folder)!r}")
    records: dict[str, Record] = {}
    unreadable: dict[str, str] = {}
    for file in sorted(root.rglob(RECORD_FILE)):
        name = file.parent.relative_to(root).as_posix()
        name = root.resolve().name if name == "." else name
        try:
            records[name] = Record.load(file.parent)
        except (RecordError, OSError) as error:
            unreadable[name] = str(error)
    return Shelf(records, unreadable)
