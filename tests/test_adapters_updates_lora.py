"""Plain LoRA against its formula."""

import pytest
import torch
from helpers.models import generator

from fmlora_kit.adapters.updates import LoRAUpdate, check_rank


def test_the_update_is_s_a_b_and_starts_at_zero():
    update = LoRAUpdate(5, 7, rank=2, alpha=6.0, generator=generator())
    x = torch.randn(3, 4, 5, generator=generator(1))
    assert torch.equal(update(x), torch.zeros(3, 4, 7))
    with torch.no_grad():
        update.a.copy_(torch.randn(7, 2, generator=generator(2)))
    by_hand = 6.0 / 2 * torch.einsum("or,ri,bti->bto", update.a, update.b, x)
    torch.testing.assert_close(update(x), by_hand)
    torch.testing.assert_close(x @ update.delta().T, by_hand)


def test_b_is_uniform_within_its_bound_and_seeded():
    update = LoRAUpdate(64, 64, rank=32, alpha=1.0, generator=generator(3))
    bound = 64**-0.5
    assert update.b.abs().max() <= bound and update.b.abs().max() > 0.95 * bound
    assert abs(update.b.mean()) < bound / 20
    again = LoRAUpdate(64, 64, rank=32, alpha=1.0, generator=generator(3))
    assert torch.equal(update.b, again.b)


@pytest.mark.parametrize("rank", [0, -1, 6])
def test_rank_is_within_the_layers_width(rank):
    with pytest.raises(ValueError, match=f"rank must be .* the layer's width 5, got {rank}"):
        LoRAUpdate(5, 7, rank=rank, alpha=1.0, generator=generator())


def test_the_widest_rank_is_allowed_and_the_name_is_the_callers():
    check_rank(5, 5, 7)
    with pytest.raises(ValueError, match="max_rank must be between 1 and the layer's width 5"):
        check_rank(6, 5, 7, "max_rank")
