"""Prefix tuning against an explicit softmax over [prefix; tokens], head by head."""

import pytest
import torch
from helpers import models

from fmlora_kit.adapters.prompts import attend_to

D, LENGTH = 32, 3


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=models.generator(seed), dtype=torch.float64)


def pair(n=1, length=LENGTH, seed=0):
    return noise(n, length, D, seed=seed + 1), noise(n, length, D, seed=seed + 2)


def double(fused=True, **changes):
    vit = models.vit(**changes).double()
    for block in vit.blocks:
        block.attn.fused_attn = fused
    return vit


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("qk_norm", [True, False])
@pytest.mark.parametrize("n", [1, 4])
def test_it_is_a_softmax_over_prefix_and_tokens_in_every_head(fused, qk_norm, n):
    vit, x = double(fused, qk_norm=qk_norm, num_heads=4), noise(4, 17, D)
    attention, (keys, values) = vit.blocks[1].attn, pair(n)
    with torch.no_grad(), attend_to(vit, {1: (keys, values)}):
        ours = attention(x)
    one = [0] * 4 if n == 1 else range(4)
    with torch.no_grad():
        by_hand = [models.attend(attention, x[k], keys[j], values[j]) for k, j in enumerate(one)]
    torch.testing.assert_close(ours, torch.stack(by_hand), rtol=1e-10, atol=1e-10)
    with torch.no_grad():
        assert (ours - attention(x)).abs().max() > 0.01  # the prefix matters


@pytest.mark.parametrize("fused", [True, False])
def test_no_prefix_at_all_is_the_plain_block_bit_for_bit(fused):
    vit, x = double(fused).float(), noise(4, 17, D).float()
    keys, values = (part.float() for part in pair(length=0))
    with torch.no_grad():
        plain = vit.blocks[0](x)
        with attend_to(vit, {0: (keys, values)}):
            assert torch.equal(vit.blocks[0](x), plain)


def test_one_column_of_the_prefix_reaches_one_head_alone():
    """A reshape without a permute, as in public DualPrompt codes, would spread it over heads."""
    vit, x = double(num_heads=4), noise(1, 17, D)
    vit.blocks[0].attn.proj = torch.nn.Identity()  # leaves the heads side by side
    keys, values = pair()
    outputs = []
    for column, part in [(None, None), (9, "keys"), (30, "values")]:
        k, v = keys.clone(), values.clone()
        if column is not None:
            {"keys": k, "values": v}[part][0, 1, column] += 1
        with torch.no_grad(), attend_to(vit, {0: (k, v)}):
            outputs.append(vit.blocks[0].attn(x)[0].unflatten(1, (4, 8)))
    moved = [(out - outputs[0]).abs().amax(dim=(0, 2)) > 0 for out in outputs[1:]]
    assert moved[0].tolist() == [False, True, False, False]
    assert moved[1].tolist() == [False, False, False, True]


def test_the_order_of_prefix_entries_does_not_matter_but_their_pairing_does():
    vit, x = double(), noise(2, 17, D)
    (keys, values), outputs = pair(), []
    for k, v in [(keys, values), (keys.flip(1), values.flip(1)), (keys, values.flip(1))]:
        with torch.no_grad(), attend_to(vit, {0: (k, v)}):
            outputs.append(vit.blocks[0].attn(x))
    torch.testing.assert_close(outputs[1], outputs[0])
    assert (outputs[2] - outputs[0]).abs().max() > 1e-3


@pytest.mark.parametrize("pool", ["token", "avg"])
def test_tokens_and_their_pooling_stay_as_they_are(pool):
    vit = double(global_pool=pool, reg_tokens=2)
    images = noise(2, 3, 32, 32)
    with torch.no_grad(), attend_to(vit, {0: pair(), 1: pair(seed=5)}):
        tokens, pooled = vit.forward_features(images), vit(images)
    assert tokens.shape == (2, 1 + 2 + 16, D) and vit.num_prefix_tokens == 3
    by_hand = tokens[:, 0] if pool == "token" else tokens[:, 3:].mean(1)
    torch.testing.assert_close(pooled, vit.fc_norm(by_hand))


def test_other_blocks_and_the_vit_itself_stay_as_they_were():
    vit, images, x = double(), noise(2, 3, 32, 32), noise(2, 17, D)
    with torch.no_grad():
        before, names = vit(images), list(vit.state_dict())
        with attend_to(vit, {1: pair()}):
            assert torch.equal(vit.blocks[0](x), double().blocks[0](x))
            assert list(vit.state_dict()) == names
            assert not torch.equal(vit(images), before)
        assert torch.equal(vit(images), before)


def test_an_error_inside_leaves_no_hook_behind():
    vit, images = double(), noise(2, 3, 32, 32)
    with torch.no_grad():
        before = vit(images)
        with pytest.raises(KeyError), attend_to(vit, {0: pair()}):
            raise KeyError
        vit.blocks[1].attn = torch.nn.Identity()
        with pytest.raises(ValueError, match="block 1"), attend_to(vit, {0: pair(), 1: pair()}):
            pass
        vit.blocks[1].attn = double().blocks[1].attn
        assert torch.equal(vit(images), before)


def test_gradients_of_fused_and_unfused_attention_agree_and_reach_each_images_own_prefix():
    gradients = []
    for fused in (True, False):
        vit, (keys, values) = double(fused, qk_norm=True).requires_grad_(False), pair(4)
        keys.requires_grad_(), values.requires_grad_()
        with attend_to(vit, {0: (keys, values)}):
            vit(noise(4, 3, 32, 32))[2].square().sum().backward()
        gradients.append((keys.grad, values.grad))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)
        assert (ours.abs().amax(dim=(1, 2)) > 0).tolist() == [False, False, True, False]


def test_lower_precision_of_autocast_is_kept():
    vit, images = models.vit(), noise(2, 3, 32, 32).float()
    parts = tuple(part.float() for part in pair())
    with torch.no_grad(), attend_to(vit, {0: parts}):
        exact = vit(images)
        with torch.autocast("cpu", torch.bfloat16):
            rough = vit(images)
    torch.testing.assert_close(rough.float(), exact, atol=0.15, rtol=0.1)


@pytest.mark.parametrize(
    ("prefixes", "message"),
    [
        ({2: pair()}, r"blocks of the backbone \(0 to 1\).*got \(2,\)"),
        ({0: (noise(1, 3, 16), noise(1, 3, 16))}, r"\(images or 1, length, 32\), got \(1, 3, 16\)"),
        ({0: (noise(1, 3, D), noise(1, 2, D))}, "prefix of block 0 must be keys and values"),
        ({0: (noise(3, D), noise(3, D))}, "prefix of block 0 must be keys and values"),
    ],
)
def test_bad_prefixes(prefixes, message):
    with pytest.raises(ValueError, match=message), attend_to(double(), prefixes):
        pass


def test_what_it_cannot_do_is_refused():
    vit = double()
    with attend_to(vit, {0: pair(3)}):
        with pytest.raises(ValueError, match="prefix must be for 1 or all 2 images, got 3"):
            vit(noise(2, 3, 32, 32))
        with pytest.raises(ValueError, match="without an attention mask"):
            vit.forward_features(noise(3, 3, 32, 32), is_causal=True)
    vit.set_grad_checkpointing()
    with pytest.raises(ValueError, match="gradient checkpointing"), attend_to(vit, {0: pair()}):
        pass


def test_another_attention_than_timms_own_is_refused():
    vit = double(attn_layer="diff")
    with pytest.raises(ValueError, match="timm's own attention, block 0"):
        attend_to(vit, {0: pair()}).__enter__()
