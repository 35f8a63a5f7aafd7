"""Adapters that the real PEFT loads on the real timm model: same features."""

import copy
import json
import sys

import peft
import pytest
import torch
from helpers import models
from safetensors.torch import load_file

import fmlora_kit as fk
from fmlora_kit.interchange import export_peft, load_timm, peft_export
from fmlora_kit.methods import HeadOptions

IMAGES = models.noise(4)


def backbone():
    return models.vit().double()


def trained(name, n_tasks=2, **options):
    model = models.build(name, backbone(), **options)
    return model, learn(model, n_tasks)


def learn(model, n_tasks):
    tasks = models.stream()
    return [fk.train_task(model, task, tasks, models.BUDGET) for task in tasks[:n_tasks]]


def peft_features(vit, folder, model):
    tuned = peft.PeftModel.from_pretrained(copy.deepcopy(vit), str(folder))
    x = torch.from_numpy(IMAGES).permute(0, 3, 1, 2).to(model.pixel_mean) / 255
    with torch.no_grad():
        return tuned((x - model.pixel_mean) / model.pixel_std)


def stored_deltas(folder):
    """lora_B lora_A of every map, from the file."""
    weights = load_file(folder / "adapter_model.safetensors")
    names = [k.removesuffix(".lora_A.weight") for k in weights if k.endswith("lora_A.weight")]
    return {
        n.removeprefix("base_model.model."): weights[f"{n}.lora_B.weight"]
        @ weights[f"{n}.lora_A.weight"]
        for n in names
    }


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("fmlora", {"dmp": None, "maps": ("q", "v", "fc1"), "alpha": 4.0}),
        ("sequential_lora", {"alpha": 10.0}),
        ("first_task_lora", {"maps": ("k", "proj", "fc2")}),
        ("ewc_lora", {}),
        ("sd_lora_rr", {}),
    ],
)
def test_peft_gives_the_same_features(name, options, tmp_path):
    model, _ = trained(name, **options)
    features = peft_features(backbone(), export_peft(model, tmp_path / "adapter"), model)
    expected = model.extract(IMAGES)
    torch.testing.assert_close(features, expected, rtol=0, atol=1e-12)
    model.merge()  # an export of a merged model is the same
    again = peft_features(backbone(), export_peft(model, tmp_path / "adapter"), model)
    assert torch.equal(again, features)


def test_qkv_carries_the_ranks_of_its_parts_side_by_side(tmp_path):
    model, _ = trained("fmlora", 1, dmp=None, maps=("q", "v", "fc1"))
    config = json.loads((export_peft(model, tmp_path) / "adapter_config.json").read_text())
    paths = [f"blocks.{i}.{name}" for i in (0, 1) for name in ("attn.qkv", "mlp.fc1")]
    assert config["target_modules"] == paths
    assert config["r"] == config["lora_alpha"] == 16
    assert config["rank_pattern"] == config["alpha_pattern"] == dict.fromkeys(paths[1::2], 8)
    weights = load_file(tmp_path / "adapter_model.safetensors")
    up = weights["base_model.model.blocks.1.attn.qkv.lora_B.weight"]
    assert not up[32:64].any() and not up[:32, 8:].any() and not up[64:, :8].any()
    update = model.updates["blocks.1.v"]
    torch.testing.assert_close(up[64:, 8:], update.scale * update.a @ update.core)
    down = weights["base_model.model.blocks.1.attn.qkv.lora_A.weight"]
    assert torch.equal(down[8:], update.b)


@pytest.mark.parametrize("name", ["fmlora", "inflora"])
def test_tasks_of_their_own_add_up_to_the_sum(name, tmp_path):
    model, results = trained(name)
    own = [
        stored_deltas(export_peft(model, tmp_path / result.name, task=result)) for result in results
    ]
    plain, before = model.to_timm().state_dict(), backbone().state_dict()
    for path, first in own[0].items():
        change = plain[f"{path}.weight"] - before[f"{path}.weight"]
        assert own[1][path].norm() > 0
        torch.testing.assert_close(first + own[1][path], change, rtol=0, atol=1e-12)
    if name == "fmlora":
        ranks = results[1].ranks[:2].sum()  # of q and v in block 0
        path = "base_model.model.blocks.0.attn.qkv.lora_A.weight"
        weights = load_file(tmp_path / results[1].name / "adapter_model.safetensors")
        assert len(weights[path]) == ranks


