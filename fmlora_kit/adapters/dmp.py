"""DMP: the dynamic meta-prompt, as register tokens of the timm ViT itself.

P: (L, d), shared by all tasks, stands between the class token and the patch tokens, after the
position embedding [paper: a learnable prompt matrix that stabilises representations]. timm's
register tokens are exactly that, so a prompted model is still a plain timm ViT.

Meta-update [ours], the Reptile outer step (Nichol et al. 2018, arXiv 1803.02999, alg. 1): task t
trains fast prompts P_t from P; afterwards P <- P + eta_t (P_t - P), with eta_t from
`adapters.outer_step`.
"""

from __future__ import annotations

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from fmlora_kit.checks import integer, number

UPDATES = ("reptile", "slow")


class EnteringPrompt(nn.Module):
    """Prompt tokens (1, L, d) that join the others, behind ``place`` of them, right before a block.

    It is a forward pre-hook of the block.
    """

    def __init__(self, tokens: Tensor, block: int, place: int):
        super().__init__()
        self.tokens, self.block, self.place = nn.Parameter(tokens), block, place

    def forward(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The block's inputs with the prompt among the tokens: (n, N, d) -> (n, N + L, d)."""
        x, *rest = inputs
        prompt = self.tokens.expand(len(x), -1, -1).to(x)
        return (torch.cat([x[:, : self.place], prompt, x[:, self.place :]], dim=1), *rest)


def add_prompt(
    vit: VisionTransformer, length: int, generator: torch.Generator, block: int = 0
) -> None:
    """Give ``vit`` ``length`` more register tokens, small and random; they have no position.

    Registers that ``vit`` had before stay as they are: gradients reach only the new ones. With
    ``block`` above 0 the prompt enters before that block, behind the other prefix tokens, and the
    blocks before it stay those of a plain ViT.

    Raises:
        ValueError: ``length`` is negative, or ``vit`` places its tokens in a way of its own.
    """
    if integer("length", length, 0) == 0:
        return
    if type(vit)._pos_embed is not VisionTransformer._pos_embed:
        given = type(vit).__name__
        raise ValueError(f"prompt needs timm's own register tokens, got {given}: pass dmp=None")
    prefix = vit.num_prefix_tokens
    like = next(vit.parameters())
    start = 0.02 * torch.randn(1, length, vit.embed_dim, generator=generator, dtype=like.dtype)
    if block:
        if vit.dynamic_img_size:
            raise ValueError(f"prompt before block {block} needs a ViT of one image size")
        vit.entering_prompt = EnteringPrompt(start.to(like), block, prefix)
        vit.blocks[block].register_forward_pre_hook(vit.entering_prompt)
        _count_prefix(vit, length, first=block)
        return
    old = [vit.reg_token.detach()] if vit.reg_token is not None else []
    vit.reg_token = nn.Parameter(torch.cat([*old, start.to(like)], dim=1))
    vit.num_reg_tokens += length
    keep_own_registers(vit, length)
    _count_prefix(vit, length)
    if vit.pos_embed is not None and not vit.no_embed_class:
        old = vit.pos_embed.detach()
        empty = old.new_zeros(1, length, vit.embed_dim)
        places = torch.cat([old[:, :prefix], empty, old[:, prefix:]], dim=1)
        vit.pos_embed = nn.Parameter(places, requires_grad=False)


def keep_own_registers(vit: VisionTransformer, length: int) -> None:
    """Let gradients reach only the last ``length`` register tokens of ``vit``.

    A copied or unpickled parameter has lost this hook: whoever copies calls this again.
    """
    if hasattr(vit, "entering_prompt") or vit.num_reg_tokens == length:
        return
    is_new = torch.arange(vit.num_reg_tokens)[:, None] >= vit.num_reg_tokens - length
    trains = vit.reg_token.requires_grad
    vit.reg_token.requires_grad_(True)  # only such a one takes a hook
    vit.reg_token.register_hook(lambda gradient: gradient * is_new.to(gradient))
    vit.reg_token.requires_grad_(trains)


def _count_prefix(vit: VisionTransformer, length: int, first: int = 0) -> None:
    vit.num_prefix_tokens += length
    for block in vit.blocks[first:]:
        if hasattr(block.attn, "num_prefix_tokens"):
            block.attn.num_prefix_tokens = vit.num_prefix_tokens


def prompt_parameter(vit: VisionTransformer) -> nn.Parameter:
    """What trains: all register tokens, or the prompt alone if it enters after the first block."""
    return vit.entering_prompt.tokens if hasattr(vit, "entering_prompt") else vit.reg_token


def prompt_of(vit: VisionTransformer, length: int) -> Tensor:
    """The prompt, the last ``length`` register tokens: (L, d), a view of what trains."""
    tokens = prompt_parameter(vit)
    return tokens[0, tokens.shape[1] - length :]


def reptile(before: Tensor, fast: Tensor, eta: float) -> Tensor:
    """P + eta (P_t - P), with eta from 0 to 1: all (L, d)."""
    return before + number("eta", eta, 0, 1) * (fast - before)
