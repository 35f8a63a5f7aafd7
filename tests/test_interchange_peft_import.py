"""A LoRA adapter that the real PEFT made, as the first task of FM-LoRA: same features."""

import copy
from dataclasses import replace

import numpy as np
import peft
import pytest
import torch
from helpers import models

import fmlora_kit as fk
from fmlora_kit.interchange import export_peft, import_peft
from fmlora_kit.methods import HeadOptions

IMAGES = models.noise(4)
EVERY = fk.FLoRA(max_rank=8, maps=("q", "k", "v", "fc1"))


def made_by_peft(folder, vit=None, **options):
    """A random adapter, as PEFT writes it; the features of the PEFT model, (n, d)."""
    options = {"r": 3, "target_modules": ["qkv", "fc1"], "init_lora_weights": False, **options}
    torch.manual_seed(3)
    vit = models.vit().double() if vit is None else vit
    tuned = peft.get_peft_model(copy.deepcopy(vit), peft.LoraConfig(**options)).eval()
    for name, p in tuned.named_parameters():
        if p.requires_grad and name.endswith("bias"):
            p.data += 0.1
    tuned.save_pretrained(str(folder))
    x = torch.from_numpy(IMAGES).permute(0, 3, 1, 2).to(vit.patch_embed.proj.weight) / 255
    with torch.no_grad():
        tuned = tuned.base_model.model
        features = tuned.forward_head(tuned.forward_features((x - 0.5) / 0.5), pre_logits=True)
    return features


def taken_in(folder, vit=None, **options):
    options = {"flora": EVERY, "dmp": None, **options}
    return import_peft(folder, models.vit().double() if vit is None else vit, 9, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"lora_alpha": 5},
        {"use_rslora": True},
        {"rank_pattern": {"fc1": 5}, "alpha_pattern": {"blocks.1.attn.qkv": 2}},
        {"target_modules": ["blocks.1.mlp.fc1"]},
        {"modules_to_save": ["head"]},
    ],
)
def test_features_are_those_of_the_peft_model(options, tmp_path):
    vit = models.vit().double()
    if "modules_to_save" in options:
        vit.reset_classifier(5)
        vit.head.double()
    expected = made_by_peft(tmp_path, vit, **options)
    tasks, model = models.stream(), taken_in(tmp_path)
    assert (model.extract(IMAGES) - expected).abs().max() > 1e-3  # not yet in
    result = fk.train_task(model, tasks[0], tasks, models.BUDGET)
    torch.testing.assert_close(model.extract(IMAGES), expected, rtol=0, atol=1e-11)
    assert result.n_trainable == 0 and result.losses.size == 0
    r = {"blocks.0.fc1": 3, "blocks.1.fc1": 3}
    if "rank_pattern" in options:
        r = dict.fromkeys(r, 5)
    for name, rank in zip(model.layers, result.ranks, strict=True):
        alone = "blocks.1.mlp.fc1" in options.get("target_modules", ())
        assert rank == (0 if alone and name != "blocks.1.fc1" else r.get(name, 3))


@pytest.mark.parametrize("drs", [fk.DRS(), fk.DRS(scaling="lora"), None])
def test_the_second_task_learns_in_the_adapters_subspace(drs, tmp_path):
    expected = made_by_peft(tmp_path)
    tasks, model = models.stream(), taken_in(tmp_path, drs=drs)
    results = [fk.train_task(model, task, tasks, models.BUDGET) for task in tasks[:1]]
    torch.testing.assert_close(model.extract(IMAGES), expected, rtol=0, atol=1e-11)
    before = {name: u.delta().clone() for name, u in model.updates.items()}
    results.append(fk.train_task(model, tasks[1], tasks, models.BUDGET))
    for name, update in model.updates.items():
        change = update.delta() - before[name]
        assert change.norm() > 1e-6
        a, b = update.a, update.b
        torch.testing.assert_close(a.T @ a, torch.eye(8).double(), rtol=0, atol=1e-12)
        torch.testing.assert_close(a @ (a.T @ change @ b.T) @ b, change, rtol=0, atol=1e-12)
        u, s, v = torch.linalg.svd(before[name])
        torch.testing.assert_close(a[:, :3] @ a[:, :3].T, u[:, :3] @ u[:, :3].T)
        torch.testing.assert_close(b[:3].T @ b[:3], v[:3].T @ v[:3])
    record = models.record_of(model, tasks, results)
    again = fk.from_record(record, backbone=models.vit().double())
    assert type(again) is fk.FMLoRA
    np.testing.assert_array_equal(again.logits(IMAGES), model.logits(IMAGES))
    assert "its update is a PEFT adapter's (CRC-32" in record.config["method"]["trained"]


def test_a_run_and_its_resuming_are_fmloras(tmp_path):
    made_by_peft(tmp_path / "adapter")
    tasks = models.stream()
    record = fk.run(taken_in(tmp_path / "adapter"), tasks, models.BUDGET)
    model = taken_in(tmp_path / "adapter")
    for result in record.tasks[:2]:
        with torch.no_grad():
            model.restore(result.classes, result.state)
    result = fk.train_task(model, tasks[2], tasks, models.BUDGET)
    np.testing.assert_array_equal(result.predictions, record.tasks[2].predictions)
    for name, array in record.tasks[2].state.items():
        np.testing.assert_array_equal(result.state[name], array)


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_heads_that_train_do_so_alone(kind, tmp_path):
    expected = made_by_peft(tmp_path)
    tasks, model = models.stream(), taken_in(tmp_path, head=HeadOptions(kind))
    result = fk.train_task(model, tasks[0], tasks, models.BUDGET)
    assert result.n_trainable == 3 * 32 + (3 if kind == "linear" else 0)
    assert len(result.losses) == 4
    torch.testing.assert_close(model.extract(IMAGES), expected, rtol=0, atol=1e-11)


