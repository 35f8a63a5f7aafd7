"""Methods compared: dots with intervals, a table per stream, a table of metrics with formulas."""

from __future__ import annotations

import math
import re
import textwrap
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
from fmlora_kit.figures.storage import FILLS
from fmlora_kit.figures.style import (
    INK,
    METHOD_STYLES,
    NEUTRAL,
    TEMPLATE,
    new_figure,
    short,
    table_of,
)

_OURS = METHOD_STYLES[OURS]
_OURS_STYLE = {"color": _OURS.color, "symbol": _OURS.symbol, "size": 11}
_OTHER_STYLE = {"color": NEUTRAL, "symbol": "circle", "size": 8}
_BOUND_LINE = {"color": INK, "dash": "dash", "width": 1.5}
_ROW, _LINE = 21, 14  # pixels of tables: a row of one plain line, and each line of other rows
_DOTS_ROW = 16  # pixels
_GAP = 58  # pixels between two panels: the upper one's ticks, the lower one's name
_ABOVE, _BELOW = 90, 85  # pixels


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
    inside = n_rows * (25 + _DOTS_ROW * tallest) + (n_rows - 1) * _GAP  # pixels, from top to bottom
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
_PADDING = 14  # pixels that plotly adds to a row with markup: bold, or several lines
_LETTER = 5.9  # pixels, at the size of the cells
_FONT = 10.5


@draws(Comparison)
def comparison_table(comparison: Comparison) -> go.Figure:
    """A row per method, the best final accuracy first; joint training, a bound, last.

    Bold are the first method and those tied with it: see `fmlora_kit.analysis.tied`.
    """
    columns = table_cells(comparison, strong=lambda text: f"<b>{text}</b>")
    columns = {name: [_wrapped(name, text) for text in texts] for name, texts in columns.items()}
    rows = list(zip(*columns.values(), strict=True))
    heads = [f"<b>{_HEADS.get(name, name)}</b>" for name in columns]
    subtitle = textwrap.wrap(note(comparison), 125)
    top = 50 + 17 * len(subtitle)
    figure = new_figure(
        title(comparison),
        "<br>".join(subtitle),
        height=top + sum(map(_height, [heads, *rows])) + 20,
        margin={"l": 10, "r": 10, "t": top, "b": 10},
    )
    left = ("method", "stores", "frozen")
    look = {"align": ["left" if name in left else "right" for name in columns], "size": _FONT}
    look["fills"] = [[FILLS.get(row.method, "white") for row in comparison.rows]] * len(columns)
    widths, head = [_WIDTHS[name] for name in columns], {"height": _height(heads)}
    table = table_of(heads, list(columns.values()), widths, height=_ROW, head=head, **look)
    figure.add_trace(table)
    return figure


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


_SIZES = tuple(name for name in COSTS if name != "seconds")  # seconds depend on the machine
_METRIC_ROW, _METRIC_LINE = 31, 16  # pixels: a row, and each further line in it
_METRIC_WIDTHS = (2.3, 3.4, 1.45)  # metric, definition, each method
_LETTERS = 118  # that fit side by side in 900 pixels


@draws()
def metrics_table(records: Records, *, names: Sequence[str] = METRICS) -> go.Figure:
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
    spread = "<br>Mean over seeds ± half-width of the 95 % interval."
    several = any(len(row.seeds) > 1 for row in rows)
    heads = _heads(rows)
    letters = [_letters(len(columns), k) for k in range(len(columns))]
    wraps = [
        max((len(re.sub("<.*?>", "", cell)) - 1) // n for n, cell in zip(letters, row, strict=True))
        for row in zip(*columns, strict=True)
    ]
    lines = max(head.count("<br>") for head in heads) + sum(wraps)
    figure = new_figure(
        f"Metrics: {', '.join(streams)}",
        f"{formula('a[t,i]')}: accuracy on the test images of task i after learning task t; "
        f"{formula('n_i')}: how many. "
        f"{'Bold: the best of a row.' if marked else ''}{spread if several else ''}",
        height=155 + _METRIC_ROW * len(columns[0]) + _METRIC_LINE * lines,
        margin={"l": 10, "r": 10, "t": 85, "b": 10},
    )
    align = ["left", "left"] + ["right"] * (len(columns) - 2)
    look = {"align": align, "size": 12, "height": _METRIC_ROW}
    figure.add_trace(table_of(heads, columns, _widths(len(columns)), **look))
    return figure


def _metric_columns(rows: Sequence[Row], names: Sequence[str], marked: bool) -> list[list[str]]:
    """What the rows of the figure are, how each is defined, and a column of cells per method."""
    one = Comparison("", "", tuple(rows))
    bold = {name: tied(one, name=name) if marked else () for name in names}
    columns = [
        [_strong(words(name)) for name in (*names, *_SIZES)],
        [formula(DEFINITIONS[name]) for name in names] + ["numbers"] * len(_SIZES),
    ]
    for row in rows:
        texts = {name: percent(row.interval(name), " %") for name in names}
        cells = [_strong(t) if row.label in bold[name] else t for name, t in texts.items()]
        columns.append(cells + [count(row.mean(name)) for name in _SIZES])
    return columns


def _widths(n: int) -> list[float]:
    return [*_METRIC_WIDTHS[:2], *[_METRIC_WIDTHS[2]] * (n - 2)]


def _letters(n: int, column: int) -> int:
    """How many letters of a definition, or bold ones of a head, fit into one of `n` columns."""
    widths = _widths(n)
    return int((_LETTERS if column == 1 else 0.85 * _LETTERS) * widths[column] / sum(widths))


def _heads(rows: Sequence[Row]) -> list[str]:
    heads = []
    letters = _letters(2 + len(rows), -1)
    for row in rows:
        seeds = f"<br>{len(row.seeds)} seeds" if len(row.seeds) > 1 else ""
        bound = "<br>a bound" if row.method == BOUND else ""
        name = "<br>".join(textwrap.wrap(NAMES.get(row.label, row.label), letters))
        heads.append(_strong(name) + seeds + bound)
    return [_strong("metric"), _strong("definition"), *heads]


def _strong(text: str) -> str:
    return f"<b>{text}</b>"
