"""Complexity against the chosen rank, by the values in the traces."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.records import make_record, plausible_record
from test_analysis_ranks import drs_record

from fmlora_kit.figures import complexity_and_rank
from fmlora_kit.figures.style import task_colors


def test_the_bars_add_up_to_the_complexity():
    difficulty, novelty, _ = complexity_and_rank(drs_record()).data
    np.testing.assert_allclose(difficulty.y, [0.25, 0.125, 0.25])
    np.testing.assert_allclose(novelty.y, [0.5, 0.375, 0.125])
    np.testing.assert_allclose(np.add(difficulty.y, novelty.y), [0.75, 0.5, 0.375])
    assert list(novelty.text) == ["novelty<br>1.00", "novelty<br>0.75", "novelty<br>0.25"]
    assert (difficulty.name, novelty.name) == ("difficulty / 2", "novelty / 2")


def test_the_diamonds_are_the_chosen_ranks_on_the_same_heights():
    figure = complexity_and_rank(drs_record())
    ranks = figure.data[2]
    np.testing.assert_allclose(ranks.y, [6, 3, 2])
    np.testing.assert_allclose(ranks.error_y.array, [2, 1, 0])
    np.testing.assert_allclose(ranks.error_y.arrayminus, [2, 1, 0])
    np.testing.assert_allclose(np.array(ranks.customdata)[:, 1], [6, 4, 3])
    assert list(ranks.text) == ["<b>6.0</b>", "<b>3.0</b>", "<b>2.0</b>"]
    left, right = figure.layout.yaxis, figure.layout.yaxis2
    np.testing.assert_allclose(np.multiply(left.range, 8), right.range)
    assert ranks.yaxis == "y2" and figure.layout.barmode == "stack"
    assert "Most rank: task A, 6.0 of 8." in figure.layout.title.subtitle.text
    assert list(figure.layout.xaxis.ticktext) == ["task A", "task B", "task C"]


def test_several_records_are_points_of_rank_against_complexity():
    part = replace(drs_record(), tasks=drs_record().tasks[:2])
    figure = complexity_and_rank({"whole": drs_record(), "part": part})
    by_name = {trace.name: trace for trace in figure.data if trace.showlegend is False}
    np.testing.assert_allclose(by_name["whole"].x, [0.75, 0.5, 0.375])
    np.testing.assert_allclose(by_name["whole"].y, [6, 3, 2])
    np.testing.assert_allclose(by_name["part"].y, [6, 3])
    assert list(by_name["part"].marker.color) == list(task_colors(3)[:2])
    assert by_name["part"].marker.symbol != by_name["whole"].marker.symbol
    line = figure.data[0]
    assert (list(line.x), list(line.y), line.name) == ([0, 1], [0, 8], "r = 8 H")
    keys = [trace.name for trace in figure.data[1:] if trace.showlegend is not False]
    assert keys == ["whole", "part", "task A", "task B", "task C"]


def test_seeds_are_pooled_and_a_lone_record_in_a_dict_is_drawn_as_one():
    figure = complexity_and_rank({"seeds": [drs_record(), drs_record()]})
    (points,) = [trace for trace in figure.data if trace.showlegend is False]
    np.testing.assert_allclose(points.y, [6, 3, 2] * 2)
    assert len(complexity_and_rank({"one": drs_record()}).data) == 3


def test_tasks_that_differ_between_runs_get_no_names_in_the_legend():
    other = drs_record()
    renamed = tuple(replace(task, name=f"other {task.name}") for task in other.tasks)
    figure = complexity_and_rank({"a": drs_record(), "b": replace(other, tasks=renamed)})
    keys = [trace.name for trace in figure.data[1:] if trace.showlegend is not False]
    assert keys == ["a", "b"]


def test_twenty_tasks_have_no_words_in_their_bars():
    record = plausible_record(20)
    scalars = {"difficulty": 0.5, "novelty": 0.5, "complexity": 0.5}
    state = {"drs.candidates": np.array([8, 16])}
    tasks = tuple(replace(task, scalars=scalars, state=state) for task in record.tasks)
    figure = complexity_and_rank(replace(record, tasks=tasks))
    assert figure.data[0].textposition == "none" and figure.data[2].mode == "markers"
    assert complexity_and_rank(drs_record()).data[0].textposition == "inside"
    assert complexity_and_rank(drs_record()).data[2].mode == "markers+text"


def test_a_method_without_ranks_is_named():
    with pytest.raises(ValueError, match="chooses ranks, got 'frozen_head' without any"):
        complexity_and_rank(make_record(method="frozen_head"))
    with pytest.raises(ValueError, match="must be of a run with a finished task, got 0"):
        complexity_and_rank(make_record(n_done=0))
