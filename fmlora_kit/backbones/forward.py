"""The forward pass of a ViT in parts: into its blocks, out of them, and no more of it than is read.

A head that reads the class token reads one token of the last block. There only that token needs a
query, the output map and the MLP; keys and values are still those of all tokens. What comes out is
the same but for rounding, for less: of ViT-B/16, a sixteenth of all multiplications, both ways.
"""

from __future__ import annotations

from timm.layers import Attention
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor
from torch.nn import functional as F


def pool(vit: VisionTransformer, pixels: Tensor) -> Tensor:
    """Pixels (n, 3, H, W) -> what the head reads, (n, d)."""
    if splittable(vit):
        return leave(vit, enter(vit, pixels, 0), 0)
    return vit.forward_head(vit.forward_features(pixels), pre_logits=True)


def enter(vit: VisionTransformer, pixels: Tensor, k: int) -> Tensor:
    """Pixels (n, 3, H, W) -> what block ``k`` gets to see, (n, tokens, d).

    With ``k`` = depth: pooled features (n, d). It repeats `VisionTransformer.forward_features` up
    to there, see `splittable`.
    """
    x = vit.norm_pre(vit.patch_drop(vit._pos_embed(vit.patch_embed(pixels))))
    return leave(vit, x, 0) if k == len(vit.blocks) else vit.blocks[:k](x)


def leave(vit: VisionTransformer, x: Tensor, k: int) -> Tensor:
    """What `enter` gave for ``k`` -> pooled features (n, d)."""
    if k == len(vit.blocks):
        return x
    if reads_class_token(vit):
        x = _class_token(vit.blocks[-1], vit.blocks[k:-1](x))
    else:
        x = vit.blocks[k:](x)
    return vit.forward_head(vit.norm(x), pre_logits=True)


def splittable(vit: VisionTransformer) -> bool:
    """Is its forward pass timm's own, without gradient checkpointing, so that it can be split?"""
    own = type(vit).forward_features is VisionTransformer.forward_features
    return own and not vit.grad_checkpointing


def reads_class_token(vit: VisionTransformer) -> bool:
    """Is the class token all that is read of the last block, and is the block timm's plain one?

    A block that something is hooked to, or that is compiled, is run as it is.
    """
    last = vit.blocks[-1]
    plain = type(last) is Block and type(last.attn) is Attention
    if not plain or type(vit).forward_head is not VisionTransformer.forward_head:
        return False
    touched = any(m._forward_hooks or m._forward_pre_hooks for m in (last, last.attn))
    touched = touched or last._compiled_call_impl is not None
    return vit.global_pool == "token" and vit.attn_pool is None and not touched


def _class_token(block: Block, x: Tensor) -> Tensor:
    """The class token behind ``block``: (n, tokens, d) -> (n, 1, d)."""
    attn, seen = block.attn, block.norm1(x)
    qkv = attn.qkv(seen).unflatten(2, (3, attn.num_heads, attn.head_dim))
    q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
    q, k = attn.q_norm(q[:, :, :1]), attn.k_norm(k)
    y = attn.norm(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
    if attn.gate is not None:
        y = y * attn.gate(seen[:, :1]).sigmoid()
    x = x[:, :1] + block.drop_path1(block.ls1(attn.proj(y)))
    return x + block.drop_path2(block.ls2(block.mlp(block.norm2(x))))
