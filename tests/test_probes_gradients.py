"""Integrated gradients and saliency against autograd, differences, and a model solved by hand."""

import builtins
import sys

import numpy as np
import pytest
import torch
from helpers import models
from helpers.models import NAMES, Linear, learned, normalised, own_logit, pictures, traces

import fmlora_kit as fk
from fmlora_kit.probes import attribute
from fmlora_kit.probes.gradients import integrated_gradients, saliency


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NAMES)
def test_integrated_gradients_add_up_to_the_difference_of_the_scores(name, dtype):
    model = learned(name, dtype)
    images, targets = pictures()
    maps = integrated_gradients(model, images, targets, steps=100)
    x = normalised(model, images)
    with torch.no_grad():
        difference = own_logit(model, x, targets) - own_logit(model, torch.zeros_like(x), targets)
    size = np.abs(maps).sum(axis=(1, 2))
    assert maps.shape == (3, 32, 32) and (size > 0.1).all()
    assert (np.abs(maps.sum(axis=(1, 2)) - difference.numpy()) < 1e-3 * size).all()


@pytest.mark.parametrize("head", ["lda", "cosine", "linear"])
def test_saliency_is_the_gradient(head):
    model = learned("fmlora", head=head)
    images, targets = pictures()
    x = normalised(model, images).requires_grad_()
    (gradient,) = torch.autograd.grad(own_logit(model, x, targets).sum(), x)
    expected = gradient.abs().amax(dim=1).numpy()
    assert (expected.max(axis=(1, 2)) > 0).all()
    np.testing.assert_allclose(saliency(model, images, targets), expected, rtol=1e-9, atol=1e-12)


def test_saliency_is_the_slope_of_the_score():
    """Move one pixel a little and see how the score changes."""
    model = learned("sequential_lora")
    images, targets = pictures()
    maps, x, step = saliency(model, images, targets), normalised(model, images), 1e-5
    for row, column in ((3, 4), (16, 17), (30, 1)):
        slopes = []
        for colour in range(3):
            change = torch.zeros_like(x)
            change[:, colour, row, column] = step
            with torch.no_grad():
                rise = own_logit(model, x + change, targets) - own_logit(model, x - change, targets)
            slopes.append((rise / (2 * step)).abs().numpy())
        np.testing.assert_allclose(maps[:, row, column], np.max(slopes, axis=0), rtol=1e-6)


def test_a_linear_model_is_solved_by_hand():
    """Score = w . x: integrated gradients are w x, saliency |w|, whatever the number of steps."""
    model, images = Linear(), models.noise(5, size=4)
    x = images.transpose(0, 3, 1, 2) / 127.5 - 1
    target_columns = [0, 1, 1, 0, 1]
    targets = [3, 5, 5, 3, 5]
    w = model.rows.numpy()[target_columns]
    for steps in (2, 20):
        maps = integrated_gradients(model, images, targets, steps=steps)
        # captum keeps the weights of its quadrature in single precision
        np.testing.assert_allclose(maps, (w * x).sum(axis=1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(saliency(model, images, targets), np.abs(w).max(axis=1), rtol=1e-12)


def test_batches_change_nothing():
    model, images = Linear(), models.noise(150, size=4)
    targets = np.resize([3, 5], 150)
    for method in (integrated_gradients, saliency):
        one_by_one = [
            method(model, images[k : k + 1], targets[k : k + 1])[0] for k in (0, 63, 64, 149)
        ]
        np.testing.assert_allclose(
            method(model, images, targets)[[0, 63, 64, 149]], one_by_one, rtol=1e-12, atol=1e-12
        )


@pytest.mark.parametrize("method", ["integrated_gradients", "saliency", "grad_cam"])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_behind_and_twice_is_the_same(name, method):
    model = learned(name)
    images, targets = pictures()
    model.vit.train()  # a mode of its own, to see that it comes back
    before, logits = traces(model), model.logits(images)
    with torch.no_grad():
        maps = attribute(model, images, targets, method=method)
    np.testing.assert_array_equal(attribute(model, images, targets, method=method), maps)
    with torch.inference_mode():
        np.testing.assert_array_equal(attribute(model, images, targets, method=method), maps)
    assert traces(model) == before
    np.testing.assert_array_equal(model.logits(images), logits)
    assert maps.dtype == np.float64 and np.isfinite(maps).all()


def test_a_model_that_failed_is_left_as_it_was():
    model = learned()
    images, _ = pictures()
    before = traces(model)
    for method in ("integrated_gradients", "saliency", "grad_cam"):
        with pytest.raises(ValueError, match=r"seen, got \[7\]"):
            attribute(model, images, [0, 7, 2], method=method)
    assert traces(model) == before


def test_the_model_may_go_on_learning():
    stream = models.stream()
    model, other = learned(), learned()
    saliency(model, *pictures())
    results = [
        fk.train_task(m, stream[2], stream, fk.Budget(epochs=1, batch_size=16))
        for m in (model, other)
    ]
    assert results[0].same_as(results[1])


def test_bad_arguments_are_named():
    model, (images, targets) = learned("streaming_lda"), pictures()
    with pytest.raises(ValueError, match="steps must be at least 2, got 1"):
        integrated_gradients(model, images, targets, steps=1)
    with pytest.raises(ValueError, match=r"targets must be one class per image \(3\), got \[0\]"):
        saliency(model, images, [0])
    with pytest.raises(ValueError, match=r"targets must be one class per image \(3\), got 0"):
        saliency(model, images, 0)
    with pytest.raises(ValueError, match="images must hold at least one image, got 0"):
        saliency(model, images[:0], [])
    with pytest.raises(ValueError, match=r"images must be uint8 \(n, 32, 32, 3\), got float64"):
        saliency(model, images / 255, targets)
    with pytest.raises(ValueError, match=r"uint8 \(n, 32, 32, 3\), got uint8 \(3, 16, 32, 3\)"):
        saliency(model, images[:, :16], targets)
    with pytest.raises(ValueError, match="method must be one of .* got 'lime'"):
        attribute(model, images, targets, method="lime")
    with pytest.raises(ValueError, match="model must have learned at least one task, got none"):
        saliency(models.build("frozen_backbone"), images, targets)


def test_without_captum_it_says_what_to_install(monkeypatch):
    model, (images, targets) = learned("streaming_lda"), pictures()
    real = builtins.__import__

    def refuse(name, *rest, **more):
        if name.split(".")[0] == "captum":
            raise ImportError("No module named 'captum'")
        return real(name, *rest, **more)

    for name in [n for n in sys.modules if n.split(".")[0] == "captum"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", refuse)
    for method in ("integrated_gradients", "saliency", "grad_cam"):
        with pytest.raises(ImportError, match=r"pip install 'fmlora_kit\[notebooks\]'"):
            attribute(model, images, targets, method=method)
    assert attribute(model, images, targets, method="attention_rollout").shape == (3, 32, 32)
