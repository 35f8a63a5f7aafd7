"""What each competitor trains, and what it leaves alone."""

import numpy as np
import pytest
import torch
from helpers import models
from torch.nn import functional as F

import fmlora_kit as fk
from fmlora_kit.methods import METHODS, HeadOptions


def adapters(model):
    return {name: (u.a.detach().clone(), u.b.detach().clone()) for name, u in model.updates.items()}


def changed(before, after):
    return [not torch.equal(x, y) for n in before for x, y in zip(before[n], after[n], strict=True)]


def history(name):
    stream = models.stream()
    model = models.build(name, lr=2e-3)
    states = [adapters(model)]
    results = []
    for task in stream:
        results.append(fk.train_task(model, task, stream, models.BUDGET))
        states.append(adapters(model))
    return states, results


def test_sequential_lora_trains_its_adapters_on_every_task():
    states, results = history("sequential_lora")
    for before, after in zip(states, states[1:], strict=False):
        assert all(changed(before, after))
    assert {r.n_trainable for r in results} == {4 * (32 * 4 + 4 * 32) + 3 * 32}


def test_first_task_lora_trains_them_on_the_first_task_alone():
    states, results = history("first_task_lora")
    assert all(changed(states[0], states[1]))
    assert not any(changed(states[1], states[2])) and not any(changed(states[2], states[3]))
    assert [r.n_trainable for r in results] == [4 * 256 + 96, 96, 96]


def test_first_task_lora_is_sequential_lora_on_the_first_task():
    first, second = history("first_task_lora"), history("sequential_lora")
    assert not any(changed(first[0][1], second[0][1]))
    np.testing.assert_array_equal(first[1][0].losses, second[1][0].losses)


def test_a_restored_first_task_lora_asks_for_no_gradient():
    stream = models.stream()
    model = models.build("first_task_lora")
    record = models.record_of(model, stream, models.learn(model, stream))
    back = fk.from_record(record, 1, backbone=models.vit())
    assert not any(p.requires_grad for p in back.vit.parameters())


def test_full_finetuning_trains_every_weight():
    stream = models.stream()
    model = models.build("full_finetuning")
    result = fk.train_task(model, stream[0], stream, models.BUDGET)
    kept = dict(models.vit().named_parameters())
    same = [n for n, p in model.vit.named_parameters() if torch.equal(p, kept[n])]
    assert same == []
    assert result.n_trainable == sum(p.numel() for p in kept.values()) + 3 * 32


def test_the_frozen_backbone_trains_head_rows_only():
    stream = models.stream()
    model = models.build("frozen_backbone")
    result = fk.train_task(model, stream[0], stream, models.BUDGET)
    assert result.n_trainable == 3 * 32 and result.losses[-1] < result.losses[0]
    unit = F.normalize(model.extract(stream[0].train_images))
    means = torch.stack([unit[stream[0].train_labels == k].mean(0) for k in range(3)])
    assert not torch.allclose(model.head.weight[:3], means, atol=1e-3)


def test_nearest_class_mean_trains_nothing_and_predicts_by_class_means():
    stream = models.stream()
    model = models.build("nearest_class_mean")
    results = models.learn(model, stream)
    assert all(r.n_trainable == 0 and r.losses.size == 0 for r in results)
    unit = np.concatenate([F.normalize(model.extract(t.train_images)).numpy() for t in stream])
    labels = np.concatenate([t.train_labels for t in stream])
    means = np.stack([unit[labels == k].mean(0) for k in range(9)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    tests = np.concatenate([F.normalize(model.extract(t.test_images)).numpy() for t in stream])
    np.testing.assert_array_equal(results[-1].predictions, (tests @ means.T).argmax(1))


def test_nearest_class_mean_takes_the_mean_over_all_domains_of_a_class():
    stream = models.styles()
    model = models.build("nearest_class_mean", n_classes=4)
    results = [fk.train_task(model, task, stream) for task in stream[:2]]
    model = models.build("nearest_class_mean", n_classes=4)
    for result in results:  # goes on from a record bit for bit
        model.restore(result.classes, result.state)
    results.append(fk.train_task(model, stream[2], stream, models.BUDGET))
    images = np.concatenate([task.train_images for task in stream])
    labels = np.concatenate([task.train_labels for task in stream])
    unit = F.normalize(model.extract(images)).double().numpy()
    means = np.stack([unit[labels == k].mean(0) for k in range(4)])
    np.testing.assert_allclose(model.head.weight.numpy(), means, atol=1e-6)
    first = unit[: len(stream[0].train_labels)]
    assert np.abs(means[0] - first[stream[0].train_labels == 0].mean(0)).max() > 1e-2
    np.testing.assert_array_equal(results[-1].state["counts"], [18] * 4)


def test_joint_learns_all_tasks_at_once():
    joined = models.stream().joined()
    model = models.build("joint")
    (result,) = models.learn(model, joined)
    assert result.classes == tuple(range(9)) and len(result.predictions) == 36
    assert result.losses[-4:].mean() < result.losses[:4].mean()


@pytest.mark.parametrize("maps", [("k",), ("proj", "fc1", "fc2")])
def test_other_maps_are_adapted_by_name(maps):
    stream = models.stream()
    model = models.build("sequential_lora", maps=maps)
    assert model.layers == tuple(f"blocks.{i}.{m}" for i in range(2) for m in maps)
    before = adapters(model)
    fk.train_task(model, stream[0], stream, models.BUDGET)
    assert all(changed(before, adapters(model)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 33}, "rank must be between 1 and the layer's width 32, got 33"),
        ({"rank": 0}, "rank must be .* got 0"),
        ({"maps": ("w",)}, "maps must be among .*'w'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        models.build("sequential_lora", **options)


@pytest.mark.parametrize("name", METHODS)
def test_the_run_card_says_what_was_chosen(name):
    card = models.build(name, lr=1e-3, head=HeadOptions("linear")).describe()
    assert card["method"] == name and card["lr"] == 1e-3
    assert card["head"]["kind"] == "linear" and card["backbone"] == "custom"
