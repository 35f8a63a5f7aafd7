"""Sentences about a comparison, computed from its numbers: what is better, worse, or undecided.

Nothing here knows how a comparison should end: swap the numbers of two methods and the sentences
swap.

Where a method stands among others, in a sentence that was computed.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from fmlora_kit.analysis import Interval, count, paired_metric
from fmlora_kit.analysis.comparison import METRICS, Comparison, place, tied
from fmlora_kit.analysis.names import BOUND, OURS, display_name
from fmlora_kit.record import Record

LOWER_IS_BETTER = frozenset(
    {"forgetting", "forgetting_first", "forgetting_step", "drift_forgetting", "competition"}
)
CLOSE = 5e-4  # fractions that look the same in percent with one decimal

Runs = Mapping[str, Sequence[Record]]
Summary = Mapping[str, Mapping]


def findings(records: Runs, summary: Summary) -> list[str]:
    """Plain sentences that say what the comparison found, the losses of FM-LoRA included.

    Args:
        records: for each method its records, one per seed.
        summary: what `fmlora_kit.analysis.summarise` makes of them.
    """
    rivals = [method for method in summary if method not in (OURS, BOUND)]
    sentences = _leaders(summary)
    if OURS in summary:
        sentences += [against(records, method) for method in rivals]
        sentences += [bound(summary)] if BOUND in summary else []
        sentences.append(size(summary))
    if min(values["n_seeds"] for values in summary.values()) == 1 and len(summary) > 1:
        sentences.append(
            "One seed says nothing about chance: a difference of a few points may vanish with "
            "another. Several seeds (--seeds\u00a05) give 95 % intervals."
        )
    return sentences


def best(summary: Summary, name: str) -> list[str]:
    """The methods with the best mean of a metric: several if they look the same, joint left out."""
    means = {m: v[name]["mean"] for m, v in summary.items() if m != BOUND}
    known = {m: mean for m, mean in means.items() if mean is not None}
    if not known:
        return []
    top = (min if name in LOWER_IS_BETTER else max)(known.values())
    return [m for m, mean in known.items() if abs(mean - top) < CLOSE]


def against(records: Runs, other: str) -> str:
    """In which metrics FM-LoRA is better than another method, worse, or not told apart."""
    groups: dict[str, list[str]] = {"better": [], "worse": [], "undecided": []}
    for name in METRICS:
        gain = paired_metric(records[OURS], records[other], name)
        if math.isnan(gain.mean):
            continue
        ahead = (gain.mean < 0) == (name in LOWER_IS_BETTER)
        clear = is_clear(gain)
        group = "undecided" if not clear else "better" if ahead else "worse"
        groups[group].append(f"{name.replace('_', ' ')} ({points(gain.mean, gain.ci95)})")
    undecided = "not told apart" if len(records[OURS]) > 1 else "the same"
    words = {"better": "better", "worse": "worse", "undecided": undecided}
    parts = [f"{words[group]} in {_listed(items)}" for group, items in groups.items() if items]
    verdict = "; ".join(parts) or "not comparable yet"
    return f"{display_name(OURS)} against {display_name(other)}: {verdict}."


def is_clear(gain: Interval) -> bool:
    """Whether a difference is one: visible, and with several seeds an interval without zero."""
    return abs(gain.mean) >= CLOSE and (gain.n == 1 or gain.excludes_zero)


def bound(summary: Summary) -> str:
    """How far FM-LoRA's final accuracy is from training on all tasks at once."""
    ours, theirs = (summary[m]["final_accuracy"]["mean"] for m in (OURS, BOUND))
    side = "below" if ours < theirs else "above"
    return (
        f"Joint training sees all tasks at once, which a learner of a stream cannot; it reaches "
        f"{percent(theirs)}, and {display_name(OURS)} ends {100 * abs(theirs - ours):.1f} points "
        f"{side} that."
    )


def size(summary: Summary) -> str:
    """Whether FM-LoRA's deployed size stays what it was after the first task."""
    first, last = (
        summary[OURS][f"deployed_parameters_after_{which}_task"]["mean"]
        for which in ("first", "last")
    )
    if first == last:
        return (
            f"{display_name(OURS)} needs {count(last)} numbers to run, after the first task and "
            f"after the last."
        )
    return (
        f"The numbers that {display_name(OURS)} needs to run go from {count(first)} after the "
        f"first task to {count(last)} after the last."
    )


def percent(fraction: float | None, ci95: float | None = None) -> str:
    """A fraction as `71.3 %` or `71.3 ± 0.8 %`; a dash if it is unknown."""
    if fraction is None or math.isnan(fraction):
        return "–"
    return f"{_round(fraction)}{_spread(ci95)} %".replace("-", "−")


def points(difference: float, ci95: float | None = None, unit: str = " points") -> str:
    """A difference of fractions as `+3.1 points` or `+3.1 ± 0.8 points`; a dash if unknown."""
    if math.isnan(difference):
        return "–"
    sign = "+" if _round(difference) > 0 else ""
    return f"{sign}{_round(difference)}{_spread(ci95)}{unit}".replace("-", "−")


def _leaders(summary: Summary) -> list[str]:
    stream = [method for method in summary if method != BOUND]
    if len(stream) < 2:
        return []
    phrases = []
    for name, words in (
        ("final_accuracy", "highest final accuracy"),
        ("forgetting", "least forgetting"),
        ("drift_forgetting", "least drift forgetting"),
    ):
        if winners := best(summary, name):
            who = _listed([display_name(method) for method in winners])
            phrases.append(f"{words}: {who}, {percent(summary[winners[0]][name]['mean'])}")
    return [f"Of the {len(stream)} methods that learned the stream: {'; '.join(phrases)}."]


def _round(fraction: float) -> float:
    """Percent with one decimal; never minus zero."""
    return round(100 * fraction, 1) + 0.0


def _spread(ci95: float | None) -> str:
    return "" if ci95 is None or math.isnan(ci95) else f" ± {100 * ci95:.1f}"


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def standing(
    comparison: Comparison, method: str = OURS, *, among: Collection[str] | None = None
) -> str:
    """A sentence: `FM-LoRA is 2nd of 12 by mean; tied for first: RanPAC · FM-LoRA`.

    Args:
        comparison: the methods on one stream.
        method: whose place it is.
        among: look at those of these methods that are compared; default: all.

    Raises:
        ValueError: `method` is not compared, or is joint training, which has no place.
    """
    compared = [row.method for row in comparison.rows if row.method != BOUND]
    some = compared if among is None else [m for m in compared if m in among or m == method]
    nth, leaders = place(comparison, method, among=some), tied(comparison, among=some)
    if max(len(comparison.row(m).seeds) for m in some) == 1:
        how = "first (one seed: ties are not known)"
    else:
        how = "tied for first" if len(leaders) > 1 else "first alone"
    names = " · ".join(map(display_name, leaders))
    return f"{display_name(method)} is {_ordinal(nth)} of {len(some)} by mean; {how}: {names}."


def _ordinal(n: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th") if n % 100 not in (11, 12, 13) else "th"
    return f"{n}{ending}"
