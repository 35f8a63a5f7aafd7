"""RanPAC: the ridge solution over all data at once, in one pass, whatever the order of tasks."""

import numpy as np
import pytest
import torch
from helpers import models
from timm.models.vision_transformer import VisionTransformer

import fmlora_kit as fk
from fmlora_kit.adapters.ridge import RIDGES, choose_ridge, solve_ridge
from fmlora_kit.methods import HeadOptions
from fmlora_kit.methods.ranpac import RanPAC
from fmlora_kit.streams import Stream, Task

IMAGES = models.noise(6)


def ranpac(backbone=None, n_classes=9, **options):
    options = {"projections": 50, **options}
    return RanPAC(models.vit() if backbone is None else backbone, n_classes, **options)


def projected_by_hand(model, images):
    """relu(P f) in numpy, f from the plain ViT."""
    x = (torch.tensor(images.transpose(0, 3, 1, 2)) / 255.0 - 0.5) / 0.5
    with torch.no_grad():
        f = models.vit()(x).double().numpy()
    p = dict(model.vit.named_parameters())["head_drop.1.matrix"].double().numpy()
    return np.maximum(f @ p.T, 0)


def ridge_by_hand(model, tasks, ridge, n_classes=9):
    """W over all images at once, by least squares on rows extended by sqrt(lambda) I."""
    h = np.concatenate([projected_by_hand(model, task.train_images) for task in tasks])
    y = np.eye(n_classes)[np.concatenate([task.train_labels for task in tasks])]
    m = h.shape[1]
    rows = np.concatenate([h, np.sqrt(ridge) * np.eye(m)])
    targets = np.concatenate([y, np.zeros((m, n_classes))])
    return np.linalg.lstsq(rows, targets, rcond=None)[0]


def reordered(stream, order):
    return Stream(stream.name, stream.scenario, tuple(stream[k] for k in order), stream.seed)


def noisy(n=60, m=20, spread=1.0, seed=0):
    rng = np.random.default_rng(seed)
    h = np.maximum(rng.normal(size=(n, m)), 0)
    y = np.eye(3)[(h[:, :3] + spread * rng.normal(size=(n, 3))).argmax(1)]
    return torch.tensor(h), torch.tensor(y)


@pytest.mark.parametrize("ridge", [0.1, 100.0])
def test_the_weights_are_the_ridge_solution_over_all_data_at_once(ridge):
    stream, model = models.stream(), ranpac(ridge=ridge)
    for k, task in enumerate(stream, 1):
        result = fk.train_task(model, task, stream, models.BUDGET)
        by_hand = ridge_by_hand(model, stream[:k] if k < 3 else stream, ridge)
        np.testing.assert_allclose(model.head.weight.T, by_hand, atol=2e-4, rtol=2e-3)
        assert result.scalars["ridge"] == ridge
    assert (model.head.bias == 0).all()


def test_predictions_are_the_arg_max_of_h_times_w():
    stream, model = models.stream(), ranpac(ridge=10.0)
    results = models.learn(model, stream)
    h = np.concatenate([projected_by_hand(model, task.test_images) for task in stream])
    scores = h @ ridge_by_hand(model, stream, 10.0)
    np.testing.assert_array_equal(results[-1].predictions, scores.argmax(1))
    np.testing.assert_allclose(model.logits(stream[0].test_images), scores[:12], atol=1e-3)


def test_the_order_of_tasks_does_not_matter():
    stream = models.stream()
    weights = []
    for order in ((0, 1, 2), (2, 0, 1)):
        model, shuffled = ranpac(models.vit().double(), ridge=1.0), reordered(stream, order)
        models.learn(model, shuffled)
        weights.append(model.head.weight.numpy())
    np.testing.assert_allclose(weights[0], weights[1], atol=1e-9)
    joint = ranpac(models.vit().double(), ridge=1.0)
    models.learn(joint, stream.joined())
    np.testing.assert_allclose(joint.head.weight, weights[0], atol=1e-9)


def test_every_image_is_seen_once_and_nothing_is_trained():
    stream, model = models.stream(), ranpac()
    seen = []
    model.vit.patch_embed.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    for task in stream:
        model.begin_task(task)
        model.end_task(task)
    assert sum(seen) == sum(len(task.train_labels) for task in stream)
    fresh = ranpac()
    results = models.learn(fresh, stream)
    assert all(r.n_trainable == 0 and r.losses.size == 0 for r in results)


def test_the_projection_is_standard_normal_frozen_and_of_the_seed():
    made = [
        dict(ranpac(projections=2000, seed=seed).vit.named_parameters())["head_drop.1.matrix"]
        for seed in (0, 0, 1)
    ]
    assert made[0].shape == (2000, 32) and not made[0].requires_grad
    assert abs(made[0].mean()) < 0.02 and made[0].std().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])


def test_lambda_is_the_best_of_the_papers_on_the_held_out_fifth():
    np.testing.assert_allclose(RIDGES, [10.0**k for k in range(-8, 9)])
    found = set()
    for seed, spread in [(0, 0.1), (1, 1.0), (2, 30.0), (3, 1.0)]:
        h, y = noisy(spread=spread, seed=seed)
        a, b, c, d = h[:48].numpy(), h[48:].numpy(), y[:48].numpy(), y[48:].numpy()
        errors = [
            np.mean((b @ np.linalg.solve(a.T @ a + r * np.eye(20), a.T @ c) - d) ** 2)
            for r in RIDGES
        ]
        assert choose_ridge(h, y) == RIDGES[int(np.argmin(errors))]
        found.add(choose_ridge(h, y))
    assert len(found) > 1


