"""RanPAC: adapters of the first task, then the ridge solution over all data, whatever the order."""

import numpy as np
import pytest
import torch
from helpers import models

import fmlora_kit as fk
from fmlora_kit.analysis.updates import task_updates
from fmlora_kit.methods import HeadOptions
from fmlora_kit.streams import Stream, Task


def ridge_head(ridge=None):
    return HeadOptions("ridge", projections=50, ridge=ridge)


def ranpac(n_classes=9, ridge=None):
    return fk.RanPAC(models.vit(), n_classes, rank=4, head=ridge_head(ridge))


def projected_by_hand(model, images):
    """relu(P f) in numpy, f from the plain ViT that is left when training is over."""
    x = (torch.tensor(images.transpose(0, 3, 1, 2)) / 255.0 - 0.5) / 0.5
    with torch.no_grad():
        f = model.to_timm()(x).double().numpy()
    return np.maximum(f @ model.head.projection.matrix.double().numpy().T, 0)


def ridge_by_hand(model, tasks, ridge, n_classes=9):
    """W over all images at once, by least squares on rows extended by sqrt(lambda) I."""
    h = np.concatenate([projected_by_hand(model, task.train_images) for task in tasks])
    y = np.eye(n_classes)[np.concatenate([task.train_labels for task in tasks])]
    rows = np.concatenate([h, np.sqrt(ridge) * np.eye(50)])
    targets = np.concatenate([y, np.zeros((50, n_classes))])
    return np.linalg.lstsq(rows, targets, rcond=None)[0]


@pytest.fixture(scope="module")
def learned():
    """A model that learned three tasks with lambda 10, its results, and its rows after each."""
    stream, model = models.stream(), ranpac(ridge=10.0)
    results, rows = [], []
    for task in stream:
        results.append(fk.train_task(model, task, stream, models.BUDGET))
        rows.append(model.head.weight.clone())
    return model, results, rows


def test_the_weights_are_the_ridge_solution_over_all_data_at_once(learned):
    model, _, rows = learned
    for k, found in enumerate(rows, 1):
        by_hand = ridge_by_hand(model, [models.stream()[t] for t in range(k)], 10.0)
        np.testing.assert_allclose(found.T, by_hand, atol=2e-4, rtol=2e-3)
    assert (model.head.bias == 0).all()


def test_predictions_are_the_arg_max_of_h_times_w(learned):
    (model, results, _), stream = learned, models.stream()
    h = np.concatenate([projected_by_hand(model, task.test_images) for task in stream])
    scores = h @ ridge_by_hand(model, stream, 10.0)
    np.testing.assert_array_equal(results[-1].predictions, scores.argmax(1))
    np.testing.assert_allclose(model.logits(stream[0].test_images), scores[:12], atol=1e-3)


def test_adapters_learn_on_the_first_task_alone(learned):
    _, results, _ = learned
    first, *later = ({k: v for k, v in r.state.items() if k[-2:] in (".a", ".b")} for r in results)
    assert len(first) == 2 * 2 * 2 and all(v.any() for v in first.values())
    for state in later:
        assert all(np.array_equal(state[k], v) for k, v in first.items())
    rows, pairs = 3 * 32, sum(v.size for v in first.values())
    assert [r.n_trainable for r in results] == [rows + pairs, rows, rows]


def test_sizes_by_hand_and_they_do_not_grow(learned):
    _, results, _ = learned
    backbone = sum(p.numel() for p in models.vit().parameters())
    pairs = 2 * 2 * 4 * (32 + 32)  # blocks, maps, rank
    assert {r.n_deployed for r in results} == {backbone + pairs + 50 * 32 + 9 * 50}
    assert {r.n_training_state for r in results} == {50 * 51 // 2 + 9 * 50}
    assert results[0].state["head.gram"].shape == (1275,)


def test_lambda_is_in_the_record_and_the_model_comes_back(learned):
    model, results, _ = learned
    record = models.record_of(model, models.stream(), results)
    back = fk.from_record(record, backbone=models.vit())
    assert type(back) is fk.RanPAC and back.head.ridge == 10.0
    images = models.noise(6)
    np.testing.assert_array_equal(back.logits(images), model.logits(images))
    updates = task_updates(record)
    assert all(u.energy > 0 for u in updates[0]) and all(u.energy == 0 for u in updates[1])


def test_without_adaptation_the_order_of_tasks_does_not_matter():
    stream, orders = models.stream(), ((0, 1, 2), (2, 0, 1))
    shuffled = [Stream("s", stream.scenario, tuple(stream[k] for k in o), 0) for o in orders]
    weights = []
    for each in (*shuffled, stream.joined()):
        frozen = fk.FrozenBackbone(models.vit().double(), 9, head=ridge_head(1.0))
        for task in each:
            frozen.begin_task(task)
            frozen.end_task(task)
        weights.append(frozen.head.weight.numpy())
    for other in weights[1:]:
        np.testing.assert_allclose(weights[0], other, atol=1e-9)


def test_lambda_is_chosen_anew_for_every_task(monkeypatch):
    """Whatever lambda the last task asks for holds for all sums."""
    chosen = iter((1e8, 1e8, 1.0))
    monkeypatch.setattr("fmlora_kit.adapters.head.choose_ridge", lambda h, y: next(chosen))
    model, stream = ranpac(), models.stream()
    for task in stream:
        model.begin_task(task)
        model.end_task(task)
    by_hand = ridge_by_hand(model, stream, 1.0)
    np.testing.assert_allclose(model.head.weight.T, by_hand, atol=1e-3, rtol=1e-2)
    assert next(chosen, None) is None


def test_a_domain_incremental_stream_adds_to_the_same_classes():
    stream, model = models.styles(), ranpac(n_classes=4, ridge=1.0)
    for task in stream:
        model.begin_task(task)
        model.end_task(task)
    by_hand = ridge_by_hand(model, stream, 1.0, n_classes=4)
    np.testing.assert_allclose(model.head.weight.T, by_hand, atol=1e-3, rtol=1e-2)


def test_a_task_of_one_image_needs_a_given_ridge():
    full = models.stream()[0]
    one = Task(
        "one", (0,), full.class_names[:1],
        full.train_images[:1], full.train_labels[:1], full.test_images[:4], full.test_labels[:4],
    )  # fmt: skip
    free, given = ranpac(), ranpac(ridge=1.0)
    for model in (free, given):
        model.begin_task(one)
    with pytest.raises(ValueError, match="ridge must be given .* got None and 1"):
        free.end_task(one)
    given.end_task(one)
    assert given.head.weight.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"projections": 0}, "projections must be at least 1, got 0"),
        ({"ridge": 0.0}, "ridge must be above 0, or None, got 0.0"),
        ({"ridge": float("nan")}, "ridge must be a finite number above 0, or None, got nan"),
        ({"kind": "lda", "ridge": 1.0}, "ridge must be None but for a head of kind 'ridge'"),
    ],
)
def test_bad_options_of_its_head(options, message):
    with pytest.raises(ValueError, match=message):
        HeadOptions(**{"kind": "ridge", **options})
