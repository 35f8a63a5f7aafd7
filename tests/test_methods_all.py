"""What every method must keep, whatever it does: exact records, seeds, precision, merging."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import models
from timm.models.vision_transformer import VisionTransformer

import fmlora_kit as fk
from fmlora_kit.adapters.head import SET_AFTERWARDS
from fmlora_kit.methods import METHODS, HeadOptions

IMAGES = models.noise(6)
DRAWS_NOTHING = {  # starts the same whatever the seed
    "inflora",
    "full_finetuning",
    "frozen_backbone",
    "nearest_class_mean",
    "streaming_lda",
}
OTHER = {  # options other than the defaults, which a record must bring back
    "ewc_lora": {"strength": 5.0, "decay": 0.9},
    "inflora": {"threshold": 1.0},
    "task_lora": {"task_identity": "oracle", "choice": "nearest_mean"},
    "l2p": {"pool_size": 6, "prompt_length": 2, "top_k": 3, "pull": 0.2},
    "dualprompt": {"e_length": 2},
    "hide_prompt": {"statistics": "variance"},
}


def features_by_hand(vit, images):
    with torch.no_grad():
        return vit((torch.tensor(images.transpose(0, 3, 1, 2)) / 255 - 0.5) / 0.5)


# --- records: whatever the head, class- or domain-incremental, in float32 and float64 -------------
PAIRS = list(itertools.product((models.stream, models.styles), (torch.float32, torch.float64)))
SETTINGS = [  # each method meets every head and every pair; over the methods each head does, too
    (name, head, *PAIRS[(m + h) % len(PAIRS)])
    for m, name in enumerate(METHODS)
    for h, head in enumerate(models.heads_of(name))
]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(setting, id=f"{setting[0]}-{setting[1]}-{setting[2].__name__}")
        for setting in SETTINGS
    ],
)
def finished(request, tmp_path_factory):
    """A run, its logits after every task, and its record read from disk again."""
    name, head, tasks, dtype = request.param
    stream, head = tasks(), models.head(head)
    options = {} if dtype == torch.float32 else OTHER.get(name, {})
    model = models.build(
        name, models.vit().to(dtype), stream.n_classes, head=head, seed=3, **options
    )
    results, then = [], []
    for task in stream:
        results.append(fk.train_task(model, task, stream, models.BUDGET))
        then.append(model.logits(IMAGES))
    made = models.record_of(model, stream, results)
    folder = tmp_path_factory.mktemp("records") / "run"
    made.save(folder)
    record = fk.Record.load(folder)
    assert record.same_as(made)
    return SimpleNamespace(dtype=dtype, stream=stream, model=model, then=then, record=record)


def test_the_model_is_rebuilt_after_every_task_bit_for_bit(finished):
    tasks, stream = finished.record.tasks, finished.stream
    for k, expected in enumerate(finished.then, 1):
        back = fk.from_record(finished.record, k, backbone=models.vit().to(finished.dtype))
        np.testing.assert_array_equal(back.logits(IMAGES), expected)
        assert type(back) is type(finished.model) and back.describe() == finished.model.describe()
        classes = [c for task in stream.tasks[:k] for c in task.classes]
        assert back.seen == tuple(dict.fromkeys(classes)) and back.n_tasks_done == k
        assert back.n_deployed == tasks[k - 1].n_deployed
        assert back.n_training_state == tasks[k - 1].n_training_state
        if not isinstance(back, fk.FMLoRA):  # its snapshot is of what one task has just added
            again, state = back.snapshot(), tasks[k - 1].state
            assert set(again) == set(state)
            assert all(np.array_equal(again[key], state[key]) for key in state)
    first = finished.then[0]
    moved = not np.array_equal(first, finished.then[1][:, : first.shape[1]])
    assert moved or finished.model.name != "full_finetuning"


def test_a_run_goes_on_from_its_record_as_if_it_had_not_stopped(finished):
    back = fk.from_record(finished.record, 2, backbone=models.vit().to(finished.dtype))
    result = fk.train_task(back, finished.stream[2], finished.stream, models.BUDGET)
    assert result.same_as(finished.record.tasks[2])
    assert np.isfinite(result.losses).all()
    np.testing.assert_array_equal(back.logits(IMAGES), finished.then[2])


def test_the_precision_is_the_backbones(finished):
    assert {p.dtype for p in finished.model.parameters()} == {finished.dtype}
    dtype = np.dtype(str(finished.dtype).removeprefix("torch."))
    assert {logits.dtype for logits in finished.then} == {dtype}
    precision = finished.record.config["method"].get("precision", "float32")
    assert precision == dtype.name
    arrays = [a for task in finished.record.tasks for a in task.state.values()]
    kinds = {array.dtype for array in arrays if array.dtype.kind == "f"}
    assert dtype in kinds and (kinds == {dtype} or dtype == np.float32)


def test_rows_of_classes_seen_in_an_earlier_domain_are_learned_further(finished):
    model, n_classes = finished.model, finished.stream.n_classes
    assert model.seen == tuple(range(n_classes)) and finished.then[2].shape == (6, n_classes)
    set_anew = model.head.kind in SET_AFTERWARDS or model.name == "task_lora"
    if n_classes == 4 and finished.record.tasks[2].losses.size and not set_anew:
        back = fk.from_record(finished.record, 2, backbone=models.vit().to(finished.dtype))
        rows = back.head.weight.clone()
        back.begin_task(finished.stream[2])
        assert torch.equal(back.head.rows.detach(), rows)


# --- seeds ----------------------------------------------------------------------------------------
def begun(name, seed):
    """All a method holds when it begins its first task, before any order of images matters."""
    model = models.build(name, seed=seed)
    model.begin_task(models.stream()[0])
    return {key: value.clone() for key, value in model.state_dict().items()}


def learned_with(name, seed):
    model, stream = models.build(name, seed=seed), models.stream()
    results = [fk.train_task(model, task, stream, models.BUDGET) for task in stream.tasks[:2]]
    return models.record_of(model, stream, results)


def same_arrays(first, second):
    return all(np.array_equal(value, second[key]) for key, value in first.items())


@pytest.mark.parametrize("name", METHODS)
def test_the_same_seed_gives_the_same_record_another_seed_another(name):
    record, again, other = (learned_with(name, seed) for seed in (1, 1, 2))
    assert record.same_as(again) and not record.same_as(other)
    nothing_drawn = name in ("nearest_class_mean", "streaming_lda")  # neither start nor order
    pairs = zip(record.tasks, other.tasks, strict=True)
    assert [same_arrays(a.state, b.state) for a, b in pairs] == [nothing_drawn] * 2
    start, same, another = (begun(name, seed) for seed in (1, 1, 2))
    assert same_arrays(start, same) and same_arrays(start, another) == (name in DRAWS_NOTHING)


# --- one model after three tasks ------------------------------------------------------------------
def build(name, head, backbone=None):
    return models.build(name, backbone, head=HeadOptions(head, scale=1.0, projections=50))


@pytest.fixture(
    scope="module",
    params=[*((name, "cosine") for name in METHODS), ("ranpac", "ridge")],  # ridge: its own head
    ids="-".join,
)
def learned(request):
    backbone = models.vit()
    model = build(*request.param, backbone)
    results = models.learn(model, models.stream())
    return SimpleNamespace(made=request.param, model=model, backbone=backbone, results=results)


def test_deployed_size_grows_only_where_it_is_said_and_earlier_rows_never_move(learned):
    sizes = [result.n_deployed for result in learned.results]
    if learned.model.grows:
        assert sizes[0] < sizes[1] < sizes[2]
        return
    assert len(set(sizes)) == 1
    if learned.made == ("ranpac", "ridge"):
        return  # a row of regression follows from all classes
    rows = [result.state["head.weight"] for result in learned.results]
    np.testing.assert_array_equal(rows[2][:3], rows[0][:3])
    np.testing.assert_array_equal(rows[2][3:6], rows[1][3:6])
    assert (np.linalg.norm(rows[0][:3], axis=1) > 0).all() and (rows[0][3:] == 0).all()


def test_the_backbone_never_changes_nor_the_callers(learned):
    kept = models.vit().state_dict()
    assert all(torch.equal(p, kept[n]) for n, p in learned.backbone.state_dict().items())
    if learned.model.name == "full_finetuning":
        return
    state = learned.model.vit.state_dict()
    frozen = [n for n in kept if n != "pos_embed"]  # a prompt widens it
    inside = {
        n: n if n in state else n.replace(".weight", ".base.weight").replace(".bias", ".base.bias")
        for n in frozen
    }
    assert all(torch.equal(state[inside[n]], kept[n]) for n in frozen)
    patches = state["pos_embed"][:, -16:]
    assert torch.equal(patches, kept["pos_embed"][:, -16:])
    assert torch.equal(state["pos_embed"][:, 0], kept["pos_embed"][:, 0])


def test_an_images_prediction_does_not_depend_on_its_batch(learned):
    mixed = np.concatenate([task.test_images[::3] for task in models.stream()])
    together = learned.model.logits(mixed)
    alone = np.concatenate([learned.model.logits(image[None]) for image in mixed])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(learned.model.logits(mixed[::-1]), together[::-1], atol=1e-5)


def test_logits_of_chosen_classes(learned):
    model = learned.model
    everything = model.logits(IMAGES)
    np.testing.assert_allclose(model.logits(IMAGES, (5, 0)), everything[:, [5, 0]], atol=1e-6)
    np.testing.assert_array_equal(model.scores(model.extract(IMAGES)), everything)


def test_merging_changes_nothing_and_a_merged_model_learns_on(learned):
    if not learned.model.one_model:
        return  # see the test below
    stream, merged = models.stream(), build(*learned.made)
    for task in stream:
        fk.train_task(merged, task, stream, models.BUDGET)
        before = merged.logits(IMAGES)
        merged.merge()
        np.testing.assert_allclose(merged.logits(IMAGES), before, atol=1e-5, rtol=0)
    if merged.layers:
        weight = merged.vit.blocks[0].attn.qkv.base.weight
        assert not torch.equal(weight, models.vit().blocks[0].attn.qkv.weight)
    merged.unmerge()
    np.testing.assert_array_equal(merged.logits(IMAGES), learned.model.logits(IMAGES))


def test_merged_for_a_while_every_bit_is_as_before(learned):
    def weights():
        return {key: value.clone() for key, value in learned.model.vit.state_dict().items()}

    before = weights()
    with pytest.raises(KeyError), learned.model.merged() as model:
        assert model is learned.model
        if model.layers and model.one_model:
            assert any(not torch.equal(value, before[key]) for key, value in weights().items())
        raise KeyError  # whatever happens within
    assert all(torch.equal(value, before[key]) for key, value in weights().items())
    if not learned.model.one_model:
        return
    learned.model.merge()
    with learned.model.merged():
        pass  # one that was merged stays so
    inside = weights()
    learned.model.unmerge()
    changed = any(not torch.equal(inside[key], value) for key, value in before.items())
    assert changed == bool(learned.model.layers)


def test_to_timm_is_a_plain_vit_with_the_same_features_or_refused(learned):
    model = learned.model
    if model.one_model:
        plain = model.to_timm()
        assert type(plain) is VisionTransformer
        features = features_by_hand(plain, IMAGES)
        torch.testing.assert_close(features, model.extract(IMAGES), atol=2e-5, rtol=1e-4)
        return
    before = model.logits(IMAGES)
    with pytest.raises(ValueError, match="one model for all images .* got|needs one update"):
        model.to_timm()
    if model.name != "task_lora":  # it refuses, see its own tests
        model.merge()
        np.testing.assert_array_equal(model.logits(IMAGES), before)
    model.unmerge()
    np.testing.assert_array_equal(model.logits(IMAGES), before)
