"""Every metric by exact values, on matrices small enough to do by hand."""

import math

import numpy as np
import pytest
from helpers.records import (
    THREE_TASKS,
    THREE_TASKS_ORACLE,
    make_record,
    make_task,
    plausible_record,
)

from fmlora_kit.analysis import accuracy as m

N_TEST = (10, 20, 10)
NAN = math.nan
FORGETTING_FAMILY = (
    "forgetting",
    "forgetting_first",
    "forgetting_step",
    "backward_transfer",
    "forward_transfer",
    "drift_forgetting",
    "competition",
)


def test_average_accuracy_micro_weighs_tasks_by_their_test_images():
    per_step = m.average_accuracy(THREE_TASKS, N_TEST)
    expected = [0.9, (10 * 0.7 + 20 * 0.8) / 30, (10 * 0.5 + 20 * 0.9 + 10 * 0.6) / 40]
    np.testing.assert_allclose(per_step, expected, rtol=0, atol=1e-15)


def test_average_accuracy_macro_weighs_tasks_alike():
    per_step = m.average_accuracy(THREE_TASKS, average="macro")
    np.testing.assert_allclose(per_step, [0.9, 0.75, 2 / 3], rtol=0, atol=1e-15)


def test_final_and_anytime_accuracy():
    assert m.final_accuracy(THREE_TASKS, N_TEST) == pytest.approx(0.725, abs=1e-15)
    assert m.final_accuracy(THREE_TASKS, average="macro") == pytest.approx(2 / 3, abs=1e-15)
    micro = (0.9 + 23 / 30 + 0.725) / 3
    assert m.average_anytime_accuracy(THREE_TASKS, N_TEST) == pytest.approx(micro, abs=1e-15)
    macro = (0.9 + 0.75 + 2 / 3) / 3
    assert m.average_anytime_accuracy(THREE_TASKS, average="macro") == pytest.approx(macro)


def test_the_three_definitions_of_forgetting_differ():
    # task 1: .5 when learned, best .9 after task 2, .6 in the end. task 2: .8 -> .7
    a = np.array([[0.5, NAN, NAN], [0.9, 0.8, NAN], [0.6, 0.7, 1.0]])
    assert m.forgetting_max(a) == pytest.approx(((0.9 - 0.6) + (0.8 - 0.7)) / 2)
    assert m.forgetting_first(a) == pytest.approx(((0.5 - 0.6) + (0.8 - 0.7)) / 2)
    step_2 = 0.5 - 0.9
    step_3 = ((0.9 - 0.6) + (0.8 - 0.7)) / 2
    assert m.forgetting_step(a) == pytest.approx((step_2 + step_3) / 2)
    assert m.backward_transfer(a) == -m.forgetting_first(a)


def test_forgetting_of_the_hand_made_record():
    assert m.forgetting_max(THREE_TASKS) == pytest.approx(((0.9 - 0.5) + (0.8 - 0.9)) / 2)
    assert m.drift_forgetting(THREE_TASKS_ORACLE) == pytest.approx(((0.9 - 0.8) + 0.0) / 2)
    assert m.competition(THREE_TASKS, THREE_TASKS_ORACLE) == pytest.approx(0.15 - 0.05)
    assert m.learning_accuracy(THREE_TASKS) == pytest.approx((0.9 + 0.8 + 0.6) / 3)


def test_the_best_accuracy_is_from_before_the_last_task_as_the_text_says():
    """Where a task ends at its best, t < T gives a number below zero and t <= T gives zero."""
    a = np.array([[0.5, NAN], [0.6, 0.9]])
    before, until = (np.nanmax(a[:k, 0]) - a[-1, 0] for k in (1, 2))
    assert m.forgetting_max(a) == pytest.approx(before) == -0.1 and until == 0
    ours, theirs = " ".join(m.forgetting_max.__doc__.split()).split("The codes of ")
    assert "(max_{t<T} a[t,i] - a[T,i])" in ours and "Chaudhry et al." in ours
    assert "PyCIL" not in ours and "below zero where a task ends at its best" in ours
    assert theirs.startswith("PILOT, SD-LoRA, HiDe-Prompt and mammoth take the best of t <= T:")
    assert "max_{t<T}" in m.DEFINITIONS["forgetting"]


