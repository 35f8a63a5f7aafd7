"""Prefix tuning of a timm ViT: keys and values of their own, put before those of the tokens.

head_h = softmax(q_h [p_k,h; k_h]^T / sqrt(d_h)) [p_v,h; v_h]: queries and the number of tokens stay
(Li and Liang 2021, arXiv 2101.00190; for ViTs Wang et al. 2022, arXiv 2204.04799, sec. 4.2).

timm's attention computes all of it: for the time of a ``with`` block, hooks put empty tokens before
the others, write the prefix where the fused map puts their keys and values, and drop their outputs.
Fused and unfused attention, norms of q and k, and gates are therefore timm's own. Columns of a
prefix are laid out as those of k and v themselves, head after head, so nothing is ever reshaped.

A pool of prompts with keys: each image takes the prompts whose keys are nearest to its query.

Learning to Prompt (L2P), Wang et al. 2022, arXiv 2112.08654, eq. 3 and 5:

K_x   = the k keys with the highest cos(q(x), key), chosen for every image on its own
pull  = mean over the images of  sum over K_x of cos(q(x), key)

Choosing is no smooth function: keys learn from the pull alone, prompts from the classification.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import torch
from timm.models.vision_transformer import Attention, VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.hooks import RemovableHandle

from fmlora_kit.checks import fail, integer


@contextmanager
def attend_to(vit: VisionTransformer, prefixes: Mapping[int, tuple[Tensor, Tensor]]) -> Iterator:
    """Within the ``with`` block, these blocks of ``vit`` attend to a prefix as well.

    Prefix keys pass the norm of keys, where the attention has one, as every key does [ours].

    Args:
        vit: with timm's own attention and no attention mask; afterwards it is as it was before.
        prefixes: by block, keys and values, each (1, length, d) for all images of a batch or
            (batch, length, d) for each image its own; d is the width of k, head after head.
    """
    if prefixes:
        check_blocks("prefixes", tuple(prefixes), vit)
    if vit.grad_checkpointing:
        raise ValueError("backbone must not use gradient checkpointing: it attends once more later")
    for i, (keys, values) in prefixes.items():
        d = prefix_width(vit)
        if keys.shape != values.shape or keys.ndim != 3 or keys.shape[2] != d:
            raise ValueError(
                f"prefix of block {i} must be keys and values (images or 1, length, {d}), "
                f"got {tuple(keys.shape)} and {tuple(values.shape)}"
            )
    with ExitStack() as hooks:
        for i, (keys, values) in prefixes.items():
            for hook in _open(vit.blocks[i].attn, keys, values):
                hooks.callback(hook.remove)
        yield


def prefix_width(vit: VisionTransformer) -> int:
    """D: the width of keys and of values, all heads together."""
    return vit.blocks[0].attn.qkv.out_features // 3


def check_blocks(name: str, blocks: Sequence[int], vit: VisionTransformer) -> None:
    """Raise ValueError unless ``blocks`` are some blocks of ``vit``, each once, timm's own."""
    depth = len(vit.blocks)
    if not blocks or len(set(blocks)) < len(blocks) or not set(blocks) <= set(range(depth)):
        rule = f"blocks of the backbone (0 to {depth - 1}), each once, at least one"
        raise fail(name, rule, tuple(blocks))
    for i in blocks:
        if type(getattr(vit.blocks[i], "attn", None)) is not Attention:
            raise ValueError(f"{name} needs timm's own attention, block {i} has another")


def _open(attention: nn.Module, keys: Tensor, values: Tensor) -> list[RemovableHandle]:
    n, length, d = keys.shape

    def make_room(module: nn.Module, args: tuple, options: dict) -> tuple[tuple, dict]:
        x, *rest = args
        if options.get("attn_mask") is not None or options.get("is_causal") or rest:
            raise ValueError("a prefix must be used without an attention mask, got one")
        if n not in (1, len(x)):
            raise ValueError(f"prefix must be for 1 or all {len(x)} images, got {n}")
        return (torch.cat([x.new_zeros(len(x), length, x.shape[2]), x], dim=1),), options

    def fill(module: nn.Module, args: tuple, qkv: Tensor) -> Tensor:
        rows = torch.cat([keys.new_zeros(n, length, d), keys, values], dim=2).to(qkv.dtype)
        return torch.cat([rows.expand(len(qkv), -1, -1), qkv[:, length:]], dim=1)

    def drop(module: nn.Module, args: tuple, out: Tensor) -> Tensor:
        return out[:, length:]

    return [
        attention.register_forward_pre_hook(make_room, with_kwargs=True),
        attention.qkv.register_forward_hook(fill),
        attention.register_forward_hook(drop),
    ]


class PromptPool(nn.Module):
    """Keys (M, d) and prompts (M, L, d), both started at U(-1, 1).

    The pool's size is M, a prompt's length L; an image takes ``top_k`` prompts, at most M.
    """

    def __init__(self, d: int, *, size: int, length: int, top_k: int, generator: torch.Generator):
        super().__init__()
        size, length = integer("pool_size", size, 1), integer("prompt_length", length, 1)
        self.top_k = integer("top_k", top_k, 1)
        if top_k > size:
            raise fail("top_k", f"at most pool_size {size}", top_k)
        self.keys = nn.Parameter(2 * torch.rand(size, d, generator=generator) - 1)
        self.prompts = nn.Parameter(2 * torch.rand(size, length, d, generator=generator) - 1)

    def cosines(self, queries: Tensor) -> Tensor:
        """cos(query, key): (n, d) -> (n, M)."""
        return F.cosine_similarity(queries[:, None], self.keys, dim=2)

    def choose(self, queries: Tensor) -> Tensor:
        """The prompts of every image, nearest key first: (n, d) -> (n, k) places in the pool."""
        return self.cosines(queries).detach().topk(self.top_k, dim=1).indices

    def tokens(self, chosen: Tensor) -> Tensor:
        """The chosen prompts, one behind the other: (n, k) -> (n, k L, d)."""
        return self.prompts[chosen].flatten(1, 2)

    def pull(self, queries: Tensor, chosen: Tensor) -> Tensor:
        """How near the chosen keys are: mean over images of their k cosines' sum."""
        return self.cosines(queries).gather(1, chosen).sum(dim=1).mean()
