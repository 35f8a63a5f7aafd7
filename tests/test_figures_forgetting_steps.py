"""Who did it: the cells of the steps, and the points of forward transfer."""

import re

import numpy as np
import pytest
from helpers.records import THREE_TASKS, make_record

from fmlora_kit.figures import fall_per_step
from fmlora_kit.figures.forgetting import forward_transfer, signed

NAN = np.nan


def ahead(first, second, **changes):
    oracle = THREE_TASKS.copy()
    oracle[0, 1], oracle[1, 2] = first, second
    return make_record(oracle=oracle, **changes)


def test_rows_are_tasks_and_columns_are_steps():
    figure = fall_per_step(make_record())
    (heat,) = figure.data
    np.testing.assert_allclose(heat.z, [[-20, -20], [NAN, 10]])
    assert [list(row) for row in heat.text] == [["−20.0", "−20.0"], ["", "+10.0"]]
    assert (heat.zmin, heat.zmax) == pytest.approx((-20, 20))
    assert list(figure.layout.xaxis.ticktext) == ["task B", "task C"]
    assert list(figure.layout.yaxis.ticktext) == ["task A", "task B"]
    assert [a.text for a in figure.layout.annotations] == ["<b>−40.0</b>", "<b>+10.0</b>"]
    assert list(heat.customdata[0][1]) == ["task A", "task C"]


def test_the_largest_fall_in_words():
    accuracy = THREE_TASKS.copy()
    accuracy[2, 0] = 0.3
    subtitle = fall_per_step(make_record(accuracy)).layout.title.subtitle.text
    assert "Largest fall: task A</b> (−40.0 points) <b>while learning task C" in subtitle
    better = np.array([[0.5, NAN, NAN], [0.6, 0.5, NAN], [0.7, 0.5, 0.5]])
    subtitle = fall_per_step(make_record(better)).layout.title.subtitle.text
    assert subtitle.startswith("No step cost an earlier task anything.")


def test_an_unfinished_run_has_fewer_steps():
    (heat,) = fall_per_step(make_record(n_done=2)).data
    np.testing.assert_allclose(heat.z, [[-20]])


def test_accuracy_before_learning_against_chance():
    figure = forward_transfer({"ours": ahead(0.3, 0.4), "theirs": ahead(0.1, 0.2)})
    ours, theirs, chance = figure.data
    np.testing.assert_allclose(ours.x, [2, 3])
    np.testing.assert_allclose(ours.y, [30, 40])
    np.testing.assert_allclose(theirs.y, [10, 20])
    np.testing.assert_allclose(chance.y, [50, 50])  # two classes
    assert list(figure.layout.xaxis.ticktext) == ["task B", "task C"]


def test_several_seeds_give_mean_and_band():
    runs = [ahead(0.3, 0.4), ahead(0.5, 0.4, seed=1)]
    figure = forward_transfer({"ours": runs})
    band, line, _ = figure.data
    np.testing.assert_allclose(line.y, [40, 40])
    assert band.fill == "toself"
    assert "mean of 2 seeds" in figure.layout.title.subtitle.text


@pytest.mark.parametrize(
    ("value", "text"), [(-2.5, "−2.5"), (0.04, "0.0"), (-0.04, "0.0"), (20, "+20.0")]
)
def test_signs(value, text):
    assert signed(value) == text


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="must be of a run with at least 2 finished tasks, got 1"):
        fall_per_step(make_record(n_done=1))
    rule = "tested on the next task before it is learned (class-incremental ones are not)"
    message = f"records['FM-LoRA'] must be {rule}, got 'NaN alone'"
    with pytest.raises(ValueError, match=re.escape(message)):
        forward_transfer(make_record())
