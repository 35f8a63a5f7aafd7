"""What every method must keep: the loss, the sizes, frozen rows, merging, exact time travel."""

import numpy as np
import pytest
import tiny
import torch
from timm.models.vision_transformer import VisionTransformer
from torch.nn import functional as F

import fmlora_kit as fk
from fmlora_kit.methods import METHODS, HeadOptions
from fmlora_kit.methods.base import Method

IMAGES = tiny.noise(6)
FROZEN = [name for name in METHODS if name != "full_finetuning"]
ONE_MODEL = [name for name in METHODS if METHODS[name].one_model]


def features_by_hand(vit, images):
    x = torch.tensor(images.transpose(0, 3, 1, 2)) / 255.0
    with torch.no_grad():
        return vit((x - 0.5) / 0.5)


def test_features_are_those_of_the_vit_on_normalised_pictures():
    model = tiny.build("frozen_backbone")
    features = model.extract(IMAGES)
    torch.testing.assert_close(features, features_by_hand(tiny.vit(), IMAGES))


def test_normalisation_is_the_backbones_own():
    vit = tiny.vit()
    vit.pretrained_cfg = {"architecture": "mine", "mean": (0.1, 0.2, 0.3), "std": (1.0, 2.0, 4.0)}
    model = Method(vit, 3)
    x = torch.tensor(IMAGES.transpose(0, 3, 1, 2)) / 255.0
    x = (x - torch.tensor([0.1, 0.2, 0.3])[:, None, None]) / torch.tensor([1.0, 2, 4])[
        :, None, None
    ]
    with torch.no_grad():
        torch.testing.assert_close(model.extract(IMAGES), vit(x))
    assert model.describe()["backbone"] == "mine"


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_the_loss_is_cross_entropy_over_the_current_classes_alone(kind):
    stream = tiny.stream()
    model = tiny.build("frozen_backbone", head=HeadOptions(kind, scale=7.0))
    fk.train_task(model, stream[0], stream, tiny.BUDGET)
    task = stream[1]
    model.begin_task(task)
    with torch.no_grad():
        model.head.rows += torch.randn(model.head.rows.shape, generator=tiny.generator())
    loss = model.loss(torch.tensor(task.train_images), torch.tensor(task.train_labels))
    x, w = features_by_hand(tiny.vit(), task.train_images), model.head.rows.detach()
    logits = 7 * F.normalize(x) @ F.normalize(w).T if kind == "cosine" else x @ w.T
    logp = logits.double() - logits.double().logsumexp(1, keepdim=True)
    by_hand = -logp[range(len(x)), task.train_labels - 3].mean()
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-4)


def test_new_rows_start_at_the_class_means():
    task = tiny.stream()[0]
    model = tiny.build("sequential_lora")
    model.begin_task(task)
    unit = F.normalize(features_by_hand(tiny.vit(), task.train_images))
    means = torch.stack([unit[task.train_labels == k].mean(0) for k in task.classes])
    torch.testing.assert_close(model.head.rows.detach(), means, atol=1e-5, rtol=1e-4)
    linear = tiny.build("sequential_lora", head=HeadOptions("linear"))
    linear.begin_task(task)
    assert linear.head.rows.abs().max() == 0


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("head", ["lda", "cosine", "linear"])
def test_the_model_is_rebuilt_after_every_task_bit_for_bit(name, head):
    stream = tiny.stream()
    model = tiny.build(name, head=HeadOptions(head), seed=3)
    results, then = [], []
    for task in stream:
        results.append(fk.train_task(model, task, stream, tiny.BUDGET))
        then.append(model.logits(IMAGES))
    record = tiny.record_of(model, stream, results)
    for k, expected in enumerate(then, 1):
        back = fk.from_record(record, k, backbone=tiny.vit())
        np.testing.assert_array_equal(back.logits(IMAGES), expected)
        assert back.seen == tuple(range(3 * k)) and back.n_tasks_done == k
        assert back.n_deployed == results[k - 1].n_deployed
        assert back.n_training_state == results[k - 1].n_training_state
    assert not np.array_equal(then[0], then[1][:, :3]) or name in FROZEN


@pytest.mark.parametrize("name", [name for name in METHODS if not METHODS[name].grows])
def test_deployed_size_never_grows_and_earlier_rows_never_move(name):
    stream = tiny.stream()
    model = tiny.build(name)
    sizes, rows = [], []
    for task in stream:
        sizes.append(fk.train_task(model, task, stream, tiny.BUDGET).n_deployed)
        rows.append(model.head.weight.clone())
    assert len(set(sizes)) == 1
    assert torch.equal(rows[2][:3], rows[0][:3]) and torch.equal(rows[2][3:6], rows[1][3:6])
    assert (rows[0][:3].norm(dim=1) > 0).all() and (rows[0][3:] == 0).all()


def test_deployed_size_by_hand():
    backbone = sum(p.numel() for p in tiny.vit().parameters())
    assert tiny.build("frozen_backbone").n_deployed == backbone + 9 * 32
    linear = tiny.build("frozen_backbone", head=HeadOptions("linear"))
    assert linear.n_deployed == backbone + 9 * 33
    lora = tiny.build("sequential_lora")
    assert lora.n_deployed == backbone + 9 * 32 + 2 * 2 * (32 * 4 + 4 * 32)
    fmlora = tiny.build("fmlora")
    positions = 2 * 32  # empty ones of the prompt
    adapters = 2 * 2 * (32 * 8 + 8 * 32 + 8 * 8)
    assert fmlora.n_deployed == backbone + 9 * 32 + adapters + 2 * 32 + positions