def test_float32_stays_within_a_hundred_thousandth(tmp_path):
    expected = made_by_peft(tmp_path, models.vit())
    tasks, model = models.stream(), taken_in(tmp_path, models.vit())
    fk.train_task(model, tasks[0], tasks, models.BUDGET)
    torch.testing.assert_close(model.extract(IMAGES), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("blocks", [None, (1,)])
def test_a_prompt_waits_for_the_second_task(blocks, tmp_path):
    made_by_peft(tmp_path, target_modules=["blocks.1.attn.qkv"])
    flora = fk.FLoRA(max_rank=8, maps=("q", "k", "v"), blocks=blocks)
    tasks = models.stream()
    model = taken_in(tmp_path, flora=flora, dmp=fk.DMP(length=2), head=HeadOptions("cosine"))
    start = model.prompt.detach().clone()
    result = fk.train_task(model, tasks[0], tasks, models.BUDGET)
    assert torch.equal(model.prompt, start) and result.scalars["prompt_shift"] == 0
    fk.train_task(model, tasks[1], tasks, models.BUDGET)
    assert not torch.equal(model.prompt, start)


def test_what_fmlora_exports_it_takes_in_again(tmp_path):
    tasks, model = models.stream(), models.fmlora(models.vit().double(), dmp=None, drs=None)
    for task in tasks[:2]:
        fk.train_task(model, task, tasks, models.BUDGET)
    other = import_peft(
        export_peft(model, tmp_path),
        models.vit().double(),
        9,
        flora=fk.FLoRA(max_rank=8, alpha=3.0, maps=("q", "v")),
        dmp=None,
    )
    fk.train_task(other, tasks[0], tasks, models.BUDGET)
    np.testing.assert_allclose(other.extract(IMAGES), model.extract(IMAGES), atol=1e-11)


def test_no_hub_is_asked_for_anything(tmp_path, monkeypatch):
    monkeypatch.setattr("socket.getaddrinfo", lambda *args, **kwargs: pytest.fail("network"))
    made_by_peft(tmp_path)
    config = peft.PeftConfig.from_pretrained(str(tmp_path))
    config.base_model_name_or_path = "somebody/some-vit"
    config.save_pretrained(str(tmp_path))
    assert taken_in(tmp_path).n_tasks_done == 0


def test_too_small_a_subspace_says_what_it_would_lose(tmp_path):
    made_by_peft(tmp_path, r=4)
    weights = peft.PeftModel.from_pretrained(models.vit().double(), str(tmp_path))
    delta = weights.base_model.model.blocks[0].attn.qkv.get_delta_weight("default")[:32]
    energy = torch.linalg.svdvals(delta).square()
    lost = float(energy[2:].sum() / energy.sum())
    with pytest.raises(ValueError, match="adapter's rank 4 on blocks.0.q, got 2") as error:
        taken_in(tmp_path, flora=fk.FLoRA(max_rank=2, maps=EVERY.maps))
    assert f"lose {lost:.2%} of its energy" in str(error.value)


@pytest.mark.parametrize(
    ("options", "flora", "message"),
    [
        ({}, replace(EVERY, maps=("q", "v")), r"\('q', 'v'\) .* also changes .*qkv.weight \(k\)"),
        ({"bias": "all"}, EVERY, "it also changes .*bias"),
        ({}, replace(EVERY, blocks=(1,)), r"in blocks \[1\], but it also changes blocks.0"),
        ({"target_modules": ["proj"]}, EVERY, "it also changes .*proj.weight"),
        ({}, fk.FLoRA(max_rank=8, bases="random"), "bases must be 'task1'"),
    ],
)
def test_what_fmlora_cannot_hold_is_refused(options, flora, message, tmp_path):
    made_by_peft(tmp_path, **options)
    with pytest.raises(ValueError, match=message):
        taken_in(tmp_path, flora=flora)


def test_an_adapter_of_another_kind_or_backbone_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"found no adapter_config.json in .*nowhere"):
        taken_in(tmp_path / "nowhere")
    made_by_peft(tmp_path / "deep", models.vit(depth=3).double())
    with pytest.raises(ValueError, match="'base_model.model.blocks.2.* on one side only"):
        taken_in(tmp_path / "deep")
    made_by_peft(tmp_path / "wide", models.vit(embed_dim=48).double())
    with pytest.raises(ValueError, match="adapter must fit the backbone; PEFT says"):
        taken_in(tmp_path / "wide")
    other = peft.get_peft_model(models.vit(), peft.LoHaConfig(r=2, target_modules=["fc1"]))
    other.save_pretrained(str(tmp_path / "loha"))
    with pytest.raises(ValueError, match="adapter must be a LoRA, got one of type"):
        taken_in(tmp_path / "loha")
