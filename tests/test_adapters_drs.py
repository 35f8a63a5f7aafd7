"""DRS: complexity on features whose answer is known; the selector by hand."""

import numpy as np
import pytest
import torch
from helpers.models import generator
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import NearestCentroid

from fmlora_kit.adapters.drs import (
    Complexity,
    RankSelector,
    check_candidates,
    difficulty,
    feature_subspace,
    novelty,
)

RANKS = (2, 4, 8, 12, 16)


def clusters(spread, n_classes=4, n=25, d=12, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(n_classes) + 30, n)
    means = np.eye(d)[:n_classes] * 4
    return means[labels - 30] + rng.normal(0, spread, (len(labels), d)), labels


def test_difficulty_is_zero_on_separable_and_about_one_on_random_features():
    assert difficulty(*clusters(0.1)) == 0
    assert difficulty(*clusters(1000.0)) > 0.85
    assert 0.05 < difficulty(*clusters(2.5)) < 0.9


def test_difficulty_is_corrected_for_chance():
    """Two classes told apart, two others the same: half the errors chance would make, at most."""
    features, labels = clusters(0.05, n_classes=3, n=40)
    split = labels.copy()
    split[labels == 32] = np.tile([32, 33], 20)  # one cluster carries two names
    errors = (40 / 2) / 120  # of that cluster's 40, about half are wrong
    assert difficulty(features, split) == pytest.approx(errors / (1 - 1 / 4), abs=0.08)


def test_difficulty_is_that_of_scikit_learns_nearest_centroid():
    features, labels = clusters(2.5)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    accuracy = cross_val_score(NearestCentroid(), unit, labels, cv=folds).mean()
    assert difficulty(features, labels) == pytest.approx((1 - accuracy) / (1 - 1 / 4))


def test_difficulty_of_two_pictures_a_class():
    features = np.array([[1.0, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]])
    assert difficulty(features, np.array([0, 0, 1, 1])) == 0
    assert difficulty(features, np.array([0, 1, 0, 1])) == 1


def test_difficulty_does_not_depend_on_the_length_of_features():
    features, labels = clusters(2.5)
    assert difficulty(features * 100, labels) == difficulty(features, labels)


def test_difficulty_of_one_class_and_of_single_pictures():
    assert difficulty(np.ones((5, 3)), np.zeros(5)) == 0
    assert difficulty(np.ones((3, 3)), np.array([0, 1, 1])) == 1


def test_feature_subspace_is_where_the_class_means_lie():
    features, labels = clusters(1e-3)
    basis = feature_subspace(features, labels)
    assert basis.shape == (12, 3)
    np.testing.assert_allclose(basis.T @ basis, np.eye(3), atol=1e-9)
    assert np.abs(basis[4:]).max() < 0.01  # the means span the first four coordinates
    assert np.abs(basis[:4].sum(0)).max() < 0.01  # and are centred


def test_feature_subspace_is_at_most_three_wide():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(15), 3)
    assert feature_subspace(rng.normal(size=(45, 20)), labels).shape == (20, 3)


def test_novelty():
    eye = np.eye(8)
    assert novelty(eye[:, :3], []) == 1
    assert novelty(eye[:, :3], [eye[:, 3:6]]) == 1
    assert novelty(eye[:, :3], [eye[:, 3:6], eye[:, [2, 0, 1]]]) == pytest.approx(0)
    assert novelty(eye[:, :3], [eye[:, 1:4]]) == pytest.approx(1 / 3)
    assert novelty(eye[:, :2], [eye[:, :5]]) == pytest.approx(0)  # inside a wider one
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    assert novelty(eye[:, :3], [eye[:, :3] @ turn]) == pytest.approx(0)  # another basis of it
    slanted = (eye[:, :1] + eye[:, 1:2]) / 2**0.5
    assert novelty(eye[:, :1], [slanted]) == pytest.approx(0.5)


