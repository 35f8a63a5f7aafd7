"""Attention rollout: where the attention of all blocks together looks, whatever the class."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor

from fmlora_kit.methods import Method
from fmlora_kit.probes import scores
from fmlora_kit.probes.scores import evaluation_mode, pixels


def attention_rollout(model: Method, images: np.ndarray) -> np.ndarray:
    """How much of each patch the pooled feature is made of, by attention alone: (n, H, W).

    Abnar and Zuidema 2020, arXiv 2005.00928, sec. 3: the product over the blocks of
    (A_l + I) / 2, A_l the attention of block l, mean over its heads; I stands for the residual
    connection. The class token's row of it, or the mean row of the patches where the model pools
    by averaging. Class and prompt tokens take part in the product but have no place in the map.
    Each patch is even. It knows nothing of classes, of values, and of the other layers.

    Args:
        model: any method.
        images: uint8 (n, H, W, 3).

    Raises:
        ValueError: no or wrong images, or a ViT that pools or attends in a way of its own.
    """
    scores.check_images(model, images)
    prefix, pool = model.vit.num_prefix_tokens, model.vit.global_pool
    if pool not in ("token", "avg"):
        raise ValueError(f"model must pool by 'token' or 'avg' for rollout, got {pool!r}")
    maps = []
    for k in range(0, len(images), scores.BATCH):
        product = rollout(attentions(model, images[k : k + scores.BATCH]))
        row = product[:, 0] if pool == "token" else product[:, prefix:].mean(dim=1)
        maps.append(scores.spread_over_pixels(model, row[:, prefix:]))
    return scores.to_numpy(maps)


def rollout(attentions: list[Tensor]) -> Tensor:
    """Product of (A_l + I) / 2, the last block on the left: blocks x (n, heads, N, N) -> (n, N, N).

    Its rows are shares: they sum to 1.
    """
    product = None
    for attention in attentions:
        mean = attention.mean(dim=1)
        step = (mean + torch.eye(mean.shape[-1]).to(mean)) / 2
        product = step if product is None else step @ product
    return product


def attentions(model: Method, images: np.ndarray) -> list[Tensor]:
    """The attention of every block, after the softmax: blocks x (n, heads, N, N)."""
    seen: list[Tensor] = []
    x = pixels(model, images)
    with evaluation_mode(model), torch.no_grad(), _open_attention(model, seen):
        model.vit.forward_features(x)
    return seen


@contextmanager
def _open_attention(model: Method, seen: list[Tensor]) -> Iterator[None]:
    """Attention computed step by step, not fused, so that what goes into its dropout is seen."""
    layers = [block.attn for block in model.vit.blocks]
    if not all(hasattr(layer, "attn_drop") and hasattr(layer, "fused_attn") for layer in layers):
        raise ValueError("model must have timm's own attention in every block for rollout")
    with ExitStack() as afterwards:
        for layer in layers:
            hook = layer.attn_drop.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
            afterwards.callback(hook.remove)
            afterwards.callback(setattr, layer, "fused_attn", layer.fused_attn)
            layer.fused_attn = False
        yield
