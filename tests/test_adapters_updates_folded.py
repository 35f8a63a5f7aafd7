"""Branches that are folded into one sum."""

import pytest
import torch
from helpers import models

from fmlora_kit.adapters.updates import FoldedUpdate


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=models.generator(seed))


def test_the_sum_of_all_branches_is_applied():
    update, x, total = FoldedUpdate(6, 5, 2), noise(3, 4, 6), torch.zeros(5, 6)
    assert update(x).abs().max() == 0 and update.b.numel() == 0
    for seed in (1, 2):
        a, b = noise(2, 6, seed=seed), noise(5, 2, seed=seed + 10)
        update.open(a)
        torch.testing.assert_close(update(x), x @ total.T)  # B starts at zero
        assert not update.a.requires_grad and update.b.requires_grad
        with torch.no_grad():
            update.b += b
        total = total + b @ a
        torch.testing.assert_close(update(x), x @ total.T)
        torch.testing.assert_close(update.delta(), total)
        update.fold(update.a, update.b)
        torch.testing.assert_close(update(x), x @ total.T)
        assert update.b.shape == (5, 0) and update.a.shape == (0, 6)
        torch.testing.assert_close(update.delta(), total)


def test_bad_rank():
    with pytest.raises(ValueError, match="rank must be between 1 and the layer's width 5, got 6"):
        FoldedUpdate(6, 5, 6)
