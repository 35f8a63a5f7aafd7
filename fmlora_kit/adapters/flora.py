"""F-LoRA: one shared low-rank subspace, one small core for all tasks.

W_t = W0 + s A C_t B,  C_t = C_{t-1} + M_t N_t,  s = alpha / R
[paper: A, B shared, M_t, N_t per task]

A: (d_out, R), B: (R, d_in), C: (R, R), M: (R, r), N: (r, R). All tasks fold into the one core C, so
the size never grows with the number of tasks; the pairs (M_t, N_t) go to the record.

Where the shared bases A and B of F-LoRA come from [ours: the paper does not say].

task1       A and B are trained on the first task like plain LoRA, then made orthonormal and frozen
pretrained  the top-R singular vectors of the frozen weight W0
activation  B: top-R principal directions of the map's inputs on the first task; A: those of W0 B^T
random      random orthonormal
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fmlora_kit.adapters.updates import LowRankUpdate, check_rank, uniform_rows


class FactorizedUpdate(LowRankUpdate):
    """x -> s A (C + M diag(g) N Pi) B x.

    g are nested rank gates (all ones unless a rank selector sets them), Pi: (R, R) is the
    protection of earlier tasks (the identity unless `protect` is on). R, the width of the shared
    subspace, is the rank.
    """

    def __init__(self, d_in: int, d_out: int, rank: int, alpha: float):
        super().__init__()
        check_rank(rank, d_in, d_out, "max_rank")
        self.register_buffer("a", torch.zeros(d_out, rank))
        self.register_buffer("b", torch.zeros(rank, d_in))
        self.register_buffer("core", torch.zeros(rank, rank))
        self.register_buffer("protection", torch.eye(rank))
        self.m = nn.Parameter(torch.zeros(rank, 0))
        self.n = nn.Parameter(torch.zeros(0, rank))
        self.gates: Tensor | None = None
        self.learning_bases = False
        self.rank, self.scale = rank, alpha / rank

    def set_bases(self, a: Tensor, b: Tensor) -> None:
        """Fix the shared bases: A (d_out, R), B (R, d_in)."""
        self.learning_bases = False
        self.a, self.b = a.detach().to(self.core), b.detach().to(self.core)

    def learn_bases(self, generator: torch.Generator) -> None:
        """Let A and B themselves be trained on the first task, as plain LoRA (A = 0, C = gates)."""
        start = uniform_rows(*self.b.shape, generator)
        self.learning_bases = True
        self.a = torch.zeros_like(self.a).requires_grad_(True)
        self.b = start.to(self.b).requires_grad_(True)

    def parts(self) -> list[Tensor]:
        """What is trained on the current task."""
        return [self.a, self.b] if self.learning_bases else [self.m, self.n]

    def open(self, r: int, generator: torch.Generator) -> None:
        """A fresh pair: M = 0 and N random with rows near unit length; training starts at C."""
        start = torch.randn(r, self.rank, generator=generator, dtype=self.core.dtype)
        self.m = nn.Parameter(self.core.new_zeros(self.rank, r))
        self.n = nn.Parameter((start / self.rank**0.5).to(self.core))
        self.gates = None

    def cut(self, r: int) -> None:
        """Keep the first ``r`` columns of M, times their gates, and rows of N: gates are nested."""
        self.m = nn.Parameter(self._gate(self.m).detach()[:, :r].clone())
        self.n = nn.Parameter(self.n.detach()[:r].clone())
        self.gates = None

    @torch.no_grad()
    def pair(self) -> tuple[Tensor, Tensor]:
        """The task's pair as it will be folded, gates and protection included: (R, r), (r, R)."""
        return self._gate(self.m).detach().clone(), (self.n @ self.protection).detach()

    @torch.no_grad()
    def fold(self, m: Tensor, n: Tensor) -> None:
        """C <- C + M N; nothing is left to train."""
        self.core += m @ n
        self.open(0, torch.Generator())

    def factors(self) -> tuple[Tensor, Tensor]:
        """Outer side s A (C + M diag(g) N Pi) (d_out, R), and B (R, d_in): no token meets C."""
        if self.learning_bases:
            return self.scale * self._gate(self.a), self.b
        core = self.core
        if self.m.shape[1]:
            core = core + self._gate(self.m) @ self.n @ self.protection
        return self.scale * (self.a @ core), self.b

    def _gate(self, outer: Tensor) -> Tensor:
        return outer if self.gates is None else outer * self.gates


BASES = ("task1", "pretrained", "activation", "random")


def from_weight(weight: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Top singular vectors of W0 (d_out, d_in): A (d_out, R), B (R, d_in)."""
    u, _, v = _svd(weight)
    return u[:, :rank].contiguous(), v[:rank].contiguous()


def from_moment(weight: Tensor, moment: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Top directions of the inputs' second moment (d_in, d_in), and where W0 sends them."""
    _, _, v = _svd(moment.double())  # symmetric: singular vectors are eigenvectors
    b = v[:rank].to(weight)
    a = torch.linalg.qr(weight @ b.T).Q
    return a.contiguous(), b.contiguous()


def from_noise(weight: Tensor, rank: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random orthonormal directions for a map of W0's shape."""
    d_out, d_in = weight.shape
    draw = {"generator": generator, "dtype": weight.dtype}
    a = torch.linalg.qr(torch.randn(d_out, rank, **draw)).Q
    b = torch.linalg.qr(torch.randn(d_in, rank, **draw)).Q.T
    return a.contiguous(), b.contiguous()


def from_update(
    delta: Tensor, rank: int, used: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Orthonormal A (d_out, R), B (R, d_in) and C (R, R) with A C B = ``delta``, of rank ``used``.

    Directions beyond the first ``used`` are random, orthogonal to them: room for later tasks.
    """
    u, s, v = _svd(delta.double())
    sides = []
    for learned in (u[:, :used], v[:used].T):
        noise = torch.randn(len(learned), rank - used, generator=generator, dtype=torch.float64)
        rest = noise - learned @ (learned.T @ noise)
        sides.append(torch.cat([learned, torch.linalg.qr(rest).Q], dim=1).to(delta))
    core = delta.new_zeros(rank, rank)
    core[:used, :used] = torch.diag(s[:used])
    return sides[0].contiguous(), sides[1].T.contiguous(), core


def _svd(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Thin SVD with fixed signs: which of the two signs comes out differs between machines."""
    from sklearn.utils.extmath import svd_flip

    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    u, v = (torch.from_numpy(part).to(matrix) for part in svd_flip(u.numpy(), v.numpy()))
    return u, s, v
