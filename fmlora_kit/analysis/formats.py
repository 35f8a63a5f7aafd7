"""Numbers in words: percent, points, parameters, sizes, seconds."""

from __future__ import annotations

import math

from fmlora_kit.analysis.intervals import Interval

UNKNOWN = "–"


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


def _tenths(fraction: float) -> str:
    return f"{round(100 * fraction, 1) + 0.0:.1f}".replace("-", "−")  # + 0.0: no "-0.0"


def _spread(interval: Interval) -> str:
    return "" if math.isnan(interval.ci95) else f" ± {100 * interval.ci95:.1f}"


def count(number: float | None) -> str:
    """A parameter count for people: 950, 12.3k, 1.25M, 1.10G."""
    if number is None or math.isnan(number):
        return "-"
    for size, suffix, digits in ((1e9, "G", 2), (1e6, "M", 2), (1e3, "k", 1)):
        if abs(number) >= size:
            return f"{number / size:.{digits}f}{suffix}"
    return f"{number:.0f}"


COSTS = {
    "seconds": "training seconds",
    "trainable_parameters": "trained per task",
    "deployed_parameters_after_first_task": "deployed after first",
    "deployed_parameters_after_last_task": "deployed after last",
}


def words(name: str) -> str:
    """A metric's name for people."""
    return name.replace("_", " ")
