"""A method copied or pickled between two tasks learns on as the original does, bit for bit."""

import copy
import pickle

import pytest
from helpers import models

import fmlora_kit as fk
from fmlora_kit.methods import METHODS

COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda model: pickle.loads(pickle.dumps(model))}


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("name", METHODS)
def test_a_copy_learns_as_the_original_where_the_vit_has_registers(name, duplicate):
    tasks, budget = models.stream(2), fk.Budget(epochs=1, batch_size=16)
    prompts = name == "fmlora"
    model = models.build(name, models.vit(reg_tokens=3 * prompts), n_classes=6)
    fk.train_task(model, tasks[0], tasks, budget)
    twin = duplicate(model)
    first, second = (fk.train_task(each, tasks[1], tasks, budget) for each in (model, twin))
    assert first == second
    if prompts:
        assert model.vit.reg_token[:, :3].equal(models.vit(reg_tokens=3).reg_token)
        assert twin.vit.reg_token.equal(model.vit.reg_token)
