"""Where updates go: the linear maps inside a timm ViT, fused qkv taken apart by slices."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from fmlora_kit.adapters.updates import LowRankUpdate, updated_linear
from fmlora_kit.checks import fail

MAPS = ("q", "k", "v", "proj", "fc1", "fc2")


@dataclass(frozen=True)
class Site:
    """One adapted linear map, with ``d_in`` inputs and ``d_out`` outputs."""

    name: str  # e.g. "blocks.0.q"
    path: str  # the module that holds it, e.g. "blocks.0.attn.qkv"
    rows: slice  # which output rows of that module are this map's
    d_in: int
    d_out: int

    @property
    def block(self) -> int:
        """The number of its block, from 0."""
        return int(self.name.split(".")[1])


def find_sites(
    vit: nn.Module, maps: Sequence[str] = ("q", "v"), blocks: Sequence[int] | None = None
) -> tuple[Site, ...]:
    """The maps named ``maps`` in ``blocks`` (default: every block) of ``vit``, in order.

    Raises:
        ValueError: ``vit`` is no timm `VisionTransformer`, or a map or a block is unknown.
    """
    if not isinstance(vit, VisionTransformer):
        raise ValueError(f"backbone must be a timm VisionTransformer, got {type(vit).__name__}")
    if not maps or len(set(maps)) < len(maps) or not set(maps) <= set(MAPS):
        raise fail("maps", f"among {MAPS}, each once, at least one", tuple(maps))
    depth = len(vit.blocks)
    here = list(range(depth) if blocks is None else blocks)
    if not here or here != sorted(set(here) & set(range(depth))):
        raise fail("blocks", f"some of the backbone's (0 to {depth - 1}), rising", tuple(here))
    sites = []
    for i, block in enumerate(vit.blocks):
        qkv = getattr(getattr(block, "attn", None), "qkv", None)
        if not isinstance(qkv, nn.Linear):
            rule = "backbone must have a fused qkv map in every block"
            raise ValueError(f"{rule}, got none in block {i}")
        sites += [_site(block, i, name) for name in maps if i in here]
    return tuple(sites)


def linear_maps(vit: VisionTransformer) -> tuple[str, ...]:
    """Those of `MAPS` that every block of ``vit`` has: a gated MLP, for one, has no "fc1"."""
    fused = ("q", "k", "v")
    return fused + tuple(
        name for name in MAPS if name not in fused and all(_map(b, name) for b in vit.blocks)
    )


def _map(block: nn.Module, name: str) -> nn.Linear | None:
    module = getattr(block.attn if name == "proj" else block.mlp, name, None)
    return module if isinstance(module, nn.Linear) else None


def _site(block: nn.Module, i: int, name: str) -> Site:
    if name in "qkv":
        path, module, k = "attn.qkv", block.attn.qkv, "qkv".index(name)
        d = module.out_features // 3
        rows = slice(k * d, (k + 1) * d)
    else:
        path = f"attn.{name}" if name == "proj" else f"mlp.{name}"
        module = _map(block, name)
        if module is None:
            raise ValueError(f"map {name!r} must be a linear layer of block {i}, got none")
        rows = slice(0, module.out_features)
    sizes = module.in_features, rows.stop - rows.start
    return Site(f"blocks.{i}.{name}", f"blocks.{i}.{path}", rows, *sizes)


class AdaptedLinear(nn.Module):
    """A frozen linear map plus updates of some of its output rows: y = W0 x + b + sum of updates.

    ``updates`` says by site name which rows each changes.
    """

    def __init__(self, base: nn.Linear, updates: dict[str, tuple[slice, LowRankUpdate]]):
        super().__init__()
        self.base = base
        self.rows = [rows for rows, _ in updates.values()]
        self.updates = nn.ModuleList(module for _, module in updates.values())
        self.unmerged_weight: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(..., d_in) -> (..., d_out)."""
        if self.unmerged_weight is not None:
            return self.base(x)
        both = zip(self.rows, self.updates, strict=True)
        live = [(rows, *f) for rows, update in both if (f := update.factors()) is not None]
        if not live:
            return self.base(x)
        return updated_linear(x, self._frozen_weight(), self.base.bias, live)

    def _frozen_weight(self) -> Tensor:
        """W0 and all that is frozen of the updates: added once, not multiplied by every token."""
        parts = [update.dense() for update in self.updates]
        weight = self.base.weight
        if any(dense is not None for dense in parts):
            weight = weight.detach().clone()
        for rows, dense in zip(self.rows, parts, strict=True):
            if dense is not None:
                weight[rows] += dense
        return weight

    @torch.no_grad()
    def merge(self) -> None:
        """Fold the updates into the weight: the map then costs what the plain one costs."""
        if self.unmerged_weight is None:
            self.unmerged_weight = self.base.weight.detach().clone()
            for rows, update in zip(self.rows, self.updates, strict=True):
                self.base.weight[rows] += update.delta()

    @torch.no_grad()
    def unmerge(self) -> None:
        """Take the updates out again: the frozen weight comes back bit for bit."""
        if self.unmerged_weight is not None:
            self.base.weight.copy_(self.unmerged_weight)
            self.unmerged_weight = None


def adapted_maps(vit: VisionTransformer) -> dict[str, AdaptedLinear]:
    """Every adapted map of ``vit``, by path."""
    return {path: m for path, m in vit.named_modules() if isinstance(m, AdaptedLinear)}


def to_timm(vit: VisionTransformer) -> VisionTransformer:
    """A plain timm ViT with every update folded into its weights; ``vit`` stays as it is.

    Raises:
        ValueError: a prompt enters it after the first block.
    """
    if hasattr(vit, "entering_prompt"):
        raise ValueError(
            "prompt must enter before block 0 for a plain timm ViT, which has no place for one "
            f"before block {vit.entering_prompt.block}; use dmp=None, or adapt block 0 too"
        )
    plain = copy.deepcopy(vit)
    for path, module in adapted_maps(plain).items():
        module.merge()
        plain.set_submodule(path, module.base)
    return plain.requires_grad_(False)


def attach(
    vit: VisionTransformer, sites: Sequence[Site], updates: dict[str, LowRankUpdate]
) -> None:
    """Put ``updates`` (by site name) into ``vit``, in place of the plain linear maps."""
    for path in dict.fromkeys(site.path for site in sites):
        here = sorted((s for s in sites if s.path == path), key=lambda s: s.rows.start)
        linear = vit.get_submodule(path)
        inside = {s.name: (s.rows, updates[s.name].to(linear.weight)) for s in here}
        vit.set_submodule(path, AdaptedLinear(linear, inside))


def base_weight(vit: VisionTransformer, site: Site) -> Tensor:
    """The frozen weight of ``site``: (d_out, d_in)."""
    module = vit.get_submodule(site.path)
    linear = module.base if isinstance(module, AdaptedLinear) else module
    return linear.weight.detach()[site.rows]
