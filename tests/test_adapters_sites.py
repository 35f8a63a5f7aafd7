"""Where updates go: the right rows of the right maps, in and out of the weights."""

import copy

import pytest
import torch
from helpers import models
from timm.layers import SwiGLU
from timm.models.vision_transformer import ParallelScalingBlock, VisionTransformer

from fmlora_kit.adapters.dmp import add_prompt
from fmlora_kit.adapters.sites import MAPS, adapted_maps, attach, base_weight, find_sites, to_timm
from fmlora_kit.adapters.updates import LoRAUpdate

X = torch.randn(3, 3, 32, 32, generator=models.generator(1))
D = 32
ROWS = {"q": (0, D), "k": (D, 2 * D), "v": (2 * D, 3 * D)}
PATHS = {"q": "attn.qkv", "k": "attn.qkv", "v": "attn.qkv", "proj": "attn.proj"}


def with_updates(maps, plain=None):
    """An adapted copy of a ViT, its sites and its random updates."""
    plain = plain or models.vit()
    vit = copy.deepcopy(plain)
    sites = find_sites(vit, maps)
    g = models.generator(3)
    updates = {s.name: LoRAUpdate(s.d_in, s.d_out, 4, 4.0, g) for s in sites}
    for update in updates.values():
        torch.nn.init.normal_(update.a, std=0.3, generator=g)
    attach(vit, sites, updates)
    return plain, vit, sites, updates


def changed_by_hand(plain, maps, updates):
    """The plain ViT with its weights changed row by row, found by timm's own names."""
    changed = copy.deepcopy(plain)
    with torch.no_grad():
        for i, block in enumerate(changed.blocks):
            for name in maps:
                module = block.get_submodule(PATHS.get(name, f"mlp.{name}"))
                first, last = ROWS.get(name, (0, module.out_features))
                module.weight[first:last] += updates[f"blocks.{i}.{name}"].delta()
    return changed


@pytest.mark.parametrize("maps", [*[(m,) for m in MAPS], ("q", "v"), ("v", "q", "k"), MAPS])
def test_updates_change_the_rows_they_name_and_no_others(maps):
    plain, vit, _, updates = with_updates(maps)
    with torch.no_grad():
        expected = changed_by_hand(plain, maps, updates)(X)
        torch.testing.assert_close(vit(X), expected, atol=2e-5, rtol=1e-5)
        assert (expected - plain(X)).abs().max() > 1e-2


def test_q_k_and_v_are_the_rows_that_timm_takes_for_them():
    """Zeroing the k rows makes attention uniform, whatever q is; zeroing v silences it."""
    vit = models.vit(depth=1)
    attention = vit.blocks[0].attn
    tokens = torch.randn(2, 5, D, generator=models.generator(2))
    for name, sites_rows in ((s.name[-1], s.rows) for s in find_sites(vit, ("k", "v"))):
        changed = copy.deepcopy(attention)
        with torch.no_grad():
            changed.qkv.weight[sites_rows] = 0
            changed.qkv.bias[sites_rows] = 0
            out = changed(tokens)
        if name == "k":
            torch.testing.assert_close(out, out.mean(1, keepdim=True).expand_as(out))
            assert out.std() > 0.01
        else:
            torch.testing.assert_close(out, attention.proj.bias.expand_as(out))


def test_site_names_and_sizes():
    sites = find_sites(models.vit(), ("v", "fc1"))
    assert [s.name for s in sites] == ["blocks.0.v", "blocks.0.fc1", "blocks.1.v", "blocks.1.fc1"]
    assert [(s.d_in, s.d_out) for s in sites[:2]] == [(32, 32), (32, 128)]
    assert sites[0].path == "blocks.0.attn.qkv" and sites[0].rows == slice(64, 96)


def test_base_weight_is_the_frozen_rows_before_and_after_adapting():
    plain, vit, sites, _ = with_updates(("k", "fc2"))
    for site in sites:
        assert torch.equal(base_weight(plain, site), base_weight(vit, site))
    assert torch.equal(base_weight(vit, sites[0]), plain.blocks[0].attn.qkv.weight[32:64])


def test_merge_keeps_the_outputs_and_unmerge_brings_every_bit_back():
    plain, vit, _, _ = with_updates(MAPS)
    with torch.no_grad():
        before = vit(X)
        for module in adapted_maps(vit).values():
            module.merge()
            module.merge()  # twice is once
        merged = vit(X)
        torch.testing.assert_close(merged, before, atol=2e-5, rtol=1e-5)
        assert not torch.equal(vit.blocks[0].attn.qkv.base.weight, plain.blocks[0].attn.qkv.weight)
        for module in adapted_maps(vit).values():
            module.unmerge()
            module.unmerge()
        assert torch.equal(vit(X), before)
    for i, block in enumerate(vit.blocks):
        for path in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"):
            kept = plain.blocks[i].get_submodule(path)
            assert torch.equal(block.get_submodule(path).base.weight, kept.weight)
            assert torch.equal(block.get_submodule(path).base.bias, kept.bias)


def test_to_timm_is_a_plain_vit_whose_weights_load_into_a_fresh_one():
    _, vit, _, _ = with_updates(("q", "v"))
    add_prompt(vit, 3, models.generator(4))
    plain = to_timm(vit)
    assert type(plain) is VisionTransformer and not adapted_maps(plain)
    assert not any(p.requires_grad for p in plain.parameters())
    fresh = models.vit(9, reg_tokens=3)
    fresh.load_state_dict(plain.state_dict(), strict=True)
    with torch.no_grad():
        torch.testing.assert_close(fresh(X), vit(X), atol=2e-5, rtol=1e-5)
    assert adapted_maps(vit) and vit.blocks[0].attn.qkv.unmerged_weight is None


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        (
            ("q", "w"),
            r"maps must be among \('q', 'k', 'v', 'proj', 'fc1', 'fc2'\), .* got \('q', 'w'\)",
        ),
        ((), r"maps must be among .*, each once, at least one, got \(\)"),
        (("q", "q"), r"each once, at least one, got \('q', 'q'\)"),
    ],
)
def test_maps_are_known(maps, message):
    with pytest.raises(ValueError, match=message):
        find_sites(models.vit(), maps)


def test_a_backbone_that_is_no_timm_vit_is_refused():
    with pytest.raises(ValueError, match="backbone must be a timm VisionTransformer, got Linear"):
        find_sites(torch.nn.Linear(2, 2))


def test_blocks_without_fused_qkv_or_plain_mlp_are_refused():
    with pytest.raises(ValueError, match="fused qkv map in every block, got none in block 0"):
        find_sites(models.vit(block_fn=ParallelScalingBlock))
    with pytest.raises(ValueError, match="map 'fc1' must be a linear layer of block 0, got none"):
        find_sites(models.vit(mlp_layer=SwiGLU), ("fc1",))
