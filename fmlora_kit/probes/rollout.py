"""Attention rollout: where the attention of all blocks together looks, whatever the class."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from timm.layers import Attention
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import Block, ResPostBlock, VisionTransformer
from torch import Tensor

from fmlora_kit.methods import Method
from fmlora_kit.probes import scores
from fmlora_kit.probes.scores import evaluation_mode, pixels


def attention_rollout(model: Method, images: np.ndarray) -> np.ndarray:
    """How much of each patch the pooled feature is made of, by attention alone: (n, H, W).

    Abnar and Zuidema 2020, arXiv 2005.00928, sec. 3: the product over the blocks of
    (A_l + I) / 2, A_l the attention of block l, mean over its heads; I stands for the residual
    connection. Of it the mean row of what the features read: the class token, the class and the
    distillation token of a distilled DeiT, or the patches (with the class token where the model
    pools over it too) where the model averages. Class and prompt tokens take part in the product
    but have no place in the map.
    Each patch is even. It knows nothing of classes, of values, and of the other layers.

    Args:
        model: any method.
        images: uint8 (n, H, W, 3).

    Raises:
        ValueError: no or wrong images, or a ViT that pools or attends in a way of its own.
    """
    scores.check_images(model, images)
    prefix, read = model.vit.num_prefix_tokens, _tokens_read(model.vit)
    maps = []
    for k in range(0, len(images), scores.BATCH):
        product = rollout(attentions(model, images[k : k + scores.BATCH]))
        row = product[:, read].mean(dim=1)
        maps.append(scores.spread_over_pixels(model, row[:, prefix:]))
    return scores.to_numpy(maps)


def _tokens_read(vit: VisionTransformer) -> slice:
    """Which tokens of the last block the features are the mean of; ValueError if it is no mean."""
    pool, head = vit.global_pool, type(vit).forward_head
    if head is VisionTransformerDistilled.forward_head:
        return slice(0, 2)
    own = head is VisionTransformer.forward_head and type(vit).pool is VisionTransformer.pool
    if not own or vit.attn_pool is not None or pool not in ("token", "avg"):
        got = f"{pool!r} of a {type(vit).__name__}"
        raise ValueError(f"model must pool by 'token' or 'avg' for rollout, got {got}")
    if pool == "token":
        return slice(0, 1)
    return slice(0 if vit.pool_include_prefix else vit.num_prefix_tokens, None)


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
    for block in model.vit.blocks:
        attention = getattr(block, "attn", None)
        if type(block) not in (Block, ResPostBlock) or type(attention) is not Attention:
            got = f"{type(attention).__name__} in a {type(block).__name__}"
            raise ValueError(f"model must have timm's own attention for rollout, got {got}")
    with ExitStack() as afterwards:
        for layer in (block.attn for block in model.vit.blocks):
            hook = layer.attn_drop.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
            afterwards.callback(hook.remove)
            afterwards.callback(setattr, layer, "fused_attn", layer.fused_attn)
            layer.fused_attn = False
        yield
