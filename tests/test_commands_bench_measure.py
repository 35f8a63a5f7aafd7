"""Products, bytes and turns, against numbers known beforehand."""

import numpy as np
import pytest
import torch

from fmlora_kit.commands import bench_measure
from fmlora_kit.commands.bench_measure import flops, peak_bytes, seconds, spread, take_turns

CPU = torch.device("cpu")


def test_flops_are_two_per_multiplication_in_place_too():
    a, b, y = torch.ones(3, 5), torch.ones(5, 7), torch.zeros(3, 9)
    assert flops(lambda: a @ b) == 2 * 3 * 5 * 7
    assert flops(lambda: y[:, 1:8].addmm_(a, b)) == 2 * 3 * 5 * 7
    assert flops(lambda: a + 1) == 0


def test_the_peak_is_the_most_that_is_there_at_one_time():
    there = torch.ones(10_000)  # not counted

    def act():
        first = torch.ones(1000)  # 4,000 bytes
        del first
        second = there[:2000] + 1  # 8,000
        third = torch.ones(500)  # 2,000
        return second, third

    assert 10_000 <= peak_bytes(act, CPU) <= 10_100


def test_a_timing_is_the_mean_of_its_calls(monkeypatch):
    clock = iter([10.0, 16.0])
    monkeypatch.setattr(bench_measure.time, "perf_counter", lambda: next(clock))
    calls = []
    assert seconds(lambda: calls.append(1), CPU, times=3) == 2.0
    assert len(calls) == 3


def test_ratios_are_to_the_limit_just_before_and_just_after(monkeypatch, capsys):
    """The machine gets slower all the time: sides that cost 2 limits still come out at 2."""
    order = []
    now = iter(range(1, 100))

    def seconds(act, device, times):
        return act() * (1 + 0.1 * next(now))

    monkeypatch.setattr(bench_measure, "seconds", seconds)
    sides = {name: (lambda name=name: order.append(name) or 2.0) for name in "abcdef"}
    limits, took, ratios = take_turns(lambda: 1.0, sides, rounds=3, device=CPU)
    assert len(limits) == 3 * 3  # before, between (after four), after
    assert [sorted(order[k : k + 6]) for k in (0, 6, 12)] == [list("abcdef")] * 3
    assert order[:6] != order[6:12]  # another order each round
    assert {len(v) for v in (*took.values(), *ratios.values())} == {3}
    np.testing.assert_allclose([np.median(v) for v in ratios.values()], 2.0, rtol=0.2)
    first = order[0]
    assert took[first][0] == pytest.approx(2 * 1.2) and limits[:2] == pytest.approx([1.1, 1.6])
    assert ratios[first][0] == pytest.approx(2.4 / 1.35)
    assert "18/18" in capsys.readouterr().err  # the bar


def test_spread():
    assert spread([4.0, 1.0, 2.0, 3.0, 10.0]) == {
        "median": 3.0,
        "q25": 2.0,
        "q75": 4.0,
        "min": 1.0,
        "max": 10.0,
        "n": 5,
    }
