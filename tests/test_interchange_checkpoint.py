"""Checkpoints that plain timm loads: same features, same logits, same pixels."""

import json

import pytest
import timm
import torch
from helpers import models
from safetensors import safe_open
from safetensors.torch import save_file

import fmlora_kit as fk
from fmlora_kit.interchange import load_timm, save_timm
from fmlora_kit.methods import HeadOptions

IMAGES = models.noise(4)


@pytest.fixture(scope="module")
def learned():
    """FM-LoRA with a prompt and an LDA head on a ViT that timm knows by name, after two tasks."""
    tasks = models.stream()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = timm.create_model("test_vit.r160_in1k", img_size=32, num_classes=0).eval()
    model = models.fmlora(backbone, head=HeadOptions("lda"))
    for task in tasks[:2]:
        fk.train_task(model, task, tasks)
    return model


def pixels(model, images):
    x = torch.from_numpy(images).permute(0, 3, 1, 2).to(model.pixel_mean) / 255
    return (x - model.pixel_mean) / model.pixel_std


def test_timm_builds_and_runs_what_was_saved(learned, tmp_path):
    arguments = save_timm(learned, tmp_path / "a.safetensors", head=True)
    assert arguments["model_name"] == "test_vit.r160_in1k"
    plain = timm.create_model(**arguments).eval()
    assert plain.num_reg_tokens == 2 and plain.num_classes == 6
    config = timm.data.resolve_model_data_config(plain)
    mean, std = (torch.tensor(config[part]).view(3, 1, 1) for part in ("mean", "std"))
    x = (torch.from_numpy(IMAGES).permute(0, 3, 1, 2) / 255 - mean) / std
    with torch.no_grad():
        scores = plain(x)
    expected = torch.from_numpy(learned.logits(IMAGES))
    assert expected.std() > 0.1
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-3)
    loaded = load_timm(tmp_path / "a.safetensors")
    torch.testing.assert_close(loaded(x), scores, rtol=0, atol=1e-5)


def test_columns_of_the_head_are_the_classes_in_the_order_they_came(learned, tmp_path):
    save_timm(learned, tmp_path / "a.safetensors", head=True)
    with safe_open(tmp_path / "a.safetensors", "pt") as opened:
        facts = opened.metadata()
        rows = opened.get_tensor("head.weight")
    assert json.loads(facts["classes"]) == list(learned.seen) == [0, 1, 2, 3, 4, 5]
    assert torch.equal(rows, learned.head.weight[:6])
    assert json.loads(facts["create_model"])["reg_tokens"] == 2


def test_without_head_features_are_the_models(learned, tmp_path):
    plain = timm.create_model(**save_timm(learned, tmp_path / "a.safetensors")).eval()
    assert plain.num_classes == 0
    with torch.no_grad():
        features = plain(pixels(learned, IMAGES))
    torch.testing.assert_close(features, learned.extract(IMAGES), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["fmlora", "full_finetuning", "sd_lora", "inflora"])
def test_own_vit_comes_back_in_double_precision(name, tmp_path):
    backbone = models.vit(reg_tokens=1).double()
    model = models.build(name, backbone, head=HeadOptions("linear"))
    fk.train_task(model, models.stream()[0], models.stream(), models.BUDGET)
    arguments = save_timm(model, tmp_path / "a.safetensors", head=True)
    assert "model_name" not in arguments
    assert arguments["reg_tokens"] == (3 if name == "fmlora" else 1)
    with pytest.raises(ValueError, match="backbone must be given: the file's own, 'custom'"):
        load_timm(tmp_path / "a.safetensors")
    loaded = load_timm(tmp_path / "a.safetensors", models.vit(seed=1, reg_tokens=1))
    with torch.no_grad():
        scores = loaded(pixels(model, IMAGES))
    assert scores.dtype == torch.float64
    expected = torch.from_numpy(model.logits(IMAGES))
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-12)


def test_embedded_backbone_is_known_by_name(tmp_path):
    model = fk.FMLoRA(fk.load_backbone("glyph_vit"), 3)
    arguments = save_timm(model, tmp_path / "a.safetensors")
    assert "model_name" not in arguments
    loaded = load_timm(tmp_path / "a.safetensors")
    images = models.noise(2, size=arguments["img_size"][0])
    with torch.no_grad():
        features = loaded(pixels(model, images))
    torch.testing.assert_close(features, model.extract(images), rtol=1e-5, atol=1e-5)
    assert loaded.pretrained_cfg["mean"] == pytest.approx(model.pixel_mean.flatten().tolist())


def test_a_name_whose_options_differ_is_not_given(tmp_path):
    backbone = timm.create_model("test_vit", img_size=32, num_classes=0, embed_dim=32)
    arguments = save_timm(models.fmlora(backbone), tmp_path / "a.safetensors")
    assert "model_name" not in arguments


@pytest.mark.parametrize("kind", ["cosine", "mda", "ridge"])
def test_heads_that_are_no_linear_layer_are_refused(kind, tmp_path):
    model = models.fmlora(head=HeadOptions(kind))
    with pytest.raises(ValueError, match=f"head must be one of .* got '{kind}'"):
        save_timm(model, tmp_path / "a.safetensors", head=True)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_saved_is_refused(tmp_path):
    fresh = models.fmlora(head=HeadOptions("lda"))
    with pytest.raises(ValueError, match="learned a task"):
        save_timm(fresh, tmp_path / "a.safetensors", head=True)
    with pytest.raises(
        ValueError, match=r"file must be a path that ends in .safetensors, got .*a.pt"
    ):
        save_timm(fresh, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="one adapter per task"):
        save_timm(models.build("task_lora"), tmp_path / "a.safetensors")


def test_what_cannot_be_loaded_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="found nothing at"):
        load_timm(tmp_path / "a.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "b.safetensors")
    with pytest.raises(ValueError, match="file must be written by save_timm"):
        load_timm(tmp_path / "b.safetensors")
    save_timm(models.fmlora(), tmp_path / "c.safetensors")
    with pytest.raises(ValueError, match="backbone must have the shapes"):
        load_timm(tmp_path / "c.safetensors", models.vit(depth=1))
    with pytest.raises(ValueError, match="at most the file's 2 register tokens, got 3"):
        load_timm(tmp_path / "c.safetensors", models.vit(reg_tokens=3))


@pytest.mark.parametrize("name", ["model.safetensors.tmp", ".model.safetensors.tmp"])
def test_a_link_at_a_temporary_name_leaves_its_target_alone(name, tmp_path):
    target = tmp_path / "precious"
    target.write_text("mine")
    (tmp_path / name).symlink_to(target)
    save_timm(models.build("frozen_backbone"), tmp_path / "model.safetensors")
    assert target.read_text() == "mine" and (tmp_path / "model.safetensors").is_file()
