"""Pre-training learns, says what it did, and writes what `load_backbone` reads."""

import json
import logging
import re

import numpy as np
import pytest
import torch

from fmlora_kit.__main__ import main
from fmlora_kit.backbones import load, pretrain


@pytest.fixture
def tiny(monkeypatch):
    """Four symbols and a narrow ViT, so that a hundred steps take a second."""
    monkeypatch.setattr(pretrain, "PRETRAINING_SYMBOLS", "←%☯▀")
    small = {**pretrain.ARCHITECTURE, "embed_dim": 32, "depth": 1, "num_heads": 2}
    monkeypatch.setattr(pretrain, "ARCHITECTURE", small)


def test_a_few_steps_learn_and_the_card_says_so(tiny, caplog):
    caplog.set_level(logging.INFO)
    result = pretrain.pretrain(steps=60, batch_size=32, lr=5e-3)
    card = result["card"]
    assert card["held_out_accuracy"] > 0.6  # chance: 0.25
    assert card["classes"] == 4 and card["steps"] == 60 and card["batch_size"] == 32
    assert card["parameters"] == sum(p.numel() for p in result["model"].parameters())
    assert card["command"].endswith("--steps 60 --seed 0")
    assert card["versions"]["torch"] == torch.__version__.split("+")[0]
    (said,) = re.findall(r"step 60: held-out accuracy ([\d.]+)", caplog.text)
    assert float(said) == pytest.approx(card["held_out_accuracy"], abs=1e-3)


def test_the_same_seed_gives_the_same_weights(tiny):
    a, b, c = (pretrain.pretrain(steps=2, batch_size=8, seed=s)["model"] for s in (1, 1, 2))
    for name, p in a.state_dict().items():
        assert torch.equal(p, b.state_dict()[name])
    assert not torch.equal(a.pos_embed, c.pos_embed)


def test_the_command_writes_what_load_backbone_reads(tiny, tmp_path, monkeypatch):
    out = tmp_path / "made"
    main(["pretrain", "glyph_vit", "--steps", "1", "--seed", "3", "--out", str(out)])
    monkeypatch.setattr(load, "DATA_FOLDERS", (tmp_path / "none", out))
    vit = load.load_backbone("glyph_vit")
    assert vit.embed_dim == 32 and len(vit.blocks) == 1
    assert json.loads((out / "glyph_vit.json").read_text())["seed"] == 3
    again = pretrain.pretrain(steps=1, seed=3)["model"]
    assert torch.equal(vit.blocks[0].attn.qkv.weight, again.blocks[0].attn.qkv.weight)


def test_symbols_come_in_order_and_normalised_to_minus_one_and_one(tiny):
    images, labels = pretrain.symbol_images(3, seed=0)
    assert labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert images.shape == (12, 3, 32, 32) and images.dtype == np.uint8
    edges = pretrain.normalise(np.array([0, 255], dtype=np.uint8))
    assert edges.tolist() == [-1, 1]


def test_steps_must_be_positive():
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        pretrain.pretrain(steps=0)
