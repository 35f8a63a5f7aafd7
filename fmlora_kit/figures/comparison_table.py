"""Methods on one stream as a table: accuracy, difference to FM-LoRA, what is stored and frozen."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import plotly.graph_objects as go

from fmlora_kit.analysis.comparison import Comparison
from fmlora_kit.analysis.names import BOUND, OURS
from fmlora_kit.analysis.render import GAIN, note, table_cells, title
from fmlora_kit.figures.template import new_figure

_HEADS = {
    "final accuracy, %": "final<br>accuracy, %",
    GAIN: "FM-LoRA<br>minus it,<br>points",
    "forgetting, %": "forgetting,<br>%",
    "parameters": "parameters,<br>first →<br>last task",
    "s per task": "s per<br>task",
}
# Pixels of a page of 1000.
_WIDTHS = {
    "method": 112,
    "final accuracy, %": 93,
    GAIN: 93,
    "forgetting, %": 82,
    "parameters": 108,
    "on disk": 70,
    "s per task": 48,
    "stores": 187,
    "frozen": 187,
}
_ROW, _LINE = 21, 14  # pixels: a row of one plain line, and each line of other rows
_PADDING = 14  # pixels that plotly adds to a row with markup: bold, or several lines
_LETTER = 5.9  # pixels, at the size of the cells
_FONT = 10.5
_FILLS = {OURS: "#e3eef7", BOUND: "#f2f2f2"}


def comparison_table(comparison: Comparison) -> go.Figure:
    """A row per method, the best final accuracy first; joint training, a bound, last.

    Bold are the first method and those tied with it: see `fmlora_kit.analysis.tied`.

    Args:
        comparison: what `fmlora_kit.analysis.compare_records` gives.
    """
    columns = table_cells(comparison, strong=lambda text: f"<b>{text}</b>")
    columns = {name: [_wrapped(name, text) for text in texts] for name, texts in columns.items()}
    rows = list(zip(*columns.values(), strict=True))
    heads = [f"<b>{_HEADS.get(name, name)}</b>" for name in columns]
    subtitle = textwrap.wrap(note(comparison), 148)
    top = 50 + 17 * len(subtitle)
    figure = new_figure(
        title(comparison),
        "<br>".join(subtitle),
        height=top + sum(map(_height, [heads, *rows])) + 20,
        margin={"l": 10, "r": 10, "t": top, "b": 10},
    )
    figure.add_trace(_drawn(comparison, columns, heads))
    return figure


def _drawn(comparison: Comparison, columns: dict[str, list[str]], heads: list[str]) -> go.Table:
    words = ("method", "stores", "frozen")
    align = ["left" if name in words else "right" for name in columns]
    look = {"align": align, "line": {"color": "#dddddd"}, "font": {"size": _FONT}}
    fills = [_FILLS.get(row.method, "white") for row in comparison.rows]
    return go.Table(
        header={"values": heads, "fill": {"color": "#f0f0f0"}, "height": _height(heads), **look},
        cells={
            "values": list(columns.values()),
            "height": _ROW,
            "fill": {"color": [fills] * len(columns)},
            **look,
        },
        columnwidth=[_WIDTHS[name] for name in columns],
    )


def _height(texts: Sequence[str]) -> int:
    """Pixels of a row."""
    n_lines = 1 + max(text.count("<br>") for text in texts)
    return _LINE * n_lines + _PADDING if any("<" in text for text in texts) else _ROW


def _wrapped(column: str, text: str) -> str:
    """Text in lines that fit its column; a line that is too long would be cut by plotly."""
    strong = text.startswith("<b>")
    letters = int((_WIDTHS[column] - 12) / (_LETTER * (1.1 if strong else 1)))
    bare = text.removeprefix("<b>").removesuffix("</b>") if strong else text
    lines = "<br>".join(textwrap.wrap(bare, letters))
    return f"<b>{lines}</b>" if strong else lines
