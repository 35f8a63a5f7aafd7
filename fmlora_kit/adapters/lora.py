"""Plain LoRA: W = W0 + s A B (Hu et al. 2021, arXiv 2106.09685, eq. 3; there B and A)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fmlora_kit.adapters.low_rank import LowRankUpdate


class LoRAUpdate(LowRankUpdate):
    """x -> s A B x with A: (d_out, r) starting at zero and B: (r, d_in) uniform, s = alpha / r.

    Args:
        d_in: inputs of the adapted map.
        d_out: outputs of the adapted map.
        rank: r, at most the smaller side of the map.
        alpha: scale; the update is multiplied by alpha / r.
        generator: randomness of B.

    Raises:
        ValueError: ``rank`` outside 1..min(d_in, d_out).
    """

    def __init__(self, d_in: int, d_out: int, rank: int, alpha: float, generator: torch.Generator):
        super().__init__()
        check_rank(rank, d_in, d_out)
        bound = 1 / math.sqrt(d_in)  # what kaiming_uniform with a = sqrt(5) comes to
        start = torch.rand(rank, d_in, generator=generator) * 2 * bound - bound
        self.a = nn.Parameter(torch.zeros(d_out, rank))
        self.b = nn.Parameter(start)
        self.scale = alpha / rank

    def factors(self) -> tuple[Tensor, Tensor]:
        """Scaled outer side s A (d_out, r), and B (r, d_in)."""
        return self.scale * self.a, self.b


def check_rank(rank: int, d_in: int, d_out: int, name: str = "rank") -> None:
    """Raise ValueError unless 1 <= rank <= min(d_in, d_out)."""
    widest = min(d_in, d_out)
    if not 1 <= rank <= widest:
        raise ValueError(f"{name} must be between 1 and the layer's width {widest}, got {rank}")
