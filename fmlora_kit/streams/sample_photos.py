"""A tiny folder of photos: crops of the two photographs that come with scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from fmlora_kit.streams.trees import write_tree

SIDE = 48  # pixels of a crop
N_CROPS = {"train": 20, "test": 10}
# Class -> which photograph, and where in it training and test crops lie: left, top, right, bottom.
REGIONS = {
    "leaves": ("flower", {"train": (0, 60, 160, 330), "test": (460, 60, 640, 360)}),
    "petals": ("flower", {"train": (190, 110, 305, 330), "test": (310, 120, 420, 320)}),
    "sky": ("china", {"train": (340, 0, 640, 125), "test": (0, 0, 95, 140)}),
    "tower": ("china", {"train": (95, 130, 208, 335), "test": (212, 130, 315, 335)}),
    "trees": ("china", {"train": (340, 330, 560, 427), "test": (0, 340, 200, 427)}),
    "water": ("china", {"train": (440, 235, 545, 300), "test": (345, 240, 436, 315)}),
}


def sample_photos(folder: str | Path) -> Path:
    """Write a folder of 180 crops, `train/CLASS/*.png` and `test/CLASS/*.png`; return it.

    Six classes of 48 x 48 pixels from the photographs china.jpg and flower.jpg of
    `sklearn.datasets.load_sample_images`. Training crops may overlap each other, but none overlaps
    a test crop: the two come from different regions, so that the folder is easy, not trivial. The
    photographs are from Flickr, by danielbuechele and from vultilion's pages, under CC BY 2.0.

    Args:
        folder: new, empty, or written by this function before.

    Raises:
        ValueError: there are other files in ``folder``, which is then left as it is.
    """
    data = load_sample_images()
    names = [Path(name).stem for name in data.filenames]
    photos = {n: Image.fromarray(image) for n, image in zip(names, data.images, strict=True)}
    content = {}
    for c, (name, (photo, regions)) in enumerate(REGIONS.items()):
        for part, region in regions.items():
            for i, box in enumerate(crops(region, N_CROPS[part], seed=c)):
                content[f"{part}/{name}/{i:02}.png"] = photos[photo].crop(box)
    return write_tree(folder, content)


def crops(region: tuple[int, ...], n: int, seed: int) -> Iterator[tuple[int, int, int, int]]:
    """``n`` squares of `SIDE` pixels at random places inside a region, all as (l, t, r, b)."""
    left, top, right, bottom = region
    rng = np.random.default_rng(seed)
    for x, y in rng.integers((left, top), (right - SIDE, bottom - SIDE), (n, 2), endpoint=True):
        yield int(x), int(y), int(x) + SIDE, int(y) + SIDE
