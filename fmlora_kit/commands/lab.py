"""Open the notebooks in JupyterLab, from anywhere: ``fmlora lab``.

    fmlora lab                       the first notebook
    fmlora lab 07                    another one, by how its name begins
    fmlora lab --fresh 07            the original again; yours is kept under another name
    fmlora lab w1                    the first of the workshop, as students have it
    fmlora lab --solved w1           the same with its solution
    fmlora lab -- --no-browser       what stands behind -- is JupyterLab's

What opens is a copy, in the folder fmlora_notebooks: of the checkout, or of where you are if the
package is installed without its source. It stays yours, see `commands.lab_copy`.

JupyterLab is told to fetch no news and to look for no updates, in whatever environment it runs, and
given a style sheet for figures.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from fmlora_kit.commands import lab_copy
from fmlora_kit.commands.arguments import make_parser

SETTINGS = Path(__file__).parent / "jupyter"  # holds labconfig/, which JupyterLab reads
LOOK = {"static_custom_path": [str(SETTINGS / "custom")]}  # where JupyterLab finds a style sheet
FIRST = "01_quickstart.ipynb"
NO_NOTEBOOKS = (
    "the notebooks are neither in the installed package nor in {} or above it. Install it again, "
    "or fetch the source, and run fmlora lab inside of it"
)
NO_LAB = "JupyterLab is not installed: pip install 'fmlora_kit[notebooks]'"
EXAMPLE = "fmlora lab 01\nfmlora lab --fresh 07\nfmlora lab --solved w1"


def main(arguments: Sequence[str] | None = None) -> int:
    """Open a notebook; return JupyterLab's exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    cut = words.index("--") if "--" in words else len(words)
    parser = make_parser("lab", "Open a copy of the notebooks in JupyterLab.", EXAMPLE)
    about = "how its name begins; default: %(default)s"
    parser.add_argument("notebook", nargs="?", default="01", help=about)
    about = "open the original again, and keep what you made of it under another name"
    parser.add_argument("--fresh", action="store_true", help=about)
    about = "of the workshop's notebooks open those with the solutions"
    parser.add_argument("--solved", action="store_true", help=about)
    parser.usage = "fmlora lab [--fresh] [--solved] [NOTEBOOK] [-- options of JupyterLab]"
    asked = parser.parse_args(words[:cut])
    source = find_notebooks()
    folder, behind = find_workplace(source), ()
    if folder != source:
        if not folder.exists():
            print(f"Notebooks to work in: {folder}. The originals stay as they are.")
        try:
            behind = lab_copy.refresh(source, folder, solved=asked.solved)
        except ModuleNotFoundError as error:  # nbconvert, which JupyterLab brings
            raise ImportError(NO_LAB) from error
    workshop = lab_copy.SOLVED if asked.solved else lab_copy.WORKSHOP
    places = folder, folder / workshop
    found = [p for place in places for p in sorted(place.glob("*.ipynb"), key=lambda p: p.stem)]
    chosen = next((path for path in found if path.name.startswith(asked.notebook)), None)
    if chosen is None:
        names = ", ".join(path.stem for path in found)
        parser.error(f"NOTEBOOK must begin like one of {names}, got {asked.notebook!r}")
    if asked.fresh:
        name = chosen.relative_to(folder).as_posix()
        if folder == source or name not in lab_copy.originals(source, solved=asked.solved):
            rule = "be asked of a notebook whose original comes with the kit"
            parser.error(f"--fresh must {rule}, got {chosen}")
        if kept := lab_copy.copy_again(source, folder, name):
            print(f"Yours is kept: {kept}")
        behind = [each for each in behind if each != name]
    if behind:
        print(lab_copy.in_words(behind))
    return open_lab(chosen, folder.parent, words[cut + 1 :])


def find_notebooks() -> Path:
    """The folder of the notebooks: this checkout's, one here or above, the installed package's.

    FileNotFoundError if there is none of them.
    """
    here, package = Path.cwd(), Path(__file__).parents[1]
    places = [root / "notebooks" for root in (package.parent, here, *here.parents)]
    for place in (*places, package / "_notebooks"):
        if (place / FIRST).is_file():
            return place
    raise FileNotFoundError(NO_NOTEBOOKS.format(here))


def find_workplace(source: Path) -> Path:
    """Where the notebooks of ``source`` are worked in: a folder that need not be there yet.

    A checkout has it beside the originals. For those of an installed package it is the nearest one
    that was made, here or above, or else to be made here. Other notebooks are somebody's already,
    such as the installed workshop's: they are worked in where they are.
    """
    if (source.parent / "pyproject.toml").is_file():
        return source.parent / lab_copy.NAME
    if source.name == "notebooks":
        return source
    here = Path.cwd()
    places = [root / lab_copy.NAME for root in (here, *here.parents)]
    return next((p for p in places if (p / lab_copy.MANIFEST).is_file()), places[0])


def open_lab(notebook: Path, root: Path, options: Sequence[str] = ()) -> int:
    """Run JupyterLab in this process, in the folder ``root``; or ImportError."""
    paths = [str(SETTINGS), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, paths))
    os.environ.setdefault("PLOTLY_RENDERER", "plotly_mimetype")
    try:
        labapp = import_module("jupyterlab.labapp")
    except ModuleNotFoundError as error:
        raise ImportError(NO_LAB) from error
    look = ["--LabApp.custom_css=True", f"--ServerApp.tornado_settings={LOOK}"]
    return labapp.main([f"--ServerApp.root_dir={root}", str(notebook), *look, *options]) or 0
