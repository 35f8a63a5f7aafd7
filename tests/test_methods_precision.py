"""A float64 backbone gives a float64 method: in training, in the record, and rebuilt from it."""

import numpy as np
import pytest
import tiny
import torch

import fmlora_kit as fk
from fmlora_kit.adapters.bases import BASES

IMAGES = tiny.noise(4)


def built(method):
    double = tiny.vit().double()
    if method in BASES:
        return tiny.fmlora(double, bases=method)
    return tiny.build(method, double)


@pytest.mark.parametrize("method", [*BASES, "sequential_lora", "frozen_backbone"])
def test_everything_is_computed_and_rebuilt_in_double_precision(method):
    stream, model = tiny.stream(), built(method)
    record = tiny.record_of(model, stream, tiny.learn(model, stream))
    assert record.config["method"]["precision"] == "float64"
    floats = [a for task in record.tasks for a in task.state.values() if a.dtype.kind == "f"]
    assert {array.dtype for array in floats} == {np.dtype(np.float64)}
    assert {p.dtype for p in model.parameters()} == {torch.float64}
    back = fk.from_record(record, backbone=tiny.vit().double())
    np.testing.assert_array_equal(back.logits(IMAGES), model.logits(IMAGES))
    assert back.logits(IMAGES).dtype == np.float64


def test_a_float64_run_follows_the_float32_one_until_rounding_shows():
    stream = tiny.stream()
    double, single = (
        fk.train_task(tiny.build("sequential_lora", vit), stream[0], stream, tiny.BUDGET).losses
        for vit in (tiny.vit().double(), tiny.vit())
    )
    np.testing.assert_allclose(double, single, rtol=1e-4)
    assert np.abs(double - single).max() > 1e-9


def test_the_embedded_backbone_is_rebuilt_in_the_precision_of_the_record():
    stream = tiny.stream()
    model = fk.FrozenBackbone(fk.load_backbone().double(), stream.n_classes)
    record = tiny.record_of(model, stream, [fk.train_task(model, stream[0], stream, tiny.BUDGET)])
    back = fk.from_record(record)
    assert back.logits(IMAGES).dtype == np.float64
    np.testing.assert_array_equal(back.logits(IMAGES), model.logits(IMAGES))


def test_single_precision_is_not_mentioned():
    assert "precision" not in tiny.fmlora().describe()


def test_half_precision_is_refused():
    with pytest.raises(ValueError, match="float32 or float64, got torch.bfloat16"):
        fk.FMLoRA(tiny.vit().bfloat16(), 4)
