"""Adapting the last blocks alone, and keeping what the frozen ones before them give."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import models

import fmlora_kit as fk
from fmlora_kit.methods import HeadOptions
from fmlora_kit.probes import truncate_ranks
from fmlora_kit.probes.scores import evaluation_mode
from fmlora_kit.training import Budget

ROOM = 2**24
BUDGET = Budget(epochs=2, batch_size=16)
METHODS = {
    "fmlora": {"blocks": (1,)},
    "sequential_lora": {"blocks": (1,)},
    "inflora": {"blocks": (1,)},
    "sd_lora": {"blocks": (1,)},
    "ewc_lora": {"blocks": (1,), "fisher_images": 3},
    "frozen_backbone": {},
    "nearest_class_mean": {},
    "ranpac": {"blocks": (1,), "head": HeadOptions("ridge", projections=50)},
}


def build(name, cache=0, **changes):
    model = models.build(name, **{**METHODS[name], **changes})
    model.cache_frozen_blocks(cache)
    return model


def passes(model):
    """A list that grows by the images of every pass through the first block."""
    seen = []
    model.vit.blocks[0].register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    return seen


@pytest.mark.parametrize("name", METHODS)
def test_the_record_is_the_same_and_no_image_passes_the_prefix_twice(name):
    stream = models.stream()
    plain, caching = build(name), build(name, ROOM)
    expected = models.learn(plain, stream, BUDGET)
    seen = passes(caching)
    results = models.learn(caching, stream, BUDGET)
    assert all(a.same_as(b) for a, b in zip(results, expected, strict=True))
    assert caching.n_frozen_blocks == (1 if "blocks" in METHODS[name] else 2)
    alone = 3 * 3 if name == "ewc_lora" else 0  # its Fisher information goes image by image
    assert sum(seen) == 3 * (24 + 12) + alone
    kept = [caching.blocks_cache.get(t.train_images) for t in stream]
    assert kept == [None] * 3  # those of a finished task are gone


def test_what_does_not_fit_is_computed_as_ever():
    stream = models.stream()
    expected = models.learn(build("fmlora"), stream, BUDGET)
    tight = build("fmlora", 24 * 17 * 32 * 4)  # the training images of a task, nothing else
    assert all(
        a.same_as(b) for a, b in zip(models.learn(tight, stream, BUDGET), expected, strict=True)
    )


@pytest.mark.parametrize("name", ["l2p", "full_finetuning", "task_lora"])
def test_methods_without_a_prefix_keep_nothing(name):
    model = models.build(name)
    model.cache_frozen_blocks(ROOM)
    model.hold(models.stream()[0].train_images, urgent=True)
    assert model.n_frozen_blocks == 0 and model.blocks_cache.nbytes == 0


def test_run_takes_the_limit(tmp_path):
    stream, model = models.stream(), build("frozen_backbone")
    record = fk.run(model, stream, BUDGET, cache_bytes=ROOM)
    assert model.blocks_cache.nbytes == 3 * 12 * 32 * 4  # pooled features of the test images
    assert record.same_as(fk.run(build("frozen_backbone"), stream, BUDGET))


# --- a prompt that enters later ------------------------------------------------------------------
def test_the_prompt_enters_before_the_first_adapted_block_without_a_position():
    backbone = models.vit(depth=3)
    model = models.fmlora(backbone, blocks=(1, 2))
    images = torch.from_numpy(models.noise(2))
    with torch.no_grad():
        model.prompt.normal_(generator=models.generator(3))
        x = backbone.blocks[0](backbone._pos_embed(backbone.patch_embed(model.pixels(images))))
        x = torch.cat([x[:, :1], model.prompt.expand(2, -1, -1), x[:, 1:]], dim=1)
        expected = backbone.norm(backbone.blocks[1:](x))[:, 0]
        torch.testing.assert_close(model.features(images), expected)
        copied = copy.deepcopy(model)
        copied.prompt.zero_()
        torch.testing.assert_close(model.features(images), expected)
        assert (copied.features(images) - expected).abs().max() > 1e-3
    assert model.layers == ("blocks.1.q", "blocks.1.v", "blocks.2.q", "blocks.2.v")
    assert model.n_deployed - models.fmlora(backbone, blocks=(1, 2), dmp=False).n_deployed == 2 * 32


def test_blocks_are_told_only_if_chosen_and_rebuilt_from_the_record():
    stream = models.stream()
    every = models.fmlora(blocks=None)
    assert "blocks" not in every.describe()["flora"] and every.vit.reg_token is not None
    assert "blocks" not in models.build("sequential_lora").describe()
    for name in ("fmlora", "sequential_lora"):
        model = build(name)
        record = models.record_of(model, stream, models.learn(model, stream, BUDGET))
        again = fk.from_record(record, backbone=models.vit())
        images = stream[2].test_images
        np.testing.assert_allclose(again.logits(images), model.logits(images), rtol=1e-5)
        assert again.layers == ("blocks.1.q", "blocks.1.v")


def test_ranks_are_cut_behind_a_prompt_that_enters_later():
    stream, model = models.stream(), build("fmlora")
    record = models.record_of(model, stream, models.learn(model, stream, BUDGET))
    larger = [  # so that a cut has an effect
        replace(task, state={k: 40 * v if k.endswith(".m") else v for k, v in task.state.items()})
        for task in record.tasks
    ]
    record = replace(record, tasks=tuple(larger))
    options = {"n_images": None, "backbone": models.vit(), "levels": (0,), "layer_levels": (0,)}
    table = truncate_ranks(record, stream, **options)
    state = dict(record.tasks[0].state)
    for layer in model.layers:
        state |= {f"{layer}.m": state[f"{layer}.m"][:, :0], f"{layer}.n": state[f"{layer}.n"][:0]}
    tasks = (replace(record.tasks[0], state=state), *record.tasks[1:])
    cut = fk.from_record(replace(record, tasks=tasks), backbone=models.vit())
    seen = np.array(cut.seen)
    right = [np.mean(seen[cut.logits(t.test_images).argmax(1)] == t.test_labels) for t in stream]
    (row,) = np.flatnonzero((table.cut_task == 0) & (table.cut_layer == -1))
    np.testing.assert_array_equal(table.accuracy[row], right)
    assert table.changed[row].any()


def test_a_plain_vit_and_explanations_have_no_place_for_such_a_prompt():
    model = build("fmlora")
    with pytest.raises(ValueError, match="prompt must enter before block 0 .* before block 1"):
        model.to_timm()
    with pytest.raises(ValueError, match="prompt before block 0 to be explained, got .* block 1"):
        with evaluation_mode(model):
            pass
    build("sequential_lora").to_timm()


@pytest.mark.parametrize("blocks", [(), (2,), (-1,), (1, 0), (1, 1)])
def test_blocks_that_are_not_there_are_refused(blocks):
    with pytest.raises(
        ValueError, match=r"blocks must be some of the backbone's \(0 to 1\), rising"
    ):
        models.fmlora(blocks=blocks)
