"""Gaussians of classes: their moments, what is drawn from them, and what a layer learns of it."""

import numpy as np
import pytest
import torch
from helpers import models
from torch.nn import functional as F

from fmlora_kit.adapters.class_gaussians import ClassGaussians, Rehearsal

D = 5


def features(seed=0, n=12, d=D):
    """Correlated features of two classes, 3 and 8: (n, d), (n,)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d)
    y = np.where(np.arange(n) % 3 == 0, 8, 3)
    return torch.tensor(x + 4 * (y == 8)[:, None]).float(), torch.tensor(y)


def learned(kind="covariance", tasks=1):
    made = ClassGaussians(D, kind)
    for seed in range(tasks):
        made.learn(*features(seed), (3, 8))
    return made


@pytest.mark.parametrize("kind", ["covariance", "variance"])
def test_what_is_kept_are_numpys_mean_and_unbiased_covariance(kind):
    x, y = features()
    means, spreads = learned(kind).latest()
    for k, label in enumerate((3, 8)):
        mine = x[y == label].double().numpy()
        np.testing.assert_allclose(means[k], mine.mean(0), rtol=1e-12)
        cov = np.cov(mine.T)
        expected = cov[np.triu_indices(D)] if kind == "covariance" else np.diag(cov)
        np.testing.assert_allclose(spreads[k], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["covariance", "variance"])
def test_what_is_drawn_has_these_moments(kind):
    x, y = features()
    drawn, which = learned(kind).sample(40_000, models.generator())
    assert drawn.shape == (80_000, D) and which.unique().tolist() == [0, 1]
    for k, label in enumerate((3, 8)):
        mine, given = drawn[which == k].numpy(), x[y == label].double().numpy()
        cov = np.cov(given.T) + 1e-4 * np.eye(D)
        if kind == "variance":
            cov = np.diag(np.diag(cov))
        error = np.sqrt(np.diag(cov) / 40_000)
        assert (np.abs(mine.mean(0) - given.mean(0)) < 5 * error).all()
        size = np.sqrt(np.outer(np.diag(cov), np.diag(cov)))
        np.testing.assert_allclose(np.cov(mine.T) / size, cov / size, atol=0.03)


def test_a_class_of_one_image_is_drawn_near_it():
    x = torch.arange(10.0).view(2, D)
    for kind in ("covariance", "variance"):
        made = ClassGaussians(D, kind)
        made.learn(x, torch.tensor([0, 1]), (0, 1))
        drawn, which = made.sample(2000, models.generator())
        np.testing.assert_allclose(drawn[which == 1].mean(0), x[1], atol=2e-3)
        assert drawn[which == 1].std(dim=0).numpy() == pytest.approx(0.01, rel=0.1)


def test_a_class_that_comes_again_has_a_gaussian_of_its_own_there():
    made = learned(tasks=2)
    assert made.labels == [3, 8, 3, 8] and made.owners == [0, 0, 1, 1]
    x, y = features(1)
    np.testing.assert_allclose(made.means[2], x[y == 3].double().mean(0), rtol=1e-12)


@pytest.mark.parametrize("kind", ["covariance", "variance"])
def test_what_was_kept_gives_the_same_draws_bit_for_bit(kind):
    made, back = learned(kind), ClassGaussians(D, kind)
    back.take((3, 8), *made.latest())
    made.learn(*features(1), (3, 8))
    back.take((3, 8), *made.latest())
    for a, b in zip(
        made.sample(7, models.generator(1)), back.sample(7, models.generator(1)), strict=True
    ):
        assert torch.equal(a, b)
    assert back.owners == made.owners and back.labels == made.labels


def test_numbers_kept_count_one_triangle():
    assert learned("covariance", tasks=2).n_numbers == 4 * (5 + 15)
    assert learned("variance", tasks=2).n_numbers == 4 * (5 + 5)


def test_the_layer_is_trained_by_sgd_with_momentum_decay_and_a_cosine():
    made, (weight, bias) = learned(), (torch.zeros(2, D).double(), torch.zeros(2).double())
    w, b, vw, vb = np.zeros((2, D)), np.zeros(2), 0.0, 0.0
    generator = models.generator(4)
    for epoch in range(2):
        rate = 0.02 * (1 + np.cos(np.pi * epoch / 2)) / 2
        drawn, which = (t.numpy() for t in made.sample(6, generator))
        order = torch.randperm(12, generator=generator).numpy()
        for batch in (order[:6], order[6:]):
            x, target = drawn[batch], np.eye(2)[which[batch]]
            p = np.exp(x @ w.T + b)
            error = (p / p.sum(1, keepdims=True) - target) / 6
            vw = 0.9 * vw + error.T @ x + 5e-4 * w
            vb = 0.9 * vb + error.sum(0) + 5e-4 * b
            w, b = w - rate * vw, b - rate * vb
    layer = (weight.requires_grad_(), bias.requires_grad_())
    Rehearsal(epochs=2, lr=0.02, n_samples=6).fit(
        lambda x: F.linear(x, *layer), layer, made, torch.arange(2), models.generator(4)
    )
    np.testing.assert_allclose(weight.detach(), w, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(bias.detach(), b, rtol=1e-8, atol=1e-12)


def test_targets_say_which_row_is_right():
    made, layer = learned(tasks=2), torch.nn.Linear(D, 2).double()
    Rehearsal(epochs=40, lr=0.02, n_samples=20).fit(
        layer, list(layer.parameters()), made, torch.tensor([1, 0, 1, 0]), models.generator()
    )
    drawn, which = made.sample(100, models.generator(1))
    assert ((layer(drawn).argmax(1) == 1) == (which % 2 == 0)).double().mean() > 0.9


def test_an_unknown_kind():
    with pytest.raises(ValueError, match="statistics must be one of .*'full'"):
        ClassGaussians(3, "full")
