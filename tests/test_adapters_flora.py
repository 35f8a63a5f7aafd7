"""F-LoRA against its formula: W_t = W0 + s A (C + M diag(g) N Pi) B."""

import pytest
import torch
from helpers.models import generator

from fmlora_kit.adapters.flora import FactorizedUpdate
from fmlora_kit.adapters.protection import protection

D_IN, D_OUT, R, ALPHA = 10, 8, 4, 6.0


def update_with_everything(seed=0):
    """Random bases, core and pair of rank 3."""
    g = generator(seed)
    update = FactorizedUpdate(D_IN, D_OUT, R, ALPHA)
    update.set_bases(torch.randn(D_OUT, R, generator=g), torch.randn(R, D_IN, generator=g))
    update.core += torch.randn(R, R, generator=g)
    update.open(3, g)
    with torch.no_grad():
        update.m.copy_(torch.randn(R, 3, generator=g))
    return update


def by_hand(update, gates=None, guard=None):
    a, b, c = (t.double() for t in (update.a, update.b, update.core))
    m, n = update.m.double(), update.n.double()
    g = torch.ones(m.shape[1]).double() if gates is None else gates.double()
    pi = torch.eye(R).double() if guard is None else guard.double()
    return (ALPHA / R) * a @ (c + m @ torch.diag(g) @ n @ pi) @ b


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("protected", [False, True])
def test_the_update_is_the_formula(gated, protected):
    update = update_with_everything()
    gates = torch.tensor([1.0, 1, 0]) if gated else None
    update.gates = gates
    guard = None
    if protected:
        z = torch.randn(50, R, generator=generator(9)) * torch.tensor([5.0, 1, 1, 0.1])
        guard = update.protection = protection(z.T @ z, 0.8).float()
    x = torch.randn(2, 5, D_IN, generator=generator(1))
    delta = by_hand(update, gates, guard)
    torch.testing.assert_close(update.delta(), delta.float(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(update(x), (x.double() @ delta.T).float(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("gated", [False, True])
def test_folding_leaves_the_outputs_unchanged_and_nothing_to_train(gated):
    update = update_with_everything()
    update.gates = torch.tensor([1.0, 0, 0]) if gated else None
    update.protection = protection(torch.diag(torch.tensor([4.0, 3, 2, 1])), 0.5).float()
    x = torch.randn(6, D_IN, generator=generator(1))
    before = update(x).detach()
    m, n = update.pair()
    core = update.core.clone()
    update.fold(m, n)
    torch.testing.assert_close(update(x), before, atol=1e-5, rtol=1e-5)
    assert torch.equal(update.core, core + m @ n)
    assert sum(p.numel() for p in update.parameters()) == 0


def test_a_fresh_pair_changes_nothing_but_can_learn():
    update = update_with_everything()
    update.fold(*update.pair())
    x = torch.randn(6, D_IN, generator=generator(1))
    before = update(x)
    update.open(2, generator(5))
    assert torch.equal(update(x), before)
    assert update.n.shape == (2, R) and update.n.abs().sum() > 0
    update(x).square().sum().backward()
    assert update.m.grad.abs().sum() > 0


@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_cut_keeps_the_first_columns_as_their_gates_scale_them(scale):
    update = update_with_everything()
    m, n = update.m.detach().clone(), update.n.detach().clone()
    update.gates = scale * torch.tensor([1.0, 1, 0])
    gated = update.delta()
    update.cut(2)
    assert torch.equal(update.m, scale * m[:, :2]) and torch.equal(update.n, n[:2])
    torch.testing.assert_close(update.delta(), gated)


def test_nothing_reaches_protected_directions():
    """Of z = B x only the part that is not protected is changed, whatever M and N are."""
    update = update_with_everything()
    spectrum = torch.diag(torch.tensor([8.0, 1, 0.6, 0.4]))
    update.core.zero_()
    update.protection = protection(spectrum, 0.85).float()
    into = torch.linalg.pinv(update.b)  # x with B x = e_k
    assert update(into[:, 0]).abs().max() < 1e-5
    assert update(into[:, 1]).abs().max() < 1e-5  # 8 of 10 is not yet 0.85
    assert update(into[:, 2]).abs().max() > 0.05


def test_learning_the_bases_is_plain_lora():
    update = FactorizedUpdate(D_IN, D_OUT, R, ALPHA)
    update.learn_bases(generator(2))
    x = torch.randn(3, D_IN, generator=generator(1))
    assert torch.equal(update(x), torch.zeros(3, D_OUT))
    assert [id(p) for p in update.parts()] == [id(update.a), id(update.b)]
    with torch.no_grad():
        update.a.copy_(torch.randn(D_OUT, R, generator=generator(3)))
    torch.testing.assert_close(update.delta(), ALPHA / R * update.a @ update.b)
    update.gates = torch.tensor([1.0, 1, 0, 0])
    torch.testing.assert_close(update.delta(), ALPHA / R * update.a[:, :2] @ update.b[:2])
    update(x).sum().backward()
    assert update.a.grad[:, :2].abs().min() > 0 and update.a.grad[:, 2:].abs().max() == 0


def test_set_bases_ends_learning_them():
    update = FactorizedUpdate(D_IN, D_OUT, R, ALPHA)
    update.learn_bases(generator(2))
    a, b = torch.randn(D_OUT, R), torch.randn(R, D_IN)
    update.set_bases(a, b)
    assert not update.a.requires_grad and not update.b.requires_grad
    assert torch.equal(update.a, a) and torch.equal(update.b, b)
    assert torch.equal(update.delta(), torch.zeros(D_OUT, D_IN))


@pytest.mark.parametrize("rank", [0, 9])
def test_rank_is_within_the_layers_width(rank):
    with pytest.raises(ValueError, match=f"max_rank must be .* width 8, got {rank}"):
        FactorizedUpdate(D_IN, D_OUT, rank, ALPHA)
