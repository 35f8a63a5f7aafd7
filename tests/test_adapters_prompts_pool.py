"""The pool of prompts: what is chosen, what the keys learn, and from what."""

import numpy as np
import pytest
import torch
from helpers import models

from fmlora_kit.adapters.prompts import PromptPool


def pool(d=16, **changes):
    options = {"size": 10, "length": 3, "top_k": 4, "generator": models.generator(), **changes}
    return PromptPool(d, **options)


def cluster(sign, n=40, d=16, seed=0):
    """Queries around one direction, or around its opposite."""
    rng = np.random.default_rng(seed)
    centre = rng.normal(size=d)
    return torch.tensor(sign * centre + 0.3 * rng.normal(size=(n, d))).float()


def cosines(queries, keys):
    q, k = (x.detach().double().numpy() for x in (queries, keys))
    return (q @ k.T) / np.linalg.norm(q, axis=1, keepdims=True) / np.linalg.norm(k, axis=1)


def attract(made, queries, steps=100):
    optimiser = torch.optim.Adam([made.keys], lr=0.05)
    for _ in range(steps):
        optimiser.zero_grad()
        (-made.pull(queries, made.choose(queries))).backward()
        optimiser.step()


def test_the_selection_is_that_of_numpy():
    made, queries = pool(), torch.randn(30, 16, generator=models.generator(1))
    expected = np.argsort(-cosines(queries, made.keys), axis=1)[:, :4]
    np.testing.assert_array_equal(made.choose(queries), expected)
    tokens = made.tokens(made.choose(queries)).detach().numpy()
    by_hand = np.concatenate([made.prompts.detach().numpy()[expected[:, j]] for j in range(4)], 1)
    np.testing.assert_array_equal(tokens, by_hand)


def test_the_pull_is_the_mean_over_images_of_the_summed_cosines():
    made, queries = pool(), torch.randn(30, 16, generator=models.generator(1))
    by_hand = np.sort(cosines(queries, made.keys), axis=1)[:, -4:].sum(1).mean()
    assert made.pull(queries, made.choose(queries)).item() == pytest.approx(by_hand, rel=1e-5)


def test_the_gradient_of_the_pull_by_hand():
    """The derivative of cos by a key is (query^ - cos key^) / |key|; keys nobody chose stay."""
    made, queries = pool(), cluster(1)
    chosen = made.choose(queries)
    made.pull(queries, chosen).backward()
    keys, q = made.keys.detach().double().numpy(), queries.double().numpy()
    cos, q = cosines(queries, made.keys), q / np.linalg.norm(q, axis=1, keepdims=True)
    for j in range(10):
        mine = (chosen == j).any(dim=1).numpy()
        length = np.linalg.norm(keys[j])
        by_hand = ((q - cos[:, [j]] * keys[j] / length) / length)[mine].sum(0) / len(q)
        np.testing.assert_allclose(made.keys.grad[j], by_hand, atol=1e-6)
    assert 0 < len(np.unique(chosen)) < 10


def test_keys_of_one_task_attract_that_tasks_queries():
    made, first, second = pool(), cluster(1), cluster(-1)
    start = made.pull(first, made.choose(first)).item()
    rising = []
    for _ in range(5):
        attract(made, first, steps=20)
        rising.append(made.pull(first, made.choose(first)).item())
    assert start < rising[0] and (np.diff(rising) > -1e-3).all() and rising[-1] > 0.9 * 4
    mine = set(made.choose(first).flatten().tolist())
    attract(made, second)
    theirs = set(made.choose(second).flatten().tolist())
    assert mine.isdisjoint(theirs)  # the two tasks ask in opposite directions
    assert made.pull(second, made.choose(second)) > 0.9 * 4
    assert made.pull(first, made.choose(first)).item() == pytest.approx(rising[-1], abs=1e-6)
    nearest = cosines(torch.cat([first, second]), made.keys).argmax(1)
    assert set(nearest[:40]) <= mine and set(nearest[40:]) <= theirs


def test_keys_and_prompts_start_uniform_between_minus_one_and_one():
    made = pool(d=64, size=50, length=20)
    for start in (made.keys, made.prompts):
        assert -1 <= start.min() < -0.99 and 0.99 < start.max() <= 1
        assert start.mean().abs() < 0.03 and start.var().item() == pytest.approx(1 / 3, rel=0.03)
    assert made.keys.shape == (50, 64) and made.prompts.shape == (50, 20, 64)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "pool_size must be at least 1, got 0"),
        ({"length": 0}, "prompt_length must be at least 1, got 0"),
        ({"top_k": 0}, "top_k must be at least 1, got 0"),
        ({"top_k": 11}, "top_k must be at most pool_size 10, got 11"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        pool(**options)
