"""DMP: the dynamic meta-prompt, as register tokens of the timm ViT itself.

P: (L, d), shared by all tasks, stands between the class token and the patch tokens, after the
position embedding [paper: a learnable prompt matrix that stabilises representations]. timm's
register tokens are exactly that, so a prompted model is still a plain timm ViT.

Meta-update [ours], the Reptile outer step (Nichol et al. 2018, arXiv 1803.02999, alg. 1): task t
trains fast prompts P_t from P; afterwards P <- P + eta_t (P_t - P), eta_t scaled by novelty.
"""

from __future__ import annotations

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

UPDATES = ("reptile", "slow")


def add_prompt(vit: VisionTransformer, length: int, generator: torch.Generator) -> None:
    """Give ``vit`` ``length`` more register tokens, small and random; they have no position.

    Registers that ``vit`` had before stay as they are: gradients reach only the new ones.

    Raises:
        ValueError: ``length`` is negative, or ``vit`` places its tokens in a way of its own.
    """
    if length < 0:
        raise ValueError(f"prompt_length must not be negative, got {length}")
    if length == 0:
        return
    if type(vit)._pos_embed is not VisionTransformer._pos_embed:
        raise ValueError(f"prompt needs timm's own register tokens, got {type(vit).__name__}")
    prefix = vit.num_prefix_tokens
    like = vit.patch_embed.proj.weight
    start = 0.02 * torch.randn(1, length, vit.embed_dim, generator=generator, dtype=like.dtype)
    old = [vit.reg_token.detach()] if vit.reg_token is not None else []
    vit.reg_token = nn.Parameter(torch.cat([*old, start.to(like)], dim=1))
    if old:
        is_new = torch.arange(vit.reg_token.shape[1])[:, None] >= vit.num_reg_tokens
        vit.reg_token.register_hook(lambda gradient: gradient * is_new.to(gradient))
    vit.num_reg_tokens += length
    vit.num_prefix_tokens += length
    for block in vit.blocks:
        if hasattr(block.attn, "num_prefix_tokens"):
            block.attn.num_prefix_tokens = vit.num_prefix_tokens
    if vit.pos_embed is not None and not vit.no_embed_class:
        place = vit.pos_embed.detach()
        empty = place.new_zeros(1, length, vit.embed_dim)
        vit.pos_embed = nn.Parameter(
            torch.cat([place[:, :prefix], empty, place[:, prefix:]], dim=1), requires_grad=False
        )


def prompt_of(vit: VisionTransformer, length: int) -> Tensor:
    """The last ``length`` register tokens: (L, d), a view of what trains."""
    return vit.reg_token[0, vit.num_reg_tokens - length :]


def reptile(before: Tensor, fast: Tensor, eta: float) -> Tensor:
    """P + eta (P_t - P): all (L, d).

    Raises:
        ValueError: ``eta`` outside 0..1.
    """
    if not 0 <= eta <= 1:
        raise ValueError(f"eta must be between 0 and 1, got {eta}")
    return before + eta * (fast - before)
