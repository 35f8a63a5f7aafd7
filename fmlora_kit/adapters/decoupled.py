"""SD-LoRA's update: directions of all tasks so far, each times one magnitude (arXiv 2501.13198).

dW_t = sum_{j<t} alpha_j A_j B_j / (|A_j|_F |B_j|_F) + alpha_t A_t B_t

A_j: (d_out, r_j), B_j: (r_j, d_in). Earlier pairs are frozen, all magnitudes alpha_1 .. alpha_t are
trained, and they are shared by all adapted maps of the model.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fmlora_kit.adapters.low_rank import LowRankUpdate


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
    """x -> dW_t x, see above; without any pair it is zero.

    Args:
        d_in: inputs of the adapted map.
        d_out: outputs of the adapted map.
        magnitudes: shared by all adapted maps.
    """

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
        d_out, d_in = len(self.a), self.b.shape[1]
        bound = 1 / math.sqrt(d_in)  # what kaiming_uniform with a = sqrt(5) comes to
        start = torch.rand(rank, d_in, generator=generator) * 2 * bound - bound
        n = int(self.owner[-1]) + 1 if len(self.owner) else 0
        self.owner = torch.cat([self.owner, self.owner.new_full((rank,), n)])
        self.a = nn.Parameter(self.past_a.new_zeros(d_out, rank))
        self.b = nn.Parameter(start.to(self.past_b))

    def factors(self) -> tuple[Tensor, Tensor]:
        """All A_j, each times its magnitude, (d_out, sum r_j), and all B_j (sum r_j, d_in)."""
        a, b = torch.cat([self.past_a, self.a], dim=1), torch.cat([self.past_b, self.b])
        return a * self.magnitudes.values[self.owner], b
