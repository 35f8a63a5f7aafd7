"""Low-rank updates inside a linear map: the same numbers as a changed weight, in fewer passes."""

import pytest
import torch
from helpers.models import generator
from torch.nn import functional as F

from fmlora_kit.adapters.sites import AdaptedLinear
from fmlora_kit.adapters.updates import FoldedUpdate, LoRAUpdate, updated_linear
from fmlora_kit.commands.bench_measure import flops, peak_bytes

CPU = torch.device("cpu")
ROWS = (slice(0, 4), slice(6, 10))  # of ten rows, as q and v of a fused map


def given(seed=0, *, ranks=(2, 3), dtype=torch.float64):
    """Inputs (2, 3, 5), W0 (10, 5), b, and two updates; all factors and x want gradients."""
    g = generator(seed)

    def noise(*shape):
        return torch.randn(*shape, generator=g, dtype=dtype)

    x, weight, bias = noise(2, 3, 5).requires_grad_(), noise(10, 5), noise(10)
    factors = [(noise(4, r).requires_grad_(), noise(r, 5).requires_grad_()) for r in ranks]
    return x, weight, bias, [(at, *pair) for at, pair in zip(ROWS, factors, strict=True)]


def by_hand(x, weight, bias, updates):
    """The same by autograd alone: a changed copy of the weight."""
    parts, done = [], 0
    for rows, a, b in updates:
        parts += [weight[done : rows.start], weight[rows] + a @ b]
        done = rows.stop
    return F.linear(x, torch.cat([*parts, weight[done:]]), bias)


@pytest.mark.parametrize("biased", [True, False])
def test_outputs_and_gradients_are_those_of_a_changed_weight(biased):
    x, weight, bias, updates = given()
    leaves = [x, *(p for _, *pair in updates for p in pair)]
    wanted = torch.randn(2, 3, 10, generator=generator(7), dtype=torch.float64)
    results = []
    for forward in (updated_linear, by_hand):
        y = forward(x, weight, bias if biased else None, updates)
        results.append([y, *torch.autograd.grad((y * wanted).sum(), leaves)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("frozen", ["x", "a", "b", "one pair"])
def test_gradients_reach_what_trains_and_nothing_else(frozen):
    x, weight, bias, updates = given()
    still = {
        "x": [x],
        "a": [a for _, a, _ in updates],
        "b": [b for _, _, b in updates],
        "one pair": list(updates[0][1:]),
    }[frozen]
    for p in still:
        p.requires_grad_(False)
    leaves = [p for p in (x, *(p for _, *pair in updates for p in pair)) if p.requires_grad]
    ours = torch.autograd.grad(updated_linear(x, weight, bias, updates).square().sum(), leaves)
    theirs = torch.autograd.grad(by_hand(x, weight, bias, updates).square().sum(), leaves)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_numerical_gradients():
    x, weight, bias, updates = given()
    leaves = [x, *(p for _, *pair in updates for p in pair)]

    def forward(x, a1, b1, a2, b2):
        return updated_linear(x, weight, bias, [(ROWS[0], a1, b1), (ROWS[1], a2, b2)])

    assert torch.autograd.gradcheck(forward, leaves)


def test_inputs_and_weights_are_left_as_they_are():
    x, weight, bias, updates = given()
    before = [t.detach().clone() for t in (x, weight, bias, *updates[0][1:])]
    updated_linear(x, weight, bias, updates).sum().backward()
    for now, then in zip((x, weight, bias, *updates[0][1:]), before, strict=True):
        assert torch.equal(now, then)
    assert weight.grad is None


def test_autocast_computes_in_bfloat16_and_gives_gradients_in_float32():
    x, weight, bias, updates = given(dtype=torch.float32)
    leaves = [x, *(p for _, *pair in updates for p in pair)]
    exact = by_hand(x, weight, bias, updates)
    expected = torch.autograd.grad(exact.sum(), leaves)
    with torch.autocast("cpu", torch.bfloat16):
        y = updated_linear(x, weight, bias, updates)
    found = torch.autograd.grad(y.float().sum(), leaves)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), exact, rtol=0.05, atol=0.1)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, theirs, rtol=0.05, atol=0.15)


@pytest.mark.filterwarnings("default:.*should not be instantiated")  # by torch 2.6 itself
def test_it_can_be_compiled():
    x, weight, bias, updates = given()
    compiled = torch.compile(updated_linear, backend="eager", fullgraph=True)
    expected = updated_linear(x, weight, bias, updates)
    torch.testing.assert_close(compiled(x, weight, bias, updates), expected)


N, D, R = 512, 64, 4
FLOAT = 4  # bytes


def fused_map(train_b):
    """A fused map of width D with updates of rank R on q and v."""
    base = torch.nn.Linear(D, 3 * D).requires_grad_(False)
    pairs = [LoRAUpdate(D, D, R, 1.0, generator(k)) for k in range(2)]
    for pair in pairs:
        pair.b.requires_grad_(train_b)
    rows = (slice(0, D), slice(2 * D, 3 * D))
    return base, AdaptedLinear(base, dict(zip("qv", zip(rows, pairs, strict=True), strict=True)))


@pytest.mark.parametrize("train_b", [True, False])
def test_it_multiplies_each_token_by_the_factors_and_by_nothing_else(train_b):
    base, adapted = fused_map(train_b)
    x = torch.randn(1, N, D, generator=generator(1)).requires_grad_()
    plain = flops(lambda: base(x).sum().backward())
    assert plain == 2 * 2 * N * D * 3 * D
    thin = 2 * N * D * 2 * R  # x B^T, z A^T, and each of their gradients
    products = 6 if train_b else 5
    assert flops(lambda: adapted(x).sum().backward()) == plain + products * thin


def test_it_allocates_what_the_plain_map_allocates_and_z():
    base, adapted = fused_map(train_b=False)
    x = torch.randn(1, N, D, generator=generator(1)).requires_grad_()
    thin = N * 2 * R * FLOAT
    small = 20 * D * R * FLOAT  # factors put together
    plain = peak_bytes(lambda: base(x), CPU)
    assert N * 3 * D * FLOAT <= plain <= N * 3 * D * FLOAT + small
    assert peak_bytes(lambda: adapted(x), CPU) <= plain + thin + small
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.shape) or t, lambda t: t):
        adapted(x)
    assert (N, 2 * R) in kept and (N, D) not in kept  # x itself is needed only where B trains


def test_a_frozen_sum_goes_into_the_weight_and_costs_no_product():
    base = torch.nn.Linear(D, 3 * D).requires_grad_(False).double()
    update = FoldedUpdate(D, D, R).double()
    g = generator(3)
    update.fold(torch.randn(R, D, generator=g), torch.randn(D, R, generator=g))
    update.open(torch.randn(R, D, generator=g))
    with torch.no_grad():
        update.b += torch.randn(D, R, generator=g)
    adapted, kept = AdaptedLinear(base, {"v": (slice(2 * D, 3 * D), update)}), base.weight.clone()
    x = torch.randn(1, N, D, generator=g).double()
    expected = base(x)
    expected[..., 2 * D :] += x @ (update.total + update.b @ update.a).detach().T
    torch.testing.assert_close(adapted(x), expected)
    assert torch.equal(base.weight, kept)
    assert flops(lambda: adapted(x)) == flops(lambda: base(x)) + 2 * 2 * N * D * R
