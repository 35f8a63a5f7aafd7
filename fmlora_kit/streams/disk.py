"""What lies on a disk, looked at with care: only regular files are opened, errors name the place.

A FIFO waits for ever, a device never ends, and a folder may not be readable: each is one sentence.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

# What reading a damaged file of JSON or arrays may raise, besides an OSError.
DAMAGE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: Path) -> BinaryIO:
    """A regular file, or a link to one, open for reading.

    Raises:
        OSError: it is not there, or cannot be opened.
        ValueError: it is something else ("it is a FIFO").
    """
    _refuse_other(os.stat(path))  # before it is opened, which a device may notice
    flags = (getattr(os, name, 0) for name in ("O_NONBLOCK", "O_BINARY", "O_CLOEXEC"))
    file = os.fdopen(os.open(path, os.O_RDONLY | sum(flags)), "rb")
    try:
        _refuse_other(os.fstat(file.fileno()))  # it may have been exchanged since
    except ValueError:
        file.close()
        raise
    return file


def read_bytes(path: Path, what: str) -> bytes:
    """A whole file; a ValueError if it is not one, ``what`` ("a list") in its rule."""
    try:
        with open_regular(path) as file:
            return file.read()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{path} must be {what}, cannot be read: {reason}") from None


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 text, without the mark that some editors write at its start."""
    return read_bytes(path, "a text file").decode("utf-8-sig", "replace").splitlines()


class Entry(NamedTuple):
    """One name in a folder; links are followed, and one to nowhere or in a circle is neither."""

    path: Path
    is_dir: bool
    is_file: bool

    @property
    def name(self) -> str:
        """Its name, without the folder."""
        return self.path.name


def entries(folder: Path) -> list[Entry]:
    """What lies in a folder, sorted by name; a ValueError if it cannot be read."""
    try:
        with os.scandir(folder) as found:
            listed = [Entry(Path(e.path), _is(e.is_dir), _is(e.is_file)) for e in found]
    except OSError as error:
        rule = "must be a folder that can be read"
        raise ValueError(f"{folder} {rule}, got: {error.strerror or error}") from None
    return sorted(listed, key=lambda entry: entry.name)


def _is(kind: Callable[[], bool]) -> bool:
    try:
        return kind()
    except OSError:  # of a link in a circle
        return False


def _refuse_other(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "no regular file")
        raise ValueError(f"it is {kind}")
