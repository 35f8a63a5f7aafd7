"""Features that are not finite: such weights are refused, and what comes later is one error."""

import pytest
import torch
from helpers import models

import fmlora_kit as fk
from fmlora_kit.methods import METHODS
from fmlora_kit.training import TrainingError


@pytest.mark.parametrize("name", ["fmlora", "frozen_backbone", "full_finetuning"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_when_a_method_is_built(name, value):
    backbone = models.vit()
    with torch.no_grad():
        backbone.blocks[1].mlp.fc1.weight[0, 0] = value
    with pytest.raises(
        ValueError, match=r"finite weights, got some in blocks\.1\.mlp\.fc1\.weight"
    ):
        models.build(name, backbone)


@pytest.mark.parametrize("name", METHODS)
def test_features_that_are_not_finite_are_one_error_and_never_an_accuracy(name):
    tasks = models.stream()
    model = models.build(name)
    with torch.no_grad():
        model.vit.norm.bias[0] = float("nan")
    with pytest.raises(TrainingError, match="(features|loss) must be finite, got "):
        fk.train_task(model, tasks[0], tasks, models.BUDGET)
