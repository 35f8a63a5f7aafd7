"""Weights from a file or the hub: each layout gives the same model, and what is wrong is named."""

import hashlib
import re
from pathlib import PurePosixPath

import huggingface_hub
import numpy as np
import pytest
import timm
import torch
from helpers import models
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed
from timm.models import _hub

from fmlora_kit.backbones.weights import fetch, load_file, sha256

X = torch.randn(2, 3, 32, 32, generator=models.generator(1))
HUB_ID = "timm/test_vit.r160_in1k"


def same(a, b):
    """Whether two models hold the same weights."""
    return all(torch.equal(p, b.state_dict()[k]) for k, p in a.state_dict().items())


def clip(state):
    """The names that OpenAI's CLIP has for an image tower, beside those of its text tower."""
    old = {
        r"^patch_embed\.proj": "conv1",
        r"^pos_embed": "positional_embedding",
        r"^cls_token": "class_embedding",
        r"^norm_pre": "ln_pre",
        r"^norm\.": "ln_post.",
        r"\.norm(\d)": r".ln_\1",
        r"^blocks": "transformer.resblocks",
        r"attn\.qkv\.": "attn.in_proj_",
        r"attn\.proj": "attn.out_proj",
        r"mlp\.fc1": "mlp.c_fc",
        r"mlp\.fc2": "mlp.c_proj",
    }
    named = {"visual.proj": torch.randn(32, 8), "token_embedding.weight": torch.randn(9, 4)}
    for key, value in state.items():
        for here, there in old.items():
            key = re.sub(here, there, key)
        lone = {"positional_embedding": value[0], "class_embedding": value.flatten()}
        named[f"visual.{key}"] = lone.get(key, value)
    return named


def dinov2(state):
    """DINOv2 has a mask token more."""
    return {**state, "mask_token": torch.zeros(1, 32)}


LAYOUTS = {
    "plain": ({}, lambda state: state),
    "inside a training checkpoint": ({}, lambda state: {"model": state, "epoch": 3}),
    "of parallel training": (
        {},
        lambda state: {"state_dict": {f"module.{k}": v for k, v in state.items()}},
    ),
    "with a head": ({}, lambda state: {**state, "head.weight": torch.ones(7, 32)}),
    "in another precision": ({}, lambda state: {k: v.double() for k, v in state.items()}),
    "DeiT III": (
        {"init_values": 1.0},
        lambda state: {re.sub(r"ls(\d)\.gamma", r"gamma_\1", k): v for k, v in state.items()},
    ),
    "DINOv2": ({"init_values": 1.0}, dinov2),
    "CLIP": ({"pre_norm": True}, clip),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_ends_as_the_same_model(layout, tmp_path):
    options, write = LAYOUTS[layout]
    model, fresh = models.vit(seed=1, **options), models.vit(**options)
    torch.save(write(model.state_dict()), tmp_path / "a.pth")
    load_file(fresh, tmp_path / "a.pth")
    assert same(model, fresh)


def jax(vit):
    """The arrays of a JAX ViT, as of the original checkpoints: kernels (in, out), heads apart."""
    d, heads = vit.embed_dim, vit.blocks[0].attn.num_heads
    state = {k: v.numpy() for k, v in vit.state_dict().items()}
    arrays = {
        "embedding/kernel": state["patch_embed.proj.weight"].transpose(2, 3, 1, 0),
        "embedding/bias": state["patch_embed.proj.bias"],
        "cls": state["cls_token"],
        "Transformer/posembed_input/pos_embedding": state["pos_embed"],
        "Transformer/encoder_norm/scale": state["norm.weight"],
        "Transformer/encoder_norm/bias": state["norm.bias"],
    }
    for i in range(len(vit.blocks)):
        here, there = f"blocks.{i}.", f"Transformer/encoderblock_{i}/"
        attention = f"{there}MultiHeadDotProductAttention_1/"
        for k, name in enumerate(("query", "key", "value")):
            rows = slice(k * d, (k + 1) * d)
            kernel = state[f"{here}attn.qkv.weight"][rows].T
            arrays[f"{attention}{name}/kernel"] = kernel.reshape(d, heads, -1)
            arrays[f"{attention}{name}/bias"] = state[f"{here}attn.qkv.bias"][rows].reshape(
                heads, -1
            )
        arrays[f"{attention}out/kernel"] = state[f"{here}attn.proj.weight"].T.reshape(heads, -1, d)
        arrays[f"{attention}out/bias"] = state[f"{here}attn.proj.bias"]
        for norm, number in (("norm1", 0), ("norm2", 2)):
            arrays[f"{there}LayerNorm_{number}/scale"] = state[f"{here}{norm}.weight"]
            arrays[f"{there}LayerNorm_{number}/bias"] = state[f"{here}{norm}.bias"]
        for r in (0, 1):
            layer = f"{here}mlp.fc{r + 1}"
            arrays[f"{there}MlpBlock_3/Dense_{r}/kernel"] = state[f"{layer}.weight"].T
            arrays[f"{there}MlpBlock_3/Dense_{r}/bias"] = state[f"{layer}.bias"]
    return arrays


def test_npz_of_jax_is_read(tmp_path):
    model, fresh = models.vit(seed=1), models.vit()
    np.savez(tmp_path / "a.npz", **jax(model))
    load_file(fresh, tmp_path / "a.npz")
    assert same(model, fresh)


def test_another_size_gets_resized_positions(tmp_path):
    large, fresh = models.vit(seed=1, img_size=64), models.vit()
    save_file(large.state_dict(), tmp_path / "a.safetensors")
    load_file(fresh, tmp_path / "a.safetensors")
    expected = resample_abs_pos_embed(large.pos_embed, (4, 4), num_prefix_tokens=1)
    torch.testing.assert_close(fresh.pos_embed, expected)


def test_a_head_is_kept_by_a_model_that_has_one(tmp_path):
    model, fresh = models.vit(seed=1, num_classes=7), models.vit(num_classes=7)
    save_file(model.state_dict(), tmp_path / "a.safetensors")
    load_file(fresh, tmp_path / "a.safetensors")
    assert torch.equal(fresh.head.weight, model.head.weight)


def test_what_does_not_fit_is_named(tmp_path):
    state = models.vit().state_dict()
    state = {k: v for k, v in state.items() if k != "norm.weight" and "blocks.1" not in k}
    state |= {"decoder.weight": torch.ones(2), "cls_token": torch.ones(1, 1, 16)}
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"weights must fit the model, got .*a\.safeten") as error:
        load_file(models.vit(), tmp_path / "a.safetensors")
    said = str(error.value)
    assert "missing: blocks.1.norm1.weight, blocks.1.norm1.bias, blocks.1.attn.qkv.weight" in said
    assert "and 9 more; unexpected: decoder.weight; " in said
    assert said.endswith("of another shape: cls_token (1, 1, 16) for (1, 1, 32)")


