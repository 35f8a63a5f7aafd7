"""DMP: the prompt as register tokens, against a forward pass written out by hand."""

import copy

import pytest
import torch
from helpers import models
from timm.models.deit import VisionTransformerDistilled

from fmlora_kit.adapters.dmp import add_prompt, prompt_of, reptile

X = torch.randn(3, 3, 32, 32, generator=models.generator(1))
VITS = {
    "plain": {},
    "no position for prefix tokens": {"no_embed_class": True},
    "own registers": {"reg_tokens": 3},
    "own registers without position": {"reg_tokens": 3, "no_embed_class": True},
    "average pooling, no class token": {"class_token": False, "global_pool": "avg"},
    "no positions": {"pos_embed": "none"},
}


def prompted(options, length=2):
    plain = models.vit(**options)
    vit = copy.deepcopy(plain)
    add_prompt(vit, length, models.generator(5))
    with torch.no_grad():
        prompt_of(vit, length).normal_(std=0.5, generator=models.generator(6))
    return plain, vit


@torch.no_grad()
def by_hand(plain, prompt, x):
    """Tokens of the unprompted ViT with the prompt put in between prefix and patches."""
    tokens = plain._pos_embed(plain.patch_embed(x))
    prefix = plain.num_prefix_tokens
    rows = prompt.expand(len(x), -1, -1)
    tokens = torch.cat([tokens[:, :prefix], rows, tokens[:, prefix:]], dim=1)
    out = plain.norm(plain.blocks(plain.norm_pre(tokens)))
    patches = out[:, prefix + prompt.shape[0] :]
    return plain.fc_norm(out[:, 0] if plain.global_pool == "token" else patches.mean(1))


@pytest.mark.parametrize("kind", VITS)
def test_a_prompted_vit_is_the_vit_with_tokens_put_in(kind):
    plain, vit = prompted(VITS[kind])
    with torch.no_grad():
        out = vit.forward_head(vit.forward_features(X), pre_logits=True)
    expected = by_hand(plain, prompt_of(vit, 2), X)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        assert (out - plain(X)).abs().max() > 1e-3  # the prompt matters


@pytest.mark.parametrize("kind", ["own registers", "own registers without position"])
def test_a_vits_own_registers_are_never_trained(kind):
    plain, vit = prompted(VITS[kind])
    optimiser = torch.optim.AdamW([vit.reg_token], lr=0.1, weight_decay=0.0)
    before = prompt_of(vit, 2).detach().clone()
    for frozen in (False, True, False):  # also after the prompt was frozen for a while
        vit.reg_token.requires_grad_(not frozen)
        if not frozen:
            optimiser.zero_grad()
            vit(X).square().sum().backward()
            optimiser.step()
    assert torch.equal(vit.reg_token[:, :3], plain.reg_token)
    assert (prompt_of(vit, 2) - before).abs().min() > 0


def test_nothing_but_the_prompt_asks_for_a_gradient():
    vit = models.vit().requires_grad_(False)
    add_prompt(vit, 2, models.generator())
    assert [name for name, p in vit.named_parameters() if p.requires_grad] == ["reg_token"]


def test_the_prompt_starts_small_and_seeded_and_is_a_view():
    first, again, other = (models.vit() for _ in range(3))
    for vit, seed in ((first, 1), (again, 1), (other, 2)):
        add_prompt(vit, 50, models.generator(seed))
    assert torch.equal(prompt_of(first, 50), prompt_of(again, 50))
    assert not torch.equal(prompt_of(first, 50), prompt_of(other, 50))
    assert prompt_of(first, 50).std().item() == pytest.approx(0.02, rel=0.1)
    with torch.no_grad():
        prompt_of(first, 50)[-1] = 7
    assert (first.reg_token[0, -1] == 7).all()


def test_no_prompt_is_no_change():
    vit = models.vit()
    before = vit(X)
    add_prompt(vit, 0, models.generator())
    assert vit.reg_token is None and torch.equal(vit(X), before)


def test_negative_length_is_refused():
    with pytest.raises(ValueError, match="length must be at least 0, got -1"):
        add_prompt(models.vit(), -1, models.generator())


def test_a_vit_that_places_its_tokens_otherwise_is_refused():
    vit = VisionTransformerDistilled(
        img_size=32, patch_size=8, embed_dim=32, depth=1, num_heads=2, num_classes=0
    )
    with pytest.raises(ValueError, match="prompt needs .*register tokens, .*VisionTransformerDist"):
        add_prompt(vit, 2, models.generator())


def test_reptile_goes_part_of_the_way():
    before, fast = torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, 0.0]])
    torch.testing.assert_close(reptile(before, fast, 0.25), torch.tensor([[0.25, 1.5]]))
    assert torch.equal(reptile(before, fast, 0.0), before)
    assert torch.equal(reptile(before, fast, 1.0), fast)


@pytest.mark.parametrize("eta", [-0.1, 1.5])
def test_eta_is_a_share(eta):
    with pytest.raises(ValueError, match=f"eta must be between 0 and 1, got {eta}"):
        reptile(torch.zeros(1, 2), torch.ones(1, 2), eta)
