"""Write a small folder of images, into a place of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PIL import Image


def write_tree(folder: str | Path, content: Mapping[str, Image.Image | str]) -> Path:
    """Write pictures and texts below ``folder``, which must hold nothing else; return it.

    What an earlier call wrote is written again, so that an interrupted one does no harm.

    Args:
        folder: new, empty, or of the same content.
        content: path below the folder, with forward slashes -> a picture, or a text.

    Raises:
        ValueError: there are other files in ``folder``, which is then left as it is.
    """
    root = Path(folder)
    wanted = {root / path: what for path, what in content.items()}
    foreign = sorted(path for path in root.rglob("*") if path.is_file() and path not in wanted)
    if foreign:
        raise ValueError(f"folder must be new, empty or made by this function, got {foreign[0]}")
    for path, what in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(what, str):
            path.write_text(what, encoding="utf-8")
        else:
            what.save(path, quality=95)
    return root
