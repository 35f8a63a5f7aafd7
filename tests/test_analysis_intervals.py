"""Means over seeds and their 95% Student-t intervals."""

import math

import numpy as np
import pytest
from scipy import stats

from fmlora_kit.analysis import mean_ci95, paired_difference
from fmlora_kit.analysis.intervals import holm, p_value


def test_interval_of_five_values():
    # s = sqrt(2.5), t_{0.975, 4} = 2.776445105
    interval = mean_ci95([1, 2, 3, 4, 5])
    assert interval.mean == 3
    assert interval.ci95 == pytest.approx(2.776445105 * math.sqrt(2.5 / 5), rel=1e-9)
    assert interval.n == 5
    assert (interval.low, interval.high) == (3 - interval.ci95, 3 + interval.ci95)


def test_interval_of_two_values():
    assert mean_ci95([0.0, 1.0]).ci95 == pytest.approx(12.70620474 * 0.5, rel=1e-9)


def test_one_value_says_nothing_about_spread():
    interval = mean_ci95([0.7])
    assert interval.mean == 0.7
    assert math.isnan(interval.ci95)
    assert not interval.excludes_zero
    assert interval.to_json() == {"mean": 0.7, "ci95": None}


def test_equal_values_have_no_width():
    assert mean_ci95([0.5, 0.5, 0.5]).ci95 == 0


def test_an_unknown_value_makes_the_mean_unknown():
    assert mean_ci95([0.5, math.nan]).to_json() == {"mean": None, "ci95": None}


def test_paired_difference_removes_what_the_seeds_share():
    a, b = [0.1, 0.5, 0.9], [0.05, 0.44, 0.86]
    difference = paired_difference(a, b)
    assert difference.mean == pytest.approx(0.05)
    assert difference.ci95 == pytest.approx(4.30265273 * 0.01 / math.sqrt(3), rel=1e-8)
    assert difference.excludes_zero
    assert paired_difference(b, a).excludes_zero
    assert not paired_difference([0.1, 0.5], [0.2, 0.3]).excludes_zero


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_what_is_infinite_has_no_mean_and_is_named_without_a_warning(value):
    rule = "must be finite numbers, or NaN for one that is not known, got "
    for name, call in (
        ("values", lambda: mean_ci95([0.5, value])),
        ("a", lambda: paired_difference([value, 1], [1, 2])),
        ("b", lambda: paired_difference([1, 2], [value, 2])),
    ):
        with pytest.raises(ValueError, match=f"^{name} {rule}"):
            call()
    assert math.isnan(paired_difference([math.nan, 1], [1, 2]).mean)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="at least one, got \\[\\]"):
        mean_ci95([])
    with pytest.raises(ValueError, match="one value per seed each, got 2 and 3"):
        paired_difference([1, 2], [1, 2, 3])


def test_p_values_are_those_of_the_paired_t_test_and_holm_steps_down():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=5), rng.normal(0.5, size=5)
    assert p_value(paired_difference(a, b)) == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert np.isnan(p_value(mean_ci95([0.1]))) and p_value(mean_ci95([0.1, 0.1])) == 0
    # 0.01 x 4, 0.02 x 3, then 0.03 x 2 may not be smaller; the largest stands alone.
    assert holm([0.03, 0.01, 0.9, 0.02]) == pytest.approx((0.06, 0.04, 0.9, 0.06))
    assert holm([0.04, float("nan")])[0] == 0.08  # a test that says nothing is still one
    assert holm([]) == () and holm([0.6, 0.7]) == (1.0, 1.0)