def test_complexity_is_the_mean():
    assert Complexity(difficulty=0.2, novelty=0.6).h == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("h", "rank"), [(0, 2), (0.1, 2), (0.26, 4), (0.5, 8), (0.77, 12), (1, 16)]
)
def test_without_learning_the_rank_is_the_one_nearest_to_h(h, rank):
    selector = RankSelector(3, RANKS, h)
    assert selector.choice() == [rank] * 3


def test_probabilities_and_expected_share_by_hand():
    selector = RankSelector(2, (1, 2, 4), 0.5, sharpness=4.0)
    with torch.no_grad():
        selector.preference[1] = torch.tensor([1.0, 0, -1])
    prior = -4 * np.array([0.25 - 0.5, 0, 0.5]) ** 2
    logits = np.stack([prior, prior + [1, 0, -1]])
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(selector.probabilities().detach(), p, rtol=1e-5)
    share = (p @ [1, 2, 4]).mean() / 4
    assert selector.expected_share().item() == pytest.approx(share, rel=1e-5)


def test_learned_preferences_decide_layer_by_layer():
    selector = RankSelector(3, RANKS, 0.5)
    with torch.no_grad():
        selector.preference[0, 0] = 9
        selector.preference[2, 4] = 9
    assert selector.choice() == [2, 8, 16]


def test_one_choice_for_all_maps():
    selector = RankSelector(3, RANKS, 0.5, per_layer=False)
    with torch.no_grad():
        selector.preference[0, 1] = 9
    assert selector.choice() == [4, 4, 4]
    gates = selector.sample(1.0, generator())
    assert torch.equal(gates[0], gates[1]) and torch.equal(gates[0], gates[2])


def test_gates_are_a_prefix_of_ones_as_long_as_a_candidate():
    selector = RankSelector(50, RANKS, 0.5)
    gates = selector.sample(2.0, generator())
    rounded = gates.round()
    torch.testing.assert_close(gates, rounded, atol=1e-5, rtol=0)
    assert (rounded.diff(dim=1) <= 0).all()
    assert set(rounded.sum(1).int().tolist()) <= set(RANKS)
    assert len(set(rounded.sum(1).int().tolist())) > 2


def test_samples_follow_the_probabilities_whatever_the_temperature():
    """The arg-max of logits + Gumbel noise is a draw from softmax(logits)."""
    for temperature in (0.1, 2.0):
        selector = RankSelector(4000, RANKS, 0.4)
        drawn = selector.sample(temperature, generator(1)).round().sum(1)
        shares = [(drawn == r).float().mean().item() for r in RANKS]
        np.testing.assert_allclose(shares, selector.probabilities()[0].detach(), atol=0.03)


def test_gradients_flow_as_if_the_gates_were_soft_and_sharpen_with_the_temperature():
    sizes = {}
    for temperature in (0.05, 1.0):
        selector = RankSelector(20, RANKS, 0.5)
        selector.sample(temperature, generator(2)).sum().backward()
        sizes[temperature] = selector.preference.grad
    grad = sizes[1.0]
    assert (grad[:, -1] > 0).all() and (grad[:, 0] < 0).all()  # a larger rank opens more gates
    torch.testing.assert_close(grad.sum(1), torch.zeros(20), atol=1e-4, rtol=0)
    assert sizes[0.05].abs().median() < grad.abs().median() / 10


@pytest.mark.parametrize("candidates", [(), (0, 2), (2, 2), (4, 2)])
def test_candidates_rise_from_one(candidates):
    with pytest.raises(
        ValueError, match="candidates must be ranks that rise strictly from at least 1"
    ):
        check_candidates(candidates)


@pytest.mark.parametrize("h", [-0.1, 1.2, float("nan")])
def test_complexity_is_a_share(h):
    with pytest.raises(ValueError, match=f"complexity must be .*between 0 and 1, got {h}"):
        RankSelector(1, RANKS, h)
