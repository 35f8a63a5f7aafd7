"""Means over seeds with 95% Student-t intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fmlora_kit.checks import numbers


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

    `values` are (n,) numbers, one per seed, at least one; if one is NaN, both results are NaN.
    """
    from scipy import stats

    values = numbers("values", values).astype(float)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"values must be one number per seed, at least one, got {values.tolist()}")
    n = values.size
    if n == 1:
        return Interval(mean=float(values[0]), ci95=float("nan"), n=1)
    half_width = stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / math.sqrt(n)
    return Interval(mean=float(values.mean()), ci95=float(half_width), n=n)


def paired_difference(a: Sequence[float], b: Sequence[float]) -> Interval:
    """Mean of a - b with its 95% interval, for values that belong together (the same seeds)."""
    a, b = (numbers(name, each).astype(float) for name, each in (("a", a), ("b", b)))
    if a.shape != b.shape:
        raise ValueError(f"a and b must have one value per seed each, got {a.size} and {b.size}")
    return mean_ci95(a - b)
