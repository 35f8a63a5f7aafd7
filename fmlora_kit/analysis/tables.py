"""A comparison as text: cells in a layout; Markdown, LaTeX, plain text and CSV made of them.

Every table of the kit comes from `table_cells`, and what is bold in it from `analysis.tied`.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fmlora_kit.analysis.accuracy import metrics
from fmlora_kit.analysis.comparison import METRICS, Comparison, Row, difference, is_tie, tied
from fmlora_kit.analysis.formats import (
    COSTS,
    UNKNOWN,
    count,
    parameters,
    percent,
    points,
    seconds,
    size,
    words,
)
from fmlora_kit.analysis.intervals import Interval, mean_ci95
from fmlora_kit.analysis.names import BOUND, OURS, display_name
from fmlora_kit.record import Record

NOT_PUBLISHED, NOT_RUN = "not in our sources", "not run here"
# One pass over the letters, so that nothing is escaped twice.
_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        **{letter: f"\\{letter}" for letter in "&%$#_{}"},
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "±": r"$\pm$",
        "−": "$-$",
        "→": r"$\rightarrow$",
        "–": "--",
        "\u00a0": "~",
    }
)


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        cell: a row and the most seeds that any row has -> text.
        decided_by: the metric whose best row, and those tied with it, are bold; None: none is.
        left: whether it is aligned to the left, as words are.
        wide: whether it holds whole sentences.
    """

    cell: Callable[[Row, int], str]
    decided_by: str | None = None
    left: bool = False
    wide: bool = False


Layout = Mapping[str, Column]


def _label(row: Row, most_seeds: int) -> str:
    n = len(row.seeds)
    remarks = ["a bound"] * (row.method == BOUND)
    remarks += [f"{n} seed{'s' * (n > 1)}"] * (n < most_seeds)
    return display_name(row.label) + (f" ({', '.join(remarks)})" if remarks else "")


def _gain(row: Row, most_seeds: int) -> str:
    fewer = row.gain is not None and row.gain.n < most_seeds
    return points(row.gain) + (f" (n = {row.gain.n})" if fewer else "")


def _metric(name: str, *, decided_by: str | None = None) -> Column:
    return Column(lambda row, _: percent(row.interval(name)), decided_by)


def _cost(name: str) -> Column:
    write = seconds if name == "seconds" else count
    return Column(lambda row, _: write(row.mean(name)))


GAIN = "FM-LoRA minus it, points"
METRIC_COLUMNS = {f"{words(name)}, %": _metric(name, decided_by=name) for name in METRICS}
SUMMARY: Layout = {
    "method": Column(_label, "final_accuracy", left=True),
    "final accuracy, %": METRIC_COLUMNS["final accuracy, %"],
    GAIN: Column(_gain),
    "forgetting, %": _metric("forgetting"),
    "parameters": Column(lambda row, _: parameters(*row.parameters)),
    "on disk": Column(lambda row, _: size(row.mean("bytes_on_disk"))),
    "s per task": Column(lambda row, _: seconds(row.mean("seconds_per_task"))),
    "stores": Column(lambda row, _: row.stores, left=True, wide=True),
    "frozen": Column(lambda row, _: row.frozen, left=True, wide=True),
}
ALL_METRICS: Layout = {
    "method": SUMMARY["method"],
    **METRIC_COLUMNS,
    **{text: _cost(name) for name, text in COSTS.items()},
}
VARIANTS: Layout = {"variant": SUMMARY["method"], **METRIC_COLUMNS}


def table_cells(
    comparison: Comparison, layout: Layout = SUMMARY, *, strong: Callable[[str], str] = str
) -> dict[str, list[str]]:
    """The table as text, column by column, without escapes; the words for people.

    The column of differences is left out if nothing is compared with FM-LoRA.

    Args:
        comparison: the methods on one stream.
        layout: the columns.
        strong: what is done to the best cells of a column that a metric decides.
    """
    columns = {}
    for head, column in layout.items():
        if head == GAIN and all(row.gain is None for row in comparison.rows):
            continue
        best = tied(comparison, name=column.decided_by) if column.decided_by else ()
        texts = [column.cell(row, comparison.n_seeds) for row in comparison.rows]
        columns[head] = [
            strong(text) if row.label in best else text
            for row, text in zip(comparison.rows, texts, strict=True)
        ]
    return columns


