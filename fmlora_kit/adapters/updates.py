"""y = W0 x + b, with A_i B_i x added to some of its rows in as few passes as it takes.

    z = x [B_1; B_2; ..]^T        one product for all updates of the map
    y = x W0^T + b                then y[rows_i] += z_i A_i^T by the product itself, no copy

and backwards the same way: g_x = g_y W0 + [g_y[rows_i] A_i ..] [B_1; B_2; ..]. Written by hand,
because autograd copies the whole gradient of y for every slice that was added to.

Plain LoRA: W = W0 + s A B (Hu et al. 2021, arXiv 2106.09685, eq. 3; there B and A).

One low-rank branch per task, folded into one sum when the task ends: W = W0 + sum_j B_j A_j.

SD-LoRA's update: directions of all tasks so far, each times one magnitude (arXiv 2501.13198).

dW_t = sum_{j<t} alpha_j A_j B_j / (|A_j|_F |B_j|_F) + alpha_t A_t B_t

A_j: (d_out, r_j), B_j: (r_j, d_in). Earlier pairs are frozen, all magnitudes alpha_1 .. alpha_t are
trained, and they are shared by all adapted maps of the model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from fmlora_kit.checks import fail, integer


class LowRankUpdate(nn.Module):
    """x -> A B x, of which subclasses say the `factors`.

    They are made for a map of ``d_in`` inputs and ``d_out`` outputs; their ``rank`` is at most the
    smaller of the two, and a scale ``alpha`` multiplies the update by alpha / rank.
    """

    def factors(self) -> tuple[Tensor, Tensor] | None:
        """A (d_out, r) and B (r, d_in), all scales included; None: there is no update now."""
        raise NotImplementedError

    def dense(self) -> Tensor | None:
        """A frozen part of the update that is no product of factors: (d_out, d_in), or None."""
        return None

    def forward(self, x: Tensor) -> Tensor:
        """(..., d_in) -> (..., d_out)."""
        return F.linear(x, self.delta())

    def delta(self) -> Tensor:
        """The update as a matrix: (d_out, d_in)."""
        a, b = self.factors()
        return a @ b if self.dense() is None else self.dense() + a @ b


def updated_linear(
    x: Tensor, weight: Tensor, bias: Tensor | None, updates: Sequence[tuple[slice, Tensor, Tensor]]
) -> Tensor:
    """W0 x + b with low-rank updates of some rows: (..., d_in) -> (..., d_out).

    Gradients reach x and the factors, not the frozen map W0 (d_out, d_in), b (d_out,). An update is
    the rows that it changes, its A (rows, r) and its B (r, d_in).
    """
    rows, a, b = zip(*updates, strict=True)
    given = [x, weight, bias, *a, *b]
    if torch.is_autocast_enabled(x.device.type) and x.dtype != torch.float64:
        # The backward pass runs outside autocast: both have to compute in the same numbers.
        low = torch.get_autocast_dtype(x.device.type)
        given = [t if t is None else t.to(low) for t in given]
    flat = given[0].reshape(-1, x.shape[-1])
    y = _UpdatedLinear.apply(flat, *given[1:3], rows, *given[3:])
    return y.view(*x.shape[:-1], len(weight))


class _UpdatedLinear(torch.autograd.Function):
    """`updated_linear` of x (n, d_in); the factors are all A, then all B."""

    @staticmethod
    def forward(ctx, x, weight, bias, rows, *factors):
        a, b = factors[: len(rows)], factors[len(rows) :]
        y = F.linear(x, weight, bias)
        z = x @ torch.cat(b).T
        ctx.ranks = [len(inner) for inner in b]
        for at, part, outer in zip(rows, z.split(ctx.ranks, 1), a, strict=True):
            y[:, at].addmm_(part, outer.T)
        ctx.rows = rows
        needs_a, needs_b = _needed(ctx)
        saved = x if any(needs_b) else None, z if any(needs_a) else None
        ctx.save_for_backward(*saved, weight, *factors)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        x, z, weight, *factors = ctx.saved_tensors
        a, b = factors[: len(ctx.rows)], factors[len(ctx.rows) :]
        needs_a, needs_b = _needed(ctx)
        slices = [grad[:, at] for at in ctx.rows]
        grad_x, grad_a, grad_b = None, [None] * len(a), [None] * len(b)
        if ctx.needs_input_grad[0] or x is not None:
            grad_z = torch.cat([part @ outer for part, outer in zip(slices, a, strict=True)], 1)
        if ctx.needs_input_grad[0]:
            grad_x = (grad @ weight).addmm_(grad_z, torch.cat(b))
        if x is not None:
            inner = (grad_z.T @ x).split(ctx.ranks)
            grad_b = [g if needed else None for g, needed in zip(inner, needs_b, strict=True)]
        if z is not None:
            parts = zip(slices, z.split(ctx.ranks, 1), needs_a, strict=True)
            grad_a = [part.T @ low if needed else None for part, low, needed in parts]
        return grad_x, None, None, None, *grad_a, *grad_b


def _needed(ctx) -> tuple[tuple[bool, ...], tuple[bool, ...]]:
    """Which A, and which B, want a gradient."""
    factors = ctx.needs_input_grad[4:]
    return factors[: len(factors) // 2], factors[len(factors) // 2 :]


class LoRAUpdate(LowRankUpdate):
    """x -> s A B x with A: (d_out, r) starting at zero and B: (r, d_in) uniform, s = alpha / r."""

    def __init__(self, d_in: int, d_out: int, rank: int, alpha: float, generator: torch.Generator):
        super().__init__()
        check_rank(rank, d_in, d_out)
        self.a = nn.Parameter(torch.zeros(d_out, rank))
        self.b = nn.Parameter(uniform_rows(rank, d_in, generator))
        self.scale = alpha / rank

    def factors(self) -> tuple[Tensor, Tensor]:
        """Scaled outer side s A (d_out, r), and B (r, d_in)."""
        return self.scale * self.a, self.b


def uniform_rows(rank: int, d_in: int, generator: torch.Generator) -> Tensor:
    """How B of a LoRA pair starts: (rank, d_in), as kaiming_uniform with a = sqrt(5)."""
    bound = 1 / math.sqrt(d_in)
    return torch.rand(rank, d_in, generator=generator) * 2 * bound - bound


def check_rank(rank: int, d_in: int, d_out: int, name: str = "rank") -> None:
    """Raise ValueError unless 1 <= rank <= min(d_in, d_out)."""
    widest = min(d_in, d_out)
    if not 1 <= integer(name, rank) <= widest:
        raise fail(name, f"between 1 and the layer's width {widest}", rank)


class FoldedUpdate(LowRankUpdate):
    """x -> (S + B A) x: S is the sum of finished tasks' branches, only B is trained.

    A: (r, d_in) is fixed, B: (d_out, r) starts at zero. Between tasks B has no column. S has the
    shape of the map's weight: folded into it (`merge`), it adds nothing to the deployed size.
    """

    def __init__(self, d_in: int, d_out: int, rank: int):
        super().__init__()
        check_rank(rank, d_in, d_out)
        self.register_buffer("total", torch.zeros(d_out, d_in))
        self.register_buffer("a", torch.zeros(0, d_in))
        self.b = nn.Parameter(torch.zeros(d_out, 0))

    def open(self, a: Tensor) -> None:
        """Begin a task: its fixed A (r, d_in), and B at zero."""
        self.a = a.to(self.total)
        self.b = nn.Parameter(self.total.new_zeros(len(self.total), len(a)))

    @torch.no_grad()
    def fold(self, a: Tensor, b: Tensor) -> None:
        """Add B A to the sum, and close the branch."""
        self.total += b.detach().to(self.total) @ a.to(self.total)
        self.a = self.a[:0].clone()
        self.b = nn.Parameter(self.b[:, :0].detach().clone())

    def factors(self) -> tuple[Tensor, Tensor]:
        """The current branch: B (d_out, r) and A (r, d_in); r = 0 between tasks."""
        return self.b, self.a

    def dense(self) -> Tensor:
        """S: (d_out, d_in)."""
        return self.total


class Magnitudes(nn.Module):
    """alpha: (t,), one number per task so far; a single object serves all adapted maps."""

    def __init__(self):
        super().__init__()
        self.values = nn.Parameter(torch.zeros(0))

    def open(self, start: float) -> None:
        """One magnitude more, and all of them back at ``start``."""
        n = len(self.values) + 1
        self.values = nn.Parameter(self.values.new_full((n,), start, requires_grad=False))


class DecoupledUpdate(LowRankUpdate):
    """x -> dW_t x, see above; without any pair it is zero. All maps share the magnitudes."""

    def __init__(self, d_in: int, d_out: int, magnitudes: Magnitudes):
        super().__init__()
        self.magnitudes = magnitudes
        self.a = nn.Parameter(torch.zeros(d_out, 0))
        self.b = nn.Parameter(torch.zeros(0, d_in))
        self.register_buffer("past_a", torch.zeros(d_out, 0))
        self.register_buffer("past_b", torch.zeros(0, d_in))
        self.register_buffer("owner", torch.zeros(0, dtype=torch.long))

    @torch.no_grad()
    def open(self, rank: int, generator: torch.Generator) -> None:
        """A fresh pair, A = 0 and B uniform as in LoRA; the one before becomes a frozen direction.

        A pair that was never trained (A = 0) has no direction and stays zero [ours].
        """
        norm = self.a.norm() * self.b.norm()
        self.past_a = torch.cat([self.past_a, self.a / norm if norm > 0 else self.a], dim=1)
        self.past_b = torch.cat([self.past_b, self.b])
        start = uniform_rows(rank, self.b.shape[1], generator)
        n = int(self.owner[-1]) + 1 if len(self.owner) else 0
        self.owner = torch.cat([self.owner, self.owner.new_full((rank,), n)])
        self.a = nn.Parameter(self.past_a.new_zeros(len(self.a), rank))
        self.b = nn.Parameter(start.to(self.past_b))

    def factors(self) -> tuple[Tensor, Tensor]:
        """All A_j, each times its magnitude, (d_out, sum r_j), and all B_j (sum r_j, d_in)."""
        a, b = torch.cat([self.past_a, self.a], dim=1), torch.cat([self.past_b, self.b])
        return a * self.magnitudes.values[self.owner], b
