"""Where the shared bases A and B of F-LoRA come from [ours: the paper does not say].

task1       A and B are trained on the first task like plain LoRA, then made orthonormal and frozen
pretrained  the top-R singular vectors of the frozen weight W0
activation  B: top-R principal directions of the map's inputs on the first task; A: those of W0 B^T
random      random orthonormal
"""

from __future__ import annotations

import torch
from sklearn.utils.extmath import svd_flip
from torch import Tensor

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
    """Orthonormal A, B and the core C with A C B = ``delta``, a learned update of rank ``used``.

    Directions beyond the first ``used`` are random, orthogonal to them: room for later tasks.

    Returns:
        A (d_out, R), B (R, d_in), C (R, R).
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
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    u, v = (torch.from_numpy(part).to(matrix) for part in svd_flip(u.numpy(), v.numpy()))
    return u, s, v
