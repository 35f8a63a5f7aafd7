"""The rank allocation figure, by its cells."""

import numpy as np
import pytest
from helpers.records import make_record, plausible_record

from fmlora_kit.figures import rank_allocation


def test_layers_by_tasks_with_whole_numbers():
    figure = rank_allocation(make_record(ranks=[[1, 2], [3, 4], [8, 6]]))
    (heat,) = figure.data
    np.testing.assert_array_equal(heat.z, [[1, 3, 8], [2, 4, 6]])
    assert [list(row) for row in heat.text] == [["1", "3", "8"], ["2", "4", "6"]]
    assert list(figure.layout.yaxis.ticktext) == ["0.q", "0.v"]
    assert list(figure.layout.xaxis.ticktext) == ["task A", "task B", "task C"]
    assert heat.zmax == 8
    assert [a.text for a in figure.layout.annotations] == ["1.5", "3.5", "7.0"]
    assert "Mean of all: 4.0" in figure.layout.title.subtitle.text
    assert heat.customdata[1][2].tolist() == ["blocks.0.v", "task C"]


def test_ranks_of_zero_are_drawn():
    (heat,) = rank_allocation(make_record(ranks=[[0, 0]] * 3)).data
    assert (heat.zmin, heat.zmax) == (0, 1)


def test_many_layers_get_a_higher_figure():
    layers = tuple(f"blocks.{b}.{m}" for b in range(12) for m in "qv")
    record = make_record(ranks=[[4] * 24] * 3, layers=layers)
    assert rank_allocation(record).layout.height == 145 + 14 * 24
    assert rank_allocation(plausible_record(20)).layout.xaxis.tickangle == 30


def test_a_method_without_ranks_is_named():
    with pytest.raises(ValueError, match="of a method that chooses ranks, got 'frozen_head'"):
        rank_allocation(make_record(method="frozen_head"))
    with pytest.raises(ValueError, match="must be of a run with a finished task, got 0"):
        rank_allocation(make_record(n_done=0))
