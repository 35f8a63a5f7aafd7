"""A pool of prompts with keys: each image takes the prompts whose keys are nearest to its query.

Learning to Prompt (L2P), Wang et al. 2022, arXiv 2112.08654, eq. 3 and 5:

K_x   = the k keys with the highest cos(q(x), key), chosen for every image on its own
pull  = mean over the images of  sum over K_x of cos(q(x), key)

Choosing is no smooth function: keys learn from the pull alone, prompts from the classification.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PromptPool(nn.Module):
    """Keys (M, d) and prompts (M, L, d), both started at U(-1, 1).

    Args:
        d: width of queries and of tokens.
        size: M, prompts in the pool.
        length: L, tokens of a prompt.
        top_k: k, prompts that an image takes.
        generator: randomness of the start.

    Raises:
        ValueError: a size is below 1, or ``top_k`` is above ``size``.
    """

    def __init__(self, d: int, *, size: int, length: int, top_k: int, generator: torch.Generator):
        super().__init__()
        for what, value in (("pool_size", size), ("prompt_length", length), ("top_k", top_k)):
            if value < 1:
                raise ValueError(f"{what} must be at least 1, got {value}")
        if top_k > size:
            raise ValueError(f"top_k must be at most pool_size {size}, got {top_k}")
        self.top_k = top_k
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
