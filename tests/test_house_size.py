"""A house seen at a glance: few entries, short files, few exported names, no import circle."""

import ast
import importlib
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "fmlora_kit"
FILES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


def module(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path): path for path in FILES}


def imported_at_the_top(path):
    """Return the package's modules that a file imports when it is loaded, not inside functions."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= inner if inner <= MODULES.keys() else {*inner, node.module}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name for name in names if name in MODULES}


def test_the_package_has_few_entries():
    assert len([path for path in PACKAGE.iterdir() if path.name != "__pycache__"]) <= 16


def test_every_file_is_short():
    lines = {module(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: n for name, n in lines.items() if n > 500} == {}


def test_the_rooms_export_few_names():
    exported = {
        room: getattr(importlib.import_module(f"fmlora_kit.{room}"), "__all__", [])
        for room in ROOMS
    }
    assert sum(map(len, exported.values())) <= 150, {k: len(v) for k, v in exported.items()}
    assert len(exported["analysis"]) <= 45
    for room, names in exported.items():
        there = importlib.import_module(f"fmlora_kit.{room}")
        assert [name for name in names if not hasattr(there, name)] == [], room


def test_no_module_imports_itself_through_others():
    """A room's __init__ imports its files: files that import their own room would be a circle."""
    order = TopologicalSorter(
        {name: imported_at_the_top(path) - {name} for name, path in MODULES.items()}
    )
    order.prepare()  # raises CycleError, which names the circle
