"""Where A and B come from: orthonormal, and what they claim to be."""

import pytest
import torch
from helpers.models import generator

from fmlora_kit.adapters import flora

W = torch.randn(12, 20, generator=generator(7))
MIXED = torch.randn(20, 20, generator=generator(8))


def make(kind, rank):
    if kind == "pretrained":
        return flora.from_weight(W, rank)
    if kind == "activation":
        return flora.from_moment(W, MIXED @ MIXED.T, rank)
    if kind == "random":
        return flora.from_noise(W, rank, generator(1))
    delta = torch.randn(12, 2, generator=generator(2)) @ torch.randn(2, 20, generator=generator(3))
    return flora.from_update(delta, rank, min(2, rank), generator(1))[:2]


@pytest.mark.parametrize("kind", flora.BASES)
@pytest.mark.parametrize("rank", [1, 5, 12])
def test_bases_are_orthonormal(kind, rank):
    a, b = make(kind, rank)
    assert a.shape == (12, rank) and b.shape == (rank, 20)
    torch.testing.assert_close(a.T @ a, torch.eye(rank), atol=1e-5, rtol=0)
    torch.testing.assert_close(b @ b.T, torch.eye(rank), atol=1e-5, rtol=0)


def test_from_weight_spans_the_best_approximation_of_the_weight():
    a, b = flora.from_weight(W, 4)
    u, s, v = torch.linalg.svd(W.double(), full_matrices=False)
    best = (u[:, :4] * s[:4]) @ v[:4]
    projected = a @ (a.T @ W @ b.T) @ b
    torch.testing.assert_close(projected.double(), best, atol=1e-4, rtol=0)


def test_from_moment_catches_planted_directions_strongest_first():
    planted = torch.linalg.qr(torch.randn(20, 3, generator=generator(4))).Q
    x = torch.randn(500, 3, generator=generator(5)) * torch.tensor([1.0, 9.0, 3.0]) @ planted.T
    x = x + 0.01 * torch.randn(500, 20, generator=generator(6))
    a, b = flora.from_moment(W, x.T @ x, 3)
    cosines = (b @ planted).abs()
    assert cosines[0, 1] > 0.99 and cosines[1, 2] > 0.99 and cosines[2, 0] > 0.99
    sent = W @ b.T  # A spans where W0 sends them
    torch.testing.assert_close(a @ (a.T @ sent), sent, atol=1e-4, rtol=1e-4)


def test_from_noise_is_decided_by_the_generator():
    first, again, other = (flora.from_noise(W, 3, generator(s)) for s in (1, 1, 2))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.allclose(first[0], other[0])


@pytest.mark.parametrize("used", [1, 3, 6])
def test_from_update_reproduces_a_learned_update(used):
    delta = torch.randn(12, used, generator=generator(2)) @ torch.randn(
        used, 20, generator=generator(3)
    )
    a, b, core = flora.from_update(delta, 6, used, generator(1))
    torch.testing.assert_close(a @ core @ b, delta, atol=1e-5, rtol=1e-5)
    assert core[used:].abs().max() == 0 if used < 6 else True
    strength = core.diag()[:used]
    assert (strength > 0).all() and (strength.diff() <= 0).all()


def test_from_update_leaves_room_orthogonal_to_what_was_learned():
    delta = torch.randn(12, 2, generator=generator(2)) @ torch.randn(2, 20, generator=generator(3))
    a, b, _ = flora.from_update(delta, 6, 2, generator(1))
    assert (a[:, 2:].T @ delta).abs().max() < 1e-5
    assert (delta @ b[2:].T).abs().max() < 1e-5


def test_from_update_of_nothing_learned_is_still_a_base():
    a, b, core = flora.from_update(torch.zeros(12, 20), 4, 2, generator(1))
    torch.testing.assert_close(a.T @ a, torch.eye(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(b @ b.T, torch.eye(4), atol=1e-5, rtol=0)
    assert core.abs().max() == 0
