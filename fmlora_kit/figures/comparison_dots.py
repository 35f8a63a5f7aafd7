"""Final accuracy of many methods on several streams, with intervals: a panel per stream."""

from __future__ import annotations

import math
from collections.abc import Mapping

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fmlora_kit.analysis.comparison import Comparison, Row
from fmlora_kit.analysis.names import BOUND, OURS, display_name
from fmlora_kit.analysis.render import percent
from fmlora_kit.figures.template import INK, OKABE_ITO, TEMPLATE, short

_OURS_STYLE = {"color": OKABE_ITO[1], "symbol": "diamond", "size": 11}
_OTHER_STYLE = {"color": OKABE_ITO[0], "symbol": "circle", "size": 8}
_ROW = 21  # pixels per method


def comparison_dots(comparisons: Mapping[str, Comparison]) -> go.Figure:
    """Mean final accuracy and 95% interval per method, the best on top, a panel per stream.

    FM-LoRA is a diamond in a colour of its own; joint training is a dashed line: a bound.

    Args:
        comparisons: by the label of their panel, what `fmlora_kit.analysis.compare_records` gives.

    Raises:
        ValueError: there is nothing to draw.
    """
    if not comparisons:
        raise ValueError("comparisons must hold at least one comparison; got none")
    n_cols = min(2, len(comparisons))
    n_rows = math.ceil(len(comparisons) / n_cols)
    figure = make_subplots(
        rows=n_rows,
        cols=n_cols,
        subplot_titles=tuple(comparisons),
        horizontal_spacing=0.19,
        vertical_spacing=0.15 / n_rows if n_rows > 1 else 0,
        specs=[
            [{} if n_cols * row + col < len(comparisons) else None for col in range(n_cols)]
            for row in range(n_rows)
        ],
    )
    for place, comparison in enumerate(comparisons.values()):
        _panel(figure, comparison, 1 + place // n_cols, 1 + place % n_cols)
        if place + n_cols >= len(comparisons):
            at = {"row": 1 + place // n_cols, "col": 1 + place % n_cols}
            figure.update_xaxes(title_text="final accuracy, %", **at)
    figure.update_annotations(font_size=13.5)
    _legend(figure, comparisons)
    tallest = max(len(_learners(comparison)) for comparison in comparisons.values())
    figure.update_layout(
        template=TEMPLATE,
        title={"text": "Final accuracy", "subtitle": {"text": _subtitle(comparisons)}},
        height=160 + n_rows * (40 + _ROW * tallest),
        margin={"t": 90, "l": 140, "b": 85},
        legend={"orientation": "h", "y": 0, "yref": "container", "x": 0.5, "xanchor": "center"},
    )
    return figure


def _panel(figure: go.Figure, comparison: Comparison, row: int, col: int) -> None:
    rows = _learners(comparison)
    for mine, style in ((True, _OURS_STYLE), (False, _OTHER_STYLE)):
        places = [place for place, each in enumerate(rows) if (each.method == OURS) == mine]
        if places:
            figure.add_trace(_dots(rows, places, style), row=row, col=col)
    bound = [each.final_accuracy.mean for each in comparison.rows if each.method == BOUND]
    for mean in bound:
        figure.add_trace(_bound(100 * mean, len(rows)), row=row, col=col)
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=[_label(each) for each in rows],
        range=[len(rows) - 0.4, -0.6],
        tickfont={"size": 11.5},
        row=row,
        col=col,
    )
    figure.update_xaxes(range=_span(comparison), row=row, col=col)


def _dots(rows: list[Row], places: list[int], style: dict) -> go.Scatter:
    shown = [rows[place] for place in places]
    return go.Scatter(
        x=[100 * each.final_accuracy.mean for each in shown],
        y=places,
        mode="markers",
        marker={**style, "line": {"color": "white", "width": 1}},
        error_x={
            "array": [100 * each.final_accuracy.ci95 for each in shown],
            "color": style["color"],
            "thickness": 1.8,
            "width": 4,
        },
        customdata=[_hover(each) for each in shown],
        hovertemplate="%{customdata}<extra></extra>",
        showlegend=False,
    )


def _bound(mean: float, n: int) -> go.Scatter:
    return go.Scatter(
        x=[mean, mean],
        y=[-0.6, n - 0.4],
        mode="lines",
        line={"color": INK, "dash": "dash", "width": 1.5},
        hovertemplate=f"{display_name(BOUND)}: {mean:.1f} %<extra></extra>",
        showlegend=False,
    )


def _span(comparison: Comparison) -> list[float]:
    """Percent from below the lowest interval to above the highest, so that no end is cut off."""
    ends = [row.final_accuracy.mean for row in comparison.rows]
    for row in _learners(comparison):
        ends += [row.final_accuracy.low, row.final_accuracy.high]
    ends = [100 * end for end in ends if not math.isnan(end)]
    if not ends:
        return [0, 100]
    pad = 0.05 * (max(ends) - min(ends)) or 1
    return [min(ends) - pad, max(ends) + pad]


def _legend(figure: go.Figure, comparisons: Mapping[str, Comparison]) -> None:
    """Entries of their own, so that they stand there whatever the first panel lacks."""
    methods = {row.method for comparison in comparisons.values() for row in comparison.rows}
    entries: dict[str, dict] = {}
    if OURS in methods:
        entries[display_name(OURS)] = {"mode": "markers", "marker": _OURS_STYLE}
    if methods - {OURS, BOUND}:
        entries["other methods"] = {"mode": "markers", "marker": _OTHER_STYLE}
    if BOUND in methods:
        line = {"color": INK, "dash": "dash", "width": 1.5}
        entries[f"{display_name(BOUND)}, a bound"] = {"mode": "lines", "line": line}
    for name, look in entries.items():
        figure.add_trace(go.Scatter(x=[None], y=[None], name=name, **look), row=1, col=1)


def _learners(comparison: Comparison) -> list[Row]:
    return [row for row in comparison.rows if row.method != BOUND]


def _label(row: Row) -> str:
    name = short(display_name(row.method), 20)
    return f"<b>{name}</b>" if row.method == OURS else name


def _hover(row: Row) -> str:
    n = len(row.seeds)
    return f"{display_name(row.method)}: {percent(row.final_accuracy)} %, {n} seed{'s' * (n > 1)}"


def _subtitle(comparisons: Mapping[str, Comparison]) -> str:
    seeds = {len(row.seeds) for each in comparisons.values() for row in each.rows}
    if seeds == {1}:
        return "One seed, so no intervals; the best on top"
    span = str(max(seeds)) if len(seeds) == 1 else f"{min(seeds)} to {max(seeds)}"
    return f"Mean over {span} seeds, and its 95 % interval; the best on top"
