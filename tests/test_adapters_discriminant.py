"""Discriminant analysis with modes: by hand, capped, and carried along with the features."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from sklearn.mixture import GaussianMixture

from fmlora_kit.adapters.discriminant import Discriminant
from fmlora_kit.adapters.drift import fit_drift
from fmlora_kit.adapters.head import Head


def two_lumps(seed=0, n=30, d=5):
    """Two classes of two lumps each; no plane parts the classes: (n, d) and labels."""
    rng = np.random.default_rng(seed)
    centres = np.zeros((4, d))
    centres[:, :2] = [(-4, -4), (4, 4), (-4, 4), (4, -4)]
    x = centres.repeat(n, axis=0) + rng.normal(size=(4 * n, d))
    return torch.tensor(x), torch.tensor(np.repeat([0, 0, 1, 1], n)), centres


def total_scatter(found, k):
    """Scatter inside modes plus between the modes of class ``k``."""
    at = slice(k * found.slots, (k + 1) * found.slots)
    n, means = found.counts[at], found.means[at]
    centred = means - (n[:, None] * means).sum(0) / n.sum()
    return found.scatter + centred.T @ (n[:, None] * centred)


def test_modes_are_the_lumps_and_the_covariance_is_the_one_inside_them():
    x, y, centres = two_lumps()
    found = Discriminant(2, 5, slots=3, modes=2, compensate=False)
    found.add(x, y, [0, 1])
    assert found.counts.tolist() == [30, 30, 0, 30, 30, 0]
    lumps = [x[i * 30 : (i + 1) * 30] for i in range(4)]
    means = torch.stack([lump.mean(0) for lump in lumps])
    for k in (0, 1):
        mine = found.means[k * 3 : k * 3 + 2]
        nearest = torch.cdist(mine, means[2 * k : 2 * k + 2]).argmin(1)
        torch.testing.assert_close(mine, means[2 * k : 2 * k + 2][nearest])
    inside = sum((lump - lump.mean(0)).T @ (lump - lump.mean(0)) for lump in lumps)
    torch.testing.assert_close(found.scatter, inside)


def test_a_class_scores_the_log_sum_of_its_modes_as_a_mixture_with_one_covariance_does():
    x, y, _ = two_lumps()
    head = Head(2, 5, "mda", scale=1.0, shrinkage=1e-9, modes=2, max_modes=3).double()
    head.align(x, y, [0, 1])
    covariance = (head.sums.scatter / head.sums.counts.sum()).numpy()
    by_hand = []
    for k in (0, 1):
        mixture = GaussianMixture(2, covariance_type="tied")
        mixture.weights_ = np.array([0.5, 0.5])
        mixture.means_ = head.sums.means[k * 3 : k * 3 + 2].numpy()
        mixture.covariances_ = covariance
        mixture.precisions_cholesky_ = np.linalg.inv(np.linalg.cholesky(covariance)).T
        by_hand.append(mixture.score_samples(x.numpy()))
    scores = head(x, [0, 1]).numpy()
    np.testing.assert_allclose(scores[:, 0] - scores[:, 1], by_hand[0] - by_hand[1], atol=1e-4)
    assert (scores.argmax(1) == y.numpy()).mean() > 0.99
    plain = Head(2, 5, "lda", scale=1.0, shrinkage=0.1).double()
    plain.align(x, y, [0, 1])
    assert (plain(x, [0, 1]).argmax(1) == y).double().mean() < 0.8
    rows = x @ head.weight.T + head.bias
    np.testing.assert_allclose(scores[:, 1], logsumexp(rows[:, 3:], axis=1))


def test_one_slot_is_the_pooled_mean_of_a_class_that_comes_again():
    x, y, _ = two_lumps()
    parts = [torch.arange(len(x)) % 3 == part for part in range(3)]
    found = Discriminant(2, 5, slots=1, modes=1, compensate=False)
    for part in parts:
        found.add(x[part], y[part], [0, 1])
    for k in (0, 1):
        torch.testing.assert_close(found.means[k], x[y == k].mean(0))
    within = sum(
        (x[y == k] - x[y == k].mean(0)).T @ (x[y == k] - x[y == k].mean(0)) for k in (0, 1)
    )
    torch.testing.assert_close(found.scatter, within)


def test_beyond_the_cap_the_nearest_modes_become_one_and_nothing_is_lost():
    rng = np.random.default_rng(3)
    tasks = [torch.tensor(rng.normal(size=(12, 4)) + 9 * (t % 2)) for t in range(5)]
    found = Discriminant(3, 4, slots=2, modes=1, compensate=False)
    for x in tasks:
        found.add(x, torch.full((12,), 1), [1])
    assert found.counts.tolist() == [0, 0, 36, 24, 0, 0]
    every = torch.cat(tasks)
    centred = every - every.mean(0)
    torch.testing.assert_close(total_scatter(found, 1), centred.T @ centred)
    even = torch.cat(tasks[::2]).mean(0)
    torch.testing.assert_close(found.means[2], even)


@pytest.mark.parametrize(("n", "modes"), [(7, 1), (15, 1), (16, 2), (40, 3)])
def test_a_mode_has_at_least_eight_images_on_average(n, modes):
    found = Discriminant(1, 3, slots=4, modes=3, compensate=False)
    found.add(torch.randn(n, 3, dtype=torch.float64), torch.zeros(n), [0])
    assert int((found.counts > 0).sum()) == modes


def test_equal_images_are_one_mode_without_a_warning():
    found = Discriminant(1, 3, slots=4, modes=3, compensate=False)
    found.add(torch.ones(30, 3, dtype=torch.float64), torch.zeros(30), [0])
    assert found.counts.tolist() == [30, 0, 0, 0]


def moved(x):
    """Features after a task: turned, stretched and shifted."""
    rng = np.random.default_rng(7)
    turn = np.linalg.qr(np.eye(5) + 0.3 * rng.normal(size=(5, 5)))[0] @ np.diag([1.2, 1, 1, 1, 1])
    return x @ torch.tensor(turn).T + 2.0


def test_what_is_kept_follows_features_that_move_linearly():
    x, y, _ = two_lumps()
    new = torch.tensor(np.random.default_rng(5).normal(size=(4000, 5)) * 3)
    errors = {}
    for compensate in (False, True):
        found = Discriminant(3, 5, slots=2, modes=2, compensate=compensate)
        found.add(x, y, [0, 1])
        found.add(moved(new), torch.full((4000,), 2), [2], before=new)
        truth = Discriminant(2, 5, slots=2, modes=2, compensate=False)
        truth.add(x, y, [0, 1])
        errors[compensate] = (found.means[:4] - moved(truth.means)).norm(dim=1).mean()
    # Where features spread alike in all directions, the ridge holds the map back by half the way.
    assert errors[True] < 0.6 * errors[False]


def test_the_map_is_exact_where_the_ridge_has_no_say():
    x = torch.tensor(np.random.default_rng(0).normal(size=(50, 5)))
    drift = fit_drift(x, x + 3.0)
    torch.testing.assert_close(drift.map, torch.eye(5, dtype=torch.float64))
    torch.testing.assert_close(drift.move(x), x + 3.0)


def test_a_domain_stream_is_not_compensated():
    x, y, _ = two_lumps()
    kept = Discriminant(2, 5, slots=4, modes=1, compensate=True)
    kept.add(x, y, [0, 1])
    first = kept.means.clone()
    kept.add(moved(x), y, [0, 1], before=x)
    assert torch.equal(kept.means[[0, 4]], first[[0, 4]])
