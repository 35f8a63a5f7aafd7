"""What a dashboard has to show: the same widget in this process, without a browser.

The twin is made from the values that the notebook gave its dashboard. Its controls are set here to
what the keys should have set them to in the page, and its figures are what the page should draw.
"""

from __future__ import annotations

import ast
import json
import math
import pickle
import re
from collections.abc import Collection
from pathlib import Path

import ipywidgets
import nbformat
import plotly.graph_objects as go
from bs4 import BeautifulSoup
from nbval_tolerance import PLOTLY, WIDGET, as_numbers

from fmlora_kit import widgets
from fmlora_kit.widgets.figure_box import FigureBox

CONTROLS = (
    ipywidgets.BoundedIntText,
    ipywidgets.Dropdown,
    ipywidgets.SelectMultiple,
    ipywidgets.ToggleButtons,
    ipywidgets.Checkbox,
)


def code_cells(path: Path) -> list:
    """The code cells of a stored notebook."""
    cells = nbformat.read(path, as_version=4).cells
    return [cell for cell in cells if cell.cell_type == "code"]


def dashboards(path: Path) -> dict[int, str]:
    """{place among the code cells: name of the widget's class} of the cells that show a widget."""
    shown = {
        k: re.match(r"(\w+)(?:\(children=|, a dashboard)", output.data["text/plain"])
        for k, cell in enumerate(code_cells(path))
        for output in cell.outputs
        if WIDGET in output.get("data", {})
    }
    return {k: name[1] for k, name in shown.items() if name}


def needed(path: Path, places: Collection[int]) -> list[int]:
    """Places of the code cells that give a name which the cells at ``places`` use, and these."""
    chosen, wanted = [], set()
    for k, cell in reversed([*enumerate(code_cells(path))]):
        nodes = [*ast.walk(ast.parse(cell.source))]
        given = {(n.asname or n.name).split(".")[0] for n in nodes if isinstance(n, ast.alias)}
        names = [n for n in nodes if isinstance(n, ast.Name)]
        given |= {n.id for n in names if isinstance(n.ctx, ast.Store)}
        if k in places or given & wanted:
            chosen.insert(0, k)
            wanted |= {n.id for n in names if isinstance(n.ctx, ast.Load)}
    return chosen


def make(notebook, path: Path, place: int, name: str):
    """The same dashboard in this process, made from the same values as the one in the page.

    The working directory has to be the folder that the notebook runs in.

    Args:
        notebook: the `NotebookPage` that has run it.
        path: of the stored notebook.
        place: of the cell that shows it.
        name: of the widget's class.

    Returns:
        The widget, and the first value that it was made from.
    """
    calls = [
        node
        for cell in code_cells(path)[: place + 1]
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == name
    ]
    values = ", ".join(ast.unparse(value) for value in calls[-1].args)
    named = ", ".join(f"{k.arg!r}: {ast.unparse(k.value)}" for k in calls[-1].keywords)
    file = Path("twin.pickle").resolve()
    notebook.ask(
        "import pathlib, pickle\n"
        f"pathlib.Path({str(file)!r}).write_bytes(pickle.dumps(([{values}], {{{named}}})))"
    )
    values, named = pickle.loads(file.read_bytes())  # our own kernel wrote it just now
    return getattr(widgets, name)(*values, **named), values[0]


def parts(widget, kind) -> list:
    """All parts of a widget that are of this kind, from top to bottom."""
    found = [widget] if isinstance(widget, kind) else []
    for child in getattr(widget, "children", ()):
        found += parts(child, kind)
    return found


def shown(widget) -> dict[str, list]:
    """The figures and the texts that a widget shows, as `NotebookPage.shown` gives them."""
    boxes = [box for box in parts(widget, FigureBox) if box.outputs]
    shown = [box.outputs[0]["data"] for box in boxes]
    texts = [BeautifulSoup(html.value, "html.parser") for html in parts(widget, ipywidgets.HTML)]
    return {
        "figures": [_figure(data[PLOTLY]) for data in shown if PLOTLY in data],
        "texts": [" ".join(text.get_text(" ").split()) for text in texts],
    }


def figure_data(figure: go.Figure) -> dict:
    """A plain figure as `NotebookPage.shown` gives it."""
    return _figure(json.loads(figure.to_json()))


def next_move(control) -> tuple[tuple[str, ...], object]:
    """Keys that move a control which has the focus, and the value it has after them.

    JupyterLab keeps arrow keys and Enter for itself, but for numbers and opened lists.
    """
    if isinstance(control, ipywidgets.Checkbox):
        return ("Space",), not control.value
    if isinstance(control, ipywidgets.BoundedIntText):
        on = control.value < control.max
        return ("ArrowUp" if on else "ArrowDown",), control.value + (1 if on else -1)
    values = [value for _, value in control._options_full]
    if isinstance(control, ipywidgets.SelectMultiple):
        first = control.value != (values[0],)
        return (("Home",), (values[0],)) if first else (("End",), (values[-1],))
    place = values.index(control.value)
    on = place + 1 < len(values)
    value = values[place + 1 if on else place - 1]
    if isinstance(control, ipywidgets.Dropdown):
        return ("Space", "ArrowDown" if on else "ArrowUp", "Enter"), value
    return ("Space",), value  # one of the ToggleButtons, which has the focus


def differences(expected, drawn, place: str = "") -> list[str]:
    """Where what is drawn is not what was expected; what plotly.js adds of its own is no matter."""
    if isinstance(expected, dict) and isinstance(drawn, dict):
        return [
            line
            for key, value in expected.items()
            for line in differences(value, drawn.get(key), f"{place}.{key}")
        ]
    if isinstance(expected, list) and isinstance(drawn, list) and len(expected) == len(drawn):
        pairs = enumerate(zip(expected, drawn, strict=True))
        return [line for k, (a, b) in pairs for line in differences(a, b, f"{place}[{k}]")]
    if isinstance(expected, (int, float)) and isinstance(drawn, (int, float)):
        if math.isclose(expected, drawn, rel_tol=1e-6, abs_tol=1e-9):
            return []
    return [] if expected == drawn else [f"{place}: {str(expected)[:60]} != {str(drawn)[:60]}"]


def _figure(figure: dict) -> dict:
    title = figure["layout"].get("title", {}).get("text", "")
    return {"data": _plain(figure["data"]), "title": title}


def _plain(value):
    """A figure's JSON with plotly's base64 arrays as lists; what is not finite is None."""
    if isinstance(value, dict) and "bdata" in value:
        return _plain(as_numbers(value).tolist())
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
