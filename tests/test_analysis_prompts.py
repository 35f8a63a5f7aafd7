"""Similarity and movement of meta-prompts, worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.records import make_record

from fmlora_kit.analysis.prompts import (
    feature_similarity,
    prompt_moves,
    prompt_similarity,
    prompts_over_time,
)

# Two tokens of width 2. Flattened: (3, 0, 0, 4), (0, 0, 0, 4), (0, 0, -3, 4).
PROMPTS = np.array([[[3.0, 0], [0, 4]], [[0, 0], [0, 4]], [[0, 0], [-3, 4]]])
PLANE = np.eye(4)[:, :2]
TURNED = np.array([[1, 0], [0, 0.6], [0, 0.8], [0, 0]])
LINE = np.eye(4)[:, 3:]


def prompt_record(**changes):
    """Three tasks with prompts and feature subspaces."""
    record = make_record(**changes)
    tasks = [
        replace(
            task,
            scalars={"prompt_shift": 1.25, "novelty": 0.5 + t / 4},
            state={"prompt": prompt, "subspace": subspace},
        )
        for t, (task, prompt, subspace) in enumerate(
            zip(record.tasks, PROMPTS, (PLANE, TURNED, LINE), strict=True)
        )
    ]
    return replace(record, tasks=tuple(tasks))


def test_cosine_of_flattened_prompts():
    np.testing.assert_allclose(
        prompt_similarity(prompt_record()),
        [[1, 0.8, 16 / 25], [0.8, 1, 0.8], [16 / 25, 0.8, 1]],
    )


def test_cosine_of_mean_tokens():
    # Mean tokens: (1.5, 2), (0, 2), (-1.5, 2).
    np.testing.assert_allclose(
        prompt_similarity(prompt_record(), per="token mean"),
        [[1, 0.8, 1.75 / 6.25], [0.8, 1, 0.8], [1.75 / 6.25, 0.8, 1]],
    )


def test_cosine_of_moves():
    # Moves: (-3, 0, 0, 0), (0, 0, -3, 0): at a right angle; their mean tokens are the same.
    record = prompt_record()
    np.testing.assert_allclose(prompt_similarity(record, of="moves"), np.eye(2))
    np.testing.assert_allclose(
        prompt_similarity(record, of="moves", per="token mean"), np.ones((2, 2))
    )


def test_affinity_of_feature_subspaces():
    # Planes that share one direction and turn the other by an angle of cosine 0.6.
    np.testing.assert_allclose(
        feature_similarity(prompt_record()), [[1, 0.68, 0], [0.68, 1, 0], [0, 0, 1]], atol=1e-12
    )


def test_affinity_with_a_smaller_subspace_counts_its_own_directions_only():
    record = prompt_record()
    inside = replace(record.tasks[2], state={**record.tasks[2].state, "subspace": PLANE[:, :1]})
    similarity = feature_similarity(replace(record, tasks=(*record.tasks[:2], inside)))
    np.testing.assert_allclose(similarity[2], [1, 1, 1])


def test_movement_relative_to_where_the_prompt_was():
    moves = prompt_moves(prompt_record())
    np.testing.assert_allclose(moves.step, [1.25, 3 / 5, 3 / 4])
    np.testing.assert_allclose(moves.from_first, [0, 3 / 5, np.sqrt(18) / 5])
    np.testing.assert_allclose(moves.novelty, [0.5, 0.75, 1.0])
    assert moves.task_names == ("task A", "task B", "task C")


def test_the_first_step_is_unknown_without_its_measurement():
    record = prompt_record()
    tasks = tuple(replace(task, scalars={}) for task in record.tasks)
    moves = prompt_moves(replace(record, tasks=tasks))
    assert np.isnan(moves.step[0]) and np.isnan(moves.novelty).all()
    np.testing.assert_allclose(moves.step[1:], [3 / 5, 3 / 4])


def test_prompts_in_the_order_of_the_tasks():
    np.testing.assert_array_equal(prompts_over_time(prompt_record()), PROMPTS)


def test_what_is_missing_or_unknown_is_named():
    with pytest.raises(ValueError, match="with a meta-prompt, got 'full_finetuning' without"):
        prompts_over_time(make_record(method="full_finetuning"))
    with pytest.raises(ValueError, match="feature subspace of every task, got 'fmlora' without"):
        feature_similarity(make_record())
    with pytest.raises(ValueError, match="per must be one of .*, got 'token'"):
        prompt_similarity(prompt_record(), per="token")
    with pytest.raises(ValueError, match="of must be one of .*, got 'steps'"):
        prompt_similarity(prompt_record(), of="steps")
    one = replace(prompt_record(), tasks=prompt_record().tasks[:1])
    with pytest.raises(ValueError, match="at least 2 finished tasks, got 1"):
        prompt_similarity(one, of="moves")
