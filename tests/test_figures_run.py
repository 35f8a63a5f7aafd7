"""The figure of a run that is still training, by the values in its traces."""

import numpy as np
import pytest
from helpers.records import make_record

from fmlora_kit.figures.run import training_progress
from fmlora_kit.figures.style import task_colors


def lines(figure):
    return [t for t in figure.data if t.type == "scatter" and t.mode == "lines"]


def bars(figure):
    (trace,) = [t for t in figure.data if t.type == "bar" and t.name == "now"]
    return trace


def diamonds(figure):
    (trace,) = [t for t in figure.data if t.type == "scatter" and t.mode == "markers"]
    return trace


def test_every_loss_is_drawn_task_after_task():
    figure = training_progress(make_record(n_done=2), [1.5, 0.25], n_steps=5)
    first, second, running = lines(figure)
    np.testing.assert_allclose(first.y, [2, 5 / 3, 4 / 3, 1])
    np.testing.assert_array_equal(first.x, [1, 2, 3, 4])
    np.testing.assert_array_equal(second.x, [5, 6, 7, 8])
    np.testing.assert_array_equal(running.y, [1.5, 0.25])
    np.testing.assert_array_equal(running.x, [9, 10])
    assert tuple(figure.layout.xaxis.range) == (0, 13)
    assert [t.line.color for t in lines(figure)] == list(task_colors(3))
    assert [t.name for t in lines(figure)] == ["task A", "task B", "task 3"]


def test_accuracy_now_beside_accuracy_when_just_learned():
    figure = training_progress(make_record())
    np.testing.assert_allclose(bars(figure).x, [50, 90, 60])
    np.testing.assert_allclose(diamonds(figure).x, [90, 80, 60])
    assert list(bars(figure).text) == ["50", "90", "60"]
    assert tuple(bars(figure).marker.color) == task_colors(3)
    assert tuple(figure.layout.xaxis.range) == (0, 12)


def test_before_anything_is_learned():
    names = ["Latin", "Greek", "Hebrew"]
    figure = training_progress(make_record(n_done=0), task_names=names)
    assert lines(figure) == [] and len(bars(figure).x) == 0
    assert list(figure.layout.yaxis2.ticktext) == names
    assert tuple(figure.layout.xaxis.range) == (0, 1)
    (running,) = lines(training_progress(make_record(n_done=0), [3.0], task_names=names))
    assert running.name == "Latin" and list(running.y) == [3.0]


def test_more_tasks_than_the_stream_has_are_refused():
    with pytest.raises(ValueError, match="of at most 3 tasks, got \\(4, 4\\)"):
        training_progress(make_record(), [1.0])
    with pytest.raises(ValueError, match="of at most 3 tasks, got \\(1, 4\\)"):
        training_progress(make_record(n_done=1), task_names=list("abcd"))


def ranks(figure):
    return [t for t in figure.data if t.name == "rank"]


def test_ranks_while_they_are_chosen_and_after():
    record = make_record(n_done=2, ranks=[(3, 5), (2, 8), (1, 1)])
    (running,) = ranks(training_progress(record, [1.0], expected_rank=[4.5, 6.0]))
    np.testing.assert_array_equal(running.x, [4.5, 6.0])
    assert running.marker.color == task_colors(3)[2] and list(running.text) == ["4", "6"]
    (chosen,) = ranks(training_progress(record))
    np.testing.assert_array_equal(chosen.x, [2, 8])
    assert chosen.marker.color == task_colors(3)[1]
    figure = training_progress(record)
    assert figure.layout.xaxis2.range[1] == pytest.approx(8 * 1.02)  # max_rank of the config
    assert list(figure.layout.yaxis2.ticktext) == ["0.q", "0.v"]
    assert "task B" in [a.text for a in figure.layout.annotations][1]
    np.testing.assert_allclose(bars(figure).x, 100 * record.accuracy[1, :2])


def test_a_method_without_ranks_has_two_panels():
    assert ranks(training_progress(make_record())) == []
