"""Shares in the earlier span, energies and singular values, by the numbers drawn."""

import numpy as np
import pytest
from helpers.records import flora_record, lora_record, make_record, orthonormal

from fmlora_kit.figures import core_energy
from fmlora_kit.figures.style import task_colors
from fmlora_kit.figures.updates import earlier_span, singular_values

ROOT = np.sqrt(2)


def numbers(values):
    """Drawn values, gaps as NaN."""
    return np.asarray(values, dtype=float)


def test_shares_in_the_earlier_span_by_hand():
    figure = earlier_span(flora_record(), within="core")
    dots, chance, mean = figure.data[:3]  # output side
    np.testing.assert_allclose(numbers(dots.y), [50, 0, 20, np.nan], atol=0.01)
    np.testing.assert_allclose(numbers(mean.y), [25, 20], atol=0.01)
    np.testing.assert_allclose(numbers(chance.y), [(25 + 50) / 2, 50], atol=0.01)
    assert (chance.line.dash, mean.line.dash) == ("dash", None)
    assert list(dots.marker.color) == [color for color in task_colors(3)[1:] for _ in range(2)]
    assert dots.text[1] == "<b>task B</b>, blocks.0.v"
    dots, chance, mean = figure.data[3:]  # input side
    np.testing.assert_allclose(numbers(dots.y), [0, 50, 100, np.nan], atol=0.01)
    np.testing.assert_allclose(numbers(mean.y), [25, 100], atol=0.01)
    assert list(figure.layout.xaxis.ticktext) == ["task B", "task C"]


def test_a_row_per_record():
    states = [{"blocks.0.q.a": np.ones((4, 1)), "blocks.0.q.b": np.ones((1, 5))}] * 2
    plain = lora_record(states, method="first_task_lora")
    figure = earlier_span({"ours": flora_record(), "frozen after A": plain})
    assert len(figure.data) == 12
    assert figure.layout.annotations[2].text.startswith("frozen after A: ")
    assert np.isnan(numbers(figure.data[8].y)).all()  # it learned nothing later


def test_energies_by_hand():
    figure = core_energy(flora_record())
    q, v, mean, added_q, added_v, added_mean = figure.data
    total = 18 + 3 * ROOT
    np.testing.assert_allclose(numbers(q.y), [4, 13, total], atol=1e-5)
    np.testing.assert_allclose(numbers(v.y), [2, 4, 4], atol=1e-5)
    np.testing.assert_allclose(numbers(mean.y), [3, 8.5, (total + 4) / 2], atol=1e-5)
    np.testing.assert_allclose(numbers(added_q.y), [4, 9, 5], atol=1e-5)
    np.testing.assert_allclose(numbers(added_v.y), [2, 2, np.nan])  # log axis: no zero
    np.testing.assert_allclose(numbers(added_mean.y), [3, 5.5, 2.5], atol=1e-5)
    assert figure.layout.yaxis2.type == "log" and figure.layout.yaxis.type is None
    assert "27 % came with task A" in figure.layout.title.subtitle.text  # 6 of 22
    assert [t.name for t in figure.data if t.showlegend] == ["q maps", "v maps", "mean"]


def test_energies_of_several_methods_are_summed_over_layers():
    a, b = orthonormal(4, 1, 0), orthonormal(5, 1, 1).T
    plain = lora_record([{"blocks.0.q.a": a * k, "blocks.0.q.b": b} for k in (1, 3, 2)])
    figure = core_energy({"ours": flora_record(), "plain": plain})
    np.testing.assert_allclose(numbers(figure.data[0].y), [6, 17, 22 + 3 * ROOT], atol=1e-3)
    np.testing.assert_allclose(numbers(figure.data[1].y), [1, 9, 4], atol=1e-3)
    assert [trace.name for trace in figure.data] == ["ours", "plain"]


def test_singular_values_of_two_tasks():
    figure = singular_values(flora_record(), "task A", "task C", layer="blocks.0.q")
    one, other = figure.data
    np.testing.assert_allclose(numbers(one.y), [2], atol=1e-6)
    np.testing.assert_allclose(numbers(other.y), [2, 1], atol=1e-6)
    assert (one.line.color, other.line.color) == (task_colors(3)[0], task_colors(3)[2])
    assert list(other.x) == [1, 2] and figure.layout.yaxis.type == "log"
    pooled = singular_values(flora_record(), 0, 1)  # layers of rank 1 and 2: zero beyond the rank
    np.testing.assert_allclose(numbers(pooled.data[0].y), [(2 + 1) / 2, 1 / 2], atol=1e-6)


def test_bad_input_is_named():
    one_task = lora_record([{"blocks.0.q.a": np.ones((4, 1)), "blocks.0.q.b": np.ones((1, 5))}])
    with pytest.raises(ValueError, match="at least 2 finished tasks, got 1"):
        earlier_span(one_task)
    with pytest.raises(ValueError, match="task must be one of"):
        singular_values(flora_record(), 0, "task Z")
    with pytest.raises(ValueError, match="got 'frozen_backbone'"):
        core_energy(make_record(method="frozen_backbone"))
