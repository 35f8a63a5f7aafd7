"""Attention rollout against the product worked out from the weights."""

import numpy as np
import pytest
import torch
from helpers import models
from helpers.models import NAMES, learned, normalised, pictures, traces
from timm.layers import Attention
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import ParallelScalingBlock, VisionTransformer

import fmlora_kit as fk
from fmlora_kit.probes.rollout import attention_rollout, attentions, rollout


def by_hand(model, images):
    """(A_2 + I) / 2 (A_1 + I) / 2 of a ViT of two blocks, attention from q and k: (n, N, N)."""
    vit, steps = model.vit, []
    with torch.no_grad():
        tokens = vit.norm_pre(vit._pos_embed(vit.patch_embed(normalised(model, images))))
        for block in vit.blocks:
            n, length, d = tokens.shape
            qkv = block.attn.qkv(block.norm1(tokens)).reshape(n, length, 3, 2, d // 2).numpy()
            q, k = qkv[:, :, 0], qkv[:, :, 1]  # (n, N, heads, d / heads)
            score = np.exp(np.einsum("nihd,njhd->nhij", q, k) / np.sqrt(d / 2))
            attention = (score / score.sum(axis=-1, keepdims=True)).mean(axis=1)
            steps.append((attention + np.eye(length)) / 2)
            tokens = block(tokens)
    return steps[1] @ steps[0]


@pytest.mark.parametrize(("name", "prefix"), [("frozen_backbone", 1), ("fmlora", 3)])
def test_it_is_the_class_tokens_row_of_the_product(name, prefix):
    model, (images, _) = learned(name), pictures()
    row = by_hand(model, images)[:, 0, prefix:].reshape(3, 4, 4)
    expected = np.kron(row, np.ones((8, 8)))
    assert np.ptp(expected[0]) > 1e-3
    np.testing.assert_allclose(attention_rollout(model, images), expected, rtol=1e-9)


def test_a_model_that_averages_patches_gives_their_mean_row():
    model = learned("frozen_backbone", global_pool="avg")
    images, _ = pictures()
    row = by_hand(model, images)[:, 1:, 1:].mean(axis=1).reshape(3, 4, 4)
    np.testing.assert_allclose(
        attention_rollout(model, images), np.kron(row, np.ones((8, 8))), rtol=1e-9
    )


def test_rows_are_shares():
    model, (images, _) = learned("fmlora"), pictures()
    each = attentions(model, images)
    assert [tuple(a.shape) for a in each] == [(3, 2, 19, 19)] * 2
    product = rollout(each).numpy()
    np.testing.assert_allclose(product.sum(axis=-1), 1, rtol=1e-12)
    assert (product > 0).all()


def test_without_attention_to_others_everything_stays_in_its_place():
    eye = torch.eye(5).expand(2, 3, 5, 5)
    np.testing.assert_array_equal(rollout([eye, eye]).numpy(), torch.eye(5).expand(2, 5, 5))
    # One block that only looks at token 4, then one that only looks at itself: half of half.
    look = torch.zeros(1, 1, 5, 5)
    look[..., 4] = 1
    np.testing.assert_allclose(rollout([look, eye[:1, :1]])[0, 0], [0.5, 0, 0, 0, 0.5])
    np.testing.assert_allclose(rollout([look, look])[0, 0], [0.25, 0, 0, 0, 0.75])


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_behind_and_twice_is_the_same(name):
    model, (images, _) = learned(name), pictures()
    model.vit.blocks[1].attn.fused_attn = False  # a flag of its own, to see that it comes back
    before = traces(model)
    assert before["fused"] == [True, False]
    first = attention_rollout(model, images)
    with torch.inference_mode():
        np.testing.assert_array_equal(attention_rollout(model, images), first)
    assert traces(model) == before


def test_flags_come_back_after_a_failure(monkeypatch):
    model, (images, _) = learned("frozen_backbone"), pictures()
    before = traces(model)

    def fail(x):
        raise RuntimeError("no")

    monkeypatch.setattr(model.vit, "forward_features", fail)
    with pytest.raises(RuntimeError, match="no"):
        attention_rollout(model, images)
    assert traces(model) == before


def test_it_needs_no_task_but_images_and_a_known_pooling():
    model = models.build("frozen_backbone")
    assert attention_rollout(model, models.noise(70)).shape == (70, 32, 32)
    with pytest.raises(ValueError, match="images must hold at least one image, got 0"):
        attention_rollout(model, models.noise(1)[:0])
    model.vit.global_pool = "map"
    with pytest.raises(ValueError, match="pool by 'token' or 'avg' .*got 'map'"):
        attention_rollout(model, models.noise(1))


SIZES = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2}


def with_backbone(vit):
    return fk.FrozenBackbone(vit, 4)


def test_a_distilled_vit_reads_two_tokens_and_gives_the_mean_of_their_rows():
    torch.manual_seed(0)
    model, images = with_backbone(VisionTransformerDistilled(**SIZES).eval()), models.noise(3)
    both = rollout(attentions(model, images)).numpy()[:, :2].mean(axis=1)[:, 2:]
    found = attention_rollout(model, images)
    np.testing.assert_allclose(found[:, ::8, ::8].reshape(3, 16), both, rtol=1e-6)


def test_an_average_over_all_tokens_counts_the_class_token_too():
    torch.manual_seed(0)
    vit = VisionTransformer(**SIZES, global_pool="avg", pool_include_prefix=True).eval()
    model, images = with_backbone(vit), models.noise(3)
    row = rollout(attentions(model, images)).numpy().mean(axis=1)[:, 1:]
    found = attention_rollout(model, images)
    np.testing.assert_allclose(found[:, ::8, ::8].reshape(3, 16), row, rtol=1e-6)


class Differential(Attention):
    """Attention that computes something else, with all attributes of timm's."""


@pytest.mark.parametrize("other", ["attention", "block", "pooling"])
def test_what_attends_or_pools_in_a_way_of_its_own_is_refused(other):
    model = models.build("frozen_backbone", VisionTransformer(**SIZES).eval(), 4)
    if other == "attention":
        model.vit.blocks[1].attn.__class__ = Differential
        message = "timm's own attention for rollout, got Differential in a Block"
    elif other == "block":
        model.vit.blocks[0] = ParallelScalingBlock(32, 2)
        message = "got NoneType in a ParallelScalingBlock"
    else:
        model.vit.__class__ = type("Mine", (VisionTransformer,), {"pool": lambda self, x: x[:, 3]})
        message = "got 'token' of a Mine"
    with pytest.raises(ValueError, match=message):
        attention_rollout(model, models.noise(1))
