"""Sentences about a comparison, computed from its numbers: what is better, worse, or undecided.

Nothing here knows how a comparison should end: swap the numbers of two methods and the sentences
swap. What is told apart is decided by `analysis.tied`'s rule.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from fmlora_kit.analysis.comparison import (
    LOWER_IS_BETTER,
    METRICS,
    Comparison,
    difference,
    is_tie,
    tied,
)
from fmlora_kit.analysis.formats import count, listed, ordinal, percent, points, words
from fmlora_kit.analysis.names import BOUND, OURS, display_name


def findings(comparison: Comparison) -> list[str]:
    """Plain sentences that say what the comparison found, the losses of FM-LoRA included."""
    labels = [row.label for row in comparison.rows]
    sentences = _leaders(comparison)
    if OURS in labels:
        rivals = [row.label for row in comparison.learners if row.label != OURS]
        sentences += [against(comparison, label) for label in rivals]
        sentences += [bound(comparison)] if BOUND in labels else []
        sentences.append(size(comparison))
    if min(len(row.seeds) for row in comparison.rows) == 1 and len(labels) > 1:
        sentences.append(
            "One seed says nothing about chance: a difference of a few points may vanish with "
            "another. Several seeds (--seeds\u00a05) give 95 % intervals."
        )
    return sentences


def against(comparison: Comparison, other: str) -> str:
    """In which metrics FM-LoRA is better than another method, worse, or not told apart."""
    ours, theirs = comparison.row(OURS), comparison.row(other)
    groups: dict[str, list[str]] = {"better": [], "worse": [], "undecided": []}
    n = 0
    for name in METRICS:
        gain = difference(ours, theirs, name)
        if gain is None or math.isnan(gain.mean):
            continue
        n = gain.n
        ahead = (gain.mean < 0) == (name in LOWER_IS_BETTER)
        group = "undecided" if is_tie(gain) else "better" if ahead else "worse"
        groups[group].append(f"{words(name)} ({points(gain, ' points')})")
    said = {"better": "better", "worse": "worse", "undecided": "not told apart"}
    if n == 1:
        said["undecided"] = "the same"
    clauses = [f"{said[group]} in {listed(items)}" for group, items in groups.items() if items]
    verdict = "; ".join(clauses) or "not comparable yet"
    return f"{display_name(OURS)} against {display_name(other)}: {verdict}."


def bound(comparison: Comparison) -> str:
    """How far FM-LoRA's final accuracy is from training on all tasks at once."""
    ours, theirs = (comparison.row(label).mean("final_accuracy") for label in (OURS, BOUND))
    side = "below" if ours < theirs else "above"
    return (
        f"Joint training sees all tasks at once, which a learner of a stream cannot; it reaches "
        f"{100 * theirs:.1f} %, and {display_name(OURS)} ends {100 * abs(theirs - ours):.1f} "
        f"points {side} that."
    )


def size(comparison: Comparison) -> str:
    """Whether FM-LoRA's deployed size stays what it was after the first task."""
    first, last = (
        comparison.row(OURS).mean(f"deployed_parameters_after_{which}_task")
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


def standing(
    comparison: Comparison,
    method: str = OURS,
    *,
    among: Collection[str] | None = None,
    corrected: bool = False,
) -> str:
    """A sentence: `FM-LoRA is 2nd of 12 by mean; tied for first: RanPAC · FM-LoRA`.

    Args:
        comparison: the methods on one stream.
        method: whose standing is asked for: 1 + how many have a higher mean final accuracy; not
            joint training, which has none.
        among: look at those of these methods that are compared; default: all.
        corrected: ties allow for the number of methods, see `tied`.
    """
    if method == BOUND:
        raise ValueError(f"method must be a learner of the stream, not a bound, got {method!r}")
    mean = comparison.row(method).mean("final_accuracy")
    compared = [row.label for row in comparison.learners]
    some = compared if among is None else [m for m in compared if m in among or m == method]
    rows = [comparison.row(label) for label in some]
    nth = 1 + sum(row.mean("final_accuracy") > mean for row in rows)
    first = tied(comparison, among=some, corrected=corrected)
    if max(len(row.seeds) for row in rows) == 1:
        how = "first (one seed: ties are not known)"
    else:
        how = "tied for first" if len(first) > 1 else "first alone"
    names = " · ".join(map(display_name, first))
    return f"{display_name(method)} is {ordinal(nth)} of {len(some)} by mean; {how}: {names}."


def leaders(comparison: Comparison, *, among: Collection[str]) -> str:
    """The first of some methods and those tied with it: `FM-LoRA, 73.2 ± 1.5 %; tied: RanPAC`."""
    first, *others = tied(comparison, among=[m for m in among if m != BOUND])
    mean = percent(comparison.row(first).final_accuracy, " %")
    also = f"; tied: {' · '.join(map(display_name, others))}" if others else ""
    return f"{display_name(first)}, {mean}{also}"


def lost_to(comparison: Comparison, method: str = OURS) -> tuple[str, ...]:
    """The learners that end higher than a method, by an interval that leaves zero out."""
    ours = comparison.row(method)
    gaps = {row.label: difference(ours, row) for row in comparison.learners if row is not ours}
    return tuple(label for label, gap in gaps.items() if gap is not None and gap.high < 0)


def not_above(comparison: Comparison, floor: str = "frozen_backbone") -> tuple[str, ...]:
    """The learners that were not shown to end higher than a method, by such an interval."""
    low = comparison.row(floor)
    gaps = {row.label: difference(row, low) for row in comparison.learners if row is not low}
    return tuple(label for label, gap in gaps.items() if gap is not None and not gap.low > 0)


def paired_gaps(
    comparisons: Mapping[str, Comparison], pairs: Mapping[str, tuple[str, str]]
) -> dict[str, dict[str, str]]:
    """Final accuracy of one method minus another's, `+3.1 ± 0.8` points, paired by seed.

    By the name of the comparison, then of the pair (a minus b, by their labels); a pair that a
    comparison lacks is `–` there.
    """
    found: dict[str, dict[str, str]] = {}
    for name, comparison in comparisons.items():
        rows = {row.label: row for row in comparison.rows}
        there = {
            w: difference(rows[a], rows[b]) if {a, b} <= rows.keys() else None
            for w, (a, b) in pairs.items()
        }
        found[name] = {what: points(gap) for what, gap in there.items()}
    return found


def _leaders(comparison: Comparison) -> list[str]:
    if len(comparison.learners) < 2:
        return []
    phrases = []
    for name, what in (
        ("final_accuracy", "highest final accuracy"),
        ("forgetting", "least forgetting"),
        ("drift_forgetting", "least drift forgetting"),
    ):
        if leaders := tied(comparison, name=name):
            best, *others = map(display_name, leaders)
            also = f" (tied with it: {listed(others)})" if others else ""
            mean = percent(comparison.row(leaders[0]).interval(name), " %")
            phrases.append(f"{what}: {best}, {mean}{also}")
    return [
        f"Of the {len(comparison.learners)} methods that learned the stream: {'; '.join(phrases)}."
    ]
