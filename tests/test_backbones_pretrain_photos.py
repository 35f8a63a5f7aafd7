"""Pre-training on photos learns, and what is shipped is what the card says."""

import json

import numpy as np
import pytest
import torch
from helpers.image_trees import FOLDER
from safetensors.torch import load_file
from timm.models.vision_transformer import VisionTransformer

from fmlora_kit.__main__ import main
from fmlora_kit.backbones import load, pretrain, pretrain_photos, tiny_imagenet

DATA = next(f for f in load.DATA_FOLDERS if f.exists())
there = pytest.mark.skipif(
    not (FOLDER / "tiny_imagenet_36px_val.npz").exists(),
    reason=f"tiny_imagenet_36px_val.npz is not in {FOLDER}: FMLORA_DATA names the folder",
)

with_muon = pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch before 2.9")


@pytest.fixture
def tiny(monkeypatch):
    """Two colours that a narrow ViT tells apart within seconds."""
    rng = np.random.default_rng(0)
    labels = np.arange(64) % 2
    images = rng.integers(0, 60, (64, 36, 36, 3)).astype(np.uint8)
    images[labels == 1] += 150
    monkeypatch.setattr(tiny_imagenet, "read", lambda folder, part: (images, labels, ("a", "b")))
    small = {"embed_dim": 32, "depth": 1, "num_heads": 2, "num_classes": 2}
    monkeypatch.setattr(pretrain_photos, "ARCHITECTURE", {**pretrain_photos.ARCHITECTURE, **small})


@with_muon
def test_a_few_steps_at_both_sizes_learn_and_the_card_says_so(tiny, tmp_path):
    out = tmp_path / "made"
    main(
        [
            "pretrain",
            "photo_vit",
            "--images",
            str(tmp_path),
            "--early-steps",
            "20",
            "--steps",
            "30",
            "--device",
            "cpu",
        ]
        + ["--out", str(out)]
    )
    card = json.loads((out / "photo_vit.json").read_text())
    weights = load_file(out / "photo_vit.safetensors")
    assert card["top_1"] > 0.9  # chance: 0.5
    assert card["steps"] == 30 and card["of_these_at_24_pixels"] == 20
    assert card["training_images"] == 64 and card["architecture"]["img_size"] == 36
    assert card["command"].endswith("--early-steps 20 --steps 30 --seed 0")
    assert {value.dtype for value in weights.values()} == {torch.float16}
    assert weights["pos_embed"].shape == (1, 37, 32)


@with_muon
def test_the_same_seed_gives_the_same_weights(tiny):
    options = {"early_steps": 1, "steps": 2, "batch_size": 8}
    runs = [pretrain_photos.pretrain("any", **options, seed=s)["model"] for s in (1, 1, 2)]
    a, b, c = (run.state_dict() for run in runs)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["pos_embed"], c["pos_embed"])


@pytest.mark.parametrize("early", [-1, 5])
def test_early_steps_are_fewer_than_all(early):
    with pytest.raises(
        ValueError, match=f"early_steps must be from 0 to steps - 1 = 4, got {early}"
    ):
        pretrain_photos.pretrain("any", early_steps=early, steps=5)


def test_an_old_torch_is_named(monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon", raising=False)
    with pytest.raises(RuntimeError, match="torch 2.9 or later, got"):
        pretrain_photos.pretrain("any", early_steps=0, steps=1)


def test_the_embedded_weights_are_those_of_the_card():
    card = json.loads((DATA / "photo_vit.json").read_text())
    weights = load_file(DATA / "photo_vit.safetensors")
    assert sum(value.numel() for value in weights.values()) == card["parameters"] <= 6_000_000
    assert "non-commercial" in card["terms"]


@there
def test_the_top_1_of_the_card_is_found_again_on_some_images():
    card = json.loads((DATA / "photo_vit.json").read_text())
    architecture = {k: v for k, v in card["architecture"].items() if k != "class"}
    model = VisionTransformer(**architecture)
    model.load_state_dict(load_file(DATA / "photo_vit.safetensors"))
    images, labels, _ = tiny_imagenet.read(FOLDER, "val")
    some = np.random.default_rng(0).choice(len(labels), 2000, replace=False)
    found = pretrain.top_1(model, images[some].transpose(0, 3, 1, 2), labels[some])
    deviation = np.sqrt(found * (1 - found) / len(some))  # of a share of 2,000 images
    assert found == pytest.approx(card["top_1"], abs=3 * deviation)
