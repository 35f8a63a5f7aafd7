"""The frozen prefix: what is kept of which array."""

import pytest
import torch
from helpers import models

from fmlora_kit.backbones.frozen_blocks import FrozenBlocksCache

FIRST, SECOND, THIRD = (models.noise(4, seed=s) for s in range(3))
SIZE = 4 * 8 * 4  # bytes of `tokens` of four images


def tokens(batch):
    """Eight numbers an image, told from its first bytes."""
    return batch.flatten(1)[:, :8].float()


def batches(images):
    return torch.from_numpy(images).split(3)


def test_an_array_is_known_by_being_the_same_object():
    cache = FrozenBlocksCache(10 * SIZE)
    cache.hold(FIRST, batches(FIRST), tokens)
    assert torch.equal(cache.get(FIRST), tokens(torch.from_numpy(FIRST)))
    assert cache.get(FIRST.copy()) is None and cache.nbytes == SIZE
    cache.drop(FIRST.copy())
    assert cache.nbytes == SIZE
    cache.drop(FIRST)
    assert cache.get(FIRST) is None and cache.nbytes == 0


def test_nothing_is_computed_twice():
    cache, calls = FrozenBlocksCache(SIZE), []
    for _ in range(2):
        cache.hold(FIRST, batches(FIRST), lambda b: calls.append(len(b)) or tokens(b))
    assert calls == [3, 1]


def test_the_limit_holds_and_only_the_urgent_push_others_out():
    cache = FrozenBlocksCache(2 * SIZE)
    for images in (FIRST, SECOND, THIRD):
        cache.hold(images, batches(images), tokens)
    assert cache.get(THIRD) is None and cache.get(FIRST) is not None
    cache.hold(THIRD, batches(THIRD), tokens, urgent=True)
    assert [cache.get(images) is None for images in (FIRST, SECOND, THIRD)] == [True, False, False]
    assert cache.nbytes == 2 * SIZE
    small = FrozenBlocksCache(SIZE - 1)
    small.hold(FIRST, batches(FIRST), tokens, urgent=True)
    assert small.get(FIRST) is None and small.nbytes == 0


def test_what_is_kept_in_inference_mode_can_be_trained_on():
    cache = FrozenBlocksCache(SIZE)
    with torch.inference_mode():
        cache.hold(FIRST, batches(FIRST), tokens)
    weight = torch.ones(8, requires_grad=True)
    (cache.get(FIRST) * weight).sum().backward()
    torch.testing.assert_close(weight.grad, cache.get(FIRST).sum(dim=0))


def test_a_negative_limit_is_refused():
    with pytest.raises(ValueError, match="cache_bytes must be at least 0, got -1"):
        FrozenBlocksCache(-1)
