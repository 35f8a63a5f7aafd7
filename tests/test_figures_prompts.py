"""Prompt figures, by the values in their traces."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.records import make_record
from test_analysis_prompts import prompt_record

from fmlora_kit.analysis.prompts import PromptEffect
from fmlora_kit.figures import meta_prompt_similarity, prompt_effect, prompt_movement
from fmlora_kit.figures.style import task_colors

EFFECT = PromptEffect(
    method="fmlora",
    prompts=("no prompt", "random start", "Latin", "Greek"),
    own=3,
    task_names=("Latin", "Greek"),
    accuracy=np.array([[0.5, 0.2], [0.4, 0.4], [0.6, 0.5], [0.5, 0.6]]),
    n_images=np.array([30, 10]),
)


def test_two_matrices_on_one_scale():
    figure = meta_prompt_similarity(prompt_record())
    prompts, features = figure.data
    np.testing.assert_allclose(prompts.z, [[1, 0.8, 0.64], [0.8, 1, 0.8], [0.64, 0.8, 1]])
    np.testing.assert_allclose(features.z, [[1, 0.68, 0], [0.68, 1, 0], [0, 0, 1]], atol=1e-12)
    assert (prompts.zmin, prompts.zmax) == (features.zmin, features.zmax) == (0, 1)
    assert prompts.colorscale == features.colorscale
    assert [prompts.showscale, features.showscale] == [False, True]
    assert prompts.text[0][2] == "0.64"
    assert prompts.customdata[0][2].tolist() == ["task C", "task A"]
    assert figure.layout.yaxis.autorange == figure.layout.yaxis2.autorange == "reversed"


def test_moves_are_compared_with_the_features_of_the_same_tasks():
    figure = meta_prompt_similarity(prompt_record(), of="moves")
    np.testing.assert_allclose(figure.data[0].z, np.eye(2))
    np.testing.assert_allclose(figure.data[1].z, np.eye(2), atol=1e-12)
    assert list(figure.layout.xaxis.ticktext) == ["task B", "task C"]


def test_opposite_prompts_widen_the_scale():
    record = prompt_record()
    last = replace(
        record.tasks[2],
        state={**record.tasks[2].state, "prompt": -record.tasks[0].state["prompt"]},
    )
    figure = meta_prompt_similarity(replace(record, tasks=(*record.tasks[:2], last)))
    assert figure.data[0].z[0][2] == pytest.approx(-1)
    assert figure.data[0].zmin == figure.data[1].zmin == -1


def test_mean_tokens_are_said_and_shown():
    figure = meta_prompt_similarity(prompt_record(), per="token mean")
    assert figure.data[0].z[0][2] == pytest.approx(0.28)
    assert "mean tokens" in figure.layout.title.subtitle.text


def test_bars_of_movement_and_the_distance_from_the_first():
    bars, line = prompt_movement(prompt_record()).data
    np.testing.assert_allclose(bars.y, [125, 60, 75])
    assert list(bars.text) == ["125 %", "60 %", "75 %"]
    assert list(bars.marker.color) == list(task_colors(3))
    np.testing.assert_allclose(line.y, [0, 60, 100 * np.sqrt(18) / 5])


def test_movement_of_several_records_from_the_second_task_on():
    part = replace(prompt_record(), tasks=prompt_record().tasks[:2])
    figure = prompt_movement({"whole": prompt_record(), "part": part})
    step = {t.name: t for t in figure.data if t.xaxis == "x"}
    distance = {t.name: t for t in figure.data if t.xaxis == "x2"}
    np.testing.assert_allclose(step["whole"].y, [60, 75])
    np.testing.assert_allclose(step["whole"].x, [2, 3])
    np.testing.assert_allclose(step["part"].y, [60])
    np.testing.assert_allclose(distance["whole"].y, [60, 100 * np.sqrt(18) / 5])


def test_the_effect_of_a_prompt_in_points_against_its_own():
    figure = prompt_effect(EFFECT)
    (heat,) = figure.data
    np.testing.assert_allclose(
        heat.z, [[0, -40, -10], [-10, -20, -12.5], [10, -10, 5], [0, 0, 0]], atol=1e-9
    )
    assert [list(row) for row in heat.text] == [
        ["±0", "−40.0", "−10.0"],
        ["−10.0", "−20.0", "−12.5"],
        ["+10.0", "−10.0", "+5.0"],
        ["<b>50.0 %</b>", "<b>60.0 %</b>", "<b>52.5 %</b>"],
    ]
    assert heat.zmax == -heat.zmin == pytest.approx(40)
    assert heat.customdata[2][0].tolist() == ["Latin", "Latin", "60.0"]
    assert list(figure.layout.xaxis.ticktext) == ["Latin", "Greek", "all images"]
    assert figure.layout.yaxis.ticktext[3] == "<b>Greek (its own)</b>"
    assert "10 to 30 test images per task" in figure.layout.title.subtitle.text


def test_a_method_without_a_prompt_is_named():
    record = make_record(method="full_finetuning")
    with pytest.raises(ValueError, match="meta-prompt, got 'full_finetuning' without"):
        meta_prompt_similarity(record)
    with pytest.raises(ValueError, match="meta-prompt, got 'full_finetuning' without"):
        prompt_movement(record)
    with pytest.raises(ValueError, match="must be of a run with a finished task, got 0"):
        meta_prompt_similarity(make_record(n_done=0))
