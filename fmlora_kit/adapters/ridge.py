"""Ridge regression on random projections of features, from sums over all tasks.

RanPAC's rule (McDonnell et al. 2023, arXiv 2307.02251, algorithm 1):

h(x) = relu(P f(x))                    P: (M, d), entries N(0, 1), never trained
G    = sum over all images of h h^T    (M, M)
C    = sum over all images of h y^T    (M, classes), y one-hot
W    = (G + lambda I)^-1 C;  scores h(x)^T W

Sums do not know the order of tasks. lambda: for each task, 10^-8 .. 10^8, the one with the least
squared error on a random fifth of its own training images after a fit to the others; then W from
all sums.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

RIDGES = tuple(10.0**k for k in range(-8, 9))
FITTED = 0.8  # share of a task's images that lambda's candidates are fitted to


class RandomProjection(nn.Module):
    """f -> relu(P f): (..., d) -> (..., M), P frozen at N(0, 1).

    Args:
        d: inputs.
        width: M.
        generator: randomness of P.
    """

    def __init__(self, d: int, width: int, generator: torch.Generator):
        super().__init__()
        start = torch.randn(width, d, generator=generator)
        self.matrix = nn.Parameter(start, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., d) -> (..., M), never in half precision."""
        with torch.autocast(x.device.type, enabled=False):
            return F.relu(x.to(self.matrix) @ self.matrix.T)


class RidgeSums:
    """G = sum of h h^T and C = sum of y h^T, over every image seen; the order does not matter.

    On the CPU, because not every accelerator has double precision. G is symmetric: its upper
    triangle is kept.

    Args:
        n_classes: classes of the whole stream.
        width: M.
    """

    def __init__(self, n_classes: int, width: int):
        self.upper = torch.triu_indices(width, width)
        self.gram = torch.zeros(self.upper.shape[1], dtype=torch.float64)
        self.sums = torch.zeros(n_classes, width, dtype=torch.float64)

    def add(self, h: Tensor, y: Tensor) -> None:
        """Take images in: projected features (n, M) and one-hot labels (n, classes), float64."""
        self.gram += (h.T @ h)[self.upper[0], self.upper[1]]
        self.sums += y.T @ h

    def solve(self, ridge: float) -> Tensor:
        """W, (classes, M): (G + lambda I)^-1 C."""
        m = self.sums.shape[1]
        full = torch.zeros(m, m, dtype=torch.float64)
        full[self.upper[0], self.upper[1]] = self.gram
        return solve_ridge(full + full.triu(1).T, self.sums.T, ridge).T


def solve_ridge(gram: Tensor, sums: Tensor, ridge: float) -> Tensor:
    """(G + lambda I)^-1 C: (M, M), (M, classes) -> (M, classes)."""
    return torch.linalg.solve(gram + ridge * torch.eye(len(gram), dtype=gram.dtype), sums)


def choose_ridge(h: Tensor, y: Tensor) -> float:
    """The lambda of `RIDGES` that, fitted to the first 80%, errs least on the rest (squared error).

    Args:
        h: projected features, (n, M), in random order: sorted by class, the last fifth would hold
            classes that the fit has never seen.
        y: one-hot labels, (n, classes).

    Raises:
        ValueError: there is one image alone.
    """
    if len(h) < 2:
        rule = "ridge must be given where a task has fewer than 2 training images"
        raise ValueError(f"{rule}, got None and {len(h)}")
    n = int(FITTED * len(h))
    u, s, vt = torch.linalg.svd(h[:n], full_matrices=False)
    held_out, targets = h[n:] @ vt.T, u.T @ y[:n]
    errors = []
    for ridge in RIDGES:
        shrunk = (s / (s.square() + ridge))[:, None] * targets
        errors.append((held_out @ shrunk - y[n:]).square().mean().item())
    return RIDGES[int(np.argmin(errors))]
