"""L2P: a pool of prompts, of which every image takes the few that are nearest to it.

Wang et al. 2022, "Learning to Prompt for Continual Learning", arXiv 2112.08654:

q(x)   = class token's feature of the frozen ViT, without prompts
K_x    = the k of M keys with the highest cos(q(x), key)
f(x)   = mean of the outputs of x's k L prompt tokens, put before the patch tokens
loss   = local cross-entropy of head(f(x)) - 0.1 sum over K_x of cos(q(x), key)

The backbone is frozen; keys, prompts and the current head rows train on every task, and no prompt
is set aside for a task. Published: M = 10, L = 5, k = 5, keys and prompts started at U(-1, 1), a
linear head, Adam at 0.03 batch / 256. [ours]: AdamW with a cosine per task, its learning rate and
the cosine head, the best of three heads in a few runs on two held-out seeds; prompts have no
position embedding, and stand behind the class token; a ViT that does not pool by its class token
asks with its own pooled feature. The paper's optional penalty on often-used prompts is left out: it
needs task boundaries. Prompts are chosen for each image alone, never by a vote of the batch: over
test images of one task such a vote tells the model which task it is.
"""

from __future__ import annotations

import numpy as np
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from fmlora_kit.adapters.prompts import PromptPool
from fmlora_kit.checks import Count, Weight
from fmlora_kit.methods import description
from fmlora_kit.methods.base import PromptedMethod
from fmlora_kit.streams.task import Task

_POOL = 1  # what randomness is for


class L2P(PromptedMethod):
    """Learning to Prompt: prompts chosen for each image, on its own, by its query.

    Args:
        backbone: it must place its tokens as timm's `VisionTransformer` does.
        pool_size: M, prompts in the pool.
        prompt_length: L, tokens of a prompt.
        top_k: k, prompts that an image takes.
        pull: weight of the pull of the chosen keys towards the query.

    Attributes:
        usage: (M,) how many training images of the last task took each prompt when the task ended;
            it sums to k times the images. Few prompts in use: the selection has collapsed.
    """

    name = "l2p"
    trained = "all keys and prompts of the one pool; the task's head rows"
    tested = f"{description.ALL_SEEN}; "
    tested += "each image takes the prompts whose keys are nearest to its query"
    default_lr = 1e-2

    def __init__(
        self,
        backbone,
        n_classes: int,
        *,
        pool_size: Count = 10,
        prompt_length: Count = 5,
        top_k: Count = 5,
        pull: Weight = 0.1,
        **options,
    ):
        super().__init__(backbone, n_classes, **options)
        for step in ("forward_features", "_pos_embed"):
            if getattr(type(self.vit), step) is not getattr(VisionTransformer, step):
                kind = type(self.vit).__name__
                raise ValueError(f"backbone must have timm's own {step}, got {kind}'s")
        self.set_options(pool_size=pool_size, prompt_length=prompt_length, top_k=top_k, pull=pull)
        sizes = {"size": self.pool_size, "length": self.prompt_length, "top_k": self.top_k}
        pool = PromptPool(self.vit.embed_dim, **sizes, generator=self.generator(_POOL))
        self.pool = pool.to(self.pixel_mean)
        self.usage = np.zeros(self.pool_size, dtype=np.int64)

    # --- the verbs -------------------------------------------------------------------------------
    def loss(self, images: Tensor, labels: Tensor, progress: float = 0.0) -> Tensor:
        """Local cross-entropy - pull * (mean over images of the chosen keys' summed cosine)."""
        classification = super().loss(images, labels, progress)
        return classification - self.pull * self.pool.pull(*self._last_choice)

    def end_task(self, task: Task) -> None:
        """Finish, and count which prompts the task's images take."""
        super().end_task(task)
        chosen = self.selection(task.train_images)
        self.usage = np.bincount(chosen.ravel(), minlength=len(self.usage)).astype(np.int64)
        share = self.usage[self.usage > 0] / chosen.size
        self.scalars["prompts_chosen"] = float(len(share))
        self.scalars["prompts_effective"] = float(np.exp(-(share * np.log(share)).sum()))

    def features(self, images: Tensor) -> Tensor:
        """Mean output of each image's prompt tokens: uint8 (n, height, width, 3) -> (n, d)."""
        queries = self.query(images)
        chosen = self.pool.choose(queries)
        self._last_choice = queries, chosen
        prompts, first, vit = self.pool.tokens(chosen), self.vit.num_prefix_tokens, self.vit
        x = vit._pos_embed(vit.patch_embed(self.pixels(images)))
        x = torch.cat([x[:, :first], prompts.to(x), x[:, first:]], dim=1)
        x = vit.norm(vit.blocks(vit.norm_pre(x)))
        outputs = x[:, first : first + prompts.shape[1]]
        return vit.fc_norm(outputs.mean(dim=1)).to(prompts)

    @torch.inference_mode()
    def selection(self, images: np.ndarray) -> np.ndarray:
        """Which prompts each image takes: uint8 images (n, h, w, 3) -> (n, k), nearest first."""
        chosen = [self.pool.choose(self.query(batch)) for batch in self.batches(images)]
        return torch.cat(chosen).cpu().numpy()

    def parts(self) -> list[nn.Parameter]:
        """All keys and prompts."""
        return [self.pool.keys, self.pool.prompts]

    def kept(self) -> dict[str, Tensor]:
        """The head, keys, prompts, and how often each prompt was taken."""
        pool = {"keys": self.pool.keys, "prompts": self.pool.prompts}
        pool["usage"] = torch.from_numpy(self.usage)  # the same memory
        return super().kept() | {f"pool.{name}": part for name, part in pool.items()}

    def _deployed_buffers(self) -> list[Tensor]:
        return self.parts()
