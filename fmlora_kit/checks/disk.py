"""Files that are written without following what a stranger planted in their place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

_NEW = ("O_WRONLY", "O_CREAT", "O_EXCL", "O_NOFOLLOW", "O_BINARY")  # as far as the system has them


def open_new(path: Path) -> BinaryIO:
    """A new file to write; whatever has its name, also a link, is removed and never followed.

    Raises:
        OSError: the folder cannot be written, or something took the name again in this moment.
    """
    path.unlink(missing_ok=True)
    flags = sum(getattr(os, name, 0) for name in _NEW)
    return os.fdopen(os.open(path, flags, 0o666), "wb")
