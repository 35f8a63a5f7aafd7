"""An afternoon's workshop: ``fmlora workshop check | build | slides | wheelhouse``.

    fmlora workshop check              is this laptop ready? One line says yes, or what to do
    fmlora workshop build              notebooks for students: build/workshop
    fmlora workshop slides             build/workshop/slides.html, one file, no network
    fmlora workshop wheelhouse         all that a laptop without a network needs, for a memory stick

``check`` is for every laptop; the others are for the teacher, in a checkout of the source.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from fmlora_kit.checks import shown
from fmlora_kit.commands.arguments import add_command, folder, make_parser, names, out_folder, whole
from fmlora_kit.commands.lab import find_notebooks
from fmlora_kit.commands.workshop_check import NotReadyError, looks

ABOUT = "An afternoon's workshop: check a laptop, make what the students get."
BUILT = Path("build/workshop")
TITLE = "FM-LoRA in an afternoon"
PLATFORMS = ("linux", "macos", "windows")
CHECK = "fmlora workshop check --seconds 10"
BUILD = "fmlora workshop build --out build/workshop --reading build/reading"
SLIDES = "fmlora workshop slides --out build/workshop"
WHEELHOUSE = "fmlora workshop wheelhouse --platforms linux,windows --python 3.12"
SCREEN = 'class="screen"'
GREEN, PLAIN = "\x1b[32m", "\x1b[0m"
NO_SOURCES = (
    "the workshop's notebooks come with the source of fmlora_kit: there are none in {}. Fetch the "
    "source, and run this inside of it"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what was asked for; return 0, or 1 if a laptop is not ready."""
    asked = _parse(arguments)
    return {"check": check, "build": build, "slides": slides, "wheelhouse": wheelhouse}[asked.what](
        asked
    )


def check(asked: argparse.Namespace) -> int:
    """One green line, or what to do."""
    found = []
    for look in looks(asked.folder, asked.seconds):
        try:
            found.append(look())
        except NotReadyError as error:
            print(f"fmlora workshop check: not ready: {error}", file=sys.stderr)
            return 1
    line = f"ready: {', '.join(found)}"
    in_colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    print(f"{GREEN}{line}{PLAIN}" if in_colour else line)
    return 0


def build(asked: argparse.Namespace) -> int:
    """The students' notebooks, and on demand the numbered ones to be read."""
    from fmlora_kit.commands import workshop_build

    made = workshop_build.build(sources(asked.notebooks), asked.out, force=asked.force)
    print(f"{len(made)} notebooks without solutions and outputs: {asked.out}")
    if asked.reading:
        make, numbered = workshop_build.for_reading, sorted(find_notebooks().glob("[0-9]*.ipynb"))
        made = workshop_build.build(numbered, asked.reading, make, force=asked.force)
        print(f"{len(made)} notebooks without outputs: {asked.reading}")
    return 0


def slides(asked: argparse.Namespace) -> int:
    """All slides in one HTML file."""
    from fmlora_kit.commands.pages.slides import slides as make

    page, path = make(sources(asked.notebooks), TITLE), asked.out / "slides.html"
    asked.out.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    print(f"{page.count(SCREEN)} slides: {path}")
    return 0


def wheelhouse(asked: argparse.Namespace) -> int:
    """A folder for a memory stick."""
    from fmlora_kit.commands import workshop_wheelhouse

    sources()  # or there is nothing to put on it
    print(workshop_wheelhouse.fill(asked.out, asked.platforms, asked.python, asked.torch_index))
    return 0


def sources(place: Path | None = None) -> list[Path]:
    """The solved notebooks of the workshop, in their order; or FileNotFoundError."""
    place = place or find_notebooks() / "workshop"
    found = sorted(place.glob("*.ipynb"))
    if not found:
        raise FileNotFoundError(NO_SOURCES.format(place))
    return found


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser("workshop", ABOUT, "fmlora workshop check")
    add = partial(add_command, parser.add_subparsers(dest="what", metavar="WHAT", required=True))
    looking = add("check", "say whether this laptop is ready, or what to do", CHECK)
    building = add("build", "make the students' notebooks of the solved ones", BUILD)
    showing = add("slides", "make one HTML file of the cells tagged slide", SLIDES)
    packing = add("wheelhouse", "fill a folder to install from without a network", WHEELHOUSE)
    add = looking.add_argument
    here, text = Path(), "where the notebooks are to be worked on; default: here"
    add("--folder", type=folder, default=here, help=text)
    add("--seconds", type=whole(0, 600), default=10, help="of training; default: %(default)s")
    for each in (building, showing):
        text = "folder of the solved notebooks; default: those of the kit"
        each.add_argument("--notebooks", type=folder, help=text)
        each.add_argument("--out", type=out_folder, default=BUILT, help="default: %(default)s")
    add = building.add_argument
    add("--reading", type=out_folder, help="also the numbered notebooks without outputs, there")
    add("--force", action="store_true", help="write over notebooks that are there")
    add, out = packing.add_argument, Path("build/wheelhouse")
    add("--out", type=out_folder, default=out, help="a new folder; default: %(default)s")
    text = f"of the laptops, with commas: {', '.join(PLATFORMS)}; default: this one's"
    add("--platforms", type=names(list(PLATFORMS)), default=None, help=text)
    text = "version of the laptops' Python; default: this one's"
    add("--python", type=_version, default="{}.{}".format(*sys.version_info), help=text)
    text = "the index that PyTorch's page names for Linux without CUDA; default: with CUDA (3 GB)"
    add("--torch-index", default="none", help=text)
    return parser.parse_args(arguments)


def _version(text: str) -> str:
    if not re.fullmatch(r"3\.(1[1-9]|[2-9]\d)", text):
        raise argparse.ArgumentTypeError(f"must be one like 3.12, got {shown(text)}")
    return text
