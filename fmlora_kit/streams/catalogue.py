"""All streams, all data sets of real images, and the protocols published on them.

A protocol says which classes come when, and which images test. Protocols were published at 224
pixels, the size of their backbone, ViT-B/16. A preset leaves the size open: ``image_size`` is that
of whatever backbone is used, and goes into the run card.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fmlora_kit import checks
from fmlora_kit.streams.cifar100 import CIFAR100, cifar100
from fmlora_kit.streams.cub200 import CUB200, cub200
from fmlora_kit.streams.data_set import DataSet, Preset
from fmlora_kit.streams.digits import digits
from fmlora_kit.streams.domainnet import DN4IL, DOMAINNET, dn4il, domainnet
from fmlora_kit.streams.glyphs import glyph_styles, glyphs, moving_styles
from fmlora_kit.streams.image_folder import IMAGE_FOLDER, image_folder
from fmlora_kit.streams.imagenet_r import IMAGENET_R, imagenet_r
from fmlora_kit.streams.pacs import PACS, pacs
from fmlora_kit.streams.task import Stream

PUBLISHED_SIZE = 224  # pixels
_EMBEDDED = (glyphs, moving_styles, glyph_styles, digits)
_OF_FILES = (pacs, cub200, cifar100, imagenet_r, domainnet, dn4il, image_folder)
STREAMS: dict[str, Callable[..., Stream]] = {f.__name__: f for f in _EMBEDDED + _OF_FILES}
DATA_SETS: dict[str, DataSet] = {
    data.name: data for data in (CIFAR100, IMAGENET_R, CUB200, DOMAINNET, DN4IL, PACS, IMAGE_FOLDER)
}
PRESETS: dict[str, Preset] = {
    name: each for data in DATA_SETS.values() for name, each in data.presets.items()
}
# Passes over each task that published codes take.
PAPER_EPOCHS = {"cifar100": 20, "imagenet_r": 50, "cub200": 50, "domainnet": 5}
# Training and test images of the benchmarks that have one split.
N_IMAGES: dict[str, tuple[int, int]] = {
    name: data.split for name, data in DATA_SETS.items() if data.split
}


def preset(name: str, folder: str | Path, seed: int = 0, **options: object) -> Stream:
    """The stream of a published protocol; its run card then names it.

    Args:
        name: one of `PRESETS`.
        folder: where the data set lies; only read.
        seed: of what the protocol leaves to chance.
        options: further arguments of the data set's stream, such as ``image_size``, which is that
            of the backbone, and limits.

    Raises:
        ValueError: an unknown name, or an option that the protocol fixes.
        FileNotFoundError: something is missing; says what to fetch.
    """
    chosen = PRESETS[checks.choice("preset", name, PRESETS)]
    for key, value in options.items():
        if key in chosen.options:
            rule = f"left out with preset {name!r}, which fixes it to {chosen.options[key]!r}"
            raise checks.fail(key, rule, value)
    stream = STREAMS[chosen.stream](folder, seed, **{**chosen.options, **options})
    return replace(stream, about={**stream.about, "preset": name})


def protocols() -> dict[str, dict[str, object]]:
    """What each preset is, by its name: its data set, how many tasks, and whose protocol."""
    return {
        name: {
            "data set": each.stream,
            "tasks": each.options.get("n_tasks", "one per domain"),
            "whose": each.whose,
        }
        for name, each in PRESETS.items()
    }


def paper_work(batch_size: int = 128, image_size: int = 224) -> dict[str, dict[str, float]]:
    """What a benchmark takes at paper scale, by its name: images, epochs, steps, memory.

    Args:
        batch_size: images per step.
        image_size: pixels a side of all images, decoded, in gigabytes.
    """
    batch_size = checks.integer("batch_size", batch_size, 1)
    found = {}
    for name, epochs in PAPER_EPOCHS.items():
        n_train, n_test = N_IMAGES[name]
        found[name] = {
            "training images": n_train,
            "test images": n_test,
            "epochs": epochs,
            f"steps of {batch_size}": epochs * math.ceil(n_train / batch_size),
            f"GB at {image_size} px": round(decoded_gigabytes(n_train + n_test, image_size), 1),
        }
    return found


def expected_hours(seconds_per_step: float, n_images: int, epochs: int, batch_size: int) -> float:
    """Hours of training: epochs x ceil(n_images / batch_size) steps; testing is not in it.

    Args:
        seconds_per_step: as measured, with this batch size on this machine.
        n_images: training images of the whole stream.
        epochs: passes over each task.
        batch_size: images per step.
    """
    seconds = checks.number("seconds_per_step", seconds_per_step, above=0)
    counts = {"n_images": n_images, "epochs": epochs, "batch_size": batch_size}
    n_images, epochs, batch_size = (checks.integer(k, n, 1) for k, n in counts.items())
    return seconds * epochs * math.ceil(n_images / batch_size) / 3600


def decoded_gigabytes(n_images: int, image_size: int) -> float:
    """Gigabytes (10^9 bytes) of ``n_images`` decoded RGB images, ``image_size`` pixels squared."""
    n_images = checks.integer("n_images", n_images, 1)
    return n_images * checks.integer("image_size", image_size, 1) ** 2 * 3 / 1e9