def test_accuracy_before_a_task_was_learned_is_not_forgotten():
    a = THREE_TASKS.copy()
    a[0, 1] = 1.0
    assert m.forgetting_max(a) == m.forgetting_max(THREE_TASKS)


def test_forward_transfer_needs_accuracy_above_the_diagonal():
    a = THREE_TASKS.copy()
    a[0, 1], a[1, 2] = 0.6, 0.9
    assert m.forward_transfer(a, 0.5) == pytest.approx((0.1 + 0.4) / 2)
    assert m.forward_transfer(a, [0.0, 0.5, 0.25]) == pytest.approx((0.1 + 0.65) / 2)
    assert math.isnan(m.forward_transfer(THREE_TASKS, 0.5))


def test_forgetting_curve_is_the_metric_as_if_the_stream_ended_there():
    curve = m.forgetting_curve(THREE_TASKS)
    np.testing.assert_allclose(curve, [NAN, 0.2, 0.15], atol=1e-15)
    first = m.forgetting_curve(THREE_TASKS, definition="first")
    np.testing.assert_allclose(first, [NAN, 0.2, 0.15], atol=1e-15)
    step = m.forgetting_curve(THREE_TASKS, definition="step")
    np.testing.assert_allclose(step, [NAN, 0.2, (0.2 + 0.05) / 2], atol=1e-15)


def test_forgetting_of_each_task():
    np.testing.assert_allclose(m.task_forgetting(THREE_TASKS), [0.4, -0.1, NAN], atol=1e-15)
    assert m.task_forgetting(np.full((2, 2), NAN)).size == 0


def test_metrics_of_a_record():
    values = m.metrics(make_record())
    assert set(values) == set(m.DEFINITIONS)
    assert values["final_accuracy"] == pytest.approx(0.725)
    assert values["final_accuracy_macro"] == pytest.approx(2 / 3)
    assert values["forgetting"] == pytest.approx(0.15)
    assert values["backward_transfer"] == pytest.approx(-0.15)
    assert values["drift_forgetting"] == pytest.approx(0.05)
    assert values["competition"] == pytest.approx(0.10)
    assert math.isnan(values["forward_transfer"])


def test_forward_transfer_of_a_record_uses_task_identity_and_its_own_chance():
    oracle = THREE_TASKS_ORACLE.copy()
    oracle[0, 1], oracle[1, 2] = 0.7, 0.6
    values = m.metrics(make_record(oracle=oracle))
    assert values["forward_transfer"] == pytest.approx(((0.7 - 0.5) + (0.6 - 0.5)) / 2)


def test_one_task_has_no_forgetting_rather_than_none_at_all():
    values = m.metrics(make_record(n_done=1))
    assert values["final_accuracy"] == values["learning_accuracy"] == 0.9
    assert all(math.isnan(values[name]) for name in FORGETTING_FAMILY)


def test_a_stream_of_one_task():
    values = m.metrics(make_record(np.array([[0.8]]), np.array([[0.8]]), n_test=[5]))
    assert values["average_anytime_accuracy"] == 0.8
    assert all(math.isnan(values[name]) for name in FORGETTING_FAMILY)


def test_a_record_without_tasks_is_unknown_throughout():
    values = m.metrics(make_record(n_done=0))
    assert all(math.isnan(value) for value in values.values())


