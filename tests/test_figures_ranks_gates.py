"""Gates and expected rank over the steps, by the values in the traces."""

import numpy as np
import pytest
from helpers.records import make_record
from test_analysis_ranks import GATES, drs_record

from fmlora_kit.figures import gate_probabilities
from fmlora_kit.figures.style import task_colors


def test_gates_of_a_layer_with_their_mean_and_the_temperature():
    figure = gate_probabilities(drs_record(), "task B", "blocks.0.q")
    heat, mean, temperature = figure.data
    np.testing.assert_allclose(heat.z, GATES[:, 0].T)
    np.testing.assert_array_equal(heat.x, [1, 2])
    np.testing.assert_array_equal(heat.y, [2, 4, 8])
    assert heat.zmax == 0.5
    np.testing.assert_allclose(mean.y, [3, 5.5])
    np.testing.assert_allclose(temperature.y, [2, 1])
    assert (mean.yaxis, temperature.yaxis) == ("y", "y2")
    assert figure.layout.title.text == "How task B got its rank: layer blocks.0.q"
    subtitle = figure.layout.title.subtitle.text
    assert "in the end: 2." in subtitle and "after step 2 of 4" in subtitle
    assert list(figure.layout.yaxis.tickvals) == [2, 4, 8]


def test_gates_averaged_over_layers_by_place():
    figure = gate_probabilities(drs_record(), 0)
    np.testing.assert_allclose(figure.data[0].z, GATES.mean(axis=1).T)
    assert figure.layout.title.text == "How task A got its rank: mean of 2 layers"
    assert "in the end: 6.0 on average" in figure.layout.title.subtitle.text


def test_a_line_of_expected_rank_for_every_task_and_what_was_taken():
    figure = gate_probabilities(drs_record())
    lines, diamonds = figure.data[::2], figure.data[1::2]
    for line in lines:
        np.testing.assert_array_equal(line.x, [1, 2])
        np.testing.assert_allclose(line.y, [5.5, 3.75])
    assert [line.line.color for line in lines] == list(task_colors(3))
    assert [line.name for line in lines] == ["task A  6.0", "task B  3.0", "task C  2.0"]
    assert [(d.x[0], d.y[0]) for d in diamonds] == [(3, 6), (3, 3), (3, 2)]
    assert not any(d.showlegend for d in diamonds)


def test_a_record_without_traces_is_named():
    with pytest.raises(ValueError, match="traces of DRS"):
        gate_probabilities(make_record(ranks=[[1, 2]] * 3), 0)
    with pytest.raises(ValueError, match="traces of DRS"):
        gate_probabilities(make_record(ranks=[[1, 2]] * 3))
    with pytest.raises(ValueError, match="task must be one of"):
        gate_probabilities(drs_record(), 7)
    with pytest.raises(ValueError, match="layer must be one of"):
        gate_probabilities(drs_record(), 0, 2)
