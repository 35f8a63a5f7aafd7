"""Random views of images, each image with its own crop: what pre-training and training share."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def random_views(
    images: Tensor, side: int, rng: np.random.Generator, *, least_area: float = 0.3
) -> Tensor:
    """A random crop of every image, half of them mirrored: (n, 3, H, W) -> (n, 3, side, side).

    Area ``least_area`` to 1 and ratio 3/4 to 4/3, as torchvision's RandomResizedCrop, which draws
    one crop for the whole batch; a side longer than the image's is cut to it, where torchvision
    draws again. Bilinear, without antialiasing: no view is smaller than its crop's pixels by much.

    Args:
        images: floating point.
        side: of the views, in pixels.
        rng: randomness; five numbers an image.
        least_area: share of the image that a crop has at least.
    """
    maps = torch.from_numpy(_maps(len(images), rng, least_area))
    maps = maps.to(images, non_blocking=images.is_cuda)
    grid = F.affine_grid(maps, [len(images), 3, side, side], align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _maps(n: int, rng: np.random.Generator, least_area: float) -> np.ndarray:
    """From places in the view to places in the image, both in -1..1: (n, 2, 3)."""
    area, ratio = rng.uniform(least_area, 1, n), np.exp(rng.uniform(*np.log([3 / 4, 4 / 3]), n))
    width, height = np.minimum(np.sqrt(area * ratio), 1), np.minimum(np.sqrt(area / ratio), 1)
    x, y = rng.uniform(width - 1, 1 - width), rng.uniform(height - 1, 1 - height)
    mirror = rng.choice([-1, 1], n)
    zero = np.zeros(n)
    return np.stack([width * mirror, zero, x, zero, height, y], axis=1).reshape(n, 2, 3)