def test_a_prompt_goes_out_with_the_base_that_carries_it(tmp_path):
    model, results = trained("fmlora", dmp=fk.DMP(length=3))
    folder = export_peft(model, tmp_path / "adapter")
    base = load_timm(folder / "base.safetensors", models.vit(seed=1))
    assert base.num_reg_tokens == 3 and base.reg_token.dtype == torch.float64
    before = backbone()
    assert torch.equal(base.blocks[1].attn.qkv.weight, before.blocks[1].attn.qkv.weight)
    features = peft_features(base, folder, model)
    torch.testing.assert_close(features, model.extract(IMAGES), rtol=0, atol=1e-12)
    bare, _ = trained("sequential_lora", 1)
    assert not (export_peft(bare, folder) / "base.safetensors").exists()


def test_lora_per_task_goes_out_task_by_task(tmp_path):
    model, results = trained("task_lora", alpha=8.0)
    with pytest.raises(ValueError, match="task must be given: task_lora keeps one adapter"):
        export_peft(model, tmp_path / "sum")
    for t, result in enumerate(results):
        folder = export_peft(model, tmp_path / result.name, task=result)
        plain = model.task_as_timm(t).state_dict()
        before = backbone().state_dict()
        for path, delta in stored_deltas(folder).items():
            change = plain[f"{path}.weight"] - before[f"{path}.weight"]
            torch.testing.assert_close(delta, change, rtol=0, atol=1e-12)
            assert delta.norm() > 0


def test_float32_is_as_exact_as_float32_is(tmp_path):
    model = models.build("fmlora", models.vit(), dmp=None, head=HeadOptions("lda"))
    learn(model, 2)
    features = peft_features(models.vit(), export_peft(model, tmp_path), model)
    torch.testing.assert_close(features, model.extract(IMAGES), rtol=1e-5, atol=1e-5)


def test_what_has_no_factors_is_refused(tmp_path):
    with pytest.raises(ValueError, match="finished a task, got fmlora after 0 tasks"):
        export_peft(models.fmlora(), tmp_path / "a")
    full, _ = trained("full_finetuning", 1)
    with pytest.raises(ValueError, match="of a LoRA kind .* save_timm"):
        export_peft(full, tmp_path / "a")
    inflora, results = trained("inflora", 1)
    with pytest.raises(ValueError, match="inflora keeps the sum of its tasks as full matrices"):
        export_peft(inflora, tmp_path / "a")
    sequential, own = trained("sequential_lora", 1)
    with pytest.raises(ValueError, match="task must be left out: no task of sequential_lora"):
        export_peft(sequential, tmp_path / "a", task=own[0])
    fmlora, _ = trained("fmlora", 1)
    with pytest.raises(ValueError, match=r"a result of this model's run, got .* 'blocks.0.q.m'"):
        export_peft(fmlora, tmp_path / "a", task=results[0])
    late, _ = trained("fmlora", 1, blocks=(1,))
    with pytest.raises(ValueError, match="prompt must enter before block 0, .* got block 1"):
        export_peft(late, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_without_peft_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ImportError, match=r"pip install fmlora_kit\[interchange\]"):
        export_peft(models.fmlora(), tmp_path)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_write_that_fails_leaves_no_adapter_and_a_planted_link_its_target(
    name, tmp_path, monkeypatch
):
    model, target = models.learned(), tmp_path / "precious"
    target.write_text("mine")
    (tmp_path / "a").mkdir()
    for each in (f".{name}.tmp", name):
        (tmp_path / "a" / each).symlink_to(target)
    export_peft(model, tmp_path / "a")
    assert target.read_text() == "mine" and not (tmp_path / "a" / name).is_symlink()
    written = peft_export.write_atomically

    def fail(folder, file, data):
        if file == name:
            raise OSError("No space left on device")
        written(folder, file, data)

    monkeypatch.setattr(peft_export, "write_atomically", fail)
    with pytest.raises(OSError, match="No space left"):
        export_peft(model, tmp_path / "a")
    assert not (tmp_path / "a" / "adapter_config.json").exists()
