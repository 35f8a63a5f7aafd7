"""Whether a laptop is ready for the workshop: what is there, and ten seconds of training.

Each look says what it found, or, as an error of one line, what to do. Nothing of the kit's rooms is
imported before the packages are looked at: they are what may be missing.
"""

from __future__ import annotations

import math
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import import_module, metadata
from pathlib import Path

GIGABYTES = 1  # the records and outputs of an afternoon take far less
MODULES = {"pillow": "PIL", "scikit-learn": "sklearn"}  # the others are named as their package
MANAGER = "@jupyter-widgets/jupyterlab-manager"
AGAIN = "install again, as SETUP.md says"
ON_WINDOWS = "; if that does not help, install the Microsoft Visual C++ Redistributable"


class NotReadyError(Exception):
    """What is wrong with this laptop, and what to do, in one line."""


def looks(folder: Path, seconds: float) -> Iterator[Callable[[], str]]:
    """What is looked at, in an order in which the first that fails is the cause."""
    yield packages
    yield imports
    yield lambda: disk(folder)
    yield lambda: writable(folder)
    yield widgets
    yield lambda: training(seconds)


def packages() -> str:
    """The versions of Python and torch, if all that the notebooks need is there and new enough."""
    from packaging.specifiers import SpecifierSet

    python, bound = ".".join(map(str, sys.version_info[:3])), _about()["Requires-Python"]
    if python not in SpecifierSet(bound):
        raise NotReadyError(f"Python must be {bound}, got {python}: install a newer one")
    for requirement in _needed():
        name = requirement.name
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            raise NotReadyError(f"the package {name} is missing: {AGAIN}") from None
        if not requirement.specifier.contains(found, prereleases=True):
            rule = f"the package {name} must be {requirement.specifier}, got {found}"
            raise NotReadyError(f"{rule}: {AGAIN}")
    return f"Python {python}, torch {metadata.version('torch')}"


def imports() -> str:
    """How many packages load; a file of one may be lost, or made for another machine."""
    names = [MODULES.get(each.name, each.name) for each in _needed()]
    for name in names:
        try:
            import_module(name)
        except Exception as error:  # a broken library may raise anything
            said = " ".join(str(error).split())[:200] or type(error).__name__
            more = ON_WINDOWS if sys.platform == "win32" and name.startswith("torch") else ""
            raise NotReadyError(f"{name} does not load ({said}): {AGAIN}{more}") from None
    return f"{len(names)} packages load"


def disk(folder: Path) -> str:
    """How much of the disk is free."""
    free = shutil.disk_usage(folder).free / 1e9
    if free < GIGABYTES:
        rule = f"the disk of {folder.absolute()} must have {GIGABYTES} GB free, got {free:.1f} GB"
        raise NotReadyError(f"{rule}: empty the bin, or work on another disk with --folder")
    return f"{free:.0f} GB free"


def writable(folder: Path) -> str:
    """Whether a file can be written where the notebooks are, and read back."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"fmlora")
            file.flush()
    except OSError as error:
        rule = f"the folder {folder.absolute()} cannot be written ({error.strerror or error})"
        raise NotReadyError(f"{rule}: copy the notebooks into your own folder") from None
    return "the folder can be written"


def widgets() -> str:
    """Whether JupyterLab finds the half of ipywidgets that lives in the browser."""
    from jupyter_core.paths import jupyter_path

    from fmlora_kit.widgets.quiz import Quiz

    quiz = Quiz("Does it work?", {"yes": "Good.", "no": "Not yet."}, "yes")
    quiz.buttons["yes"].click()
    found = [Path(place) / MANAGER / "package.json" for place in jupyter_path("labextensions")]
    if not quiz.done or not any(path.is_file() for path in found):
        rule = "JupyterLab does not find its widgets (jupyterlab_widgets)"
        raise NotReadyError(f"{rule}: {AGAIN}, and start JupyterLab with fmlora lab")
    return "widgets work"


def training(seconds: float) -> str:
    """How many steps a second FM-LoRA trains on the CPU, measured for ``seconds``, one at least."""
    import torch

    import fmlora_kit as fk

    torch.set_num_threads(1)  # the quickest for a model this small
    stream = fk.streams.glyphs(n_tasks=1, n_train=20, n_test=1)
    model = fk.FMLoRA(fk.load_backbone("glyph_vit"), stream.n_classes, seed=0)
    budget, losses, began = fk.Budget(epochs=10_000), [], time.perf_counter()
    try:
        for step in fk.train_steps(model, stream[0], stream, budget):
            if step.phase == "training":
                losses.append(step.loss)
                if time.perf_counter() - began >= seconds:
                    break
            else:
                began = time.perf_counter()
    except (OSError, RuntimeError, ArithmeticError) as error:
        said = " ".join(str(error).split())[:200]
        raise NotReadyError(f"training failed ({said}): {AGAIN}, or share a laptop") from None
    if not math.isfinite(losses[-1]):
        raise NotReadyError("training gives no finite loss on this processor: share a laptop")
    speed = len(losses) / max(time.perf_counter() - began, 1e-9)
    return f"{speed:.1f} training steps a second"


def _about() -> metadata.PackageMetadata:
    try:
        return metadata.metadata("fmlora_kit")
    except metadata.PackageNotFoundError:
        raise NotReadyError(f"the package fmlora_kit is not installed: {AGAIN}") from None


def _needed() -> list:
    """What the kit and its notebooks ask for on this machine, as packaging's requirements."""
    from packaging.requirements import Requirement

    listed = map(Requirement, _about().get_all("Requires-Dist") or ())
    return [
        each
        for each in listed
        if each.marker is None
        or any(each.marker.evaluate({"extra": extra}) for extra in ("", "notebooks"))
    ]
