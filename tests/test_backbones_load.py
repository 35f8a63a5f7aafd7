"""Loading a backbone by name: the embedded are what their cards say; others must be timm ViTs."""

import json

import numpy as np
import pytest
import torch
from helpers import models
from safetensors.torch import load_file, save_file
from timm.layers import resample_abs_pos_embed
from timm.models import _hub
from torch.nn import functional as F

import fmlora_kit as fk
from fmlora_kit.backbones import EMBEDDED, load
from fmlora_kit.backbones.pretrain import ARCHITECTURE, normalise, symbol_images
from fmlora_kit.streams.rendering import PRETRAINING_SYMBOLS

FOLDER = next(f for f in load.DATA_FOLDERS if (f / "glyph_vit.json").exists())
HERE = [name for name in EMBEDDED if (FOLDER / f"{name}.json").exists()]
IMAGES = models.noise(3)
MADE_UP = {  # the card of a backbone with a head, in half precision, as `photo_vit` is shipped
    "architecture": {
        "class": "timm VisionTransformer",
        "img_size": 32,
        "patch_size": 8,
        "embed_dim": 32,
        "depth": 2,
        "num_heads": 2,
        "num_classes": 5,
    },
    "normalisation": {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]},
}


@pytest.fixture
def made_up(monkeypatch, tmp_path):
    """A `photo_vit` of our own lies where it is looked for; these are its weights."""
    options = {k: v for k, v in MADE_UP["architecture"].items() if k != "class"}
    weights = models.vit(seed=3, **options).half().state_dict()
    save_file(weights, tmp_path / "photo_vit.safetensors")
    (tmp_path / "photo_vit.json").write_text(json.dumps(MADE_UP))
    monkeypatch.setattr(load, "DATA_FOLDERS", (tmp_path / "none", tmp_path))
    return weights


@pytest.fixture
def no_hub(monkeypatch):
    """Asking the hub for anything fails."""

    def ask(*asked, **_):
        pytest.fail(f"the hub was asked for {asked}")

    monkeypatch.setattr(_hub, "hf_hub_download", ask)


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


@pytest.mark.parametrize("name", HERE)
def test_it_holds_the_weights_of_the_file_and_is_in_evaluation_mode(name):
    vit, file = fk.load_backbone(name), load_file(FOLDER / f"{name}.safetensors")
    file = {k: v.float() for k, v in file.items() if not k.startswith("head.")}
    state = vit.state_dict()
    assert set(file) == set(state) and all(torch.equal(file[k], state[k]) for k in file)
    assert not any(module.training for module in vit.modules())
    card = json.loads((FOLDER / f"{name}.json").read_text())
    assert vit.patch_embed.img_size == (card["architecture"]["img_size"],) * 2
    assert vit.pretrained_cfg == {"architecture": name, **card["normalisation"]}


def test_any_embedded_pair_is_what_its_card_says(made_up):
    vit = fk.load_backbone("photo_vit")
    state = vit.state_dict()
    assert set(state) == {k for k in made_up if not k.startswith("head.")}
    assert all(torch.equal(state[k], made_up[k].float()) for k in state)
    assert state["norm.weight"].dtype == torch.float32 and vit.num_classes == 0
    said = fk.FrozenBackbone(vit, 3).describe()
    assert (said["backbone"], said["pixel_mean"]) == ("photo_vit", [0.1, 0.2, 0.3])


def test_the_head_of_pretraining_is_kept_where_asked(made_up):
    vit = fk.load_backbone("photo_vit", keep_head=True)
    assert torch.equal(vit.head.weight, made_up["head.weight"].float()) and vit.num_classes == 5
    assert fk.load_backbone("test_vit", pretrained=False, keep_head=True).num_classes == 1000


@pytest.mark.parametrize("missing", ["photo_vit.safetensors", "photo_vit.json"])
def test_half_a_pair_is_none(made_up, missing):
    (load.DATA_FOLDERS[1] / missing).unlink()
    with pytest.raises(FileNotFoundError, match="found not both; `fmlora pretrain photo_vit"):
        fk.load_backbone("photo_vit")


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


@pytest.mark.parametrize("name", ["glyphvit", "Glyph_ViT", "glyph-vit"])
def test_an_embedded_name_that_is_misspelt_is_known(name):
    with pytest.raises(ValueError, match=f"got '{name}'; did you mean 'glyph_vit'"):
        fk.load_backbone(name)


def test_unknown_names_are_refused_with_near_ones():
    with pytest.raises(ValueError, match="'photo_vit' or a timm model, got 'vit_tinny'.*vit_"):
        fk.load_backbone("vit_tinny")


def test_an_unknown_tag_is_refused_with_the_known():
    with pytest.raises(ValueError, match=r"one of timm's tags \['r160_in1k'\], got 'test_vit.r1'"):
        fk.load_backbone("test_vit.r1")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("resnet18", "ResNet"),
        ("swin_tiny_patch4_window7_224", "SwinTransformer"),
        ("convnext_tiny", "ConvNeXt"),
        ("eva02_tiny_patch14_224", "Eva"),
        ("vit_small_patch16_dinov3", "Eva"),
        ("beit_base_patch16_224", "Beit"),
        ("vit_relpos_small_patch16_224", "VisionTransformerRelPos"),
    ],
)
def test_what_is_no_vit_is_refused_before_anything_is_fetched(no_hub, name, kind):
    with pytest.raises(ValueError, match=f"VisionTransformer, got '{name}': {kind}; adapters and"):
        fk.load_backbone(name)


