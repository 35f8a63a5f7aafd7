"""Records as values: frozen, checked, equal apart from time."""

import copy
import dataclasses
import json
import math
import pickle

import numpy as np
import pytest
from helpers.records import (
    THREE_TASKS,
    THREE_TASKS_ORACLE,
    FakeModel,
    FakeStream,
    confused,
    make_record,
    make_task,
)

from fmlora_kit.record import Record, RecordError


def task(**changes):
    return make_task(0, THREE_TASKS[0], THREE_TASKS_ORACLE[0], [10], **changes)


def test_matrices_have_nan_where_nothing_was_evaluated():
    record = make_record(n_done=2)
    expected = THREE_TASKS.copy()
    expected[2] = np.nan
    np.testing.assert_array_equal(record.accuracy, expected)
    assert record.oracle_accuracy[1, 0] == 0.8
    assert record.n_test.tolist() == [10, 20]
    assert record.task_names == ("task A", "task B")


def test_ranks_are_tasks_by_layers():
    record = make_record(ranks=[[1, 2], [3, 4], [5, 6]])
    assert record.ranks.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert make_record().ranks.shape == (3, 0)
    assert make_record(n_done=0).ranks.shape == (0, 0)


def test_with_task_leaves_the_record_as_it_was():
    record = make_record(n_done=1)
    longer = record.with_task(make_task(1, THREE_TASKS[1], THREE_TASKS_ORACLE[1], [10, 20]))
    assert (len(record.tasks), len(longer.tasks)) == (1, 2)
    assert longer.tasks[0] is record.tasks[0]


def test_nothing_in_a_record_can_be_changed():
    record = make_record()
    first = record.tasks[0]
    with pytest.raises(AttributeError):
        record.seed = 1
    with pytest.raises(ValueError, match="read-only"):
        first.accuracy[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        first.state["core.0"][0] = 0
    with pytest.raises(TypeError, match="a record is a value"):
        first.state["other"] = np.zeros(1)
    with pytest.raises(TypeError, match="a record is a value"):
        record.config.update(seed=2)


def test_arrays_given_are_copied():
    given = np.zeros((2, 2))
    result = task(state={"core": given})
    given[:] = 1
    assert result.state["core"].sum() == 0


def test_transposed_state_keeps_its_values():
    given = np.arange(6.0).reshape(2, 3).T
    result = task(state={"core": given})
    assert result.state["core"].flags.c_contiguous
    np.testing.assert_array_equal(result.state["core"], given)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))])
def test_copies_are_equal_and_read_only_too(duplicate):
    record = make_record()
    twin = duplicate(record)
    assert twin == record and hash(twin) == hash(record)
    assert hash(twin.tasks[0]) == hash(record.tasks[0])
    with pytest.raises(ValueError, match="read-only"):
        twin.tasks[0].losses[0] = 0
    with pytest.raises(TypeError, match="a record is a value"):
        twin.tasks[0].scalars["x"] = 1.0


