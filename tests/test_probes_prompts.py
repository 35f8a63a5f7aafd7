"""Swapped prompts, against models rebuilt by hand."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from helpers import models

import fmlora_kit as fk
from fmlora_kit.probes import swap_prompts


def backbone():
    return models.vit().double()


@cache
def trained():
    """A tiny run; its prompts are made larger, so that they have an effect."""
    tasks = models.stream()
    model = models.fmlora(backbone())
    record = models.record_of(model, tasks, models.learn(model, tasks))
    larger = [
        replace(task, state={**task.state, "prompt": 4 * (t + 1) * task.state["prompt"]})
        for t, task in enumerate(record.tasks)
    ]
    return replace(record, tasks=tuple(larger)), tasks


def accuracies(model, tasks):
    seen = np.array(model.seen)
    best = [seen[model.logits(task.test_images).argmax(axis=1)] for task in tasks]
    return [np.mean(p == task.test_labels) for p, task in zip(best, tasks, strict=True)]


def with_last_prompt(prompt):
    """The run's last model, rebuilt from a snapshot that holds another prompt."""
    record, _ = trained()
    last = replace(record.tasks[-1], state={**record.tasks[-1].state, "prompt": prompt})
    return fk.from_record(replace(record, tasks=(*record.tasks[:-1], last)), backbone=backbone())


def test_every_prompt_equals_the_model_rebuilt_with_it():
    record, tasks = trained()
    effect = swap_prompts(record, tasks, backbone=backbone())
    assert effect.prompts == ("no prompt", "random start", *record.task_names)
    start = fk.from_record(record, 0, backbone()).prompt.detach().numpy()
    every = [start, *(task.state["prompt"] for task in record.tasks)]
    for row, prompt in zip(effect.accuracy[1:], every, strict=True):
        np.testing.assert_allclose(row, accuracies(with_last_prompt(prompt), tasks), rtol=1e-12)
    assert len(np.unique(effect.accuracy, axis=0)) > 2


def test_its_own_prompt_gives_the_last_model():
    record, tasks = trained()
    effect = swap_prompts(record, tasks, backbone=backbone())
    model = fk.from_record(record, backbone=backbone())
    assert effect.own == 4
    np.testing.assert_allclose(effect.accuracy[4], accuracies(model, tasks), rtol=1e-12)
    np.testing.assert_array_equal(effect.n_images, record.n_test)


def test_without_a_prompt_the_tokens_are_gone():
    record, tasks = trained()
    effect = swap_prompts(record, tasks, backbone=backbone())
    bare = models.fmlora(backbone(), dmp=None)
    for task in record.tasks:
        bare.restore(task.classes, task.state)
    assert bare.vit.num_prefix_tokens == 1
    np.testing.assert_allclose(effect.accuracy[0], accuracies(bare, tasks), rtol=1e-12)


def test_fewer_images():
    record, tasks = trained()
    effect = swap_prompts(record, tasks, n_images=6, backbone=backbone())
    np.testing.assert_array_equal(effect.n_images, [6, 6, 6])


def test_a_method_without_a_prompt_is_named():
    tasks = models.stream()
    model = models.fmlora(dmp=None)
    record = models.record_of(model, tasks, models.learn(model, tasks))
    with pytest.raises(ValueError, match="with a meta-prompt, got 'fmlora' without"):
        swap_prompts(record, tasks, backbone=models.vit())
