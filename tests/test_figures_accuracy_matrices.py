"""Accuracy matrices side by side."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.records import THREE_TASKS, make_record, plausible_record

from fmlora_kit.figures import accuracy_matrix


def test_a_matrix_per_label_on_one_scale():
    figure = accuracy_matrix({"ours": make_record(), "theirs": make_record(THREE_TASKS / 2)})
    ours, theirs = figure.data
    np.testing.assert_allclose(ours.z, 100 * THREE_TASKS)
    np.testing.assert_allclose(theirs.z, 50 * THREE_TASKS)
    assert [list(row) for row in ours.text][2] == ["50", "90", "60"]
    assert ours.coloraxis == theirs.coloraxis == "coloraxis"
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (0, 100)
    assert [a.text for a in figure.layout.annotations] == ["ours", "theirs"]
    assert list(figure.layout.yaxis2.ticktext) == ["task A", "task B", "task C"]


def test_seeds_are_averaged_as_far_as_all_came():
    runs = [make_record(), make_record(THREE_TASKS - 0.1, seed=1, n_done=2)]
    (heat,) = accuracy_matrix({"ours": runs}).data
    np.testing.assert_allclose(heat.z, [[85, np.nan], [65, 75]])


def test_accuracy_before_learning_is_left_out():
    accuracy = THREE_TASKS.copy()
    accuracy[0, 1] = 0.4
    (heat,) = accuracy_matrix(make_record(accuracy)).data
    assert np.isnan(heat.z[0][1])


def test_many_runs_take_more_rows_and_many_tasks_no_numbers():
    figure = accuracy_matrix({f"run {k}": plausible_record(10, seed=k) for k in range(4)})
    assert figure.layout.height == 640  # in view on a laptop
    assert figure.data[3].xaxis == "x4"
    assert figure.data[0].texttemplate == ""


def test_names_stand_beneath_the_lowest_maps_and_of_many_only_some():
    figure = accuracy_matrix({f"run {k}": plausible_record(40, seed=k) for k in range(4)})
    shown = [figure.layout[f"xaxis{k}"].showticklabels for k in ("", 2, 3, 4)]
    assert shown == [False, False, True, True]  # two and two
    names = plausible_record(40).task_names
    for axis in (figure.layout.xaxis3, figure.layout.yaxis4):
        assert list(axis.ticktext) == list(names[::2]) and axis.tickvals[-1] == 38


def test_names_are_whole_where_there_is_room():
    record = make_record()
    named = [replace(task, name=f"Latin, barred {k}") for k, task in enumerate(record.tasks)]
    runs = dict.fromkeys(("run 0", "run 1"), replace(record, tasks=tuple(named)))
    assert accuracy_matrix(runs).layout.xaxis.ticktext[1] == "Latin, barred 1"
    assert accuracy_matrix(runs | {"run 2": record}).layout.xaxis.ticktext[1] == "Latin, bar…"


def test_nothing_to_draw_is_named():
    with pytest.raises(ValueError, match="must be of a run with a finished task, got 0"):
        accuracy_matrix({"a": make_record(n_done=0)})