def test_same_as_ignores_seconds_only():
    assert task(seconds=1.0).same_as(task(seconds=2.0))
    core = np.full((2, 3), 0, dtype=np.float32)
    core[0, 0] = np.float32(1e-7)
    for change in (
        {"name": "other"},
        {"losses": [1.0, 2.0]},
        {"n_deployed": 1001},
        {"scalars": {"difficulty": 0.26}},
        {"state": {"core.0": core, "step": np.array(0)}},
        {"state": {"core.0": core.astype(np.float64), "step": np.array(0)}},
        {"state": {}},
    ):
        assert not task().same_as(task(**change)), change
    assert not make_record().same_as(make_record(n_done=2))
    assert not make_record().same_as(make_record(seed=1))
    assert not make_record().same_as("a record")
    assert not task().same_as("a task")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "name must be a non-empty string"),
        ({"n_test": 0}, "n_test must be >= 1, got 0"),
        ({"n_test": 1.5}, "n_test must be a whole number, got 1.5"),
        ({"n_deployed": -1}, "n_deployed must be >= 0, got -1"),
        ({"classes": ()}, "classes must be unique and not empty"),
        ({"classes": (1, 1)}, "classes must be unique"),
        ({"class_names": ("a",)}, r"class_names must be as many as classes, got 1 names for .*\(0"),
        ({"accuracy": [1.2, np.nan, np.nan]}, "accuracy must be fractions from 0 to 1"),
        ({"accuracy": [90.0, np.nan, np.nan]}, "got 90"),
        ({"oracle_accuracy": [-0.1, np.nan, np.nan]}, "oracle_accuracy must be fractions"),
        ({"accuracy": [0.5]}, "must have the same length, got 1 and 3"),
        ({"accuracy": [[0.5]]}, "accuracy must have one dimension"),
        ({"predictions": [-1] * 10}, "predictions must be >= 0, got -1"),
        ({"predictions": [0.5] * 10}, "predictions must be integers"),
        ({"ranks": [-2, 1]}, "ranks must be >= 0, got -2"),
        ({"losses": ["a"]}, "losses must be an array of numbers"),
        ({"state": {"core": np.array(["a"])}}, "state\\['core'\\] must be an array of numbers"),
        ({"scalars": {"novelty": math.inf}}, "scalars\\['novelty'\\] must be finite"),
        ({"seconds": -1.0}, "seconds must be >= 0"),
    ],
)
def test_a_task_result_that_breaks_a_rule(changes, message):
    with pytest.raises(RecordError, match=message):
        dataclasses.replace(task(), **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": ""}, "method must be a non-empty string"),
        ({"scenario": "task-incremental"}, "scenario must be one of"),
        ({"tasks": range(0)}, r"tasks must be a list of TaskResults, got range\(0, 0\)"),
        ({"tasks": "ab"}, "tasks must be a list of TaskResults, got 'ab'"),
        ({"n_tasks": 0}, "n_tasks must be >= 1, got 0"),
        ({"n_tasks": 4}, "one entry per task of the stream \\(4\\), got 3"),
        ({"n_classes": 3}, "classes must be class ids below n_classes \\(3\\), got 3"),
        ({"config": {"a": object()}}, "config must be JSON-able"),
        ({"config": {"a": math.nan}}, "config must be JSON-able"),
        ({"scenario": "domain-incremental"}, "every task must have the same classes"),
    ],
)
def test_a_record_that_breaks_a_rule(changes, message):
    with pytest.raises(RecordError, match=message):
        make_record(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": (1, 2)}, "must not share classes, got class 1 in 'task A' and 'task B'"),
        ({"classes": (-1, 2)}, "classes must be >= 0, got -1"),
        ({"predictions": [0, 1]}, "cover the 30 test images of the tasks seen so far, got 2"),
        ({"predictions": [9] * 30}, "predictions must be class ids below n_classes \\(6\\), got 9"),
        ({"ranks": [1, 2, 3]}, "ranks must be one per layer \\(2\\) or empty, got 3"),
        ({"ranks": [1, 2]}, "ranks must be given for every task or for none"),
    ],
)
def test_a_second_task_that_does_not_fit(changes, message):
    second = make_task(1, THREE_TASKS[1], THREE_TASKS_ORACLE[1], [10, 20])
    with pytest.raises(RecordError, match=message):
        make_record(n_done=1).with_task(dataclasses.replace(second, **changes))


def test_a_full_record_takes_no_further_task():
    record = make_record()
    with pytest.raises(RecordError, match="tasks must be at most n_tasks \\(3\\) results, got 4"):
        record.with_task(record.tasks[0])


def test_domain_incremental_tasks_share_their_classes():
    record = make_record(n_done=0, scenario="domain-incremental", n_classes=2)
    for t in range(3):
        result = make_task(
            t, THREE_TASKS[t], THREE_TASKS_ORACLE[t], [10, 20, 10][: t + 1], classes=(0, 1)
        )
        record = record.with_task(result)
    assert [t.classes for t in record.tasks] == [(0, 1)] * 3


def test_start_describes_model_stream_and_versions():
    record = Record.start(FakeModel(), FakeStream(), training={"epochs": 5})
    assert (record.method, record.stream, record.seed) == ("fmlora", "glyphs", 3)
    assert (record.n_tasks, record.n_classes, record.tasks) == (2, 4, ())
    assert record.layers == ("blocks.0.q",)
    assert record.config == {
        "method": {"max_rank": 16, "maps": ["q", "v"]},
        "stream": {"name": "glyphs", "n_tasks": 2, "seed": 7},
        "training": {"epochs": 5},
    }
    assert record.versions["numpy"] == np.__version__
    assert set(record.versions) == {"python", "fmlora_kit", "numpy", "timm", "torch"}
    assert json.loads(json.dumps(record.config)) == record.config


