"""Means over seeds with 95% Student-t intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fmlora_kit.checks import fail, numbers


@dataclass(frozen=True)
class Interval:
    """A mean over seeds and the half-width of its 95% interval.

    Args:
        mean: mean of the values.
        ci95: half-width of the interval; NaN for one value, which says nothing about spread.
        n: number of values.
    """

    mean: float
    ci95: float
    n: int

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.mean - self.ci95

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.mean + self.ci95

    @property
    def excludes_zero(self) -> bool:
        """True if zero lies outside the interval; False if the interval is unknown."""
        return bool(self.low > 0 or self.high < 0)

    def to_json(self) -> dict[str, float | None]:
        """`{"mean": ..., "ci95": ...}` with None for NaN, so that the JSON is strict."""
        values = {"mean": self.mean, "ci95": self.ci95}
        return {name: None if math.isnan(value) else value for name, value in values.items()}


def mean_ci95(values: Sequence[float]) -> Interval:
    """Mean and 95% Student-t interval: half-width t_{0.975, n-1} s / sqrt(n).

    `values` are (n,) finite numbers, one per seed, at least one; NaN stands for one that is not
    known, and makes both results NaN.
    """
    from scipy import stats

    values = _known("values", values)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"values must be one number per seed, at least one, got {values.tolist()}")
    n = values.size
    if n == 1:
        return Interval(mean=float(values[0]), ci95=float("nan"), n=1)
    half_width = stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / math.sqrt(n)
    return Interval(mean=float(values.mean()), ci95=float(half_width), n=n)


def p_value(interval: Interval) -> float:
    """Two-sided p of the t-test that a mean over seeds is zero; NaN for one value."""
    from scipy import stats

    if interval.ci95 == 0:
        return float(interval.mean == 0)
    t = interval.mean / interval.ci95 * stats.t.ppf(0.975, max(interval.n - 1, 1))
    return float(2 * stats.t.sf(abs(t), interval.n - 1)) if interval.n > 1 else float("nan")


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Each p corrected for their number (Holm 1979, Scandinavian Journal of Statistics 6).

    The k-th smallest of m is multiplied by m - k + 1, is at least the one before it and at most 1.
    NaN counts as a test, and stays.
    """
    order = sorted(range(len(p_values)), key=lambda k: (math.isnan(p_values[k]), p_values[k]))
    corrected, least = [math.nan] * len(p_values), 0.0
    for rank, k in enumerate(order):
        if not math.isnan(p_values[k]):
            least = min(1.0, max(least, p_values[k] * (len(p_values) - rank)))
            corrected[k] = least
    return tuple(corrected)


def paired_difference(a: Sequence[float], b: Sequence[float]) -> Interval:
    """Mean of a - b with its 95% interval, for values that belong together (the same seeds)."""
    a, b = _known("a", a), _known("b", b)
    if a.shape != b.shape:
        raise ValueError(f"a and b must have one value per seed each, got {a.size} and {b.size}")
    return mean_ci95(a - b)


def _known(name: str, values: Sequence[float]) -> np.ndarray:
    found = numbers(name, values).astype(float)
    if np.isinf(found).any():  # there would be no mean, and numpy would warn
        raise fail(name, "finite numbers, or NaN for one that is not known", values)
    return found
