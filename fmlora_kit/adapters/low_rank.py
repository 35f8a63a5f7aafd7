"""y = W0 x + b, with A_i B_i x added to some of its rows in as few passes as it takes.

    z = x [B_1; B_2; ..]^T        one product for all updates of the map
    y = x W0^T + b                then y[rows_i] += z_i A_i^T by the product itself, no copy

and backwards the same way: g_x = g_y W0 + [g_y[rows_i] A_i ..] [B_1; B_2; ..]. Written by hand,
because autograd copies the whole gradient of y for every slice that was added to.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


class LowRankUpdate(nn.Module):
    """x -> A B x, of which subclasses say the `factors`."""

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
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    updates: Sequence[tuple[slice, Tensor, Tensor]],
) -> Tensor:
    """W0 x + b with low-rank updates of some rows: (..., d_in) -> (..., d_out).

    Gradients reach x and the factors, not the frozen map.

    Args:
        x: (..., d_in).
        weight: W0, (d_out, d_in), frozen.
        bias: b, (d_out,), frozen, or None.
        updates: the rows that each changes, its A (rows, r) and its B (r, d_in).
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
        ctx.save_for_backward(
            x if any(needs_b) else None, z if any(needs_a) else None, weight, *factors
        )
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
