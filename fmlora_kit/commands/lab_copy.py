"""A copy of the notebooks to work in, so that running them changes no file that others update.

Of the workshop's it is the students' version, without solutions; the solved ones on demand.

Beside each copy stands, in a manifest, the hash of the original that it was made of. A copy that
still has this hash was never worked in, and follows the original; any other one is somebody's work:
it stays, and nothing here deletes or overwrites it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

# Beside notebooks/ in a checkout, so that ../build is the same for both; `make clean` keeps it.
NAME = "fmlora_notebooks"
WORKSHOP, SOLVED = "workshop", "solved"  # folders in it
MANIFEST = ".originals.json"  # name of a notebook -> SHA-256 of the original it was copied from


def originals(folder: Path, *, solved: bool = False) -> tuple[str, ...]:
    """What can be copied of ``folder``, in order: "01_quickstart.ipynb", "workshop/w1.ipynb".

    ``solved``: "solved/w1.ipynb" too.
    """
    taught = [path.name for path in sorted(folder.glob(f"{WORKSHOP}/*.ipynb"))]
    places = (WORKSHOP, SOLVED) if solved else (WORKSHOP,)
    numbered = [path.name for path in sorted(folder.glob("*.ipynb"))]
    return (*numbered, *(f"{place}/{name}" for place in places for name in taught))


def refresh(source: Path, copy: Path, *, solved: bool = False) -> tuple[str, ...]:
    """Bring the folder ``copy`` up to date with the notebooks in ``source``; make it if need be.

    What is missing is copied, and what was never worked in follows its original. ``solved``: the
    workshop's notebooks with their solutions are copied too.

    Returns:
        The notebooks that were worked in and whose originals have changed since; they stay.

    Raises:
        ValueError: a solution is not marked as `workshop_build` wants it.
    """
    made_of, behind = _manifest(copy), []
    for name in originals(source, solved=solved):
        content = _original(source, name)
        original, mine = sha256(content).hexdigest(), _hash(copy / name)
        if mine in (None, made_of.get(name)) and mine != original:
            _put(content, copy / name)
            mine = original
        if mine == original:
            made_of[name] = original
        elif made_of.get(name) != original:
            behind.append(name)
    _write(copy, made_of)
    return tuple(behind)


def copy_again(source: Path, copy: Path, name: str) -> Path | None:
    """Put the original ``name`` into ``copy``; what was worked in is kept under another name.

    Returns:
        Where the old copy is now, such as "07_subspace_drift-mine-1.ipynb"; None if it was never
        worked in.
    """
    place, kept, content = copy / name, None, _original(source, name)
    original = sha256(content).hexdigest()
    if _hash(place) not in (None, original, _manifest(copy).get(name)):
        number = 1
        while (kept := place.with_stem(f"{place.stem}-mine-{number}")).exists():
            number += 1
        place.rename(kept)
    _put(content, place)
    _write(copy, _manifest(copy) | {name: original})
    return kept


def in_words(behind: Sequence[str]) -> str:
    """One sentence about copies that stay as they are, and how to have their originals."""
    stems = [Path(name).stem for name in behind]
    names = ", ".join(stems)
    changed = "the original changed" if len(stems) == 1 else "the originals changed"
    return (
        f"Yours stay as they are, though {changed} since: {names} (fmlora lab --fresh "
        f"{stems[0].partition('_')[0]} opens the original, and keeps yours under another name)."
    )


def _manifest(copy: Path) -> dict[str, str]:
    """What each copy was made of; nothing where that is not known: then all of it is yours."""
    try:
        found = json.loads((copy / MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(copy: Path, made_of: dict[str, str]) -> None:
    part = copy / f"{MANIFEST}.part"
    part.write_text(json.dumps(made_of, indent=1), encoding="utf-8")
    os.replace(part, copy / MANIFEST)


def _original(source: Path, name: str) -> bytes:
    """The content of a copy as it is before anybody works in it."""
    folder, _, file = name.rpartition("/")
    if folder == WORKSHOP:
        from fmlora_kit.commands.workshop_build import written  # needs what JupyterLab brings

        return written(source / name).encode()
    return (source / (WORKSHOP if folder == SOLVED else "") / file).read_bytes()


def _put(content: bytes, place: Path) -> None:
    """Write whole or not at all: half a notebook would look like somebody's work."""
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f"{place.name}.part")
    part.write_bytes(content)
    os.replace(part, place)


def _hash(path: Path) -> str | None:
    return sha256(path.read_bytes()).hexdigest() if path.is_file() else None