@pytest.mark.parametrize(
    ("name", "mean", "size"),
    [
        ("vit_tiny_patch16_224.augreg_in21k", (0.5, 0.5, 0.5), 224),
        ("deit_tiny_patch16_224", (0.485, 0.456, 0.406), 224),
    ],
)
def test_a_timm_vit_comes_without_a_head_and_with_its_normalisation(no_hub, name, mean, size):
    vit = fk.load_backbone(name, pretrained=False)
    assert vit.num_classes == 0 and vit.embed_dim == 192 and not vit.training
    assert vit.pretrained_cfg["mean"] == mean and vit.patch_embed.img_size == (size, size)


def test_the_tag_is_told_where_the_weights_are_the_tag_s(no_hub, monkeypatch, tmp_path):
    untrained = fk.load_backbone("test_vit.r160_in1k", pretrained=False)
    assert "tag" not in untrained.pretrained_cfg
    file = tmp_path / "w.safetensors"
    save_file(untrained.state_dict(), file)
    assert "tag" not in fk.load_backbone("test_vit", weights=file).pretrained_cfg
    named = fk.load_backbone("test_vit.r160_in1k", weights=file)
    assert named.pretrained_cfg["tag"] == "r160_in1k"
    monkeypatch.setattr(_hub, "hf_hub_download", lambda *_, **__: str(file))
    fetched = fk.load_backbone("test_vit")
    assert fetched.pretrained_cfg["tag"] == "r160_in1k"
    assert torch.equal(fetched.norm.weight, untrained.norm.weight)


def test_weights_of_a_file_are_named_by_hash(no_hub, tmp_path):
    vit = fk.load_backbone("glyph_vit", pretrained=False)
    save_file(vit.state_dict(), tmp_path / "mine.safetensors")
    again = fk.load_backbone("glyph_vit", weights=tmp_path / "mine.safetensors")
    assert torch.equal(again.blocks[0].attn.qkv.weight, vit.blocks[0].attn.qkv.weight)
    said = fk.FrozenBackbone(again, 3).describe()
    assert said["weights_file"] == "mine.safetensors" and len(said["weights_sha256"]) == 64


def test_weights_and_no_weights_contradict():
    with pytest.raises(ValueError, match="pretrained must be True where weights are given"):
        fk.load_backbone(pretrained=False, weights="a.pth")


def test_pixels_from_0_to_1_are_a_switch(glyph_vit):
    raw = fk.FrozenBackbone(fk.load_backbone(input_range="unit"), 3)
    x = torch.tensor(IMAGES).permute(0, 3, 1, 2)
    with torch.no_grad():
        torch.testing.assert_close(raw.extract(IMAGES), glyph_vit(x / 255))
        normalised = fk.FrozenBackbone(glyph_vit, 3).extract(IMAGES)
        torch.testing.assert_close(normalised, glyph_vit(x / 127.5 - 1), atol=1e-5, rtol=1e-4)
    assert raw.describe()["input_range"] == "unit"
    with pytest.raises(
        ValueError, match=r"input_range must be one of \('normalised', 'unit'\), got"
    ):
        fk.load_backbone(input_range="0..1")


@pytest.mark.parametrize("size", [64, (64, 40)])
def test_another_size_resizes_the_positions_alone(glyph_vit, size):
    vit = fk.load_backbone(image_size=size)
    grid = (8, 8) if size == 64 else (8, 5)
    expected = resample_abs_pos_embed(glyph_vit.pos_embed, grid, num_prefix_tokens=1)
    torch.testing.assert_close(vit.pos_embed, expected)
    assert torch.equal(vit.patch_embed.proj.weight, glyph_vit.patch_embed.proj.weight)
    images = np.resize(IMAGES, (2, 8 * grid[0], 8 * grid[1], 3))
    model = fk.FrozenBackbone(vit, 3)
    assert torch.isfinite(model.extract(images)).all()
    assert model.describe()["input_size"] == [8 * grid[0], 8 * grid[1]]


@pytest.mark.parametrize("size", [0, 36, (32, 36), (32, 32, 3), -32])
def test_sizes_are_whole_patches(size):
    with pytest.raises(
        ValueError, match=r"image_size must be positive multiples of .*\(8, 8\), got"
    ):
        fk.load_backbone(image_size=size)


def test_missing_weights_say_where_they_belong_and_how_to_make_them(monkeypatch, tmp_path):
    monkeypatch.setattr(load, "DATA_FOLDERS", (tmp_path / "a", tmp_path / "b"))
    with pytest.raises(
        FileNotFoundError, match="glyph_vit.safetensors .*b, found .*fmlora pretrain glyph_vit"
    ):
        fk.load_backbone()
