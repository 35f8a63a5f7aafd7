"""Random changes of training images, as the published codes make them; off by default."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from fmlora_kit.backbones.views import random_views

AUGMENTATIONS = {
    "none": "none",
    "crop_flip": "crops of area 0.05 to 1 and ratio 3/4 to 4/3, half of them mirrored",
}


def crop_flip(images: Tensor, rng: np.random.Generator) -> Tensor:
    """A random crop of every image at its old size, half of them mirrored, rounded to bytes.

    What L2P, DualPrompt, HiDe-Prompt and SD-LoRA train on (torchvision's RandomResizedCrop with
    scale 0.05 to 1, and a horizontal flip), on images already at the backbone's size: they crop the
    file, which may be larger. Letters and digits mean something else when mirrored.

    Args:
        images: uint8 (n, side, side, 3), on any device.
        rng: randomness, on the CPU: the same views on every device and in every process.

    Raises:
        ValueError: the images are not square.
    """
    n, height, width, _ = images.shape
    if height != width:
        raise ValueError(f"images must be square for crop_flip, got {height} x {width} pixels")
    views = random_views(images.permute(0, 3, 1, 2).float(), height, rng, least_area=0.05)
    return views.round_().clamp_(0, 255).to(images.dtype).permute(0, 2, 3, 1)
