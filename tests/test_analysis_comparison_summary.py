"""Summaries over seeds: the dict for JSON and the table for people."""

import dataclasses
import json
import math

import numpy as np
import pytest
from helpers.records import THREE_TASKS, make_record

from fmlora_kit.analysis import mean_ci95, paired_metric, summarise, table
from fmlora_kit.analysis.comparison import COSTS, METRICS
from fmlora_kit.analysis.formats import count


def shifted(seed, by):
    """The hand-made record of another seed, all accuracies lower by `by`."""
    return make_record(THREE_TASKS - by, seed=seed)


@pytest.fixture
def summary():
    return summarise(
        {
            "fmlora": [shifted(0, 0.0), shifted(1, 0.1), shifted(2, 0.05)],
            "sequential_lora": [make_record(n_done=1, method="sequential_lora")],
        }
    )


def test_means_and_intervals_over_seeds(summary):
    values = summary["fmlora"]
    expected = mean_ci95([0.725, 0.625, 0.675])
    assert values["n_seeds"] == 3
    assert values["final_accuracy"]["mean"] == pytest.approx(expected.mean)
    assert values["final_accuracy"]["ci95"] == pytest.approx(expected.ci95)
    assert values["forgetting"]["mean"] == pytest.approx(0.15)
    assert values["drift_forgetting"]["mean"] == pytest.approx(0.05)
    assert set(values) == {"n_seeds", *METRICS, *COSTS}


def test_costs(summary):
    values = summary["fmlora"]
    assert values["seconds"] == {"mean": 4.5, "ci95": 0.0}
    assert values["trainable_parameters"]["mean"] == 110
    assert values["deployed_parameters_after_first_task"]["mean"] == 1000
    assert values["deployed_parameters_after_last_task"]["mean"] == 1000


def test_unknown_values_are_null_in_strict_json(summary):
    values = json.loads(json.dumps(summary, allow_nan=False))["sequential_lora"]
    assert values["n_seeds"] == 1
    assert values["final_accuracy"] == {"mean": 0.9, "ci95": None}
    assert values["forgetting"] == {"mean": None, "ci95": None}


def test_table_is_aligned_and_in_percent(summary):
    lines = table(summary).splitlines()
    assert len(lines) == 4
    assert lines[0].split()[:2] == ["method", "seeds"]
    assert "67.5 ± 12.4" in lines[2]
    assert lines[3].split()[:3] == ["sequential_lora", "1", "90.0"]
    assert " - " in lines[3]
    assert len({len(line) for line in lines}) == 1


def test_seconds_that_are_not_known():
    first = dataclasses.replace(make_record().tasks[0], seconds=math.nan)
    record = make_record(n_done=0).with_task(first)
    summary = summarise({"fmlora": [record]})
    assert summary["fmlora"]["seconds"]["mean"] is None
    assert "-" in table(summary).splitlines()[-1].split()


@pytest.mark.parametrize(
    ("number", "text"),
    [(950, "950"), (12_345, "12.3k"), (1_250_000, "1.25M"), (2.5e9, "2.50G"), (None, "-")],
)
def test_parameter_counts_for_people(number, text):
    assert count(number) == text


def test_paired_metric_pairs_by_seed():
    ours = [shifted(0, 0.0), shifted(1, 0.1), shifted(2, 0.05)]
    theirs = [shifted(2, 0.08), shifted(0, 0.02), shifted(1, 0.13)]
    difference = paired_metric(ours, theirs, "final_accuracy")
    expected = mean_ci95(np.array([0.02, 0.03, 0.03]))
    assert difference.mean == pytest.approx(expected.mean)
    assert difference.ci95 == pytest.approx(expected.ci95)
    with pytest.raises(ValueError, match="same seeds; got \\[0, 1, 2\\] and \\[0\\]"):
        paired_metric(ours, theirs[1:2], "final_accuracy")


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([], "method 'x' must have records"),
        ([make_record(n_done=0)], "each with a finished task"),
        ([make_record(), make_record()], "must have different seeds; got \\[0, 0\\]"),
    ],
)
def test_bad_records_are_named(runs, message):
    with pytest.raises(ValueError, match=message):
        summarise({"x": runs})
