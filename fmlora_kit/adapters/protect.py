"""Core protection [ours]: new updates keep away from what earlier tasks' inputs excite.

Per adapted map the second moment of z = B x over all earlier tasks is kept, an R x R matrix:
constant memory, no image and no feature. A new pair M N is used as M N Pi, Pi projecting out the
directions of z that hold a share ``protect`` of that energy (as GPM does for full weights, arXiv
2103.09762).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from fmlora_kit.adapters.feed import precision
from fmlora_kit.adapters.sites import Site


@torch.no_grad()
def input_moments(
    model: nn.Module, sites: Iterable[Site], forwards: Iterable[None]
) -> dict[str, Tensor]:
    """Mean x x^T over all tokens that reach each site: name -> (d_in, d_in), float64.

    Args:
        model: the ViT; every site must be adapted.
        sites: the maps to listen to.
        forwards: advancing it runs the model, one batch a step.
    """
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}

    def listen(path: str):
        def hook(_: nn.Module, inputs: tuple[Tensor]) -> None:
            x = inputs[0].flatten(0, -2)
            x = x.to(torch.promote_types(x.dtype, torch.float32))
            with torch.autocast(x.device.type, enabled=False):
                product = x.T @ x
            product = product.cpu().double()
            sums[path] = sums.get(path, 0) + product
            counts[path] = counts.get(path, 0) + len(x)

        return hook

    by_path = {s.path: model.get_submodule(s.path) for s in sites}
    handles = [m.register_forward_pre_hook(listen(path)) for path, m in by_path.items()]
    try:
        with precision(next(model.parameters()).device):
            for _ in forwards:
                continue
    finally:
        for handle in handles:
            handle.remove()
    return {s.name: sums[s.path] / counts[s.path] for s in sites}


def protection(moment: Tensor, share: float) -> Tensor:
    """Pi (R, R), float64: projects out the fewest directions that hold ``share`` of z's energy.

    Args:
        moment: second moment of z over earlier tasks, (R, R).
        share: between 0 (nothing is protected) and 1 (every direction that was excited is).

    Raises:
        ValueError: ``share`` outside 0..1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"protect must be between 0 and 1, got {share}")
    identity = torch.eye(len(moment), dtype=torch.float64)
    energy, vectors = torch.linalg.eigh(moment.double())
    energy, vectors = energy.flip(0).clamp(min=0), vectors.flip(1)
    if share == 0 or energy.sum() == 0:
        return identity
    before = (torch.cumsum(energy, 0) - energy) / energy.sum()  # held by the directions above
    kept_out = vectors[:, before < share - 1e-9]
    return identity - kept_out @ kept_out.T
