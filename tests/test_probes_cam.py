"""Grad-CAM against its formula, the last block run by hand."""

import numpy as np
import pytest
import torch
from helpers.models import learned, normalised, pictures, traces

from fmlora_kit.probes.cam import grad_cam, tap_patches


def by_hand(model, images, targets, prefix):
    """relu(sum_c mean_places(d score / d F_c) F_c) with F the patch tokens before the last block.

    Returns the 4 x 4 map before the relu.
    """
    vit = model.vit
    with torch.no_grad():
        tokens = vit.norm_pre(vit._pos_embed(vit.patch_embed(normalised(model, images))))
        for block in vit.blocks[:-1]:
            tokens = block(tokens)
    tokens.requires_grad_()
    pooled = vit.fc_norm(vit.norm(vit.blocks[-1](tokens))[:, 0])
    score = (pooled * model.head.weight[targets]).sum(dim=1) + model.head.bias[targets]
    (gradient,) = torch.autograd.grad(score.sum(), tokens)
    gradient, patches = gradient[:, prefix:].numpy(), tokens.detach()[:, prefix:].numpy()
    alpha = gradient.mean(axis=1, keepdims=True)
    return (alpha * patches).sum(axis=2).reshape(-1, 4, 4)


@pytest.mark.parametrize(
    ("name", "depth", "prefix"),
    [("frozen_backbone", 2, 1), ("sequential_lora", 3, 1), ("fmlora", 2, 3), ("fmlora", 3, 3)],
)
def test_it_is_the_formula_over_the_patches_alone(name, depth, prefix):
    model = learned(name, depth=depth)
    images, targets = pictures()
    assert model.vit.num_prefix_tokens == prefix  # the class token, and FM-LoRA's two prompt tokens
    raw = by_hand(model, images, targets, prefix)
    maps = grad_cam(model, images, targets)
    assert (raw > 0).any() and (raw < 0).any()  # both sides of the relu are tried
    assert maps.max() > 0
    expected = np.kron(np.maximum(raw, 0), np.ones((8, 8)))
    np.testing.assert_allclose(maps, expected, rtol=1e-9, atol=1e-12)


def test_the_picture_is_laid_out_as_it_stands():
    """The tap sees channels first, and the patch of row 1, column 2 at [1, 2]."""
    model, (images, _) = learned("fmlora"), pictures()
    seen = []
    with tap_patches(model) as tap, torch.no_grad():
        tap.register_forward_hook(lambda module, inputs, output: seen.append(output))
        logits = model.vit(normalised(model, images))
    np.testing.assert_array_equal(logits, model.vit(normalised(model, images)).detach())
    with torch.no_grad():
        tokens = model.vit.norm_pre(
            model.vit._pos_embed(model.vit.patch_embed(normalised(model, images)))
        )
        tokens = model.vit.blocks[0](tokens)
    assert seen[0].shape == (3, 32, 4, 4)
    np.testing.assert_array_equal(seen[0][:, :, 1, 2], tokens[:, 3 + 4 * 1 + 2])


def test_patches_are_even():
    maps = grad_cam(learned("fmlora"), *pictures())
    blocks = maps.reshape(3, 4, 8, 4, 8)
    assert (blocks == blocks[:, :, :1, :, :1]).all()
    assert len(np.unique(maps[0])) > 1


def test_single_precision_agrees_with_double():
    images, targets = pictures()
    model = learned("frozen_backbone", torch.float64)
    double = grad_cam(model, images, targets)
    single = grad_cam(model.float(), images, targets)
    np.testing.assert_allclose(single, double, rtol=1e-3, atol=1e-4 * double.max())


def test_one_block_is_too_few():
    model = learned("frozen_backbone", depth=1)
    before = traces(model)
    with pytest.raises(ValueError, match="must have a ViT of at least 2 blocks.*, got 1"):
        grad_cam(model, *pictures())
    assert traces(model) == before
