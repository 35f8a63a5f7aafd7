"""One low-rank branch per task, folded into one sum when the task ends: W = W0 + sum_j B_j A_j."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fmlora_kit.adapters.lora import check_rank
from fmlora_kit.adapters.low_rank import LowRankUpdate


class FoldedUpdate(LowRankUpdate):
    """x -> (S + B A) x: S is the sum of finished tasks' branches, only B is trained.

    A: (r, d_in) is fixed, B: (d_out, r) starts at zero. Between tasks B has no column. S has the
    shape of the map's weight: folded into it (`merge`), it adds nothing to the deployed size.

    Args:
        d_in: inputs of the adapted map.
        d_out: outputs of the adapted map.
        rank: r, at most the smaller side of the map.

    Raises:
        ValueError: ``rank`` outside 1..min(d_in, d_out).
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