def difference_cells(
    comparison: Comparison, *, strong: Callable[[str], str] = str
) -> dict[str, list[str]]:
    """FM-LoRA minus each other learner, every metric; empty if no seed repeats or nothing pairs.

    Args:
        comparison: the methods on one stream.
        strong: what is done to a difference whose interval excludes zero, in either direction.
    """
    others = [row for row in comparison.learners if row.label != OURS]
    if all(row.label != OURS for row in comparison.rows) or not others or comparison.n_seeds < 2:
        return {}
    ours = comparison.row(OURS)
    columns = {"difference": [f"{display_name(OURS)} − {display_name(r.label)}" for r in others]}
    for name in METRICS:
        gaps = [difference(ours, row, name) for row in others]
        columns[words(name)] = [
            points(gap) if gap is None or gap.n < 2 or is_tie(gap) else strong(points(gap))
            for gap in gaps
        ]
    return columns


def markdown(comparison: Comparison, layout: Layout = SUMMARY) -> str:
    """A titled Markdown table with its explanation; the first and those tied with it are bold."""
    cells = table_cells(comparison, layout, strong=lambda text: f"**{text}**")
    table = markdown_grid(cells, [layout[head].left for head in cells])
    return f"**{title(comparison)}**\n\n{table}\n\n{note(comparison, layout)}\n"


def _frame(columns: Any) -> Any:
    """The table of pandas, which loads here: it takes half a second, and most need no table."""
    import pandas as pd

    return pd.DataFrame(columns)


def markdown_grid(cells: Mapping[str, list[str]], left: list[bool]) -> str:
    """A Markdown table of cells, column by column; those that are not left are right-aligned."""
    escaped = {
        head.replace("|", r"\|"): [text.replace("|", r"\|") for text in texts]
        for head, texts in cells.items()
    }
    align = ["left" if each else "right" for each in left]
    return _frame(escaped).to_markdown(index=False, colalign=align, disable_numparse=True)


def plain(comparison: Comparison, layout: Layout = ALL_METRICS) -> str:
    """The table as aligned text for a terminal; a star marks the best of a column, and ties."""
    cells = table_cells(comparison, layout, strong=lambda text: f"{text} *")
    starred = any(text.endswith(" *") for texts in cells.values() for text in texts)
    if starred:
        cells = {  # numbers stay one below the other
            head: [t if layout[head].left or t.endswith(" *") else f"{t}  " for t in texts]
            for head, texts in cells.items()
        }
    align = ["left" if layout[head].left else "right" for head in cells]
    narrow = {textwrap.fill(head, 12): texts for head, texts in cells.items()}
    table = _frame(narrow).to_markdown(
        index=False, tablefmt="simple", colalign=align, disable_numparse=True
    )
    return table + "\n* the best of a column, and all tied with it" * starred


def overview(comparisons: Mapping[str, Comparison]) -> str:
    """A Markdown table of final accuracies: a row per method, a column per stream, by its name.

    Methods come in the order of their mean over the streams, bounds last; bold as in `markdown`.
    """
    means: dict[str, list[float]] = {}
    for comparison in comparisons.values():
        for row in comparison.rows:
            means.setdefault(row.method, []).append(row.mean("final_accuracy"))
    methods = sorted(means, key=lambda m: (m == BOUND, -sum(means[m]) / len(means[m])))
    names = [display_name(m) + (" (a bound)" if m == BOUND else "") for m in methods]
    cells = {"final accuracy, %": names}
    for name, comparison in comparisons.items():
        texts = table_cells(comparison, SUMMARY, strong=lambda text: f"**{text}**")
        labels = [row.method for row in comparison.rows]
        found = dict(zip(labels, texts["final accuracy, %"], strict=True))
        cells[name] = [found.get(method, UNKNOWN) for method in methods]
    return markdown_grid(cells, [True] + [False] * len(comparisons))


def latex(comparison: Comparison, layout: Layout = SUMMARY) -> str:
    r"""A LaTeX `table` in the style of booktabs (`\usepackage{booktabs}`), its note as caption.

    Columns of sentences are paragraphs; the table is as wide as a page in landscape.
    """
    start, end = "\ue000", "\ue001"  # letters of no language: bold survives the escaping
    cells = table_cells(comparison, layout, strong=lambda text: f"{start}{text}{end}")
    bold = str.maketrans({start: r"\textbf{", end: "}"})
    columns = {
        latex_escape(head): [latex_escape(text).translate(bold) for text in texts]
        for head, texts in cells.items()
    }
    align = ("p{40mm}" if layout[h].wide else "l" if layout[h].left else "r" for h in cells)
    return _frame(columns).to_latex(
        index=False,
        escape=False,
        column_format="".join(align),
        caption=latex_escape(f"{title(comparison)}. {note(comparison, layout)}"),
    )


def csv(*comparisons: Comparison) -> str:
    """Comma-separated values: one row per method, one column per number; empty if unknown.

    Accuracies, forgetting and differences are fractions, `ci95` half-widths of 95% intervals,
    parameters are numbers stored, sizes bytes, times seconds.
    """
    rows = [{"stream": each.stream, **_numbers(row)} for each in comparisons for row in each.rows]
    return _frame(rows).to_csv(index=False, lineterminator="\n")