def test_start_asks_the_stream_to_describe_itself_if_it_can():
    class Talkative(FakeStream):
        def describe(self):
            return {"styles": ("neon",)}

    assert Record.start(FakeModel(), Talkative()).config["stream"] == {"styles": ["neon"]}


def test_start_keeps_its_own_names():
    with pytest.raises(RecordError, match="must not use the names 'method' and 'stream'"):
        Record.start(FakeModel(), FakeStream(), method={})


def test_summary_line():
    record = make_record(ranks=[[1, 2], [3, 4], [6, 7]])
    # acc: (10 * .5 + 20 * .9 + 10 * .6) / 40 and (.5 + .9 + .6) / 3, over images and over tasks;
    # forgetting: ((.9 - .5) + (.8 - .9)) / 2
    acc = "acc 0.72 micro, 0.67 macro"
    assert record.summary_line() == f"task 3/3 task C  rank 6.5  {acc}  forgetting 0.15  2 s"
    assert "  acc 0.67  " in make_record(n_test=(10, 10, 10)).summary_line()  # one number for both


def test_summary_line_leaves_out_what_there_is_not():
    assert make_record(n_done=0).summary_line() == "task 0/3"
    assert make_record(n_done=1).summary_line() == "task 1/3 task A  acc 0.90  2 s"
    record = make_record(n_done=0).with_task(task(seconds=math.nan))
    assert record.summary_line() == "task 1/3 task A  acc 0.90"


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1], r"test_labels must be one per test image \(10\), or empty, got 2"),
        ([0, 5] * 5, "test_labels must be of its own classes, got 5"),
        ([0.5] * 10, "test_labels must be integers"),
    ],
)
def test_test_labels_keep_their_rules(labels, message):
    with pytest.raises(RecordError, match=message):
        make_task(0, THREE_TASKS[0], THREE_TASKS_ORACLE[0], (10,), test_labels=labels)


def test_traces_are_read_only_copies():
    watched = np.ones((2, 3))
    task = make_task(
        0, THREE_TASKS[0], THREE_TASKS_ORACLE[0], (10,), traces={"drs.expected_rank": watched}
    )
    watched[:] = 7
    assert task.traces["drs.expected_rank"].tolist() == [[1.0] * 3] * 2
    with pytest.raises(ValueError, match="read-only"):
        task.traces["drs.expected_rank"][0] = 0
    with pytest.raises(TypeError, match="a record is a value"):
        task.traces["more"] = watched
    other = make_task(0, THREE_TASKS[0], THREE_TASKS_ORACLE[0], (10,), traces={})
    assert not task.same_as(other)


def test_until_gives_the_record_as_it_was():
    record = make_record()
    assert record.until(2) == make_record(n_done=2)
    assert record.until(0).tasks == () and record.until(3) == record
    assert np.isnan(record.until(1).accuracy[1]).all()
    for n, message in ((4, "n must be 0 to 3 finished tasks, got 4"), (-1, "got -1")):
        with pytest.raises(RecordError, match=message):
            record.until(n)
    with pytest.raises(RecordError, match="n must be a whole number, got 1.5"):
        record.until(1.5)


def test_an_accuracy_that_contradicts_the_stored_predictions_is_refused():
    record = confused()
    assert record.accuracy[1, 0] == 0.75
    last = record.tasks[1]
    accuracy = last.accuracy.copy()
    accuracy[0] = 0.5
    wrong = dataclasses.replace(last, accuracy=accuracy)
    rule = r"accuracy on task 0 must be 0.75, the share of right predictions, got 0.5"
    with pytest.raises(RecordError, match=rule):
        record.until(1).with_task(wrong)
    accuracy[0] = math.nan  # not evaluated
    assert len(record.until(1).with_task(dataclasses.replace(last, accuracy=accuracy)).tasks) == 2
