"""The rooms of the package import one way, and nothing right of the record knows torch."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "fmlora_kit"
LEFT = ("streams", "backbones", "adapters", "methods", "training")
RIGHT = ("record", "analysis", "figures", "widgets")
LIVE = ("probes",)  # take a live model, hand plain arrays on to the analysis
SHARED = ("interchange",)  # other formats
ALL = "checks"  # serves every room, imports none
PAGES = ("commands/pages",)  # write HTML from what is right of the record
LAST = ("workshop",)  # teaches with all of them; only commands may import it
MODEL_PACKAGES = {"torch", "torchvision", "timm", "captum"}
# Seconds for every kernel and worker, and most need none of them: a function imports its own.
SLOW = {"sklearn", "scipy", "pandas", "matplotlib", "captum"}
PICKLES = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}

# A program is run, not imported: it may use every room, and print. ruff's table names them.
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAY_PRINT = SETTINGS["tool"]["ruff"]["lint"]["per-file-ignores"]
PROGRAMS = {path for place in MAY_PRINT if place.startswith(PACKAGE) for path in ROOT.glob(place)}
PROGRAMS.add(ROOT / PACKAGE / "__main__.py")

FILES = sorted((ROOT / PACKAGE).rglob("*.py"))
TREES = {path: ast.parse(path.read_text()) for path in FILES}
LIBRARY = [path for path in FILES if path not in PROGRAMS]
ROOMS = {*LEFT, *RIGHT, *LIVE, *SHARED, *PAGES, *LAST}


def short(path):
    return str(path.relative_to(ROOT))


def room(path):
    """Return the first part of a file's place inside the package: a room, or a lone module."""
    return room_at(path.relative_to(ROOT / PACKAGE).with_suffix("").as_posix())


def room_at(place):
    """Return the room of a place inside the package, such as analysis/accuracy."""
    inner = [name for name in PAGES if f"{place}/".startswith(f"{name}/")]
    return inner[0] if inner else place.split("/")[0]


def imported(path):
    """Return the full names of all that a file imports, at its top or inside a function."""
    names = set()
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            folder = path.relative_to(ROOT).parts[:-1]
            above = folder[: len(folder) + 1 - node.level] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return names


def allowed(name):
    """Return the rooms that files of one room may import from."""
    if name in LIVE:
        return {*LEFT, "record", "analysis", name}
    if name in LAST:
        return {*ROOMS - {*PAGES}, ""}  # and the package itself, as a notebook has it
    if name in PAGES:
        return {"record", "analysis", "figures", name}
    if name in SHARED:
        return {*LEFT, "record", name}
    if name in LEFT:
        return {*LEFT[: LEFT.index(name) + 1], *(["record"] if name == "training" else [])}
    return set(RIGHT[: RIGHT.index(name) + 1])


def test_every_file_of_the_package_lies_in_a_known_room():
    assert {room(path) for path in FILES} >= ROOMS
    for path in LIBRARY:
        assert room(path) in {*ROOMS, ALL, "__init__"}, short(path)


@pytest.mark.parametrize("path", LIBRARY, ids=short)
def test_imports_run_from_left_to_right(path):
    own = {name for name in imported(path) if name.split(".")[0] == PACKAGE}
    targets = {room_at("/".join(name.split(".")[1:])) for name in own}
    rooms = set() if room(path) in (ALL, "__init__") else {*allowed(room(path)), ALL}
    wrong = {name for name in targets - rooms if not name.startswith("_")}
    assert not wrong, f"{short(path)} imports {PACKAGE}.{wrong}, may import {rooms or 'no room'}"


@pytest.mark.parametrize("path", [p for p in LIBRARY if room(p) in RIGHT], ids=short)
def test_nothing_right_of_the_record_imports_torch(path):
    found = {name for name in imported(path) if name.split(".")[0] in MODEL_PACKAGES}
    assert not found | {name for name in imported(path) if name.startswith("safetensors.torch")}


@pytest.mark.parametrize("path", [p for p in LIBRARY if room(p) == "record"], ids=short)
def test_the_record_needs_numpy_and_safetensors_only(path):
    packages = {name.split(".")[0] for name in imported(path)} - set(sys.stdlib_module_names)
    asked = {"pandas"} if path.name == "record.py" else set()  # inside `to_frame` alone
    assert packages <= {PACKAGE, "numpy", "safetensors", *asked}


def test_a_saved_run_opens_without_loading_torch_or_what_is_slow_to_load():
    places = [PACKAGE, *(f"{PACKAGE}.{name}" for name in RIGHT)]
    code = f"import sys\nfor name in {places}:\n    __import__(name); print(name, *sys.modules)"
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name, line in zip(places, done.stdout.splitlines(), strict=True):
        first, *loaded = line.split()
        assert first == name in loaded
        assert not (MODEL_PACKAGES | SLOW) & set(loaded), name


@pytest.mark.parametrize("path", FILES, ids=short)
def test_what_is_slow_to_load_is_imported_where_it_is_used(path):
    top = TREES[path].body
    names = {alias.name for node in top if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in top if isinstance(node, ast.ImportFrom) and node.module}
    assert not {name.split(".")[0] for name in names} & SLOW


@pytest.mark.parametrize("path", LIBRARY, ids=short)
def test_the_library_does_not_print(path):
    calls = [node.func for node in ast.walk(TREES[path]) if isinstance(node, ast.Call)]
    assert not [f.lineno for f in calls if isinstance(f, ast.Name) and f.id == "print"]


@pytest.mark.parametrize("path", FILES, ids=short)
def test_nothing_is_pickled(path):
    assert not {name.split(".")[0] for name in imported(path)} & PICKLES
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert (node.value.id, node.attr) not in {("torch", "load"), ("torch", "save")}
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert isinstance(node.value, ast.Constant) and node.value.value is False
