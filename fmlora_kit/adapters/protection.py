"""Core protection [ours]: new updates keep away from what earlier tasks' inputs excite.

Per adapted map the second moment of z = B x over all earlier tasks is kept, an R x R matrix:
constant memory, no image and no feature. A new pair M N is used as M N Pi, Pi projecting out the
directions of z that hold a share ``protect`` of that energy (as GPM does for full weights, arXiv
2103.09762).

DualGPM: which directions of a map's inputs old tasks use, kept in whichever half is smaller.

The memory is an orthonormal basis of what old inputs span (GPM, Saha et al. 2021, arXiv 2103.09762)
or, once that is more than half of all directions, of what they leave free (DualGPM, Liang and Li,
CVPR 2023; here as InfLoRA uses it, arXiv 2404.00228). It grows by the fewest directions with which
a share eps of a new task's input moment X, (d, d), lies inside the memory:

    |P X|_F^2 >= eps |X|_F^2,   P = old old^T.

Energy is that of the moment X = mean x x^T itself, as in InfLoRA's public code. Two of its faults
are avoided: the first task keeps one direction too few (the energy held stays below eps), and a
first task that uses half of all directions or more is taken for its own complement.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fmlora_kit.adapters.sites import Site
from fmlora_kit.backbones.batches import precision
from fmlora_kit.checks import number


@torch.no_grad()
def input_moments(
    model: nn.Module, sites: Iterable[Site], forwards: Iterable[None]
) -> dict[str, Tensor]:
    """Mean x x^T over all tokens that reach each site: name -> (d_in, d_in), float64.

    Advancing ``forwards`` runs the ViT ``model``, one batch a step.
    """
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}

    def listen(path: str):
        def hook(_: nn.Module, inputs: tuple[Tensor]) -> None:
            x = inputs[0].flatten(0, -2)
            x = x.to(torch.promote_types(x.dtype, torch.float32))
            with torch.autocast(x.device.type, enabled=False):
                product = (x.T @ x).cpu().double()
            sums[path] = sums.get(path, 0) + product
            counts[path] = counts.get(path, 0) + len(x)

        return hook

    by_path = {s.path: model.get_submodule(s.path) for s in sites}
    with ExitStack() as hooks, precision(next(model.parameters()).device):
        for path, module in by_path.items():
            hooks.callback(module.register_forward_pre_hook(listen(path)).remove)
        for _ in forwards:
            continue
    return {s.name: sums[s.path] / counts[s.path] for s in sites}


def protection(moment: Tensor, share: float) -> Tensor:
    """Pi (R, R), float64: projects out the fewest directions that hold ``share`` of z's energy.

    ``moment`` is the second moment of z over earlier tasks, (R, R). A share of 0 protects nothing,
    1 every direction that was excited.
    """
    share = number("protect", share, 0, 1)
    identity = torch.eye(len(moment), dtype=torch.float64)
    energy, vectors = torch.linalg.eigh(moment.double())
    energy, vectors = energy.flip(0).clamp(min=0), vectors.flip(1)
    if share == 0 or energy.sum() == 0:
        return identity
    before = (torch.cumsum(energy, 0) - energy) / energy.sum()  # held by the directions above
    kept_out = vectors[:, before < share - 1e-9]
    return identity - kept_out @ kept_out.T


_ROUNDING = 1e-9  # of a share of energy


def rising_share(start: float, task: int, n_tasks: int) -> float:
    """eps_t = lambda + (1 - lambda) t / T; tasks count from 0, as in the public code."""
    return start + (1 - start) * task / n_tasks


@dataclass(frozen=True)
class DualGPM:
    """The memory of one map's inputs."""

    basis: Tensor  # orthonormal columns, (d, k) with k at most d / 2, float64, on the CPU
    holds: str = "old"  # "old": what old inputs span; "free": what they leave free

    @classmethod
    def empty(cls, d: int) -> DualGPM:
        """Before any task: all d directions are free."""
        return cls(torch.zeros(d, 0, dtype=torch.float64))

    @property
    def old(self) -> Tensor:
        """What old inputs span: (d, k)."""
        return self.basis if self.holds == "old" else _complement(self.basis)

    @property
    def free(self) -> Tensor:
        """What they leave free: (d, d - k)."""
        return self.basis if self.holds == "free" else _complement(self.basis)

    def grow(self, moment: Tensor, share: float) -> DualGPM:
        """The memory with a task of moment X (d, d) in it, of whose energy it holds eps = share."""
        moment, free = moment.double(), self.free
        total = moment.square().sum()
        if total == 0:
            return self
        u, s, _ = torch.linalg.svd(free.T @ moment, full_matrices=False)
        outside = s.square().flip(0).cumsum(0).flip(0) / total  # with 0, 1, .. directions added
        n = int((outside > 1 - share + _ROUNDING).sum())
        turned = free @ u
        if self.holds == "old" and 2 * (self.basis.shape[1] + n) <= len(moment):
            return DualGPM(torch.cat([self.basis, turned[:, :n]], dim=1))
        return DualGPM(turned[:, n:].clone(), "free")


def leading_directions(moment: Tensor, free: Tensor, rank: int) -> Tensor:
    """Top left singular vectors of the moment's free part Q Q^T X, as rows: (rank, d), float64.

    They are found inside the free directions, so that every row is orthogonal to old inputs, also
    where a singular value is zero [ours]. If fewer than ``rank`` directions are free, the remaining
    rows are zero [ours]. X is ``moment`` (d, d), Q is ``free`` (d, m) with orthonormal columns.
    """
    u = torch.linalg.svd(free.T @ moment.double(), full_matrices=False).U
    rows = (free @ u[:, :rank]).T
    return torch.cat([rows, rows.new_zeros(rank - len(rows), len(moment))])


def _complement(basis: Tensor) -> Tensor:
    return torch.linalg.qr(basis, mode="complete").Q[:, basis.shape[1] :]
