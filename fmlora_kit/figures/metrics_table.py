"""Metrics of several runs as a table, with the definition beside every number."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from fmlora_kit.analysis.metrics import DEFINITIONS
from fmlora_kit.analysis.names import NAMES
from fmlora_kit.analysis.summary import COSTS, METRICS, count, summarise
from fmlora_kit.figures.findings import BOUND, best, percent
from fmlora_kit.figures.page_tables import COSTS as COST_WORDS
from fmlora_kit.figures.page_tables import words
from fmlora_kit.figures.tables import Records, by_label
from fmlora_kit.figures.template import new_figure

_SIZES = tuple(name for name in COSTS if name != "seconds")  # seconds depend on the machine
_ROW, _LINE = 31, 16  # pixels: a row, and each further line in it
_WIDTHS = (2.3, 3.4, 1.2)  # metric, definition, each method
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
    figure.add_trace(_drawn(columns, heads))
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


def _drawn(columns: list[list[str]], heads: list[str]) -> go.Table:
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
    return [*_WIDTHS[:2], *[_WIDTHS[2]] * (n - 2)]


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
    text = percent(value["mean"], value["ci95"])
    return _strong(text) if is_best else text


def _strong(text: str) -> str:
    return f"<b>{text}</b>"
