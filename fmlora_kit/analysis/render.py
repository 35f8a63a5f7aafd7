"""A comparison as text: Markdown and LaTeX for people, CSV in plain numbers for programs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import pandas as pd

from fmlora_kit.analysis.comparison import Comparison, Row, tied
from fmlora_kit.analysis.intervals import Interval
from fmlora_kit.analysis.names import BOUND, OURS, display_name
from fmlora_kit.analysis.summary import count

UNKNOWN = "–"
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


def percent(interval: Interval) -> str:
    """A fraction in percent, `71.3 ± 0.8`; without the interval if that is unknown."""
    return UNKNOWN if math.isnan(interval.mean) else f"{_tenths(interval.mean)}{_spread(interval)}"


def points(interval: Interval | None) -> str:
    """A difference of fractions in percentage points, `+3.1 ± 0.8`."""
    if interval is None or math.isnan(interval.mean):
        return UNKNOWN
    sign = "+" if round(100 * interval.mean, 1) > 0 else ""
    return f"{sign}{_tenths(interval.mean)}{_spread(interval)}"


def parameters(first: float, last: float) -> str:
    """Numbers stored after the first task and after the last: `1.34M → 1.35M`, `1.34M constant`."""
    if first == last:
        return f"{count(first)} constant"
    if count(first) == count(last):  # too small a change to be seen in the rounded numbers
        return f"{count(first)} {'+' if last > first else '−'} {count(abs(last - first))}"
    return f"{count(first)} → {count(last)}"


def size(n_bytes: float) -> str:
    """A size on disk: 950 B, 412 kB, 1.3 MB, of 1000 bytes each."""
    for unit, name, digits in ((1e9, "GB", 1), (1e6, "MB", 1), (1e3, "kB", 0)):
        if n_bytes >= 0.9995 * unit:  # else rounding would give 1000 of the smaller unit
            return f"{n_bytes / unit:.{digits}f} {name}"
    return f"{n_bytes:.0f} B"


def seconds(value: float) -> str:
    """Seconds with two digits that count: 0.42, 4.2, 42."""
    if math.isnan(value):
        return UNKNOWN
    return f"{value:.{2 if value < 0.995 else 1 if value < 9.95 else 0}f}"


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


def _tenths(fraction: float) -> str:
    return f"{round(100 * fraction, 1) + 0.0:.1f}".replace("-", "−")  # + 0.0: no "-0.0"


def _spread(interval: Interval) -> str:
    return "" if math.isnan(interval.ci95) else f" ± {100 * interval.ci95:.1f}"
