"""The look of methods by what they store; FM-LoRA as in `comparison_dots`: a vermillion diamond."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fmlora_kit.analysis.names import OURS
from fmlora_kit.analysis.stored import MODULES, NOTHING, SAMPLES, STATISTICS, Stored
from fmlora_kit.figures.template import OKABE_ITO, LineStyle

OURS_STYLE = LineStyle(OKABE_ITO[1], "solid", "diamond")
KIND_STYLES = {
    NOTHING: LineStyle("#777777", "solid", "circle"),
    STATISTICS: LineStyle(OKABE_ITO[0], "solid", "square"),
    MODULES: LineStyle(OKABE_ITO[2], "solid", "triangle-up"),
    SAMPLES: LineStyle(OKABE_ITO[3], "dash", "x"),
}


def style_of(one: Stored) -> LineStyle:
    """FM-LoRA's own style, or that of what a method stores."""
    return OURS_STYLE if one.method == OURS else KIND_STYLES[one.kind]


def apart(places: Sequence[float], gap: float, *, low: float = -math.inf) -> list[float]:
    """Places moved as little as needed, so that neighbours are `gap` or more apart, none too low.

    Args:
        places: (n,) where labels would stand.
        gap: from one label to the next.
        low: the lowest place that a label may have.
    """
    order = sorted(range(len(places)), key=lambda k: places[k])
    groups: list[list[float]] = []  # [middle, how many]: labels that touch move as one
    for k in order:
        groups.append([places[k], 1])
        while len(groups) > 1 and _touch(groups[-2], groups[-1], gap):
            (a, n), (b, m) = groups[-2:]
            groups[-2:] = [[(a * n + b * m) / (n + m), n + m]]
    moved = [middle + gap * (j - (n - 1) / 2) for middle, n in groups for j in range(int(n))]
    found = {k: max(moved[j], low + gap * j) for j, k in enumerate(order)}
    return [found[k] for k in range(len(places))]


def _touch(low: Sequence[float], high: Sequence[float], gap: float) -> bool:
    return high[0] - low[0] < gap * (low[1] + high[1]) / 2
