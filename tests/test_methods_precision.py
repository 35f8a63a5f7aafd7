"""A float64 backbone gives a float64 method: in training, in the record, and rebuilt from it."""

import numpy as np
import pytest
import torch
from helpers import models
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import fmlora_kit as fk
from fmlora_kit.adapters.flora import BASES
from fmlora_kit.methods import METHODS, HeadOptions

IMAGES = models.noise(4)
ALIKE = {  # without what is drawn or chosen otherwise in another precision
    "fmlora": {"dmp": None},  # the start of its prompt
    "ranpac": {"head": HeadOptions("ridge", projections=50, ridge=1.0)},
}
EXACT = {"aten.eye.default"}  # makes zeros and ones, the same in every precision


class SinglePrecision(TorchDispatchMode):
    """Writes down every operation of torch, forward or backward, that gives a float32 array."""

    def __init__(self):
        super().__init__()
        self.found = set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        given = operation(*args, **(kwargs or {}))
        arrays = [x for x in tree_leaves(given) if isinstance(x, torch.Tensor) and x.ndim]
        self.found |= {str(operation) for x in arrays if x.dtype == torch.float32} - EXACT
        return given


@pytest.mark.parametrize(("name", "head"), [(n, h) for n in METHODS for h in models.heads_of(n)])
def test_not_one_number_is_computed_in_single_precision(name, head):
    """Only the start is drawn in float32 by some methods, before a task is learned."""
    options = models.head(head)
    model, watch = models.build(name, models.vit().double(), head=options), SinglePrecision()
    for task in models.stream()[:2]:
        model.begin_task(task)
        with watch:
            if model.parameter_groups():
                images, labels = torch.tensor(task.train_images), torch.tensor(task.train_labels)
                model.loss(images, labels, 0.5).backward()
            model.end_task(task)
            model.logits(IMAGES)
    assert not watch.found


@pytest.mark.parametrize("name", METHODS)
def test_a_float64_run_follows_the_float32_one_until_rounding_shows(name):
    stream, losses, logits = models.stream(), [], []
    for vit in (models.vit().double(), models.vit()):
        model = models.build(name, vit, **ALIKE.get(name, {}))
        losses.append(fk.train_task(model, stream[0], stream, models.BUDGET).losses)
        logits.append(model.logits(IMAGES))
    np.testing.assert_allclose(*losses, rtol=1e-4)
    np.testing.assert_allclose(*logits, atol=1e-3, rtol=1e-4)
    double, single = losses if losses[0].size else logits
    assert np.abs(double - single).max() > 1e-9


@pytest.mark.parametrize("bases", BASES)
def test_every_kind_of_bases_is_computed_and_rebuilt_in_double_precision(bases):
    stream, model = models.stream(), models.fmlora(models.vit().double(), bases=bases)
    record = models.record_of(model, stream, models.learn(model, stream))
    floats = [a for task in record.tasks for a in task.state.values() if a.dtype.kind == "f"]
    assert {array.dtype for array in floats} == {np.dtype(np.float64)}
    assert {p.dtype for p in model.parameters()} == {torch.float64}
    back = fk.from_record(record, backbone=models.vit().double())
    np.testing.assert_array_equal(back.logits(IMAGES), model.logits(IMAGES))
    assert back.logits(IMAGES).dtype == np.float64


def test_the_embedded_backbone_is_rebuilt_in_the_precision_of_the_record():
    stream = models.stream()
    model = fk.FrozenBackbone(fk.load_backbone().double(), stream.n_classes)
    record = models.record_of(
        model, stream, [fk.train_task(model, stream[0], stream, models.BUDGET)]
    )
    back = fk.from_record(record)
    assert back.logits(IMAGES).dtype == np.float64
    np.testing.assert_array_equal(back.logits(IMAGES), model.logits(IMAGES))


def test_single_precision_is_not_mentioned():
    assert "precision" not in models.fmlora().describe()


def test_half_precision_is_refused():
    with pytest.raises(ValueError, match="float32 or float64, got torch.bfloat16"):
        fk.FMLoRA(models.vit().bfloat16(), 4)
