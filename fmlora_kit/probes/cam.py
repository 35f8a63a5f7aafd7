"""Grad-CAM on a vision transformer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from fmlora_kit.methods import Method
from fmlora_kit.probes.scores import ClassScores, captum_attr, collect_maps, spread_over_pixels


def grad_cam(model: Method, images: np.ndarray, targets: Sequence[int]) -> np.ndarray:
    """Grad-CAM of the patch tokens after the second-last block: (n, H, W), never negative.

    relu(sum_c alpha_c F_c), F_c the channel c of the feature map and alpha_c the mean over its
    places of d score / d F_c (Selvaraju et al. 2016, arXiv 1610.02391, eq. 1 and 2). The feature
    map are the patch tokens, laid out as a picture; class token and prompt tokens have no place in
    it. After the last block the score sees nothing but the class token, and all gradients of
    patches are zero: hence the block before. A map is as fine as the patches, each patch is even.

    Arguments: see `attribution.attribute`; the ViT has two blocks at least.
    """
    scores = ClassScores(model)
    if len(model.vit.blocks) < 2:
        raise ValueError("model must have a ViT of at least 2 blocks for Grad-CAM, got 1")
    with tap_patches(model) as tap:
        method = captum_attr().LayerGradCam(scores, tap)

        def explain(x: Tensor, where: Tensor) -> Tensor:
            cam = method.attribute(x, target=where, relu_attributions=True)
            return spread_over_pixels(model, cam.flatten(1))

        return collect_maps(model, images, targets, explain)


@contextmanager
def tap_patches(model: Method) -> Iterator[nn.Identity]:
    """An Identity that sees the patch tokens after the second-last block as (n, channels, h, w)."""
    grid, prefix, tap = model.vit.patch_embed.grid_size, model.vit.num_prefix_tokens, nn.Identity()

    def through_the_tap(block: nn.Module, inputs: tuple, tokens: Tensor) -> Tensor:
        picture = tokens[:, prefix:].transpose(1, 2).unflatten(2, grid)
        patches = tap(picture).flatten(2).transpose(1, 2)
        return torch.cat([tokens[:, :prefix], patches], dim=1)

    with model.vit.blocks[-2].register_forward_hook(through_the_tap):
        yield tap
