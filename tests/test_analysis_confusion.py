"""Confusion between tasks and classes, counted by hand from twelve images."""

import numpy as np
import pytest
from helpers.records import confused, make_record

from fmlora_kit.analysis import class_confusion, class_history, lost_images, task_confusion

NAN = np.nan


def test_where_each_tasks_images_end_up():
    expected = [[0.5, 0, 0.5], [0.25, 0.5, 0.25], [0.25, 0, 0.75]]
    np.testing.assert_allclose(task_confusion(confused()), expected)


def test_where_they_ended_up_earlier():
    np.testing.assert_allclose(task_confusion(confused(), 2), [[0.75, 0.25], [0.25, 0.75]])
    np.testing.assert_allclose(task_confusion(confused(), 1), [[1.0]])
    np.testing.assert_allclose(task_confusion(confused(n_done=2)), [[0.75, 0.25], [0.25, 0.75]])


def test_task_confusion_needs_no_test_labels():
    np.testing.assert_allclose(task_confusion(confused(labelled=False))[2], [0.25, 0, 0.75])


def test_what_was_lost_to_whom_and_what_came_back():
    table = lost_images(confused())
    np.testing.assert_allclose(table.lost, [[0, 0, 0.5], [0, 0.25, 0.25], [0, 0, 0]])
    np.testing.assert_allclose(table.regained, [0.25, 0, 0])
    np.testing.assert_allclose(table.net, [0.25, 0.5, 0])


def test_net_losses_are_the_fall_of_the_accuracy_matrix():
    record = confused()
    a = record.accuracy
    for n in (1, 2, 3):
        expected = np.diag(a)[:n] - a[n - 1, :n]
        np.testing.assert_allclose(lost_images(record, n).net, expected)
    np.testing.assert_allclose(lost_images(record, 2).lost, [[0, 0.25], [0, 0]])


def test_every_class_over_time():
    history = class_history(confused())
    assert history.tasks.tolist() == [0, 0, 1, 1, 2, 2]
    assert history.classes.tolist() == [0, 1, 2, 3, 4, 5]
    assert history.names[3] == "class 3"
    assert history.n_images.tolist() == [2] * 6
    expected = [
        [1, 0.5, NAN, NAN, NAN, NAN],
        [0.5, 1, 1, 0.5, NAN, NAN],
        [0, 1, 0.5, 0, 1, 0.5],
    ]
    np.testing.assert_allclose(history.accuracy, expected)
    np.testing.assert_allclose(history.forgetting, [1, -0.5, 0.5, 0.5, NAN, NAN])


def test_what_each_class_is_taken_for_now():
    lost = class_history(confused()).lost
    np.testing.assert_allclose(lost[0], [0, 0, 0, 0, 1, 0])
    np.testing.assert_allclose(lost[2], [0, 0, 0, 0.5, 0, 0])
    np.testing.assert_allclose(lost[3], [0, 0, 0, 0, 0, 0.5])  # the other one never was right
    assert not lost[[1, 4, 5]].any()


def test_classes_at_an_earlier_time():
    history = class_history(confused(), 2)
    np.testing.assert_allclose(history.forgetting, [0.5, -0.5, NAN, NAN])
    np.testing.assert_allclose(history.lost[0], [0, 0, 0.5, 0])


def test_confusion_of_all_classes():
    table = class_confusion(confused())
    expected = np.zeros((6, 6), dtype=int)
    for truth, said in zip(
        [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5], [4, 4, 1, 1, 2, 3, 5, 0, 4, 4, 5, 1], strict=True
    ):
        expected[truth, said] += 1
    np.testing.assert_array_equal(table.counts, expected)
    np.testing.assert_allclose(table.shares, expected / 2)
    assert table.tasks.tolist() == [0, 0, 1, 1, 2, 2]
    assert table.names == tuple(f"class {c}" for c in range(6))


def test_confusion_of_one_tasks_images():
    table = class_confusion(confused(), task=1)
    assert table.counts.sum() == 4
    assert table.counts[2, [2, 3]].tolist() == [1, 1]
    assert table.counts[3, [0, 5]].tolist() == [1, 1]
    assert np.isnan(table.shares[0]).all()


def test_domain_incremental_pairs_of_task_and_class():
    history = class_history(confused(domains=True))
    assert history.tasks.tolist() == [0, 0, 1, 1, 2, 2]
    assert history.classes.tolist() == [0, 1, 0, 1, 0, 1]
    np.testing.assert_allclose(history.accuracy[2], [0, 1, 1, 1, 1, 1])
    np.testing.assert_allclose(history.forgetting, [1, 0, 0, -0.5, NAN, NAN])
    np.testing.assert_allclose(history.lost[0], [0, 1])


def test_domain_incremental_class_confusion_pools_the_tasks():
    table = class_confusion(confused(domains=True))
    np.testing.assert_array_equal(table.counts, [[4, 2], [0, 6]])
    only = class_confusion(confused(domains=True), 2, task=1)
    np.testing.assert_array_equal(only.counts, [[2, 0], [1, 1]])
    assert table.names == ("class 0", "class 1")


@pytest.mark.parametrize("function", [task_confusion, lost_images])
def test_a_domain_has_no_classes_of_its_own(function):
    message = f"class-incremental for {function.__name__}, .*got scenario 'domain-incremental'"
    with pytest.raises(ValueError, match=message):
        function(confused(domains=True))


@pytest.mark.parametrize("function", [task_confusion, lost_images, class_history, class_confusion])
@pytest.mark.parametrize("after", [0, 4, 1.0, True])
def test_after_is_a_number_of_finished_tasks(function, after):
    with pytest.raises(ValueError, match=f"after must be .*between 1 and 3, got {after}"):
        function(confused(), after)


@pytest.mark.parametrize("function", [lost_images, class_history, class_confusion])
def test_records_without_test_labels_are_named(function):
    with pytest.raises(ValueError, match="test_labels for every task, got none of task 'task A'"):
        function(confused(labelled=False))


def test_other_bad_arguments_are_named():
    with pytest.raises(ValueError, match="task must be between 0 and 1, got 2"):
        class_confusion(confused(), 2, task=2)
    with pytest.raises(ValueError, match="record must have a finished task, got none"):
        task_confusion(make_record(n_done=0))


@pytest.mark.parametrize("domains", [False, True])
@pytest.mark.parametrize("task", [None, 0, 1])
def test_class_confusion_counts_image_by_image(domains, task):
    record = confused(domains=domains)
    table = class_confusion(record, task=task)
    counts = np.zeros_like(table.counts)
    at = {c: k for k, c in enumerate(table.classes.tolist())}
    predicted = np.split(record.tasks[-1].predictions, np.cumsum(record.n_test[:-1]))
    for i in range(len(record.tasks)) if task is None else [task]:
        pairs = zip(record.tasks[i].test_labels.tolist(), predicted[i].tolist(), strict=True)
        for label, guess in pairs:
            counts[at[label], at[guess]] += 1
    np.testing.assert_array_equal(table.counts, counts)


@pytest.mark.parametrize("wrong", [None, "runs/fmlora", [confused()]])
@pytest.mark.parametrize("function", [task_confusion, lost_images, class_history, class_confusion])
def test_what_is_no_record_is_named(function, wrong):
    with pytest.raises(ValueError, match="record must be a Record, got"):
        function(wrong)
