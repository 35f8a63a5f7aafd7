"""Devices and precision; the CUDA test needs a GPU and says so where there is none."""

import numpy as np
import pytest
import torch
from helpers import models

import fmlora_kit as fk
from fmlora_kit.training import pick_device
from fmlora_kit.training.device import describe_device, precision


def devices(monkeypatch, *, cuda=0, mps=False):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


def test_auto_prefers_cuda_then_mps_then_the_cpu(monkeypatch):
    for there, expected in (
        ({"cuda": 1, "mps": True}, "cuda"),
        ({"mps": True}, "mps"),
        ({}, "cpu"),
    ):
        devices(monkeypatch, **there)
        assert pick_device() == torch.device(expected)


def test_a_device_asked_for_by_name(monkeypatch):
    devices(monkeypatch, cuda=2)
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("cuda:1") == torch.device("cuda:1")


@pytest.mark.parametrize("name", ["cuda", "mps", "tpu", "cuda:0", ""])
def test_a_device_that_is_not_there_is_refused(monkeypatch, name):
    devices(monkeypatch)
    with pytest.raises(
        ValueError, match=rf"device must be 'auto' or one of \['cpu'\], got '{name}'"
    ):
        pick_device(name)


@pytest.mark.parametrize("name", ["cuda:2", "cuda:one", "cpu:x"])
def test_a_device_number_that_is_not_there_is_refused(monkeypatch, name):
    devices(monkeypatch, cuda=2)
    with pytest.raises(ValueError, match=rf"device must be .*'cpu', 'cuda'\], got '{name}'"):
        pick_device(name)


def test_bfloat16_on_cuda_alone(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "autocast", lambda *a, **k: asked.append((*a, k["enabled"])))
    for kind in ("cuda", "cpu", "mps"):
        precision(torch.device(kind))
    assert asked == [
        ("cuda", torch.bfloat16, True),
        ("cpu", torch.bfloat16, False),
        ("mps", torch.bfloat16, False),
    ]


def test_a_record_names_the_device_and_its_numbers(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")
    single, double = torch.float32, torch.float64
    assert describe_device(torch.device("cpu"), single) == {"device": "cpu", "numbers": "float32"}
    assert describe_device(torch.device("mps"), single)["device"] == "mps"
    cuda = torch.device("cuda:1")
    autocast = {"device": "GPU 1", "numbers": "float32, bfloat16 autocast"}
    assert describe_device(cuda, single) == autocast
    assert describe_device(cuda, double) == {"device": "GPU 1", "numbers": "float64"}


def test_autocast_leaves_double_precision_alone():
    x = torch.ones(2, 2, dtype=torch.float64)
    with torch.autocast("cpu", torch.bfloat16):
        assert (x @ x).dtype == torch.float64 and (x.float() @ x.float()).dtype == torch.bfloat16


def test_the_cpu_computes_in_full_precision():
    x = torch.tensor([[1.0, 2**-12]])
    with precision(torch.device("cpu")):
        product = x @ torch.ones(2, 1)
    assert product.dtype == torch.float32 and product.item() == 1 + 2**-12


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU, none here")
def test_fm_lora_learns_on_cuda_and_comes_back_exactly():
    stream = models.stream()
    model = models.fmlora().to("cuda")
    results = models.learn(model, stream)
    assert all(np.isfinite(r.losses).all() for r in results)
    back = fk.from_record(models.record_of(model, stream, results), backbone=models.vit())
    cpu, cuda = back.logits(models.noise()), model.logits(models.noise())
    np.testing.assert_allclose(cpu, cuda, atol=1e-2 * np.abs(cpu).max())
