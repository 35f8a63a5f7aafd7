"""Methods compared: dots with intervals, a table per stream, a table of metrics with formulas."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from fmlora_kit.analysis.accuracy import DEFINITIONS
from fmlora_kit.analysis.comparison import METRICS, Comparison, Row, make_rows, tied
from fmlora_kit.analysis.formats import COSTS, count, formula, percent, words
from fmlora_kit.analysis.names import BOUND, NAMES, OURS, display_name
from fmlora_kit.analysis.tables import GAIN, note, table_cells, title
from fmlora_kit.figures.curves import Records, by_label
from fmlora_kit.figures.entry import draws
from fmlora_kit.figures.show import Figure
from fmlora_kit.figures.style import (
    INK,
    METHOD_STYLES,
    NEUTRAL,
    TEMPLATE,
    short,
)
from fmlora_kit.figures.table import Block, Table, bold

_OURS = METHOD_STYLES[OURS]
_OURS_STYLE = {"color": _OURS.color, "symbol": _OURS.symbol, "size": 11}
_OTHER_STYLE = {"color": NEUTRAL, "symbol": "circle", "size": 8}
_BOUND_LINE = {"color": INK, "dash": "dash", "width": 1.5}
_DOTS_ROW = 12.5  # pixels
_GAP = 52  # pixels between two panels: the upper one's ticks, the lower one's name
_ABOVE, _BELOW = 92, 72  # pixels


@draws(Comparison, alone=False, forms=(Mapping,))
def comparison_dots(comparisons: Mapping[str, Comparison]) -> go.Figure:
    """Mean final accuracy and 95% interval per method, the best on top, a panel per stream.

    FM-LoRA is a diamond in a colour of its own; joint training is a dashed line: a bound.

    Comparisons, from `fmlora_kit.analysis.compare_records`, by the label of their panel.
    """
    if not comparisons:
        raise ValueError("comparisons must hold at least one comparison, got none")
    n_cols = min(2, len(comparisons))
    n_rows = math.ceil(len(comparisons) / n_cols)
    tallest = max(len(comparison.learners) for comparison in comparisons.values())
    inside = n_rows * (8 + _DOTS_ROW * tallest) + (n_rows - 1) * _GAP  # pixels, from top to bottom
    figure = Figure().set_subplots(
        rows=n_rows,
        cols=n_cols,
        subplot_titles=tuple(comparisons),
        horizontal_spacing=0.19,
        vertical_spacing=_GAP / inside if n_rows > 1 else 0,
        specs=[
            [{} if n_cols * row + col < len(comparisons) else None for col in range(n_cols)]
            for row in range(n_rows)
        ],
    )
    for k, comparison in enumerate(comparisons.values()):
        at = {"row": 1 + k // n_cols, "col": 1 + k % n_cols}
        _add_panel(figure, comparison, at)
        if k + n_cols >= len(comparisons):
            figure.update_xaxes(title_text="final accuracy, %", **at)
    figure.update_annotations(font_size=13.5)
    _add_legend(figure, comparisons)
    figure.update_layout(
        template=TEMPLATE,
        title={"text": "Final accuracy", "subtitle": {"text": _subtitle(comparisons)}},
        height=_ABOVE + inside + _BELOW,
        margin={"t": _ABOVE, "l": 140, "b": _BELOW},
        legend={"orientation": "h", "y": 0, "yref": "container", "x": 0.5, "xanchor": "center"},
    )
    return figure


def _add_panel(figure: go.Figure, comparison: Comparison, at: dict) -> None:
    rows = comparison.learners
    for mine, style in ((True, _OURS_STYLE), (False, _OTHER_STYLE)):
        heights = [k for k, each in enumerate(rows) if (each.label == OURS) == mine]
        if heights:
            figure.add_trace(_dots([rows[k] for k in heights], heights, style), **at)
    for each in comparison.rows:
        if each.method == BOUND:
            mean = 100 * each.mean("final_accuracy")
            bound = go.Scatter(
                x=[mean, mean],
                y=[-0.6, len(rows) - 0.4],
                mode="lines",
                line=_BOUND_LINE,
                hovertemplate=f"{display_name(BOUND)}: {mean:.1f} %<extra></extra>",
                showlegend=False,
            )
            figure.add_trace(bound, **at)
    names = [(each.label, short(display_name(each.label), 20)) for each in rows]
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=[f"<b>{name}</b>" if label == OURS else name for label, name in names],
        range=[len(rows) - 0.4, -0.6],
        tickfont={"size": 11},
        **at,
    )
    figure.update_xaxes(range=_span(comparison), **at)


def _dots(rows: Sequence[Row], heights: list[int], style: dict) -> go.Scatter:
    return go.Scatter(
        x=[100 * each.final_accuracy.mean for each in rows],
        y=heights,
        mode="markers",
        marker={**style, "line": {"color": "white", "width": 1}},
        error_x={
            "array": [100 * each.final_accuracy.ci95 for each in rows],
            "color": style["color"],
            "thickness": 1.8,
            "width": 4,
        },
        customdata=[
            f"{display_name(each.label)}: {percent(each.final_accuracy)} %, "
            f"{len(each.seeds)} seed{'s' * (len(each.seeds) > 1)}"
            for each in rows
        ],
        hovertemplate="%{customdata}<extra></extra>",
        showlegend=False,
    )


def _span(comparison: Comparison) -> list[float]:
    """Percent from below the lowest interval to above the highest, so that no end is cut off."""
    ends = [row.final_accuracy.mean for row in comparison.rows]
    for row in comparison.learners:
        ends += [row.final_accuracy.low, row.final_accuracy.high]
    ends = [100 * end for end in ends if not math.isnan(end)]
    if not ends:
        return [0, 100]
    pad = 0.05 * (max(ends) - min(ends)) or 1
    return [min(ends) - pad, max(ends) + pad]


def _add_legend(figure: go.Figure, comparisons: Mapping[str, Comparison]) -> None:
    """Entries of their own, so that they stand there whatever the first panel lacks."""
    labels = {row.label for comparison in comparisons.values() for row in comparison.rows}
    entries: dict[str, dict] = {}
    if OURS in labels:
        entries[display_name(OURS)] = {"mode": "markers", "marker": _OURS_STYLE}
    if labels - {OURS, BOUND}:
        entries["other methods"] = {"mode": "markers", "marker": _OTHER_STYLE}
    if BOUND in labels:
        entries[f"{display_name(BOUND)}, a bound"] = {"mode": "lines", "line": _BOUND_LINE}
    for name, look in entries.items():
        figure.add_trace(go.Scatter(x=[None], y=[None], name=name, **look), row=1, col=1)


def _subtitle(comparisons: Mapping[str, Comparison]) -> str:
    seeds = {len(row.seeds) for each in comparisons.values() for row in each.rows}
    if seeds == {1}:
        return "One seed, so no intervals; the best on top"
    span = str(max(seeds)) if len(seeds) == 1 else f"{min(seeds)} to {max(seeds)}"
    return f"Mean over {span} seeds, and its 95 % interval; the best on top"


_HEADS = {
    "final accuracy, %": "final<br>accuracy, %",
    GAIN: "FM-LoRA<br>minus it,<br>points",
    "forgetting, %": "forgetting,<br>%",
    "parameters": "parameters,<br>first →<br>last task",
    "s per task": "s per<br>task",
}


@draws(Comparison)
def comparison_table(comparison: Comparison) -> Table:
    """A row per method, the best final accuracy first; joint training, a bound, last.

    Bold are the first method and those tied with it: see `fmlora_kit.analysis.tied`. FM-LoRA's row
    is shaded.
    """
    columns = table_cells(comparison, strong=bold)
    left = ("method", "stores", "frozen")
    block = Block(
        heads=[_HEADS.get(name, name) for name in columns],
        columns=list(columns.values()),
        words=[k for k, name in enumerate(columns) if name in left],
        marked=[k for k, row in enumerate(comparison.rows) if row.method == OURS],
    )
    return Table(title(comparison), note(comparison), (block,))


_SIZES = tuple(name for name in COSTS if name != "seconds")  # seconds depend on the machine


@draws()
def metrics_table(records: Records, *, names: Sequence[str] = METRICS) -> Table:
    """A row per metric with its formula, a column per method.

    On one stream the best of a row is bold, and those tied with it: see `fmlora_kit.analysis.tied`.

    `names` are those of `fmlora_kit.analysis.DEFINITIONS`; the numbers trained and deployed follow
    them.
    """
    by_labels = by_label(records, across=True)
    rows = make_rows(by_labels, names)
    streams = dict.fromkeys(record.stream for runs in by_labels.values() for record in runs)
    marked = len(rows) > 1 and len(streams) == 1
    columns = _metric_columns(rows, names, marked)
    spread = " Mean over seeds ± half-width of the 95 % interval."
    several = any(len(row.seeds) > 1 for row in rows)
    return Table(
        f"Metrics: {', '.join(streams)}",
        f"{formula('a[t,i]')}: accuracy on the test images of task i after learning task t; "
        f"{formula('n_i')}: how many. "
        f"{'Bold: the best of a row.' if marked else ''}{spread if several else ''}",
        (Block(_heads(rows), columns, words=(0, 1)),),
    )


def _metric_columns(rows: Sequence[Row], names: Sequence[str], marked: bool) -> list[list[str]]:
    """What the rows of the figure are, how each is defined, and a column of cells per method."""
    one = Comparison("", "", tuple(rows))
    best = {name: tied(one, name=name) if marked else () for name in names}
    columns = [
        [words(name) for name in (*names, *_SIZES)],
        [formula(DEFINITIONS[name]) for name in names] + ["numbers"] * len(_SIZES),
    ]
    for row in rows:
        texts = {name: percent(row.interval(name), " %") for name in names}
        cells = [bold(t) if row.label in best[name] else t for name, t in texts.items()]
        columns.append(cells + [count(row.mean(name)) for name in _SIZES])
    return columns


def _heads(rows: Sequence[Row]) -> list[str]:
    heads = []
    for row in rows:
        seeds = f"<br>{len(row.seeds)} seeds" if len(row.seeds) > 1 else ""
        bound = "<br>a bound" if row.method == BOUND else ""
        heads.append(NAMES.get(row.label, row.label) + seeds + bound)
    return ["metric", "definition", *heads]
