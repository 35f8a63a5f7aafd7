"""A figure in words, for those who hear it and for pages that show no figure.

Title and subtitle as they stand, then what is drawn: where each line begins and ends, how high the
bars are, where a map is highest and lowest. Read off the figure itself, so that it holds for every
figure, one's own too, and says nothing that the picture does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html import unescape
from textwrap import shorten

import numpy as np
import plotly.graph_objects as go

from fmlora_kit.analysis.formats import count

MOST = 8  # lines, bars, maps or rows that are read out one by one
LONGEST = 1500  # letters: a minute and a half of speech
_TAG = re.compile(r"</?[a-z][^<>]*>")  # not the sign in "i<T"


def describe(figure: go.Figure) -> str:
    """What a figure shows, in plain text of a few sentences."""
    layout = figure.layout
    sentences = [strip(layout.title.text), strip(layout.title.subtitle.text)]
    sentences += [
        f"{across}: {strip(axis.title.text)}"
        for across, axis in (("Across", layout.xaxis), ("Up", layout.yaxis))
        if axis.title.text
    ]
    for heading, say in _KINDS.items():
        said = [words for trace in figure.data if (words := _say(say, figure, trace))]
        if said:
            more = f"; and {len(said) - MOST} more" if len(said) > MOST else ""
            sentences.append(f"{heading}: {'; '.join(said[:MOST])}{more}")
    if layout.images:
        sentences.append(f"{len(layout.images)} pictures")
    ends = (s if s.endswith((".", "?", "!")) else f"{s}." for s in sentences if s)
    return shorten(" ".join(ends), LONGEST, placeholder=" …") or "A figure."


def _say(say: Callable, figure: go.Figure, trace: object) -> str:
    """Words for a trace; none for one of an unknown make: the figure is shown all the same."""
    try:
        return say(figure, trace)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return ""


def _line(figure: go.Figure, trace: go.Scatter) -> str:
    if trace.type not in ("scatter", "scattergl") or "lines" not in (trace.mode or "lines"):
        return ""
    y = _numbers(trace.y)
    there = np.flatnonzero(np.isfinite(y))
    if not trace.name or there.size < 2 or trace.hoverinfo == "skip":
        return ""
    first, last = (_number(y[k]) for k in there[[0, -1]])
    course = f"{first} to {last}" if first != last else f"{first} throughout"
    low, high = _number(np.nanmin(y)), _number(np.nanmax(y))
    between = {low, high} - {first, last}
    return f"{strip(trace.name)}: {course}" + (f", between {low} and {high}" if between else "")


def _points(figure: go.Figure, trace: go.Scatter) -> str:
    if trace.type not in ("scatter", "scattergl") or "lines" in (trace.mode or "lines"):
        return ""
    there = [] if trace.x is None else [x for x in trace.x if x is not None]
    if not trace.name or not there or trace.hoverinfo == "skip":
        return ""
    if len(there) > 1:
        return f"{len(there)} of {strip(trace.name)}"
    return f"{strip(trace.name)} at {_label(there[0])}, {_label(trace.y[0])}"


def _bar(figure: go.Figure, trace: go.Bar) -> str:
    if trace.type != "bar" or trace.x is None or trace.y is None:
        return ""
    lying = trace.orientation == "h"
    names = _names(figure, trace, "y" if lying else "x")
    heights = _numbers(trace.x if lying else trace.y)
    if heights.size == 0:
        return ""
    if heights.size <= MOST:
        listed = ", ".join(f"{n} {_number(h)}" for n, h in zip(names, heights, strict=True))
    else:
        most = int(np.nanargmax(heights))
        listed = f"{heights.size} bars, highest {names[most]} {_number(heights[most])}"
    return f"{strip(trace.name)}: {listed}" if trace.name else listed


def _map(figure: go.Figure, trace: go.Heatmap) -> str:
    z = _numbers(trace.z) if trace.type == "heatmap" and trace.z is not None else np.empty(0)
    if z.ndim != 2 or not np.isfinite(z).any():
        return ""
    size = f"{z.shape[0]} rows, {z.shape[1]} columns"
    if np.nanmin(z) == np.nanmax(z):
        return f"{size}, all {_number(np.nanmax(z))}"
    rows, columns = _names(figure, trace, "y"), _names(figure, trace, "x")
    ends = []
    for word, pick in (("highest", np.nanargmax), ("lowest", np.nanargmin)):
        row, column = np.unravel_index(pick(z), z.shape)
        ends.append(f"{word} {_number(z[row, column])} at {rows[row]}, {columns[column]}")
    return f"{size}, {', '.join(ends)}"


def _table(figure: go.Figure, trace: go.Table) -> str:
    if trace.type != "table":
        return ""
    return listed(trace.header.values, trace.cells.values)


def listed(heads: Sequence[str], columns: Sequence[Sequence[str]]) -> str:
    """A table in words: its heads, and its rows as far as they are few."""
    rows = [" | ".join(map(strip, row)) for row in zip(*columns, strict=True)]
    more = f" ... {len(rows) - 2 * MOST} more rows" if len(rows) > 2 * MOST else ""
    return f"{' | '.join(map(strip, heads))}. " + ". ".join(rows[: 2 * MOST]) + more


_KINDS: dict[str, Callable[[go.Figure, object], str]] = {
    "Lines, first to last value": _line,
    "Bars": _bar,
    "Points": _points,
    "Maps": _map,
    "Table": _table,
}


def _names(figure: go.Figure, trace: object, axis: str) -> list[str]:
    """What stands at the places of a trace along "x" or "y"."""
    place = figure.layout[f"{axis}axis{(trace[f'{axis}axis'] or axis)[1:]}"]
    values = trace[axis]
    if values is None:
        values = range(np.shape(trace.z)[0 if axis == "y" else 1])
    if isinstance(values[0], list | tuple | np.ndarray):  # two levels of names
        values = [" ".join(map(str, levels)) for levels in zip(*values, strict=True)]
    return [_at_tick(value, place.tickvals, place.ticktext) for value in values]


def _at_tick(value: object, ticks: Sequence | None, texts: Sequence | None) -> str:
    """The name of the tick at a place: bars that stand side by side share one."""
    if ticks is not None and texts is not None and isinstance(value, int | float | np.number):
        for tick, text in zip(ticks, texts, strict=False):
            if isinstance(tick, int | float | np.number) and abs(tick - value) < 0.5:
                return strip(text)
    return _label(value)


def _numbers(values: object) -> np.ndarray:
    try:
        return np.array(values, dtype=float)
    except (TypeError, ValueError):  # names, or nothing
        return np.empty(0)


def _label(value: object) -> str:
    return _number(value) if isinstance(value, int | float | np.number) else strip(value)


def _number(value: float) -> str:
    """Three digits, as `count` has them from a thousand on."""
    if abs(value) >= 1000:
        return count(round(float(value)))
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def strip(text: object) -> str:
    """A text of plotly's without its marks, in one line."""
    if text is None:
        return ""
    return " ".join(unescape(_TAG.sub(" ", str(text))).split())
