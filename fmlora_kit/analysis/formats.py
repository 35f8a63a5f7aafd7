"""Numbers in words: percent, points, parameters, sizes, seconds."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from fmlora_kit.analysis.intervals import Interval

UNKNOWN = "–"
COSTS = {
    "seconds": "training seconds",
    "trainable_parameters": "trained per task",
    "deployed_parameters_after_first_task": "deployed after first",
    "deployed_parameters_after_last_task": "deployed after last",
}


def percent(interval: Interval, unit: str = "") -> str:
    """A fraction in percent, `71.3 ± 0.8`; without the interval if that is unknown."""
    if math.isnan(interval.mean):
        return UNKNOWN
    return f"{_tenths(interval.mean)}{_spread(interval)}{unit}"


def points(interval: Interval | None, unit: str = "") -> str:
    """A difference of fractions in percentage points, `+3.1 ± 0.8`."""
    if interval is None or math.isnan(interval.mean):
        return UNKNOWN
    sign = "+" if round(100 * interval.mean, 1) > 0 else ""
    return f"{sign}{_tenths(interval.mean)}{_spread(interval)}{unit}"


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


def _tenths(fraction: float) -> str:
    return f"{round(100 * fraction, 1) + 0.0:.1f}".replace("-", "−")  # + 0.0: no "-0.0"


def _spread(interval: Interval) -> str:
    return "" if math.isnan(interval.ci95) else f" ± {100 * interval.ci95:.1f}"


def count(number: float | None) -> str:
    """A parameter count for people: 950, 12.3k, 1.25M, 1.10G."""
    if number is None or math.isnan(number):
        return UNKNOWN
    for size, suffix, digits in ((1e9, "G", 2), (1e6, "M", 2), (1e3, "k", 1)):
        if abs(number) >= size:
            return f"{number / size:.{digits}f}{suffix}"
    return f"{number:.0f}"


def words(name: str) -> str:
    """A metric's or a cost's name for people."""
    return COSTS.get(name) or name.replace("_", " ")


def listed(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def ordinal(n: int) -> str:
    """`1st`, `2nd`, `11th`."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th") if n % 100 not in (11, 12, 13) else "th"
    return f"{n}{ending}"


def formula(text: str) -> str:
    """A formula of `analysis.DEFINITIONS` as HTML: sums and indices as they are printed."""
    text = text.replace("<=", "≤").replace(">=", "≥").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"(\w)\[([^]]+)\]", r"\1<sub>\2</sub>", text)  # a[t,i]
    text = re.sub(r"\b([A-Za-z]+)_(?:\{([^}]+)\}|(\w)\b)", r"\1<sub>\2\3</sub>", text)  # n_i
    return text.replace("sum<", "Σ<").replace("-", "−").replace("drift_forgetting", "drift")