@pytest.mark.parametrize("name", FROZEN)
def test_the_backbone_never_changes_nor_the_callers(name):
    stream, backbone = tiny.stream(), tiny.vit()
    model = tiny.build(name, backbone)
    tiny.learn(model, stream)
    kept = tiny.vit().state_dict()
    assert all(torch.equal(p, kept[n]) for n, p in backbone.state_dict().items())
    state = model.vit.state_dict()
    frozen = [n for n in kept if n != "pos_embed"]  # a prompt widens it
    inside = {
        n: n if n in state else n.replace(".weight", ".base.weight").replace(".bias", ".base.bias")
        for n in frozen
    }
    assert all(torch.equal(state[inside[n]], kept[n]) for n in frozen)
    patches = state["pos_embed"][:, -16:]
    assert torch.equal(patches, kept["pos_embed"][:, -16:])
    assert torch.equal(state["pos_embed"][:, 0], kept["pos_embed"][:, 0])


@pytest.mark.parametrize("name", ONE_MODEL)
def test_merged_and_unmerged_logits_agree_and_unmerging_is_exact(name):
    stream = tiny.stream()
    model = tiny.build(name, head=HeadOptions("cosine", scale=1.0))
    tiny.learn(model, stream)
    before = model.logits(IMAGES)
    model.merge()
    merged = model.logits(IMAGES)
    np.testing.assert_allclose(merged, before, atol=1e-5, rtol=0)
    if model.layers:
        assert not torch.equal(
            model.vit.blocks[0].attn.qkv.base.weight, tiny.vit().blocks[0].attn.qkv.weight
        )
    model.unmerge()
    np.testing.assert_array_equal(model.logits(IMAGES), before)


def test_a_merged_model_learns_on_as_if_it_had_not_been_merged():
    stream = tiny.stream()
    merged, plain = tiny.build("sequential_lora"), tiny.build("sequential_lora")
    for task in stream:
        fk.train_task(merged, task, stream, tiny.BUDGET)
        fk.train_task(plain, task, stream, tiny.BUDGET)
        merged.merge()
    merged.unmerge()
    np.testing.assert_array_equal(merged.logits(IMAGES), plain.logits(IMAGES))


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ONE_MODEL])
def test_a_method_that_chooses_for_each_image_is_no_plain_vit(name):
    with pytest.raises(ValueError, match="must|cannot|needs"):
        tiny.build(name).to_timm()


@pytest.mark.parametrize("name", ONE_MODEL)
def test_to_timm_is_a_plain_vit_with_the_same_features(name):
    stream = tiny.stream()
    model = tiny.build(name)
    tiny.learn(model, stream)
    plain = model.to_timm()
    assert type(plain) is VisionTransformer
    torch.testing.assert_close(
        features_by_hand(plain, IMAGES), model.extract(IMAGES), atol=2e-5, rtol=1e-4
    )


@pytest.mark.parametrize("name", [name for name in METHODS if name != "joint"])
@pytest.mark.parametrize("head", ["lda", "cosine", "linear"])
def test_a_domain_incremental_stream_goes_on_with_the_rows_of_seen_classes(name, head):
    stream = tiny.styles()
    model = tiny.build(name, n_classes=4, head=HeadOptions(head))
    results, then = [], []
    for task in stream:
        results.append(fk.train_task(model, task, stream, tiny.BUDGET))
        then.append(model.logits(IMAGES))
    assert model.seen == (0, 1, 2, 3) and then[2].shape == (6, 4)
    if not results[2].losses.size:
        return
    back = fk.from_record(tiny.record_of(model, stream, results), 2, backbone=tiny.vit())
    np.testing.assert_array_equal(back.logits(IMAGES), then[1])
    rows = back.head.weight.clone()
    back.begin_task(stream[2])
    own = name == "task_lora"  # a head of its own for every task
    assert head == "lda" or own or torch.equal(back.head.rows.detach(), rows)


def test_logits_of_chosen_classes():
    stream = tiny.stream()
    model = tiny.build("frozen_backbone")
    tiny.learn(model, stream)
    everything = model.logits(IMAGES)
    np.testing.assert_allclose(model.logits(IMAGES, (5, 0)), everything[:, [5, 0]], atol=1e-5)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES.astype(np.float32), "images must be uint8 .*torch.float32"),
        (tiny.noise(size=16), r"images must be \(n, 32, 32, 3\), got \(4, 16, 16, 3\)"),
        (IMAGES[0], r"images must be \(n, 32, 32, 3\), got \(32, 32, 3\)"),
        (IMAGES[..., :1], r"images must be \(n, 32, 32, 3\), got \(6, 32, 32, 1\)"),
    ],
)
def test_bad_images(images, message):
    model = tiny.build("frozen_backbone")
    with pytest.raises(ValueError, match=message):
        model.features(torch.from_numpy(images))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, "lr must not be negative, got -1.0"),
        ({"head_lr": float("nan")}, "head_lr must not be negative, got nan"),
        ({"n_classes": 0}, "n_classes must be at least 1, got 0"),
        ({"head": HeadOptions("mlp")}, "head must be one of .*'mlp'"),
        ({"backbone": torch.nn.Linear(2, 2)}, "timm VisionTransformer, got Linear"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        Method(**{"backbone": tiny.vit(), "n_classes": 3, **options})


def test_randomness_depends_on_seed_and_purpose_alone():
    draws = [
        torch.rand(3, generator=Method(tiny.vit(), 3, seed=s).generator(*purpose)).tolist()
        for s, purpose in [(0, (1, 2)), (0, (1, 2)), (1, (1, 2)), (0, (2, 1)), (0, (1,))]
    ]
    assert draws[0] == draws[1] and len({tuple(d) for d in draws}) == 4
