"""What every step did, worked out by hand on the three tasks."""

import numpy as np
import pytest
from helpers.records import THREE_TASKS, make_record, plausible_record

from fmlora_kit.analysis.accuracy import before_learning, forgetting_step, step_changes

NAN = np.nan


def test_changes_are_differences_down_a_column():
    expected = [[NAN, NAN, NAN], [-0.2, NAN, NAN], [-0.2, 0.1, NAN]]
    np.testing.assert_allclose(step_changes(THREE_TASKS), expected)


def test_learning_a_task_is_no_change_even_if_it_was_tested_before():
    accuracy = THREE_TASKS.copy()
    accuracy[0, 1] = 0.3
    assert np.isnan(step_changes(accuracy)[1, 1])


def test_columns_sum_to_the_whole_fall_and_rows_average_to_forgetting_by_step():
    accuracy = plausible_record(6).accuracy
    changes = step_changes(accuracy)
    np.testing.assert_allclose(
        np.nansum(changes, axis=0)[:-1], (accuracy[-1] - np.diag(accuracy))[:-1]
    )
    rows = [np.nanmean(row) for row in changes[1:]]
    assert -np.mean(rows) == pytest.approx(forgetting_step(accuracy))


def test_accuracy_just_before_learning():
    oracle = THREE_TASKS.copy()
    oracle[0, 1], oracle[1, 2] = 0.3, 0.4
    np.testing.assert_allclose(before_learning(make_record(oracle=oracle)), [NAN, 0.3, 0.4])
    np.testing.assert_allclose(before_learning(make_record(oracle=oracle, n_done=2)), [NAN, 0.3])
    assert np.isnan(before_learning(make_record())).all()
    assert before_learning(make_record(n_done=0)).shape == (0,)


def test_a_matrix_must_be_square():
    with pytest.raises(ValueError, match=r"square matrix \(T, T\), got shape \(2, 3\)"):
        step_changes(THREE_TASKS[:2])
