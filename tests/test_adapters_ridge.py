"""Ridge regression on random projections: lambda, the sums and the solution, by hand."""

import numpy as np
import pytest
import torch
from helpers.models import generator

from fmlora_kit.adapters.head import Head
from fmlora_kit.adapters.ridge import (
    RIDGES,
    RandomProjection,
    RidgeSums,
    choose_ridge,
    solve_ridge,
)


def noisy(n=60, m=20, spread=1.0, seed=0):
    rng = np.random.default_rng(seed)
    h = np.maximum(rng.normal(size=(n, m)), 0)
    y = np.eye(3)[(h[:, :3] + spread * rng.normal(size=(n, 3))).argmax(1)]
    return torch.tensor(h), torch.tensor(y)


def test_the_projection_is_standard_normal_frozen_and_of_its_generator():
    made = [RandomProjection(32, 2000, generator(seed)).matrix for seed in (0, 0, 1)]
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


def test_one_image_is_too_few_to_choose_lambda():
    rule = "ridge must be given where a task has fewer than 2 training images, got None and 1"
    with pytest.raises(ValueError, match=rule):
        choose_ridge(*noisy(n=1))


def test_solving_with_no_data_gives_zero_and_with_one_image_the_known_row():
    h = torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    solved = solve_ridge(h.T @ h, h.T @ torch.ones(1, 1, dtype=torch.float64), 5.0)
    np.testing.assert_allclose(solved.T, [[3 / 30, 4 / 30]])  # h / (|h|^2 + lambda)
    assert (solve_ridge(h.T @ h, torch.zeros(2, 3, dtype=torch.float64), 5.0) == 0).all()


@pytest.mark.parametrize("ridge", [0.1, 100.0])
def test_sums_in_parts_solve_the_least_squares_over_all_images_at_once(ridge):
    h, y = noisy()
    parts = RidgeSums(3, 20)
    for part in (slice(40, 60), slice(0, 40)):
        parts.add(h[part], y[part])
    rows = np.concatenate([h, np.sqrt(ridge) * np.eye(20)])
    by_hand = np.linalg.lstsq(rows, np.concatenate([y, np.zeros((20, 3))]), rcond=None)[0]
    np.testing.assert_allclose(parts.solve(ridge).T, by_hand, atol=1e-9)
    assert parts.gram.shape == (20 * 21 // 2,)


def test_a_head_holds_out_images_of_all_classes_of_a_task(monkeypatch):
    """A fault to avoid: tasks are sorted by class, so their last fifth is of one class alone."""
    given = []
    monkeypatch.setattr(
        "fmlora_kit.adapters.head.choose_ridge", lambda h, y: given.append((h, y)) or 1.0
    )
    labels = torch.arange(3).repeat_interleave(8)
    features = torch.randn(24, 6, generator=generator(1))
    for _ in range(2):
        head = Head(3, 6, "ridge", scale=10.0, shrinkage=0.1, projections=20)
        head.align(features, labels, range(3))
    h, y = given[0]
    places = y.argmax(1)
    assert places.sort().values.equal(labels) and len(set(places[int(0.8 * 24) :].tolist())) > 1
    expected = np.maximum(features.numpy() @ head.projection.matrix.numpy().T, 0)
    by_sum, theirs = h.numpy().sum(1).argsort(), expected.sum(1).argsort()
    np.testing.assert_allclose(h.numpy()[by_sum], expected[theirs], atol=1e-3, rtol=1e-3)
    assert torch.equal(h, given[1][0])
