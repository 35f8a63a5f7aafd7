"""Rows without a stream in common: every metric, every cost, what is unknown, what is refused."""

import dataclasses
import json
import math

import pytest
from helpers.records import THREE_TASKS, make_record

from fmlora_kit.analysis import Comparison, difference, mean_ci95
from fmlora_kit.analysis.comparison import COSTS, METRICS, make_rows
from fmlora_kit.analysis.formats import count
from fmlora_kit.analysis.tables import plain


def shifted(seed, by):
    """The hand-made record of another seed, all accuracies lower by `by`."""
    return make_record(THREE_TASKS - by, seed=seed)


@pytest.fixture
def rows():
    return make_rows(
        {
            "fmlora": [shifted(0, 0.0), shifted(1, 0.1), shifted(2, 0.05)],
            "sequential_lora": [make_record(n_done=1, method="sequential_lora")],
        }
    )


def test_means_and_intervals_over_seeds(rows):
    ours = rows[0]
    expected = mean_ci95([0.725, 0.625, 0.675])
    assert ours.seeds == (0, 1, 2)
    assert ours.final_accuracy.mean == pytest.approx(expected.mean)
    assert ours.final_accuracy.ci95 == pytest.approx(expected.ci95)
    assert ours.mean("forgetting") == pytest.approx(0.15)
    assert ours.mean("drift_forgetting") == pytest.approx(0.05)
    assert set(ours.values) == {*METRICS, *COSTS, "seconds_per_task"}


def test_costs(rows):
    ours = rows[0]
    assert (ours.interval("seconds").mean, ours.interval("seconds").ci95) == (4.5, 0.0)
    assert ours.mean("seconds_per_task") == 1.5
    assert ours.mean("trainable_parameters") == 110
    assert ours.mean("deployed_parameters_after_first_task") == 1000
    assert ours.mean("deployed_parameters_after_last_task") == 1000
    assert ours.parameters == (1030, 1030)


def test_unknown_values_are_null_in_strict_json(rows):
    values = json.loads(json.dumps(rows[1].to_json(), allow_nan=False))["values"]
    assert values["final_accuracy"] == {"mean": 0.9, "ci95": None, "per_seed": [0.9]}
    assert values["forgetting"] == {"mean": None, "ci95": None, "per_seed": [None]}


def test_plain_text_is_aligned_and_in_percent(rows):
    text = plain(Comparison("hand made", "class-incremental", rows))
    *lines, note = text.splitlines()
    assert lines[0].split()[0] == "method"
    ours, theirs = lines[-2:]
    assert ours.startswith("FM-LoRA ") and "67.5 ± 12.4 " in ours
    assert theirs.startswith("sequential LoRA (1 seed) *") and "90.0 *" in theirs
    assert " – " in theirs
    assert len({len(line.rstrip()) for line in lines[-3:]}) == 1
    assert note.startswith("* the best of a column")


def test_seconds_that_are_not_known():
    first = dataclasses.replace(make_record().tasks[0], seconds=math.nan)
    (row,) = make_rows({"fmlora": [make_record(n_done=0).with_task(first)]})
    assert math.isnan(row.mean("seconds"))
    assert "–" in plain(Comparison("a", "b", (row,))).splitlines()[-2].split()


@pytest.mark.parametrize(
    ("number", "text"),
    [(950, "950"), (12_345, "12.3k"), (1_250_000, "1.25M"), (2.5e9, "2.50G"), (None, "–")],
)
def test_parameter_counts_for_people(number, text):
    assert count(number) == text


def test_a_difference_of_any_metric_pairs_by_seed():
    ours = [shifted(0, 0.0), shifted(1, 0.1), shifted(2, 0.05)]
    theirs = [shifted(2, 0.08), shifted(0, 0.02), shifted(1, 0.13), shifted(7, 0.5)]
    a, b = make_rows({"a": ours, "b": theirs})
    for name in ("final_accuracy", "learning_accuracy"):
        gap, expected = difference(a, b, name), mean_ci95([0.02, 0.03, 0.03])
        assert gap.mean == pytest.approx(expected.mean)
        assert gap.ci95 == pytest.approx(expected.ci95)
    assert difference(a, b, "forgetting").mean == pytest.approx(0, abs=1e-12)


def test_measures_of_ones_own_stand_alone():
    (row,) = make_rows({"x": [make_record()]}, {"tasks": lambda record: len(record.tasks)})
    assert row.values == {"tasks": (3.0,)}


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([], "method 'x' must have records"),
        ([make_record(n_done=0)], "each with a finished task"),
        ([make_record(), make_record()], "must have different seeds, got \\[0, 0\\]"),
    ],
)
def test_bad_records_are_named(runs, message):
    with pytest.raises(ValueError, match=message):
        make_rows({"x": runs})
