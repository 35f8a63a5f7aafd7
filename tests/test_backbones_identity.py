"""A backbone is what it computes: equal weights with other heads, norms or pooling are another."""

from functools import partial

import numpy as np
import pytest
import timm
import torch
from helpers import models
from torch import nn

import fmlora_kit as fk
from fmlora_kit.backbones.identity import N_NUMBERS, fingerprint, same_function
from fmlora_kit.interchange import export_peft, load_timm, save_timm
from fmlora_kit.training.rebuild import replay

OTHERS = {
    "heads": {"num_heads": 4},
    "pooling": {"global_pool": "avg", "fc_norm": False},
    "activation": {"act_layer": nn.ReLU},
    "activation, nearly": {"act_layer": partial(nn.GELU, approximate="tanh")},
    "eps": {"norm_layer": partial(nn.LayerNorm, eps=2e-6)},
}


def small(**changes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return timm.create_model("test_vit", img_size=32, num_classes=0, **changes).eval()


@pytest.mark.parametrize("what", OTHERS)
def test_equal_weights_that_compute_something_else(what):
    one, other = models.vit(), models.vit(**OTHERS[what])
    other.load_state_dict(one.state_dict())
    assert not same_function(fingerprint(one), fingerprint(other))


def test_the_same_function_in_any_precision_mode_and_place():
    one = models.vit()
    numbers = fingerprint(one)
    assert len(numbers) == N_NUMBERS and np.isfinite(numbers).all() and np.std(numbers) > 1e-3
    before = torch.random.get_rng_state()
    with torch.device("cpu"), torch.inference_mode():
        assert same_function(numbers, fingerprint(one.double()))
    assert torch.equal(before, torch.random.get_rng_state())
    other = models.vit(drop_path_rate=0.5, proj_drop_rate=0.5).train()
    assert same_function(numbers, fingerprint(other)) and other.training
    assert same_function(numbers, None) and not same_function(numbers, numbers[:3])


def test_of_a_distilled_and_of_an_attention_pooling_vit():
    for name in ("deit_tiny_distilled_patch16_224", "vit_tiny_patch16_224"):
        vit = timm.create_model(name, num_classes=0, img_size=32, depth=2)
        assert len(fingerprint(vit)) == N_NUMBERS
    assert len(fingerprint(models.vit(global_pool="map", class_token=False))) == N_NUMBERS


@pytest.mark.parametrize("what", ["heads", "eps"])
def test_a_run_is_not_continued_and_not_rebuilt_on_another_function(what, tmp_path):
    tasks = models.stream()
    record = fk.run(models.fmlora(), tasks, models.BUDGET, folder=tmp_path / "run")
    message = "backbone must compute what the run's does .heads, pooling, .*, got another function"
    with pytest.raises(ValueError, match=message):
        fk.from_record(record, backbone=models.vit(**OTHERS[what]))
    other = models.fmlora(models.vit(**OTHERS[what]))
    with pytest.raises(ValueError, match=message):
        fk.run(other, tasks, models.BUDGET, folder=tmp_path / "run")
    again = fk.from_record(fk.Record.load(tmp_path / "run"), backbone=models.vit())
    images = models.noise()
    assert again.extract(images).shape == (4, 32)


def test_a_record_from_before_the_fingerprint_still_loads(tmp_path):
    model, tasks = models.fmlora(), models.stream()
    record = models.record_of(model, tasks, models.learn(model, tasks))
    del record.config["method"]["computes"]
    replay(models.fmlora(), record)
    record.save(tmp_path / "run")
    done = fk.run(models.fmlora(), tasks, models.BUDGET, folder=tmp_path / "run")
    assert len(done.tasks) == 3


def test_timms_name_is_left_out_where_timm_would_build_something_else(tmp_path):
    for changes in ({"num_heads": 4}, {"norm_layer": partial(nn.LayerNorm, eps=1e-3)}):
        arguments = save_timm(models.fmlora(small(**changes)), tmp_path / "a.safetensors")
        assert "model_name" not in arguments
        with pytest.raises(ValueError, match="backbone must compute what the saved one does"):
            load_timm(tmp_path / "a.safetensors")
        loaded = load_timm(tmp_path / "a.safetensors", small(**changes))
        assert loaded.blocks[0].attn.num_heads == small(**changes).blocks[0].attn.num_heads
    assert "model_name" in save_timm(models.fmlora(small()), tmp_path / "a.safetensors")


def test_the_base_of_an_adapter_is_not_named_wrongly_either(tmp_path):
    model, tasks = models.fmlora(small(num_heads=4)), models.stream()
    fk.train_task(model, tasks[0], tasks, models.BUDGET)
    base = export_peft(model, tmp_path) / "base.safetensors"
    with pytest.raises(ValueError, match="backbone must compute what the saved one does"):
        load_timm(base)
    load_timm(base, small(num_heads=4))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"in_chans": 1}, "backbone must be for pictures of 3 channels, in_chans=3, got 'in_ch"),
        ({"global_pool": ""}, "backbone must be one that pools its tokens .*, got .global_pool="),
    ],
)
def test_a_backbone_that_no_method_can_use_is_refused_when_one_is_built(changes, message):
    with pytest.raises(ValueError, match=message):
        models.fmlora(models.vit(**changes))


@pytest.mark.parametrize("size", [np.int64(64), (np.int32(64), 64), [64, np.int64(64)]])
def test_numpys_numbers_are_an_image_size(size):
    assert fk.load_backbone(image_size=size).patch_embed.img_size == (64, 64)
