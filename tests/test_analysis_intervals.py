"""Means over seeds and their 95% Student-t intervals."""

import math

import pytest

from fmlora_kit.analysis import mean_ci95, paired_difference


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


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="at least one, got \\[\\]"):
        mean_ci95([])
    with pytest.raises(ValueError, match="one value per seed each, got 2 and 3"):
        paired_difference([1, 2], [1, 2, 3])