def test_an_unfinished_record_is_measured_over_what_is_there():
    unfinished = make_record(n_done=2)
    finished = make_record(THREE_TASKS[:2, :2], THREE_TASKS_ORACLE[:2, :2], n_test=N_TEST[:2])
    for name, value in m.metrics(finished).items():
        np.testing.assert_array_equal(m.metrics(unfinished)[name], value, err_msg=name)
    assert m.metrics(unfinished)["forgetting"] == pytest.approx(0.2)


def test_a_task_not_evaluated_in_the_end_does_not_count():
    a = THREE_TASKS.copy()
    a[2, 0] = NAN
    assert m.forgetting_max(a) == pytest.approx(0.8 - 0.9)
    assert math.isnan(m.final_accuracy(a, N_TEST))


def test_evaluation_only_in_the_end_gives_no_forgetting():
    a = np.full((2, 2), NAN)
    a[1] = [0.5, 0.7]
    assert math.isnan(m.forgetting_max(a))
    assert m.final_accuracy(a, average="macro") == pytest.approx(0.6)


def test_more_than_ten_tasks_and_a_hundred_classes():
    """Task 10 comes after task 9, not after task 1: each falls by its own number in the end."""
    n = 12
    a = np.where(np.tri(n, dtype=bool), 0.9, NAN)
    a[n - 1] = 0.9 - np.arange(n) / 100
    record = make_record(a, a, n_test=[100] * n, classes_per_task=10)
    assert record.n_classes == 120
    values = m.metrics(record)
    assert values["forgetting"] == pytest.approx(sum(range(11)) / 11 / 100)
    assert values["final_accuracy"] == pytest.approx(0.9 - sum(range(12)) / 12 / 100)
    assert values["competition"] == 0
    np.testing.assert_allclose(m.task_forgetting(record.accuracy)[:-1], np.arange(11) / 100)
    np.testing.assert_allclose(m.forgetting_curve(record.accuracy)[1:-1], 0, atol=1e-15)


def test_unequal_test_sets_over_many_tasks():
    n = 11
    a = np.where(np.tri(n, dtype=bool), np.arange(n) / 10, NAN)
    sizes = np.arange(1, n + 1)
    expected = sum(k * (k - 1) / 10 for k in range(1, n + 1)) / sizes.sum()
    assert m.final_accuracy(a, sizes) == pytest.approx(expected)
    assert m.final_accuracy(a, average="macro") == pytest.approx(0.5)


def test_inputs_are_not_changed():
    a = THREE_TASKS.copy()
    m.forgetting_curve(a)
    m.average_accuracy(a, N_TEST)
    np.testing.assert_array_equal(a, THREE_TASKS)


def test_a_frozen_model_forgets_by_competition_only():
    record = plausible_record(10, drift=0.0)
    values = m.metrics(record)
    assert values["competition"] > 3 * abs(values["drift_forgetting"])


def test_domain_incremental_chance():
    record = make_record(n_done=0, scenario="domain-incremental", n_classes=4)
    oracle = THREE_TASKS_ORACLE.copy()
    oracle[0, 1], oracle[1, 2] = 0.75, 0.75
    for t in range(3):
        sizes = list(N_TEST[: t + 1])
        record = record.with_task(make_task(t, oracle[t], oracle[t], sizes, classes=range(4)))
    assert m.metrics(record)["forward_transfer"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: m.average_accuracy(THREE_TASKS[:2], N_TEST),
            "square matrix .*got shape \\(2, 3\\)",
        ),
        (lambda: m.average_accuracy(THREE_TASKS), "n_test must be .*needed for .*got None"),
        (
            lambda: m.average_accuracy(THREE_TASKS, [1, 2]),
            "n_test must be a number above 0 for each of 3",
        ),
        (
            lambda: m.average_accuracy(THREE_TASKS, [1, 0, 2]),
            "n_test must be a number above 0 for each of 3",
        ),
        (lambda: m.average_accuracy(THREE_TASKS, N_TEST, average="mean"), "got 'mean'"),
        (lambda: m.forgetting_curve(THREE_TASKS, definition="last"), "got 'last'"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
