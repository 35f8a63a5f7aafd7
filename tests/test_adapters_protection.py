"""Core protection: what is listened to, and what is projected out."""

import pytest
import torch
from helpers import models

from fmlora_kit.adapters.protection import input_moments, protection
from fmlora_kit.adapters.sites import find_sites


def rotated(spectrum, seed=0):
    """A second moment with these energies, in random directions; the directions too."""
    n = len(spectrum)
    noise = torch.randn(n, n, generator=models.generator(seed), dtype=torch.float64)
    q = torch.linalg.qr(noise).Q
    return q @ torch.diag(torch.tensor(spectrum, dtype=torch.float64)) @ q.T, q


@pytest.mark.parametrize(
    ("share", "n_protected"),
    [(0.0, 0), (0.4, 1), (0.5, 1), (0.51, 2), (0.8, 2), (0.81, 3), (0.95, 3), (0.96, 4), (1.0, 4)],
)
def test_the_fewest_directions_that_hold_the_share(share, n_protected):
    moment, q = rotated([5.0, 3.0, 1.5, 0.5])
    pi = protection(moment, share)
    rest = q[:, n_protected:]
    torch.testing.assert_close(pi, rest @ rest.T, atol=1e-12, rtol=0)


def test_directions_that_nothing_excites_are_never_protected():
    moment, q = rotated([2.0, 1.0, 0.0])
    torch.testing.assert_close(
        protection(moment, 0.99), torch.outer(q[:, 2], q[:, 2]), atol=1e-12, rtol=0
    )


def test_it_is_a_projection():
    moment, _ = rotated([5.0, 3.0, 1.5, 0.5])
    pi = protection(moment, 0.6)
    torch.testing.assert_close(pi @ pi, pi, atol=1e-12, rtol=0)
    torch.testing.assert_close(pi, pi.T, atol=1e-12, rtol=0)


def test_nothing_is_protected_before_anything_was_seen():
    assert torch.equal(protection(torch.zeros(3, 3), 0.9), torch.eye(3, dtype=torch.float64))


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_share_is_a_share(share):
    with pytest.raises(ValueError, match=f"protect must be .*between 0 and 1, got {share}"):
        protection(torch.eye(2), share)


def test_moments_are_those_of_the_tokens_that_reach_each_map():
    vit = models.vit()
    sites = find_sites(vit, ("q", "v", "fc1"))
    x = torch.randn(5, 3, 32, 32, generator=models.generator(3))
    with torch.no_grad():
        moments = input_moments(vit, sites, (vit(part) for part in (x[:2], x[2:])))
        tokens = vit._pos_embed(vit.patch_embed(x))
        for i, block in enumerate(vit.blocks):
            z = block.norm1(tokens).reshape(-1, 32).double()
            torch.testing.assert_close(
                moments[f"blocks.{i}.q"], z.T @ z / len(z), rtol=1e-4, atol=1e-5
            )
            assert torch.equal(moments[f"blocks.{i}.q"], moments[f"blocks.{i}.v"])
            tokens = tokens + block.attn(block.norm1(tokens))
            z = block.norm2(tokens).reshape(-1, 32).double()
            torch.testing.assert_close(
                moments[f"blocks.{i}.fc1"], z.T @ z / len(z), rtol=1e-4, atol=1e-5
            )
            tokens = tokens + block.mlp(block.norm2(tokens))


def test_listening_ends_also_after_an_error():
    vit = models.vit()
    sites = find_sites(vit)

    def failing():
        yield vit(torch.zeros(1, 3, 32, 32))
        raise RuntimeError("no more pictures")

    with pytest.raises(RuntimeError, match="no more pictures"):
        input_moments(vit, sites, failing())
    assert not any(m._forward_pre_hooks for m in vit.modules())
