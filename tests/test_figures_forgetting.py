"""All definitions of forgetting side by side, each worked out by hand from one matrix."""

import numpy as np
import pytest
from helpers.records import THREE_TASKS, THREE_TASKS_ORACLE, make_record
from scipy import stats

from fmlora_kit.analysis import DEFINITIONS
from fmlora_kit.analysis.formats import formula
from fmlora_kit.figures import forgetting_definitions
from fmlora_kit.figures.style import method_styles

# of THREE_TASKS: max (0.4 + (-0.1)) / 2; step (0.2 + (0.2 - 0.1) / 2) / 2; oracle (0.1 + 0) / 2
BY_HAND = [15, 15, 12.5, -15, 5, 10]


def bar(figure, name):
    (trace,) = [t for t in figure.data if t.type == "bar" and t.name == name]
    return trace


def texts(figure, name):
    (trace,) = [t for t in figure.data if t.type == "scatter" and t.name == name]
    return [text.strip() for text in trace.text]


def test_six_answers_from_one_matrix():
    figure = forgetting_definitions(make_record())
    trace = bar(figure, "FM-LoRA")
    np.testing.assert_allclose(trace.x, BY_HAND)
    assert texts(figure, "FM-LoRA") == ["15.0", "15.0", "12.5", "−15.0", "5.0", "10.0"]
    names = [label.split("<br>")[0] for label in figure.layout.yaxis.ticktext]
    wanted = ["max", "first", "step", "BWT", "drift", "competition"]
    assert names == [f"<b>{name}</b>" for name in wanted]
    assert trace.error_x.visible is False
    assert "whiskers" not in figure.layout.title.subtitle.text


def test_formulas_stand_in_the_hover_text():
    trace = bar(forgetting_definitions(make_record()), "FM-LoRA")
    assert list(trace.customdata[2]) == ["12.5", formula(DEFINITIONS["forgetting_step"])]
    assert "%{customdata[1]}" in trace.hovertemplate


def test_a_task_that_got_better_before_it_got_worse_parts_max_from_first():
    accuracy = np.array([[0.5, np.nan, np.nan], [0.8, 0.6, np.nan], [0.4, 0.6, 0.7]])
    trace = bar(forgetting_definitions(make_record(accuracy)), "FM-LoRA")
    np.testing.assert_allclose(trace.x[:2], [20, 5])


def test_several_runs_stand_beside_each_other():
    records = {"ours": make_record(), "theirs": make_record(THREE_TASKS / 2, THREE_TASKS_ORACLE)}
    figure = forgetting_definitions(records)
    ours, theirs = bar(figure, "ours"), bar(figure, "theirs")
    np.testing.assert_allclose(theirs.x, [7.5, 7.5, 6.25, -7.5, 5, 2.5])
    assert (np.asarray(theirs.y) - ours.y).min() >= 0.9 * 0.72 / 2  # no overlap
    assert theirs.marker.color == method_styles(records)["theirs"].color


def test_several_seeds_give_mean_and_interval():
    falls = np.array([0.0, 0.1, 0.2])
    runs = []
    for seed, fall in enumerate(falls):
        accuracy = THREE_TASKS.copy()
        accuracy[2, 0] -= fall  # forgetting (max) grows by half of it
        runs.append(make_record(accuracy, seed=seed))
    figure = forgetting_definitions({"FM-LoRA": runs})
    trace = bar(figure, "FM-LoRA")
    half = stats.t.ppf(0.975, 2) * 5 / np.sqrt(3)  # 15, 20, 25: standard deviation 5
    assert trace.x[0] == pytest.approx(20)
    assert trace.error_x.array[0] == pytest.approx(half)
    assert texts(figure, "FM-LoRA")[0] == f"20.0 ± {half:.1f}"
    assert "mean of 3 seeds, whiskers: 95% interval" in figure.layout.title.subtitle.text


def test_one_task_has_nothing_to_forget():
    with pytest.raises(ValueError, match="at least 2 finished tasks, got 1"):
        forgetting_definitions(make_record(n_done=1))
