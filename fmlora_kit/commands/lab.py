"""Open the notebooks in JupyterLab, from anywhere: ``fmlora lab``.

    fmlora lab                       the first notebook
    fmlora lab 07                    another one, by how its name begins
    fmlora lab w1                    the first of the workshop, as students have it once it is built
    fmlora lab -- --no-browser       what stands behind -- is JupyterLab's

JupyterLab is told to fetch no news and to look for no updates, in whatever environment it runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from fmlora_kit.commands.arguments import make_parser

SETTINGS = Path(__file__).parent / "jupyter"  # holds labconfig/, which JupyterLab reads
FIRST = "01_*.ipynb"
BUILT = Path("build/workshop")  # where `fmlora workshop build` puts the students' notebooks
NO_NOTEBOOKS = (
    "the notebooks come with the source of fmlora_kit, not with the installed package: there are "
    "none in {} or above it. Fetch the source, and run fmlora lab inside of it"
)
NO_LAB = "JupyterLab is not installed: pip install 'fmlora_kit[notebooks]'"


def main(arguments: Sequence[str] | None = None) -> int:
    """Open a notebook; return JupyterLab's exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    cut = words.index("--") if "--" in words else len(words)
    parser = make_parser("lab", "Open the notebooks in JupyterLab.", "fmlora lab 01")
    about = "how its name begins; default: %(default)s"
    parser.add_argument("notebook", nargs="?", default="01", help=about)
    parser.usage = "fmlora lab [NOTEBOOK] [-- options of JupyterLab]"
    asked = parser.parse_args(words[:cut])
    folder = find_notebooks()
    built, solved = folder.parent / BUILT, folder / "workshop"  # nobody is shown a solution unasked
    workshop = sorted((built if any(built.glob("*.ipynb")) else solved).glob("*.ipynb"))
    found = [*sorted(folder.glob("*.ipynb")), *workshop]
    chosen = next((path for path in found if path.name.startswith(asked.notebook)), None)
    if chosen is None:
        names = ", ".join(path.stem for path in found)
        parser.error(f"NOTEBOOK must begin like one of {names}, got {asked.notebook!r}")
    return open_lab(chosen, folder.parent, words[cut + 1 :])


def find_notebooks() -> Path:
    """The folder of the notebooks, this checkout's or one here or above; or FileNotFoundError."""
    here = Path.cwd()
    for root in (Path(__file__).parents[2], here, *here.parents):
        if any((root / "notebooks").glob(FIRST)):
            return root / "notebooks"
    raise FileNotFoundError(NO_NOTEBOOKS.format(here))


def open_lab(notebook: Path, root: Path, options: Sequence[str] = ()) -> int:
    """Run JupyterLab in this process, in the folder ``root``; or ImportError."""
    paths = [str(SETTINGS), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, paths))
    os.environ.setdefault("PLOTLY_RENDERER", "plotly_mimetype")
    try:
        labapp = import_module("jupyterlab.labapp")
    except ModuleNotFoundError as error:
        raise ImportError(NO_LAB) from error
    return labapp.main([f"--ServerApp.root_dir={root}", str(notebook), *options]) or 0
