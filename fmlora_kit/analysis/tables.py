"""A comparison as text: Markdown and LaTeX for people, CSV in plain numbers for programs.

Published numbers beside one's own, protocol by protocol.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import pandas as pd

from fmlora_kit.analysis.accuracy import metrics
from fmlora_kit.analysis.comparison import Comparison, Row, tied
from fmlora_kit.analysis.formats import (
    UNKNOWN,
    parameters,
    percent,
    points,
    seconds,
    size,
)
from fmlora_kit.analysis.intervals import Interval, mean_ci95
from fmlora_kit.analysis.names import BOUND, OURS, display_name
from fmlora_kit.record import Record

GAIN = "FM-LoRA minus it, points"
HEADER = (
    "method",
    "final accuracy, %",
    GAIN,
    "forgetting, %",
    "parameters",
    "on disk",
    "s per task",
    "stores",
    "frozen",
)
_NUMBERS = 7  # columns before the words: the first is a name, the others are right-aligned
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


def markdown(comparison: Comparison) -> str:
    """A titled Markdown table with its explanation; the first and those tied with it are bold."""
    columns = {
        name.replace("|", r"\|"): [text.replace("|", r"\|") for text in texts]
        for name, texts in table_cells(comparison, strong=lambda text: f"**{text}**").items()
    }
    align = [_side(place, "left", "right") for place in range(len(columns))]
    table = pd.DataFrame(columns).to_markdown(index=False, colalign=align, disable_numparse=True)
    return f"**{title(comparison)}**\n\n{table}\n\n{note(comparison)}\n"


def overview(comparisons: Mapping[str, Comparison]) -> str:
    """A Markdown table of final accuracies: a row per method, a column per stream, by its name.

    Methods come in the order of their mean over the streams, bounds last; bold as in `markdown`.
    """
    columns = {name: _accuracies(comparison) for name, comparison in comparisons.items()}
    means: dict[str, list[float]] = {}
    for comparison in comparisons.values():
        for row in comparison.rows:
            means.setdefault(row.method, []).append(row.final_accuracy.mean)
    methods = sorted(means, key=lambda m: (m == BOUND, -sum(means[m]) / len(means[m])))
    cells = {"final accuracy, %": [_with_remark(method) for method in methods]}
    cells |= {n: [texts.get(m, UNKNOWN) for m in methods] for n, texts in columns.items()}
    align = ["left"] + ["right"] * len(columns)
    return pd.DataFrame(cells).to_markdown(index=False, colalign=align, disable_numparse=True)


def latex(comparison: Comparison) -> str:
    r"""A LaTeX `table` in the style of booktabs (`\usepackage{booktabs}`), its note as caption.

    The two columns of words are paragraphs; the table is as wide as a page in landscape.
    """
    columns = {
        latex_escape(name): [latex_escape(text) for text in texts]
        for name, texts in table_cells(comparison).items()
    }
    leaders = _leaders(comparison)
    for texts in list(columns.values())[:2]:
        texts[:] = [rf"\textbf{{{text}}}" if k in leaders else text for k, text in enumerate(texts)]
    align = "".join(_side(place, "l", "r") for place in range(len(columns) - 2))
    return pd.DataFrame(columns).to_latex(
        index=False,
        escape=False,
        column_format=align + "p{40mm}" * 2,
        caption=latex_escape(f"{title(comparison)}. {note(comparison)}"),
    )


def csv(comparison: Comparison) -> str:
    """Comma-separated values: one row per method, one column per number; empty if unknown.

    Accuracies, forgetting and differences are fractions, `ci95` half-widths of 95% intervals,
    parameters are numbers stored, sizes bytes, times seconds.
    """
    rows = [{"stream": comparison.stream, **_plain(row)} for row in comparison.rows]
    return pd.DataFrame(rows).to_csv(index=False, lineterminator="\n")


def table_cells(
    comparison: Comparison, *, strong: Callable[[str], str] = str
) -> dict[str, list[str]]:
    """The table as text, column by column, without escapes; the words for people.

    The column of differences is left out if nothing is compared with FM-LoRA.

    Args:
        comparison: the methods on one stream.
        strong: what is done to name and accuracy of the first method and of those tied with it.
    """
    most = max(len(row.seeds) for row in comparison.rows)
    rows = [_texts(row, most) for row in comparison.rows]
    for k in _leaders(comparison):
        rows[k][:2] = [strong(text) for text in rows[k][:2]]
    columns = dict(zip(HEADER, map(list, zip(*rows, strict=True)), strict=True))
    if all(row.gain is None for row in comparison.rows):
        del columns[GAIN]
    return columns


def title(comparison: Comparison) -> str:
    """`glyphs, 10 tasks, 100 classes, class-incremental`."""
    return f"{comparison.stream}, {comparison.scenario}"


def note(comparison: Comparison) -> str:
    """What the numbers are, in a few sentences."""
    return " ".join([*_about_intervals(comparison), *_about_costs(comparison)])


def latex_escape(text: str) -> str:
    """Text with all that is special in LaTeX escaped."""
    return text.translate(_LATEX)


def _texts(row: Row, most_seeds: int) -> list[str]:
    n = len(row.seeds)
    remarks = ["a bound"] * (row.method == BOUND)
    remarks += [f"{n} seed{'s' * (n > 1)}"] * (n < most_seeds)
    fewer = row.gain is not None and row.gain.n < most_seeds
    return [
        display_name(row.method) + (f" ({', '.join(remarks)})" if remarks else ""),
        percent(row.final_accuracy),
        points(row.gain) + (f" (n = {row.gain.n})" if fewer else ""),
        percent(row.forgetting),
        parameters(*row.parameters),
        size(row.bytes_on_disk),
        seconds(row.seconds_per_task),
        row.stores,
        row.frozen,
    ]


def _accuracies(comparison: Comparison) -> dict[str, str]:
    leaders = tied(comparison)
    texts = {row.method: percent(row.final_accuracy) for row in comparison.rows}
    return {m: f"**{text}**" if m in leaders else text for m, text in texts.items()}


def _with_remark(method: str) -> str:
    return display_name(method) + (" (a bound)" if method == BOUND else "")


def _plain(row: Row) -> dict:
    values: dict = {"method": row.method, "n_seeds": len(row.seeds)}
    for name in ("final_accuracy", "forgetting"):
        values |= {name: getattr(row, name).mean, f"{name}_ci95": getattr(row, name).ci95}
    gain = row.gain or Interval(math.nan, math.nan, 0)
    return values | {
        "fmlora_minus_it": gain.mean,
        "fmlora_minus_it_ci95": gain.ci95,
        "fmlora_minus_it_n_seeds": gain.n,
        "parameters_after_first_task": row.parameters[0],
        "parameters_after_last_task": row.parameters[1],
        "bytes_on_disk": row.bytes_on_disk,
        "seconds_per_task": row.seconds_per_task,
        "stores": row.stores,
        "frozen": row.frozen,
    }


def _about_intervals(comparison: Comparison) -> list[str]:
    most = max(len(row.seeds) for row in comparison.rows)
    if most == 1:
        parts = ["One seed: no intervals, and no difference is told from chance."]
    else:
        parts = [f"Mean over {most} seeds ± half-width of the 95\u00a0% Student-t interval."]
    if any(row.gain for row in comparison.rows):
        parts.append(
            f"{display_name(OURS)} minus it: final accuracy, paired by seed, in percentage points."
        )
    if tied(comparison):
        tie = "; tied: the interval of the paired difference has zero in it, without correction "
        tie += "for the number of methods"
        parts.append(f"Bold: the first, and all tied with it{tie if most > 1 else ''}.")
    return parts


def _about_costs(comparison: Comparison) -> list[str]:
    parts = [
        "Parameters: numbers stored (model and training state) after the first task → after the "
        "last.",
        "On disk: the arrays of a record of all tasks.",
    ]
    if comparison.devices:
        several = "; seconds of different devices do not compare" * (len(comparison.devices) > 1)
        parts.append(f"Device: {', '.join(comparison.devices)}{several}.")
    if any(row.method == BOUND for row in comparison.rows):
        parts.append(
            f"{display_name(BOUND).capitalize()} sees all tasks at once, which a learner of a "
            "stream cannot; its seconds are shared out over the tasks."
        )
    return parts


def _leaders(comparison: Comparison) -> list[int]:
    leaders = tied(comparison)
    return [k for k, row in enumerate(comparison.rows) if row.method in leaders]


def _side(place: int, left: str, right: str) -> str:
    return right if 0 < place < _NUMBERS else left


NOT_PUBLISHED, NOT_RUN = "not in our sources", "not run here"


def beside(
    presets: Iterable[str], accuracies: Iterable[Mapping], records: Iterable[Record]
) -> dict[str, dict[str, str]]:
    """Preset -> what is published with it and what was measured here, final accuracies in %.

    Of the records only finished ones count, of a stream that `streams.preset` made and that is not
    partial: a number from a part of a data set does not stand beside a published one.

    Args:
        presets: the rows.
        accuracies: published ones, each with "preset", "method", "final_accuracy" in % and
            "source", as `lessons.published_results` has them.
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
