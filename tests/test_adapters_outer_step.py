"""The outer step's schedules, and what they do to the core and the prompt."""

import numpy as np
import pytest
from helpers import models

import fmlora_kit as fk
from fmlora_kit.adapters.drs import Complexity
from fmlora_kit.adapters.outer_step import STEPS, outer_step
from fmlora_kit.methods import HeadOptions

BUDGET = fk.Budget(epochs=1, batch_size=16)


def eta(schedule, t, *, difficulty=0.5, novelty=0.5, earlier=()):
    return outer_step(schedule, t, Complexity(difficulty, novelty), earlier)


def test_schedules_by_hand():
    assert [eta(s, 1, difficulty=0.1, novelty=0.2) for s in STEPS] == [1] * len(STEPS)
    assert eta("1/t", 4, novelty=0.2, earlier=[0.5]) == 0.25
    assert eta("1/sqrt(t)", 4, difficulty=0.1, novelty=0.2, earlier=[0.5]) == 0.5
    assert eta("difficulty", 4, difficulty=0.05) == pytest.approx(0.5 * 0.2)
    assert eta("difficulty", 4, difficulty=0.25) == eta("difficulty", 4, difficulty=0.9) == 0.5
    assert eta("difficulty", 2, difficulty=0.0) == 0.0
    assert eta("novelty", 4, novelty=0.1, earlier=[0.4, 0.6]) == pytest.approx(0.5 * 0.2)
    assert eta("novelty", 4, novelty=0.9, earlier=[0.4, 0.6]) == 0.5
    assert eta("novelty", 2, novelty=0.3) == pytest.approx(2**-0.5)
    assert eta("novelty", 2, novelty=0.0, earlier=[0.0]) == pytest.approx(2**-0.5)


@pytest.mark.parametrize("step", ["difficulty", "1/sqrt(t)", "1/t", "novelty"])
def test_core_and_prompt_take_the_same_share_of_what_a_task_found(step):
    drs = fk.DRS(scaling="fixed")  # pairs of another scale are that much larger
    tasks, model = models.stream(), models.fmlora(step=step, drs=drs, protect=0.0)
    fk.train_task(model, tasks[0], tasks, BUDGET)
    before = {name: update.core.clone() for name, update in model.updates.items()}
    prompt, fast = model.prompt.detach().clone(), {}
    settle = model._settle

    def note():
        fast["m"] = {name: u.m.detach().clone() for name, u in model.updates.items()}
        fast["prompt"] = model.prompt.detach().clone()
        settle()

    model._settle = note
    result = fk.train_task(model, tasks[1], tasks, BUDGET)
    eta = result.scalars["outer_step"]
    share = min(1, result.scalars["difficulty"] / 0.25) if step == "difficulty" else 1
    assert eta == pytest.approx({"1/t": 0.5}.get(step, share * 2**-0.5))
    np.testing.assert_allclose(
        model.prompt.detach(), prompt + eta * (fast["prompt"] - prompt), atol=1e-6
    )
    for name, update in model.updates.items():
        m, n = model.pairs[name]
        np.testing.assert_allclose(m, eta * fast["m"][name][:, : m.shape[1]], rtol=1e-5)
        np.testing.assert_allclose(update.core, before[name] + m @ n, atol=1e-6)


def test_a_run_of_every_step_is_rebuilt_exactly(tmp_path):
    head = HeadOptions("mda", compensate=True)
    tasks = models.stream()
    model = models.fmlora(step="novelty", head=head)
    record = fk.run(model, tasks, BUDGET, folder=tmp_path)
    again = fk.from_record(record, backbone=models.vit())
    images = tasks[0].test_images
    assert np.array_equal(again.logits(images), model.logits(images))
    assert again.novelties == model.novelties and len(again.novelties) == 2
    assert again.described == model.described


def test_an_older_record_is_of_the_step_by_parts():
    assert "step" not in models.fmlora(step="parts").described
    assert models.fmlora(step="1/t").described["step"] == "1/t"
