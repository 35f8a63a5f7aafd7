"""Loading a backbone by name: the embedded one is what its card says; others must be timm ViTs."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

import fmlora_kit as fk
from fmlora_kit.backbones import load
from fmlora_kit.backbones.pretrain import ARCHITECTURE, normalise, symbol_images
from fmlora_kit.streams.scripts import PRETRAINING_SYMBOLS

FOLDER = next(f for f in load.DATA_FOLDERS if (f / "glyph_vit.json").exists())


@pytest.fixture(scope="module")
def card():
    return json.loads((FOLDER / "glyph_vit.json").read_text())


@pytest.fixture(scope="module")
def glyph_vit():
    return fk.load_backbone("glyph_vit")


def test_the_card_agrees_with_the_weights_and_the_code(card, glyph_vit):
    assert card["parameters"] == sum(p.numel() for p in glyph_vit.parameters())
    assert card["classes"] == len(PRETRAINING_SYMBOLS) and card["style"] == "print"
    assert {k: v for k, v in card["architecture"].items() if k != "class"} == ARCHITECTURE
    assert card["held_out_accuracy"] > 0.9
    assert glyph_vit.pretrained_cfg["mean"] == card["normalisation"]["mean"]
    assert glyph_vit.pretrained_cfg["architecture"] == "glyph_vit"


def test_it_holds_the_weights_of_the_file_and_is_in_evaluation_mode(glyph_vit):
    file = load_file(FOLDER / "glyph_vit.safetensors")
    state = glyph_vit.state_dict()
    assert set(file) == set(state) and all(torch.equal(file[k], state[k]) for k in file)
    assert not any(module.training for module in glyph_vit.modules())


def test_untrained_weights_are_others(glyph_vit):
    with torch.random.fork_rng():
        fresh = fk.load_backbone("glyph_vit", pretrained=False)
    assert not torch.equal(fresh.blocks[0].attn.qkv.weight, glyph_vit.blocks[0].attn.qkv.weight)


@torch.inference_mode()
def nearest_class_mean_accuracy(vit, images, labels, n_known):
    """Class means from the first `n_known` pictures of each class, tested on the others."""
    features = F.normalize(vit(normalise(images)), dim=1).reshape(labels.max() + 1, -1, 128)
    means = F.normalize(features[:, :n_known].mean(1), dim=1)
    guesses = (features[:, n_known:] @ means.T).argmax(-1)
    return float((guesses == torch.arange(len(means))[:, None]).float().mean())


def test_nearest_class_mean_knows_fresh_symbols_far_above_chance(glyph_vit):
    images, labels = symbol_images(3, seed=99)
    keep = labels < 100
    assert nearest_class_mean_accuracy(glyph_vit, images[keep], labels[keep], 2) > 0.85
    with torch.random.fork_rng():
        torch.manual_seed(0)
        fresh = fk.load_backbone("glyph_vit", pretrained=False)
    assert nearest_class_mean_accuracy(fresh, images[keep], labels[keep], 2) < 0.4


def test_unknown_names_are_refused_with_near_ones():
    with pytest.raises(ValueError, match="'glyph_vit' or a timm model, got 'vit_tinny'.*vit_"):
        fk.load_backbone("vit_tinny")


def test_a_model_that_is_no_vit_is_refused():
    with pytest.raises(ValueError, match="VisionTransformer, got 'resnet18': ResNet"):
        fk.load_backbone("resnet18", pretrained=False)


def test_a_timm_vit_comes_without_a_head_and_with_its_normalisation():
    vit = fk.load_backbone("vit_tiny_patch16_224", pretrained=False)
    assert vit.num_classes == 0 and vit.embed_dim == 192 and not vit.training
    assert np.allclose(vit.pretrained_cfg["mean"], 0.5)


def test_missing_weights_say_where_they_belong_and_how_to_make_them(monkeypatch, tmp_path):
    monkeypatch.setattr(load, "DATA_FOLDERS", (tmp_path / "a", tmp_path / "b"))
    with pytest.raises(FileNotFoundError, match="glyph_vit.safetensors .*b, found .*make pretrain"):
        fk.load_backbone()
