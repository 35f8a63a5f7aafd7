"""Where accuracy goes, by hand: THREE_TASKS_ORACLE has 0.9, 0.9, 0.7 and ends at 0.8, 0.9, 0.7."""

import pytest
from helpers.records import make_record

from fmlora_kit.analysis import accuracy_parts


def test_three_accuracies_and_what_lies_between():
    assert accuracy_parts(make_record()) == pytest.approx(
        {
            "just learned, task given": 2.5 / 3,
            "at the end, task given": 2.4 / 3,
            "at the end": 2.0 / 3,
            "drift": 0.1 / 3,
            "competition": 0.4 / 3,
        }
    )


def test_a_run_that_is_not_finished_ends_where_it_is():
    parts = accuracy_parts(make_record(n_done=2))
    assert parts["just learned, task given"] == pytest.approx(0.9)
    assert parts["at the end, task given"] == pytest.approx(0.85)
    assert parts["at the end"] == pytest.approx(0.75)


def test_nothing_learned_is_refused():
    with pytest.raises(ValueError, match="a finished task, got none"):
        accuracy_parts(make_record(n_done=0))
