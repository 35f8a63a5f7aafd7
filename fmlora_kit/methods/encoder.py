"""How images become features: normalised, batch by batch, through frozen first blocks only once."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from fmlora_kit.adapters.sites import Site, find_sites
from fmlora_kit.backbones.batches import Rows, precision
from fmlora_kit.backbones.forward import enter, leave, pool, splittable
from fmlora_kit.backbones.frozen_blocks import FrozenBlocksCache
from fmlora_kit.backbones.identity import fingerprint

EVALUATION_BATCH = 256


class TrainingError(ArithmeticError):
    """Training cannot go on; what was recorded before stays as it is."""


class Encoder(nn.Module):
    """A frozen copy of a timm `VisionTransformer`, from uint8 images to features.

    Args:
        backbone: see `Method`.

    Raises:
        ValueError: ``backbone`` is no timm ViT, in other numbers than float32 or float64, has a
            weight that is not finite, or does not make one vector of a picture of three channels.
    """

    keeps_first_blocks = False  # blocks before the first adapted one stay the backbone's own
    group = None  # the processes that learn together, see `training.parallel`

    def __init__(self, backbone: VisionTransformer):
        super().__init__()
        find_sites(backbone)
        self.vit = copy.deepcopy(backbone).eval().requires_grad_(False)
        dtype = next(self.vit.parameters()).dtype
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"backbone must be in float32 or float64, got {dtype}")
        for name, weights in self.vit.state_dict().items():
            if not weights.isfinite().all():
                raise ValueError(
                    f"backbone must have finite weights, got some in {name} that are not"
                )
        self.sites: tuple[Site, ...] = ()
        self.blocks_cache: FrozenBlocksCache | None = None
        cfg = getattr(backbone, "pretrained_cfg", None) or {}
        self.backbone_name = cfg.get("architecture", "custom")
        self.input_facts: dict = {"tag": cfg.get("tag")}
        for what in ("pixel_mean", "pixel_std"):
            value = [float(v) for v in cfg.get(what.removeprefix("pixel_"), (0.5, 0.5, 0.5))]
            self.register_buffer(what, torch.tensor(value, dtype=dtype).view(1, 3, 1, 1))
            self.input_facts[what] = value
        self.input_facts["input_size"] = list(self.vit.patch_embed.img_size)
        self.input_facts["computes"] = fingerprint(self.vit)
        told = ("input_range", "weights_file", "weights_sha256")  # only by `load_backbone`
        self.input_facts |= {what: cfg[what] for what in told if what in cfg}

    @property
    def device(self) -> torch.device:
        """Where the model lives."""
        return self.pixel_mean.device

    def features(self, images: Tensor) -> Tensor:
        """Pooled features: uint8 (n, height, width, 3), or tokens of frozen blocks -> (n, d)."""
        if images.is_floating_point() and images.ndim < 4 and self.n_frozen_blocks:
            return leave(self.vit, images, self.n_frozen_blocks).to(self.pixel_mean)
        x = self.pixels(images)
        return pool(self.vit, x).to(x)

    def pixels(self, images: Tensor) -> Tensor:
        """What the ViT takes: uint8 (n, height, width, 3) -> normalised (n, 3, height, width)."""
        size = self.vit.patch_embed.img_size
        if images.dtype != torch.uint8:
            raise ValueError(f"images must be uint8 (bytes 0..255), got {images.dtype}")
        if images.ndim != 4 or images.shape[-1] != 3 or tuple(images.shape[1:3]) != tuple(size):
            given = tuple(images.shape)
            raise ValueError(f"images must be (n, {size[0]}, {size[1]}, 3), got {given}")
        x = images.permute(0, 3, 1, 2).to(self.pixel_mean) / 255
        return (x - self.pixel_mean) / self.pixel_std

    @torch.inference_mode()
    def extract(self, images: np.ndarray) -> Tensor:
        """Features of many images, batch by batch: (n, d), on the CPU.

        Raises:
            TrainingError: a feature is not finite.
        """
        with precision(self.device):
            if self.group is not None:
                return finite(self.group.extract(self, images))
            return finite(torch.cat([self.features(b) for b in self.batches(images)]).cpu())

    def batches(self, images: np.ndarray) -> Iterator[Tensor]:
        """The images, or their tokens if `hold` has them, a batch at a time on the device."""
        rows = self.rows(images, whole=False)
        for batch in torch.arange(len(images)).split(EVALUATION_BATCH):
            yield rows[batch]

    def rows(self, images: np.ndarray, *, whole: bool | None = None) -> Rows:
        """The images, or their tokens if `hold` has them, to take batches of: see `Rows`."""
        tokens = None if self.blocks_cache is None else self.blocks_cache.get(images)
        return Rows(images if tokens is None else tokens, self.device, whole=whole)

    def release(self, images: np.ndarray) -> None:
        """Drop what `hold` computed for this array."""
        if self.blocks_cache is not None:
            self.blocks_cache.drop(images)

    @property
    def n_frozen_blocks(self) -> int:
        """How many blocks at the start give the same for an image whatever is learned."""
        if not self.keeps_first_blocks or not splittable(self.vit):
            return 0
        return min((site.block for site in self.sites), default=len(self.vit.blocks))

    def cache_frozen_blocks(self, n_bytes: int, device: torch.device | None = None) -> None:
        """Keep up to ``n_bytes`` of what the frozen first blocks give from now on; 0: nothing.

        This costs memory, saves time where `n_frozen_blocks` is not 0, and changes no number: the
        training loop holds each task's training images and, as far as there is room, all test
        images. Float32 tokens of one image take 4 * tokens * d bytes, on ``device`` (None: the
        model's).
        """
        self.blocks_cache = FrozenBlocksCache(n_bytes, device) if n_bytes else None

    def hold(self, images: np.ndarray, *, urgent: bool = False) -> None:
        """Run this array through the frozen first blocks once, if a cache has room for the tokens.

        It must not change any more. If ``urgent``, other arrays are dropped to make room.
        """
        k, cache = self.n_frozen_blocks, self.blocks_cache
        if cache is None or not k:
            return
        with precision(self.device):
            batches = self.batches(images)
            cache.hold(images, batches, lambda b: enter(self.vit, self.pixels(b), k), urgent=urgent)


def finite(features: Tensor) -> Tensor:
    """The features of some images, (n, ..); raise TrainingError if one of them is not finite."""
    wrong = int((~features.isfinite()).flatten(1).any(1).sum())
    if wrong:
        given = f"others for {wrong} of {len(features)} images"
        raise TrainingError(f"features must be finite, got {given}; a smaller lr may help")
    return features
