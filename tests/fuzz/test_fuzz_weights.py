"""Damaged and crafted weight files: a sentence or weights; nothing is fetched, opened or run."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sys

import pytest
import torch
from helpers import models
from helpers.fuzz import DAMAGE, JSON, damaged, examples
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file as read_file
from safetensors.torch import save_file

from fmlora_kit import Budget, train_task
from fmlora_kit.backbones.identity import fingerprint, same_function
from fmlora_kit.backbones.weights import load_file
from fmlora_kit.interchange import export_peft, import_peft, load_timm, save_timm

FORBIDDEN = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "urllib.")
CANARY = "/tmp/fmlora_kit_canary"
seen, watching = [], [False]


def _watch(event, args, watching=watching):  # bound: when Python ends, the module's names are gone
    if watching[0] and (
        event.startswith(FORBIDDEN) or (event == "open" and str(args[0]).startswith(CANARY))
    ):
        seen.append(f"{event} {args!r}"[:200])


sys.addaudithook(_watch)


@pytest.fixture
def guarded(judge):
    """A judge for which whatever is fetched, opened elsewhere or run is a wrong acceptance."""

    def call(what, act, same=lambda found: True):
        def watched():
            watching[0] = True
            try:
                return act()
            finally:
                watching[0] = False

        del seen[:]
        judge(what, watched, (), same)
        if seen:
            judge.count("wrong acceptance", what, seen[0])

    return call


class Runs:
    """What unpickles by running a program."""

    def __reduce__(self):
        return os.system, (f"touch {CANARY}",)


def test_damaged_weights_of_a_backbone(guarded, tmp_path):
    vit = models.vit()
    save_file(vit.state_dict(), tmp_path / "a.safetensors")
    torch.save(vit.state_dict(), tmp_path / "a.pth")
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04" + bytes(100))
    whole = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    @examples(70)
    @given(st.sampled_from(sorted(whole)), DAMAGE)
    def damage_one(name, damage):
        (tmp_path / name).write_bytes(damaged(whole[name], damage))
        guarded(f"{name} {damage}", lambda: load_file(models.vit(1), tmp_path / name))

    damage_one()


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"model": x}, lambda x: {"a.weight": x}])
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors", "a.npz", "a.bin"])
def test_pickles_that_run_something(wrap, name, guarded, tmp_path):
    (tmp_path / name).write_bytes(pickle.dumps(wrap(Runs())))
    never = lambda found: False  # noqa: E731
    guarded(f"pickle {name}", lambda: load_file(models.vit(), tmp_path / name), never)
    torch.save(wrap(Runs()), tmp_path / name)
    guarded(f"torch {name}", lambda: load_file(models.vit(), tmp_path / name), never)


def test_damaged_checkpoints(guarded, tmp_path):
    file = tmp_path / "a.safetensors"
    save_timm(models.learned(dtype=torch.float32), file)
    whole, expected = file.read_bytes(), fingerprint(load_timm(file, models.vit()))

    @examples(40)
    @given(DAMAGE)
    def damage_one(damage):
        file.write_bytes(damaged(whole, damage))
        guarded(
            f"checkpoint {damage}",
            lambda: load_timm(file, models.vit()),
            lambda found: same_function(fingerprint(found), expected),
        )

    damage_one()


NASTY = st.sampled_from(
    (CANARY, "http://127.0.0.1:9/x", "hf-hub:a/b", "local-dir:/tmp", "os.system", 10**9, -1, None)
)


def test_metadata_of_a_stranger(guarded, tmp_path):
    file = tmp_path / "a.safetensors"
    save_timm(models.learned(dtype=torch.float32), file)
    with safe_open(file, "pt") as opened:
        facts, weights = opened.metadata(), read_file(file)
    names = ("model_name", "checkpoint_path", "pretrained_cfg", "url", "cache_dir", "img_size")
    names += ("num_classes", "reg_tokens", "global_pool", "norm_layer", "pretrained_cfg_overlay")

    @examples(40)
    @given(st.sampled_from(names), NASTY | JSON, st.sampled_from(["create_model", "computes"]))
    def exchange_one(name, value, where):
        arguments = json.loads(facts["create_model"]) | {name: value}
        content = arguments if where == "create_model" else value
        save_file(weights, file, metadata={**facts, where: json.dumps(content)})
        guarded(f"{where} {name}={value!r}", lambda: load_timm(file, models.vit()))

    exchange_one()


def test_adapters_of_a_stranger(guarded, tmp_path):
    pytest.importorskip("peft")
    model = models.build("sequential_lora", n_classes=9)
    tasks = models.stream()
    train_task(model, tasks[0], tasks, Budget(epochs=1))
    export_peft(model, tmp_path / "whole")
    config = json.loads((tmp_path / "whole" / "adapter_config.json").read_text())
    weights = (tmp_path / "whole" / "adapter_model.safetensors").read_bytes()
    shutil.copytree(tmp_path / "whole", tmp_path / "a")

    @examples(40)
    @given(st.sampled_from(sorted(config)), NASTY | JSON, DAMAGE, st.booleans())
    def exchange_one(name, value, damage, in_weights):
        content = config if in_weights else {**config, name: value}
        (tmp_path / "a" / "adapter_config.json").write_text(json.dumps(content))
        bytes_ = damaged(weights, damage) if in_weights else weights
        (tmp_path / "a" / "adapter_model.safetensors").write_bytes(bytes_)
        what = f"adapter {damage}" if in_weights else f"adapter {name}={value!r}"
        guarded(what, lambda: import_peft(tmp_path / "a", models.vit(), 9, dmp=None))

    exchange_one()
