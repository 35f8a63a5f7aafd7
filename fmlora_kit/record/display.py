"""How a record looks as the last line of a notebook's cell: a few lines, and its accuracy matrix.

Colours come from the page, so that a dark theme reads as well as a light one. Names are escaped.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import numpy as np

SHOWN = 20  # tasks; of a longer stream the first ones and "…"
LINES = ("stream", "backbone", "adapted layers", "trained", "frozen", "head", "learning rates")
_SMALL = 'style="border-collapse: collapse; font-size: 90%"'
_CELL = 'style="text-align: right; padding: 1px 6px"'
_WORDS = 'style="text-align: left; padding: 1px 6px"'


def lines_as_html(title: str, lines: Mapping[str, str]) -> str:
    """A title and a table of texts by their labels, all escaped."""
    rows = "".join(
        f"<tr><th {_WORDS}>{escape(label)}</th><td {_WORDS}>{escape(text)}</td></tr>"
        for label, text in lines.items()
    )
    return f"<div><strong>{escape(title)}</strong><table {_SMALL}>{rows}</table></div>"


def matrix_as_html(names: tuple[str, ...], accuracy: np.ndarray) -> str:
    """Accuracy in percent, a row for each task learned: (t, T) fractions, NaN is left empty."""
    n = min(len(names), SHOWN)
    more = "…" if len(names) > SHOWN else ""
    head = "".join(f"<th {_CELL}>{escape(name)}</th>" for name in (*names[:n], *more))
    rows = []
    for name, row in zip(names[:n], accuracy[:n, :n], strict=True):
        cells = ["" if np.isnan(a) else f"{100 * a:.1f}" for a in row] + [*more]
        inside = "".join(f"<td {_CELL}>{cell}</td>" for cell in cells)
        rows.append(f"<tr><th {_WORDS}>{escape(name)}</th>{inside}</tr>")
    rows += [f"<tr><th {_WORDS}>…</th></tr>"] if more else []
    caption = "accuracy in %: a row after each task learned, a column for each task tested"
    return (
        f'<table {_SMALL}><caption style="text-align: left">{caption}</caption>'
        f"<tr><th></th>{head}</tr>{''.join(rows)}</table>"
    )
