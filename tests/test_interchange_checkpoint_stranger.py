"""A checkpoint of a stranger: nothing it says is obeyed but what this package writes itself."""

import json

import pytest
import timm
from helpers import models
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from fmlora_kit.interchange import load_timm, save_timm


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    vit = timm.create_model("test_vit.r160_in1k", img_size=32, num_classes=0).eval()
    file = tmp_path_factory.mktemp("own") / "own.safetensors"
    save_timm(models.fmlora(vit), file)
    with safe_open(file, "pt") as opened:
        return load_file(file), opened.metadata()


@pytest.fixture
def tampered(written, tmp_path, monkeypatch):
    """Write the file with other arguments; timm must not be asked for a model of these."""

    def write(change, **facts):
        weights, own = written
        arguments = change(json.loads(own["create_model"]))
        content = {**own, "create_model": json.dumps(arguments), **facts}
        save_file(weights, tmp_path / "a.safetensors", metadata=content)
        monkeypatch.setattr(timm, "create_model", None)  # whoever builds fails
        return tmp_path / "a.safetensors"

    return write


CHANGES = {
    "a URL": lambda a: {**a, "pretrained": True, "pretrained_cfg": {"url": "http://127.0.0.1/x"}},
    "a file": lambda a: {**a, "checkpoint_path": "/etc/passwd"},
    "a URL in the overlay": lambda a: {
        **a,
        "pretrained_cfg_overlay": {**a["pretrained_cfg_overlay"], "url": "http://127.0.0.1/x"},
    },
    "a file in the overlay": lambda a: {**a, "pretrained_cfg_overlay": {"file": "/tmp/x.pth"}},
    "a hub": lambda a: {**a, "model_name": "hf-hub:someone/something"},
    "a folder": lambda a: {**a, "model_name": "local-dir:/tmp"},
    "a path": lambda a: {**a, "model_name": "/tmp/test_vit"},
    "no model": lambda a: {**a, "model_name": "nothing_like_it"},
    "a list for a name": lambda a: {**a, "model_name": ["test_vit"]},
    "a cache": lambda a: {**a, "cache_dir": "/tmp"},
    "a layer": lambda a: {**a, "norm_layer": "BatchNorm"},
    "a giant": lambda a: {**a, "num_classes": 10**9},
    "tokens": lambda a: {**a, "reg_tokens": 10**9},
    "pixels": lambda a: {**a, "img_size": [10**6, 10**6]},
    "half": lambda a: {**a, "img_size": [32.5, 32]},
    "pooling": lambda a: {**a, "global_pool": "os.system"},
    "no mean": lambda a: {**a, "pretrained_cfg_overlay": {"std": [1, 1, 1]}},
    "nan": lambda a: {**a, "pretrained_cfg_overlay": {"mean": [float("nan")] * 3, "std": [1] * 3}},
    "less": lambda a: {"model_name": a["model_name"]},
    "a list": lambda a: [a],
    "nothing": lambda a: None,
}


@pytest.mark.parametrize("what", CHANGES)
def test_arguments_that_we_do_not_write_are_refused_before_anything_is_built(what, tampered):
    with pytest.raises(ValueError, match="file must be as save_timm and export_peft write it, got"):
        load_timm(tampered(CHANGES[what]))


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "1e999", '"x"'])
@pytest.mark.parametrize("fact", ["create_model", "computes"])
def test_metadata_that_is_no_json_is_refused(text, fact, tampered):
    with pytest.raises(ValueError, match="file must be as save_timm and export_peft write it, got"):
        load_timm(tampered(lambda a: a, **{fact: text}))


def test_a_giants_name_on_a_small_file_builds_no_giant(written, tmp_path, monkeypatch):
    weights, own = written
    arguments = {**json.loads(own["create_model"]), "model_name": "vit_giant_patch14_224"}
    facts = {**own, "create_model": json.dumps({**arguments, "img_size": [28, 28]})}
    save_file(weights, tmp_path / "a.safetensors", metadata=facts)
    built, create = [], timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda **o: built.append(create(**o)) or built[-1])
    with pytest.raises(ValueError, match="file must hold the weights of its model_name"):
        load_timm(tmp_path / "a.safetensors")
    assert [vit.cls_token.device.type for vit in built] == ["meta"]


def test_a_damaged_file_is_one_sentence(tmp_path):
    for content in (b"", b"\xff" * 100, b"\x08\0\0\0\0\0\0\0{}      "):
        (tmp_path / "a.safetensors").write_bytes(content)
        with pytest.raises(ValueError, match="file must be "):
            load_timm(tmp_path / "a.safetensors")
