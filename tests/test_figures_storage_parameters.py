"""The parameters figure, by the values in its three panels."""

import dataclasses

import numpy as np
from helpers.records import make_record

from fmlora_kit.figures import parameters_stored


def growing(**changes):
    """A record whose deployed size grows by 100 numbers a task."""
    record = make_record(method="growing", **changes)
    tasks = [
        dataclasses.replace(task, n_deployed=1000 + 100 * t, n_training_state=0)
        for t, task in enumerate(record.tasks)
    ]
    return dataclasses.replace(record, tasks=tuple(tasks))


def test_three_panels_of_one_record():
    figure = parameters_stored(make_record())
    deployed, training, record = figure.data
    np.testing.assert_array_equal(deployed.y, [1000, 1000, 1000])
    np.testing.assert_array_equal(training.y, [30, 30, 30])
    # each snapshot holds a 2 x 3 core and a step counter
    np.testing.assert_array_equal(record.y, [7, 14, 21])
    assert [t.xaxis for t in figure.data] == ["x", "x2", "x3"]
    assert figure.layout.title.subtitle.text == "Deployed size, first to last task: constant"
    assert not any(t.showlegend for t in figure.data)
    assert figure.layout.yaxis.title.text == "parameters (numbers stored)"
    assert "1,000 numbers" in deployed.text[0]


def test_methods_compared():
    figure = parameters_stored({"ours": make_record(), "theirs": growing()})
    theirs = [trace for trace in figure.data if trace.name == "theirs"]
    np.testing.assert_array_equal(theirs[0].y, [1000, 1100, 1200])
    assert [trace.showlegend for trace in theirs] == [True, False, False]
    assert figure.layout.title.subtitle.text.endswith("theirs +20.0 %, others constant")


def test_several_seeds_have_a_band_where_they_differ():
    figure = parameters_stored({"a": [growing(seed=0), growing(seed=1)]})
    assert figure.layout.title.subtitle.text.endswith(
        "a +20.0 %; mean of 2 seeds, band: 95% interval"
    )
    (band, *_) = [trace for trace in figure.data if trace.fill == "toself"]
    np.testing.assert_array_equal(band.y, [1000, 1100, 1200, 1200, 1100, 1000])


def test_many_growing_methods_do_not_overflow_the_subtitle():
    figure = parameters_stored({name: growing() for name in "abcde"})
    assert figure.layout.title.subtitle.text.endswith("a +20.0 %, b +20.0 %, c +20.0 %, …")


def test_one_task_cannot_be_constant():
    figure = parameters_stored(make_record(n_done=1))
    assert figure.layout.title.subtitle.text == "One task finished"
    np.testing.assert_array_equal(figure.data[0].y, [1000])