def test_an_npz_that_lacks_something_names_it(tmp_path):
    arrays = jax(models.vit())
    del arrays["Transformer/encoder_norm/bias"]
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=r"file that fits, got .*a\.npz: .*encoder_norm/bias"):
        load_file(models.vit(), tmp_path / "a.npz")


def test_an_npz_with_more_blocks_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", **jax(models.vit(depth=3)))
    with pytest.raises(ValueError, match=r"a\.npz: ValueError: unexpected: .*_2/.* and 12 more"):
        load_file(models.vit(), tmp_path / "a.npz")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".npz"])
def test_what_is_no_weight_file_is_refused(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    path.write_text("<html>404</html>")
    with pytest.raises(ValueError, match=f"must be a .safetensors, .pth or .npz .*a{suffix}: .+"):
        load_file(models.vit(), path)


def test_pickled_objects_are_refused(tmp_path):
    torch.save({"model": PurePosixPath("a")}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"a\.pth: \w+Error: .*weights_only=True"):
        load_file(models.vit(), tmp_path / "a.pth")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="weights must be a file, found none at .*none.pth"):
        load_file(models.vit(), tmp_path / "none.pth")


def test_the_hash_is_of_the_whole_file(tmp_path):
    (tmp_path / "a").write_bytes(b"abc" * 100_000)
    assert sha256(tmp_path / "a") == hashlib.sha256(b"abc" * 100_000).hexdigest()


FACTS = timm.get_pretrained_cfg("test_vit").to_dict()


def test_timm_s_own_weights_are_asked_for_once(monkeypatch, tmp_path):
    model = timm.create_model("test_vit")
    save_file(model.state_dict(), tmp_path / "a.safetensors")
    asked = []

    def download(repo_id, filename, **_):
        asked.append((repo_id, filename))
        return str(tmp_path / "a.safetensors")

    monkeypatch.setattr(_hub, "hf_hub_download", download)
    vit = fetch("test_vit", FACTS, num_classes=0)
    model.reset_classifier(0)
    assert same(vit, model) and asked == [(HUB_ID, "model.safetensors")]


def test_offline_it_says_what_to_place_where(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError) as error:
        fetch("test_vit", FACTS)
    said = str(error.value)
    assert "'test_vit' could not be fetched: model.safetensors of hub repository " + HUB_ID in said
    assert "load_backbone('test_vit.r160_in1k', weights=FILE)" in said and "HF_ENDPOINT" in said
    assert isinstance(error.value.__cause__, LocalEntryNotFoundError)


@pytest.mark.parametrize("reason", [GatedRepoError, ConnectionError])
def test_a_hub_that_refuses_is_told_the_same_way(monkeypatch, reason):
    def refuse(*_, **__):
        raise reason.__new__(reason, "no entry")

    monkeypatch.setattr(_hub, "hf_hub_download", refuse)
    with pytest.raises(FileNotFoundError, match=f"HF_ENDPOINT .* {reason.__name__}"):
        fetch("test_vit", FACTS)


def test_a_model_without_published_weights_is_refused():
    facts = timm.get_pretrained_cfg("vit_base_patch32_plus_256").to_dict()
    with pytest.raises(ValueError, match="pretrained must be False, or .*'vit_base_patch32_plus"):
        fetch("vit_base_patch32_plus_256", facts)
