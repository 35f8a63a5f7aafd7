"""Small folders of images, written into a place of their own, to try what will read the real ones.

`write_benchmark` makes images up, in the official layout of a benchmark. `write_photos` crops the
two photographs that come with scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from fmlora_kit import checks
from fmlora_kit.checks import as_path
from fmlora_kit.streams.catalogue import PRESETS
from fmlora_kit.streams.cub200 import CUB200
from fmlora_kit.streams.data_set import DataSet, Preset
from fmlora_kit.streams.domainnet import DN4IL, DOMAINNET
from fmlora_kit.streams.imagenet_r import IMAGENET_R, LISTED_FROM
from fmlora_kit.streams.pacs import CLASSES, PACS

PARTS = ("train",) * 6 + ("test",) * 3  # of one class, in one domain
CLASSES_PER_TASK = 2
DOMAIN_CLASSES = 4
SHAPE = (60, 72)  # height and width of a picture
Tree = dict[str, Image.Image | str]


def write_benchmark(preset: str, folder: str | Path) -> Path:
    """Write a tiny tree that the preset's stream reads like the real data set; return its folder.

    It has the official names of folders and lists, as many tasks as the protocol, and a few
    pictures of coloured stripes per class. `Stream.describe` calls it partial, as it is. Nothing
    that a method scores on it says anything about the data set.

    Args:
        preset: a key of `PRESETS`, but for those of CIFAR-100.
        folder: new, empty, or written for this preset before.

    Raises:
        ValueError: an unknown preset, or one of CIFAR-100, whose official files are pickles; or
            other files in ``folder``, which is then left as it is.
    """
    possible = [name for name, each in PRESETS.items() if each.stream in _TREES]
    if preset not in possible:
        why = " (the files of CIFAR-100 are pickles, which are never written here)"
        cifar = isinstance(preset, str) and preset.startswith("cifar100")
        raise checks.fail("preset", f"one of {', '.join(possible)}{why * cifar}", preset)
    return write_tree(folder, _TREES[PRESETS[preset].stream](PRESETS[preset]))


def picture(class_: int, image: int, domain: int = 0) -> Image.Image:
    """Stripes in two colours: direction and colours are the class's, phase and light the image's.

    Each domain turns the colours by another amount and adds more grain.
    """
    of_class = np.random.default_rng(class_)
    of_image = np.random.default_rng([class_, image, domain])
    angle, width = of_class.uniform(0, np.pi), of_class.uniform(4, 10)
    colours = np.roll(of_class.uniform(0, 1, (2, 3)), domain, axis=1)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    wave = (x * np.cos(angle) + y * np.sin(angle)) / width + of_image.uniform(0, 2 * np.pi)
    share = (np.sin(wave)[..., None] + 1) / 2
    pixels = share * colours[0] + (1 - share) * colours[1]
    grain = of_image.normal(0, 0.05 * (1 + domain), (*SHAPE, 1))
    pixels = of_image.uniform(0.7, 1.0) * pixels + grain
    return Image.fromarray((255 * np.clip(pixels, 0, 1)).astype(np.uint8))


def _imagenet_r_tree(preset: Preset) -> Tree:
    n, split = CLASSES_PER_TASK * preset.options["n_tasks"], preset.options["split"]
    names = [f"n{k:08}" for k in range(1, n + 1)]
    spoken = _join_lines([f"{name} stripes_{k}" for k, name in enumerate(names)])
    tree: Tree = {"imagenet-r/README.txt": f"Made up, not ImageNet-R.\n\n{spoken}"}
    listed: dict[str, list[tuple[str, int]]] = {"train": [], "test": []}
    for k, name in enumerate(names):
        for i, part in enumerate(PARTS):
            below = f"{name}/art_{i}.jpg"
            inside = f"{part}/" if split == "folders" else ""
            tree[f"imagenet-r/{inside}{below}"] = picture(k, i)
            listed[part].append((f"{LISTED_FROM}{below}", k))
    if split == "fixed":
        for name, pairs in zip(IMAGENET_R.files, listed.values(), strict=True):
            paths, labels = zip(*pairs, strict=True)
            values = ["data:", *(f"- {p}" for p in paths), "targets:", *(f"- {k}" for k in labels)]
            tree[f"imagenet-r/{name}"] = _join_lines(values)
    return tree


def _cub200_tree(preset: Preset) -> Tree:
    n = CLASSES_PER_TASK * preset.options["n_tasks"]
    lines: dict[str, list[str]] = {name: [] for name in CUB200.files}
    classes, images, labels, training = lines.values()
    tree: Tree = {}
    for k in range(1, n + 1):
        folder = f"{k:03}.Made_up_bird_{k}"
        classes.append(f"{k} {folder}")
        for i, part in enumerate(PARTS):
            number, path = len(images) + 1, f"{folder}/bird_{i}.jpg"
            images.append(f"{number} {path}")
            labels.append(f"{number} {k}")
            training.append(f"{number} {int(part == 'train')}")
            tree[f"CUB_200_2011/images/{path}"] = picture(k, i)
    return tree | {f"CUB_200_2011/{name}": _join_lines(content) for name, content in lines.items()}


def _domain_tree(data: DataSet, preset: Preset) -> Tree:
    n_tasks = preset.options.get("n_tasks")
    n = CLASSES_PER_TASK * n_tasks if n_tasks else DOMAIN_CLASSES
    tree: Tree = {}
    for d, domain in enumerate(data.domains):
        lines: dict[str, list[str]] = {"train": [], "test": []}
        for k in range(n):
            for i, part in enumerate(PARTS):
                path = f"{domain}/stripes_{k}/{i}.jpg"
                tree[f"{data.root}/{path}"] = picture(k, i, d)
                lines[part].append(f"{path} {k}")
        for part, content in lines.items():
            tree[f"{data.root}/{domain}_{part}.txt"] = _join_lines(content)
    return tree


def _pacs_tree(preset: Preset) -> Tree:
    return {
        f"PACS/{domain}/{name}/{i}.png": picture(k, i, d)
        for d, domain in enumerate(PACS.domains)
        for k, name in enumerate(CLASSES)
        for i in range(len(PARTS))
    }


def _join_lines(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


_TREES: dict[str, Callable[[Preset], Tree]] = {
    "cub200": _cub200_tree,
    "dn4il": partial(_domain_tree, DN4IL),
    "domainnet": partial(_domain_tree, DOMAINNET),
    "imagenet_r": _imagenet_r_tree,
    "pacs": _pacs_tree,
}


def write_tree(folder: str | Path, content: Mapping[str, Image.Image | str]) -> Path:
    """Write pictures and texts below ``folder``, which must hold nothing else; return it.

    What an earlier call wrote is written again, so that an interrupted one does no harm.

    The keys of ``content`` are paths below the folder, with forward slashes.

    Raises:
        ValueError: there are other files in ``folder``, which is then left as it is.
    """
    root = as_path("folder", folder)
    wanted = {root / path: what for path, what in content.items()}
    files = (path for path in root.rglob("*") if path.is_file())
    if foreign := sorted(set(files) - set(wanted)):
        raise ValueError(f"folder must be new, empty or made by this function, got {foreign[0]}")
    for path, what in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(what, str):
            path.write_text(what, encoding="utf-8")
        else:
            what.save(path, quality=95)
    return root


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


def write_photos(folder: str | Path) -> Path:
    """Write a folder of 180 crops, `train/CLASS/*.png` and `test/CLASS/*.png`; return it.

    Six classes of 48 x 48 pixels from the photographs china.jpg and flower.jpg of
    `sklearn.datasets.load_sample_images`. Training crops may overlap each other, but none overlaps
    a test crop: the two come from different regions, so that the folder is easy, not trivial. The
    photographs are from Flickr, by danielbuechele and from vultilion's pages, under CC BY 2.0.

    Raises:
        ValueError: ``folder`` holds files that are not of this function; it is left as it is.
    """
    from sklearn.datasets import load_sample_images

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