def test_noise_asks_for_a_larger_lambda_than_a_clean_rule():
    rng = np.random.default_rng(0)
    h = np.maximum(rng.normal(size=(400, 20)), 0)
    clean = torch.tensor(h @ rng.normal(size=(20, 3)))
    noise = torch.tensor(rng.normal(size=(400, 3)))
    assert choose_ridge(torch.tensor(h), clean) <= 1e-4
    assert choose_ridge(torch.tensor(h), noise) >= 100


def test_the_held_out_part_is_drawn_from_all_classes_of_the_task(monkeypatch):
    """A fault to avoid: tasks are sorted by class, so their last fifth is of one class alone."""
    given = []
    monkeypatch.setattr(
        "fmlora_kit.methods.ranpac.choose_ridge", lambda h, y: given.append((h, y)) or 1.0
    )
    stream = models.stream()
    for _ in range(2):
        models.learn(ranpac(), stream)
    assert (np.diff(stream[0].train_labels) >= 0).all()
    for task, (h, y) in zip(stream, given, strict=False):
        places = y.argmax(1).numpy()
        np.testing.assert_array_equal(np.sort(places), task.train_labels)
        assert len(set(places[int(0.8 * len(places)) :])) > 1
        expected = projected_by_hand(ranpac(), task.train_images)
        by_sum, theirs = h.numpy().sum(1).argsort(), expected.sum(1).argsort()
        np.testing.assert_allclose(h.numpy()[by_sum], expected[theirs], atol=1e-3, rtol=1e-3)
    for (h, _), (again, _) in zip(given[:3], given[3:], strict=True):
        assert torch.equal(h, again)


def test_lambda_is_chosen_anew_for_every_task_and_noted():
    stream, model = models.stream(), ranpac()
    for k, task in enumerate(stream):
        result = fk.train_task(model, task, stream, models.BUDGET)
        chosen = result.scalars["ridge"]
        assert chosen in RIDGES
        by_hand = ridge_by_hand(model, [stream[i] for i in range(k + 1)], chosen)
        np.testing.assert_allclose(model.head.weight.T, by_hand, atol=1e-3, rtol=1e-2)


def test_solving_with_no_data_gives_zero_and_with_one_image_the_known_row():
    h = torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    solved = solve_ridge(h.T @ h, h.T @ torch.ones(1, 1, dtype=torch.float64), 5.0)
    np.testing.assert_allclose(solved.T, [[3 / 30, 4 / 30]])  # h / (|h|^2 + lambda)
    assert (solve_ridge(h.T @ h, torch.zeros(2, 3, dtype=torch.float64), 5.0) == 0).all()


def test_the_other_heads_are_the_ablations_class_means_and_linear_discriminants_of_h():
    stream, model = models.stream(), ranpac(head=HeadOptions("cosine"))
    results = models.learn(model, stream)
    h = np.concatenate([projected_by_hand(model, task.train_images) for task in stream])
    h /= np.linalg.norm(h, axis=1, keepdims=True)
    labels = np.concatenate([task.train_labels for task in stream])
    means = np.stack([h[labels == k].mean(0) for k in range(9)])
    np.testing.assert_allclose(model.head.weight, means, atol=1e-5)
    assert results[0].scalars == {} and "gram" not in results[0].state


def test_a_domain_incremental_stream_adds_to_the_same_classes():
    stream, model = models.styles(), ranpac(n_classes=4, ridge=1.0)
    models.learn(model, stream)
    by_hand = ridge_by_hand(model, stream, 1.0, n_classes=4)
    np.testing.assert_allclose(model.head.weight.T, by_hand, atol=1e-3, rtol=1e-2)


def test_sizes_by_hand_and_they_do_not_grow():
    stream, model = models.stream(), ranpac()
    results = models.learn(model, stream)
    backbone = sum(p.numel() for p in models.vit().parameters())
    assert {r.n_deployed for r in results} == {backbone + 50 * 32 + 9 * 51}
    assert {r.n_training_state for r in results} == {50 * 51 // 2 + 9 * 50}
    assert results[0].state["gram"].shape == (1275,)


def test_a_task_of_one_image_needs_a_given_ridge():
    full = models.stream()[0]
    one = Task(
        "one", (0,), full.class_names[:1],
        full.train_images[:1], full.train_labels[:1], full.test_images[:4], full.test_labels[:4],
    )  # fmt: skip
    with pytest.raises(ValueError, match="ridge must be given .* got None and 1 in 'one'"):
        ranpac().begin_task(one)
    stream = Stream("one", "class-incremental", (one,), 0)
    models.learn(ranpac(ridge=1.0), stream)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"projections": 0}, "projections must be at least 1, got 0"),
        ({"ridge": 0.0}, "ridge must be above 0, or None, got 0.0"),
        ({"ridge": float("nan")}, "ridge must be a finite number above 0, or None, got nan"),
        ({"ridge": float("inf")}, "ridge must be a finite number above 0, or None, got inf"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        ranpac(**options)


def test_a_vit_with_a_head_of_its_own_is_refused():
    own = type("Own", (VisionTransformer,), {"forward_head": lambda self, x, pre_logits=False: x})
    with pytest.raises(ValueError, match="timm's own forward_head, got Own's"):
        ranpac(own(img_size=32, patch_size=8, embed_dim=32, depth=1, num_heads=2, num_classes=0))
