"""The close look at two tasks, by its curves, bars and words."""

import numpy as np
import pytest
from helpers.records import flora_record, lora_record, orthonormal

from fmlora_kit.analysis import task_pair
from fmlora_kit.figures import subspace_pair
from fmlora_kit.figures.updates import verdict


def numbers(values):
    """Drawn values, gaps as NaN."""
    return np.asarray(values, dtype=float)


def by_name(figure):
    return {trace.name: trace for trace in figure.data}


def test_angles_overlaps_and_singular_values_by_hand():
    figure = subspace_pair(flora_record(), "task B", "task A", layer="blocks.0.v")
    traces = by_name(figure)
    np.testing.assert_allclose(numbers(traces["output"].y), [90, 90], atol=0.01)
    np.testing.assert_allclose(numbers(traces["input"].y), [0, 90], atol=0.01)
    assert traces["input, by chance"].line.dash == "dash"
    assert traces["input, by chance"].y[1] == pytest.approx(90, abs=0.01)
    # this pair, room left (e2, e3, e4), shared core, whole space
    np.testing.assert_allclose(
        numbers(traces["overlap, input"].x), [0.5, 1 / 3, 1 / 2, 2 / 5], atol=1e-4
    )
    np.testing.assert_allclose(
        numbers(traces["overlap, output"].x), [0, 1 / 2, 1 / 2, 2 / 6], atol=1e-4
    )
    assert list(traces["overlap, input"].text) == ["0.50", "0.33", "0.50", "0.40"]
    np.testing.assert_allclose(numbers(traces["task B"].y), [1, 1], atol=1e-6)
    assert figure.layout.title.text.startswith("task A and task B, blocks.0.v")
    said = figure.layout.title.subtitle.text
    assert "holding 95 %" in said and "2.0 of task A, 2.0 of task B" in said


def test_labels_of_bars_stand_where_the_bars_are():
    figure = subspace_pair(flora_record(), 0, 1)
    axis = figure.layout.yaxis2
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert list(axis.tickvals) == [place for trace in bars for place in trace.y]
    assert axis.ticktext[0] == "<b>output</b>, this pair"
    assert axis.ticktext[4:6] == ("<b>input</b>, this pair", "chance, room left")


def test_plain_lora_has_one_chance_level():
    states = [
        {"blocks.0.q.a": orthonormal(6, 1, k), "blocks.0.q.b": orthonormal(5, 1, 7).T}
        for k in (0, 1)
    ]
    traces = by_name(subspace_pair(lora_record(states), 0, 1))
    # both updates read the same input direction
    np.testing.assert_allclose(numbers(traces["overlap, input"].x), [1, 1 / 5], atol=1e-4)


def test_the_verdict_in_words():
    record = flora_record()
    assert verdict(record, task_pair(record, 0, 1, layer=1)) == (
        "task A and task B, blocks.0.v: overlap of output 0.00 (chance 0.50) and input 0.50 "
        "(chance 0.33); cosine between the updates 0.00."
    )
    assert "all layers" in verdict(record, task_pair(record, 0, 1))
    assert verdict(record, task_pair(record, 0, 2, layer=1)) == (
        "task C changed nothing at blocks.0.v: there are no angles."
    )


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="two different tasks"):
        subspace_pair(flora_record(), 1, 1)
    with pytest.raises(ValueError, match="energy must be above 0"):
        subspace_pair(flora_record(), 0, 1, energy=2)
