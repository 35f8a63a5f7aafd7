"""A small whole tree for every stream of files, in every layout that it takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import real_data

from fmlora_kit.streams import STREAMS
from fmlora_kit.streams.catalogue import LAYOUTS
from fmlora_kit.streams.domainnet import DN4IL, DOMAINNET

BIRD = "images/003.Owl/bird_1.jpg"
ART = "n02007558/art_1.jpg"
COW = "real/cow/1.jpg"
BY_CLASS = {"scenario": "class-incremental", "n_tasks": 1}


class Reader(NamedTuple):
    """A stream, what its tree is drawn by, its options, and one image in the tree."""

    stream: str
    draw: Callable[[Path], None]
    options: dict
    image: str


def domains(kind):
    return lambda root: real_data.draw_domains(root, tuple(kind.images), ("owl", "cow"), 3, (0, 2))


def classes(root):
    for c, name in enumerate(("cat", "dog")):
        for i in range(3):
            real_data.draw(root / name / f"{i}.png", 10 * c + i)


def places(root):
    for domain in ("day", "night"):
        classes(root / domain)


READERS = {
    "cub200": Reader("cub200", real_data.draw_cub200, {"n_tasks": 1}, BIRD),
    "pacs": Reader("pacs", lambda r: real_data.draw_pacs(r, 2), {}, "photo/dog/1.jpg"),
    "fixed": Reader("imagenet_r", real_data.draw_imagenet_r, {"n_tasks": 1}, ART),
    "random": Reader(
        "imagenet_r", real_data.draw_imagenet_r, {"n_tasks": 1, "split": "random"}, ART
    ),
    "folders": Reader(
        "imagenet_r",
        real_data.draw_split,
        {"n_tasks": 1, "split": "folders"},
        "test/n02007558/1.jpg",
    ),
    "domainnet": Reader("domainnet", domains(DOMAINNET), {}, COW),
    "domainnet by class": Reader("domainnet", domains(DOMAINNET), BY_CLASS, COW),
    "dn4il": Reader("dn4il", domains(DN4IL), {}, COW),
    "class": Reader("image_folder", classes, {"n_tasks": 1}, "dog/1.png"),
    "train and test": Reader(
        "image_folder", real_data.draw_split, {"n_tasks": 1}, "test/n02007558/1.jpg"
    ),
    "domain": Reader("image_folder", places, {}, "night/dog/1.png"),
    "cifar100": Reader("cifar100", real_data.write_cifar100, {"n_tasks": 1}, ""),
}
OF_IMAGES = [name for name, reader in READERS.items() if reader.image]


def tree(folder: Path, name: str) -> Path:
    """Draw the tree of a reader in a folder; return its own."""
    root = folder / (LAYOUTS[READERS[name].stream].root or "own")
    root.mkdir(exist_ok=True)
    READERS[name].draw(root)
    return root


def read(name, root, **options):
    """The stream of a tree, of 8 pixels."""
    reader = READERS[name]
    return STREAMS[reader.stream](root, image_size=8, **reader.options, **options)
