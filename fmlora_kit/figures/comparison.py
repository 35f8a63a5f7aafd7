"""Final accuracy of many methods on several streams, with intervals: a panel per stream.

Methods on one stream as a table: accuracy, difference to FM-LoRA, what is stored and frozen.

Metrics of several runs as a table, with the definition beside every number.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fmlora_kit.analysis.accuracy import DEFINITIONS
from fmlora_kit.analysis.comparison import COSTS, METRICS, Comparison, Row, summarise
from fmlora_kit.analysis.formats import COSTS as COST_WORDS
from fmlora_kit.analysis.formats import count, percent, words
from fmlora_kit.analysis.names import BOUND, NAMES, OURS, display_name
from fmlora_kit.analysis.sentences import best
from fmlora_kit.analysis.sentences import percent as mean_percent
from fmlora_kit.analysis.tables import GAIN, note, table_cells, title
from fmlora_kit.figures.curves import Records, by_label
from fmlora_kit.figures.style import INK, OKABE_ITO, TEMPLATE, new_figure, short

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


_SIZES = tuple(name for name in COSTS if name != "seconds")  # seconds depend on the machine
_ROW, _LINE = 31, 16  # pixels: a row, and each further line in it
_METRIC_WIDTHS = (2.3, 3.4, 1.2)  # metric, definition, each method
_LETTERS = 148  # that fit side by side on a page


def metrics_table(records: Records, *, names: Sequence[str] = METRICS) -> go.Figure:
    """A row per metric with its formula, a column per method; the best on one stream is bold.

    Args:
        records: a record, or records by label; with several seeds, mean and 95% interval.
        names: metrics, by their names in `fmlora_kit.analysis.DEFINITIONS`. The numbers trained and
            deployed follow them.

    Raises:
        ValueError: a name is unknown, a record has no finished task, or two of a label have the
            same seed.
    """
    if unknown := [name for name in names if name not in DEFINITIONS]:
        raise ValueError(f"names must be among {tuple(DEFINITIONS)}; got {unknown[0]!r}")
    table = by_label(records)
    summary = summarise(table, names=names)
    streams = dict.fromkeys(record.stream for runs in table.values() for record in runs)
    comparable = len(summary) > 1 and len(streams) == 1
    bold = {name: best(summary, name) if comparable else [] for name in names}
    columns = _columns(summary, names, bold)
    seeds = {values["n_seeds"] for values in summary.values()}
    spread = "" if seeds == {1} else "<br>Mean over seeds ± half-width of the 95 % interval."
    heads = _heads(summary)
    lines = max(head.count("<br>") for head in heads) + _extra_lines(columns)
    figure = new_figure(
        f"Metrics: {', '.join(streams)}",
        "a[t,i]: accuracy on the test images of task i after learning task t; n_i: how many. "
        f"{'Bold: the best of a row.' if comparable else ''}{spread}",
        height=155 + _ROW * len(columns[0]) + _LINE * lines,
        margin={"l": 10, "r": 10, "t": 85, "b": 10},
    )
    figure.add_trace(_draw_metrics(columns, heads))
    return figure


def _columns(
    summary: Mapping[str, Mapping], names: Sequence[str], bold: Mapping[str, list[str]]
) -> list[list[str]]:
    """What the rows are, how it is defined, and a column of cells per method."""
    columns = [
        [_strong(words(name)) for name in names] + [_strong(COST_WORDS[name]) for name in _SIZES],
        [DEFINITIONS[name] for name in names] + ["numbers"] * len(_SIZES),
    ]
    for label, values in summary.items():
        cells = [_metric(values[name], label in bold[name]) for name in names]
        columns.append(cells + [count(values[name]["mean"]) for name in _SIZES])
    return columns


def _draw_metrics(columns: list[list[str]], heads: list[str]) -> go.Table:
    align = ["left", "left"] + ["right"] * (len(columns) - 2)
    look = {"align": align, "line": {"color": "#dddddd"}}
    return go.Table(
        header={"values": heads, "fill": {"color": "#f0f0f0"}, "font": {"size": 12}, **look},
        cells={
            "values": columns,
            "height": _ROW,
            "fill": {"color": "white"},
            "font": {"size": 12},
            **look,
        },
        columnwidth=_widths(len(columns)),
    )


def _widths(n: int) -> list[float]:
    return [*_METRIC_WIDTHS[:2], *[_METRIC_WIDTHS[2]] * (n - 2)]


def _letters(n: int, column: int) -> int:
    """How many letters of a definition, or bold ones of a head, fit into one of `n` columns."""
    widths = _widths(n)
    return int((_LETTERS if column == 1 else 0.85 * _LETTERS) * widths[column] / sum(widths))


def _extra_lines(columns: list[list[str]]) -> int:
    """How many lines the definitions need beyond one each."""
    letters = _letters(len(columns), 1)
    return sum(len(definition) // letters for definition in columns[1])


def _heads(summary: Mapping[str, Mapping]) -> list[str]:
    heads = []
    letters = _letters(2 + len(summary), -1)
    for label, values in summary.items():
        seeds = f"<br>{values['n_seeds']} seeds" if values["n_seeds"] > 1 else ""
        bound = "<br>a bound" if label == BOUND else ""
        name = "<br>".join(textwrap.wrap(NAMES.get(label, label), letters))
        heads.append(_strong(name) + seeds + bound)
    return [_strong("metric"), _strong("definition"), *heads]


def _metric(value: Mapping, is_best: bool) -> str:
    text = mean_percent(value["mean"], value["ci95"])
    return _strong(text) if is_best else text


def _strong(text: str) -> str:
    return f"<b>{text}</b>"
