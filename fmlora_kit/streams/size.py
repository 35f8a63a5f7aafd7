"""What a run will take: hours, from the measured time of one step, and the memory of its images."""

from __future__ import annotations

import math

# Training and test images of each benchmark: counted in the official files and lists, and for
# ImageNet-R, which has no official split, in the fixed lists of CODA-Prompt.
N_IMAGES = {
    "cifar100": (50_000, 10_000),
    "imagenet_r": (24_000, 6_000),
    "cub200": (5_994, 5_794),
    "domainnet": (409_832, 176_743),
    "dn4il": (67_080, 19_464),
}


def expected_hours(seconds_per_step: float, n_images: int, epochs: int, batch_size: int) -> float:
    """Hours of training: epochs x ceil(n_images / batch_size) steps; testing is not in it.

    Args:
        seconds_per_step: as measured, with this batch size on this machine.
        n_images: training images of the whole stream.
        epochs: passes over each task.
        batch_size: images per step.

    Raises:
        ValueError: a number that is not above 0.
    """
    given = {
        "seconds_per_step": seconds_per_step,
        "n_images": n_images,
        "epochs": epochs,
        "batch_size": batch_size,
    }
    for name, value in given.items():
        if not value > 0:
            raise ValueError(f"{name} must be above 0, got {value}")
    return seconds_per_step * epochs * math.ceil(n_images / batch_size) / 3600


def decoded_gigabytes(n_images: int, image_size: int) -> float:
    """Gigabytes (10^9 bytes) of ``n_images`` decoded RGB images of ``image_size`` pixels squared.

    Raises:
        ValueError: a number below 1.
    """
    for name, value in (("n_images", n_images), ("image_size", image_size)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    return n_images * image_size**2 * 3 / 1e9
