"""Figures as panels of a dashboard: small, with axes that stay put while their content moves."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from fmlora_kit.figures.show import Figure
from fmlora_kit.figures.style import new_figure

HEIGHT = 350  # pixels: two rows of panels fit on a laptop's screen
_CROWDED = 42  # letters of tick labels that fit side by side in half a page
_ROWS = 14  # that fit one above the other with their labels and numbers


def panel(figure: go.Figure, title: str, *, height: int = HEIGHT) -> go.Figure:
    """A copy of a figure, half a page wide: short title, no subtitle, no colour bar.

    The figure must have a single pair of axes.
    """
    small = Figure(figure)
    small.update_layout(
        title={"text": title, "subtitle": {"text": ""}, "font": {"size": 14}},
        height=height,
        margin={"l": 50, "r": 12, "t": 66 if small.layout.annotations else 44, "b": 40},
        legend={"orientation": "h", "y": -0.22, "yanchor": "top", "x": 0, "title": {"text": ""}},
        uniformtext={"minsize": 9, "mode": "hide"},  # of bars
    )
    small.update_traces(showscale=False, textfont_size=11, selector={"type": "heatmap"})
    for bars in small.select_traces({"type": "bar"}):  # the legend has the names
        bars.update(text=[label.rpartition("<br>")[2] for label in bars.text or ()])
        bars.update(constraintext="inside")
    small.update_annotations(font_size=10)
    rows = small.layout.yaxis.tickvals or ()
    if len(rows) > _ROWS:  # every few have a label; what the cells say is there on hovering
        every = math.ceil(len(rows) / _ROWS)
        small.update_yaxes(tickvals=rows[::every], ticktext=small.layout.yaxis.ticktext[::every])
        small.update_traces(texttemplate="", selector={"type": "heatmap"})
    ticks = small.layout.xaxis.ticktext or ()
    below, aside = 44, 38 + 6 * _letters(small.layout.yaxis.ticktext or ("100",))
    if sum(map(len, ticks)) > _CROWDED:
        small.update_xaxes(tickangle=-30, tickfont_size=11)
        below += 3 * _letters(ticks)
    # Room for labels is reckoned, not measured: plotly draws all again after measuring.
    small.update_layout(margin={"l": aside, "b": below})
    small.update_xaxes(automargin=False)
    small.update_yaxes(automargin=False)
    return small


def _letters(ticks: Sequence[str]) -> int:
    """Letters of the longest line of tick labels."""
    return max(len(line) for tick in ticks for line in tick.split("<br>"))


def frames(figures: Sequence[go.Figure | None], title: str) -> list[go.Figure]:
    """The same figure at several moments as panels that can replace each other.

    Axes and colour ranges are wide enough for all of them, so that nothing but the data moves.

    The last figure has all there is to see; others may be None, where there is nothing yet.
    """
    if not figures or figures[-1] is None:
        raise ValueError("figures must end in a figure, got none")
    drawn = [figure for figure in figures if figure is not None]
    small = [panel(figure, title) for figure in drawn]
    for axis in ("xaxis", "yaxis"):
        held = small[-1].layout[axis]
        same = {name: held[name] for name in ("tickvals", "ticktext", "tickangle", "tickfont")}
        extent = _extent(drawn, axis)
        for one in small:
            one.layout[axis].update(**same, range=extent, autorange=False)
    _share_colors(small)
    moving = iter(small)
    empty = notice(title, "Nothing to see yet")
    return [empty if figure is None else next(moving) for figure in figures]


def notice(title: str, text: str, *, height: int = HEIGHT) -> go.Figure:
    """A panel without data that says why there is none."""
    figure = new_figure(title, height=height, title_font_size=14)
    middle = {"x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper", "showarrow": False}
    figure.add_annotation(text=text, **middle, font={"size": 14})
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure


def _extent(figures: Sequence[go.Figure], axis: str) -> list[float]:
    """A range for all figures: around those they set, else around their cells and bars."""
    if figures[-1].layout[axis].range:
        ends = np.array([figure.layout[axis].range for figure in figures], dtype=float)
        return [ends[:, 0].min(), ends[:, 1].max()]
    traces = [np.asarray(trace[axis[0]], dtype=float) for trace in figures[-1].data]
    where = np.concatenate(traces)
    extent = [float(np.nanmin(where)) - 0.5, float(np.nanmax(where)) + 0.5]
    return extent[::-1] if figures[-1].layout[axis].autorange == "reversed" else extent


def _share_colors(figures: Sequence[go.Figure]) -> None:
    """Give the k-th heat map of every figure the widest colour range of all k-th heat maps."""
    for maps in zip(*(list(f.select_traces({"type": "heatmap"})) for f in figures), strict=True):
        low, high = min(m.zmin for m in maps), max(m.zmax for m in maps)
        for one in maps:
            one.update(zmin=low, zmax=high)
