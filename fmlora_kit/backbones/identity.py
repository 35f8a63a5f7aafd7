"""What tells two backbones apart whose weights are equal: what they compute.

Heads, pooling, activation, norms and their eps leave no trace in the weights. A few numbers of the
features of one fixed picture do [ours]. They are computed in float64, where rounding is far below
any such difference, and with few tokens, so that they cost a small part of a forward pass.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.func import functional_call

from fmlora_kit.checks import fail

N_NUMBERS, N_PATCHES = 4, 16
TOLERANCE = 1e-7  # of numbers around 1


@torch.no_grad()
def fingerprint(vit: VisionTransformer) -> list[float]:
    """`N_NUMBERS` sums over the features of one picture, weighted by cosines.

    The picture is made of cosines too. Of its tokens the first `N_PATCHES` patches go through the
    blocks, with the class and register tokens.

    Raises:
        ValueError: the backbone takes no pictures of three channels, or gives no one vector each.
    """
    if (channels := _channels(vit)) != 3:
        raise fail("backbone", "for pictures of 3 channels, in_chans=3", f"in_chans={channels}")
    if not vit.global_pool and vit.attn_pool is None:
        rule = "one that pools its tokens to one vector, as global_pool='token' or 'avg'"
        raise fail("backbone", rule, f"global_pool={vit.global_pool!r}")
    with torch.autocast("cpu", enabled=False):
        features = _features(vit)
    waves = _cosines(N_NUMBERS, features.numel())
    return (waves @ features.flatten() / features.numel() ** 0.5).tolist()


def same_function(one: Sequence[float] | None, other: Sequence[float] | None) -> bool:
    """Do two fingerprints agree? One that an older file does not hold agrees with any."""
    if one is None or other is None:
        return True
    return len(one) == len(other) and np.allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE)


def _channels(vit: VisionTransformer) -> int:
    """Of the first convolution: before the patches' own there may be a stem of others."""
    parts = vit.patch_embed.modules()
    return next((part.in_channels for part in parts if isinstance(part, nn.Conv2d)), 3)


def _features(vit: VisionTransformer) -> Tensor:
    """(1, d), float64: a block at a time, so that never the whole backbone is held twice."""
    side = vit.patch_embed.img_size
    picture = _cosines(1, 3 * side[0] * side[1]).reshape(1, 3, *side)
    learning = [part for part in vit.modules() if part.training]
    vit.eval()
    try:
        return _double(_FirstTokens(vit), picture)
    finally:
        for part in learning:
            part.training = True


class _FirstTokens(nn.Module):
    """A ViT that takes the first tokens alone through its blocks, which are no part of it."""

    def __init__(self, vit: VisionTransformer):
        super().__init__()
        self.shell = copy.copy(vit)
        self.shell._modules = {**vit._modules, "blocks": nn.Sequential()}
        self.held = [vit.blocks]

    def forward(self, picture: Tensor) -> Tensor:
        shell, (blocks,) = self.shell, self.held
        x = shell.norm_pre(shell._pos_embed(shell.patch_embed(picture)))
        x = x[:, : shell.num_prefix_tokens + N_PATCHES]
        for block in blocks:
            x = _double(block, x)
        return shell.forward_head(shell.norm(x), pre_logits=True)


def _double(module: nn.Module, x: Tensor) -> Tensor:
    """What the module makes of x, its numbers as float64 on the CPU for as long as that takes."""
    numbers = chain(module.named_parameters(), module.named_buffers())
    here = {name: part.detach().cpu() for name, part in numbers}
    here |= {name: part.double() for name, part in here.items() if part.is_floating_point()}
    return functional_call(module, here, (x,))


def _cosines(rows: int, n: int) -> Tensor:
    """(rows, n), the same numbers everywhere."""
    places = torch.arange(1, rows * n + 1, dtype=torch.float64)
    return torch.cos(places * 0.7 + places**2 * 1e-3 % 6.283).reshape(rows, n)