def title(comparison: Comparison) -> str:
    """`glyphs, 10 tasks, 100 classes, class-incremental`."""
    return f"{comparison.stream}, {comparison.scenario}"


def note(comparison: Comparison, layout: Layout = SUMMARY) -> str:
    """What the numbers are, in a few sentences."""
    return " ".join(_about_intervals(comparison, layout) + _about_costs(comparison, layout))


def latex_escape(text: str) -> str:
    """Text with all that is special in LaTeX escaped."""
    return text.translate(_LATEX)


def _numbers(row: Row) -> dict:
    gain = row.gain or Interval(math.nan, math.nan, 0)
    first = ("final_accuracy", "forgetting")
    return {
        "method": row.method,
        "n_seeds": len(row.seeds),
        **_means(row, first),
        "fmlora_minus_it": gain.mean,
        "fmlora_minus_it_ci95": gain.ci95,
        "fmlora_minus_it_n_seeds": gain.n,
        **_means(row, (name for name in row.values if name not in first)),
        "label": row.label,
        "stores": row.stores,
        "frozen": row.frozen,
    }


def _means(row: Row, names: Iterable[str]) -> dict:
    intervals = {name: row.interval(name) for name in names}
    return {
        key: value
        for name, each in intervals.items()
        for key, value in ((name, each.mean), (f"{name}_ci95", each.ci95))
    }


def _about_intervals(comparison: Comparison, layout: Layout) -> list[str]:
    most = comparison.n_seeds
    if most == 1:
        sentences = ["One seed: no intervals, and no difference is told from chance."]
    else:
        sentences = [f"Mean over {most} seeds ± half-width of the 95\u00a0% Student-t interval."]
    if GAIN in layout and any(row.gain for row in comparison.rows):
        sentences.append(
            f"{display_name(OURS)} minus it: final accuracy, paired by seed, in percentage points."
        )
    if tied(comparison):
        first = "the first" if layout is SUMMARY else "the best of a column"
        tie = "; tied: the interval of the paired difference has zero in it, without correction "
        tie += "for the number of methods"
        sentences.append(f"Bold: {first}, and all tied with it{tie if most > 1 else ''}.")
    return sentences


def _about_costs(comparison: Comparison, layout: Layout) -> list[str]:
    sentences = []
    if "parameters" in layout:
        sentences.append(
            "Parameters: numbers stored (model and training state) after the first task → after "
            "the last."
        )
    if "on disk" in layout:
        sentences.append("On disk: the arrays of a record of all tasks.")
    if comparison.devices:
        several = "; seconds of different devices do not compare" * (len(comparison.devices) > 1)
        sentences.append(f"Device: {', '.join(comparison.devices)}{several}.")
    if any(row.method == BOUND for row in comparison.rows):
        shared = "; its seconds are shared out over the tasks" * ("s per task" in layout)
        sentences.append(
            f"{display_name(BOUND).capitalize()} sees all tasks at once, which a learner of a "
            f"stream cannot{shared}."
        )
    return sentences


def published_and_measured(
    presets: Iterable[str], accuracies: Iterable[Mapping], records: Iterable[Record]
) -> dict[str, dict[str, str]]:
    """Preset -> what is published with it and what was measured here, final accuracies in %.

    Of the records only finished ones count, of a stream that `streams.preset` made and that is not
    partial: a number from a part of a data set does not stand beside a published one.

    Args:
        presets: the rows.
        accuracies: published ones, each with "preset", "method", "final_accuracy" in % and
            "source", as `lessons.published` has them.
        records: of any streams.
    """
    theirs: dict[str, list[str]] = {}
    for entry in accuracies:
        text = f"{entry['method']} {entry['final_accuracy']:.1f} ({entry['source']})"
        theirs.setdefault(entry["preset"], []).append(text)
    ours: dict[str, dict[tuple[str, str], list[Record]]] = {}
    for record in records:
        stream = record.config.get("stream", {})
        if len(record.tasks) == record.n_tasks and not stream.get("partial"):
            which = record.method, record.config["method"].get("backbone", "a backbone")
            ours.setdefault(stream.get("preset"), {}).setdefault(which, []).append(record)
    return {
        name: {
            "published": "; ".join(theirs.get(name, [])) or NOT_PUBLISHED,
            "ours": "; ".join(_measured(*run) for run in ours.get(name, {}).items()) or NOT_RUN,
        }
        for name in presets
    }


def _measured(which: tuple[str, str], records: list[Record]) -> str:
    method, backbone = which
    mean = mean_ci95([metrics(record)["final_accuracy"] for record in records])
    runs = f"{mean.n} run" + "s" * (mean.n > 1)
    return f"{display_name(method)} {percent(mean)} ({backbone}, {runs})"
