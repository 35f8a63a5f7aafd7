"""Where tests find real images, and the made-up ones that they draw themselves.

A small whole tree for every stream of files, in every layout that it takes.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from fmlora_kit.streams.catalogue import DATA_SETS, STREAMS
from fmlora_kit.streams.domainnet import DN4IL, DOMAINNET
from fmlora_kit.streams.pacs import CLASSES, PACS

CHECKOUT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("FMLORA_DATA") or CHECKOUT.parent / "shared" / "data")


def needs(name):
    """Skip a test where the folder of this data set is not there; say why."""
    reason = f"{name} is not in {FOLDER}: FMLORA_DATA names the folder of real images"
    return pytest.mark.skipif(not (FOLDER / name).is_dir(), reason=reason)


def draw(path, number, size=(40, 48), mode="RGB"):
    """Save a picture of one colour, which tells pictures apart: ``number`` from 0 to 999."""
    colour = (number % 10 * 25, number // 10 % 10 * 25, number // 100 * 25)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", size, colour).convert(mode)
    picture.save(path, quality=95, subsampling=0)


def numbers(images):
    """The numbers that pictures were drawn with, one each: what `draw` coded in their colour."""
    digits = np.rint(images.mean(axis=(1, 2)) / 25).astype(int)
    return (digits @ [1, 10, 100]).tolist()


def files(folder):
    """Every file of a folder with its bytes and time: equal if nothing was moved or written."""
    return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}


def pixels(stream, part):
    """The images of all tasks, as a set of bytes."""
    return {image.tobytes() for task in stream for image in getattr(task, f"{part}_images")}


def described_by_seed(read, **limits):
    """What the real stream of seed 0 says of itself; with seed 1 it must be of other images."""
    first, again, other = (read(FOLDER, seed, **limits).describe() for seed in (0, 0, 1))
    assert first == again and first["crc32"] != other["crc32"]
    return first


def draw_domains(root, domains, names, images=5, train=(0, 2, 3)):
    """Draw a tree DOMAIN/CLASS/I.jpg with its lists; number = 100 x domain + 10 x class + image."""
    for d, domain in enumerate(domains):
        lines = {"train": [], "test": []}
        for c, name in enumerate(names):
            for i in range(images):
                draw(root / domain / name / f"{i}.jpg", 100 * d + 10 * c + i)
                lines["train" if i in train else "test"].append(f"{domain}/{name}/{i}.jpg {c}")
        for part, content in lines.items():
            (root / f"{domain}_{part}.txt").write_text("\n".join(content) + "\n")


CUB_NAMES = ("001.Grey_Gull", "002.Red_Tern", "003.Owl", "004.Marsh_Wren", "005.Jay", "006.Crow")
CIFAR_NAMES = [f"thing_{k:02d}" for k in range(100)]
WNIDS = ("n01443537", "n01484850", "n02007558", "n09835506")
LABELS = (2, 0, 3, 1)  # the lists number the classes in another order than their names have
TRAIN = (0, 2, 3)  # which of a class's five images the made-up splits train on


def draw_cub200(root):
    """Six classes of five images, the last listed first; number = 10 x class + image."""
    lines = {name: [] for name in ("images", "image_class_labels", "train_test_split")}
    places = [(c, i) for c in range(6) for i in range(5)][::-1]
    for n, (c, i) in enumerate(places, 1):
        path = f"{CUB_NAMES[c]}/bird_{i}.jpg"
        draw(root / "images" / path, 10 * c + i, mode="L" if (c, i) == (0, 0) else "RGB")
        lines["images"].append(f"{n} {path}")
        lines["image_class_labels"].append(f"{n} {c + 1}")
        lines["train_test_split"].append(f"{n} {int(i in TRAIN)}")
    lines["classes"] = [f"{c + 1} {name}" for c, name in enumerate(CUB_NAMES)]
    for name, content in lines.items():
        (root / f"{name}.txt").write_text("\n".join(content) + "\n")


def draw_imagenet_r(root):
    """Four classes of five images with the fixed lists; number = 10 x class + image."""
    content = {name: ([], []) for name in ("imagenet-r_train.yaml", "imagenet-r_test.yaml")}
    for c, wnid in enumerate(WNIDS):
        for i in range(5):
            draw(root / wnid / f"art_{i}.jpg", 10 * c + i)
            data, targets = list(content.values())[i not in TRAIN]
            data.append(f"- data/imagenet-r/{wnid}/art_{i}.jpg\n")
            targets.append(f"- {LABELS[c]}\n")
    for name, (data, targets) in content.items():
        (root / name).write_text("".join(["data:\n", *data, "targets:\n", *targets]))


def draw_split(root):
    """The same classes in folders train and test, without lists."""
    for c, wnid in enumerate(WNIDS):
        for i in range(5):
            part = "train" if i in TRAIN else "test"
            draw(root / part / wnid / f"{i}.jpg", 10 * c + i)


def draw_pacs(root, images=5):
    """Five small images per class and domain; number = 100 x domain + 10 x class + image."""
    for d, domain in enumerate(PACS.domains):
        for c, name in enumerate(CLASSES):
            for i in range(images):
                suffix = "png" if domain == "sketch" else "jpg"
                draw(root / domain / name / f"{i}.{suffix}", 100 * d + 10 * c + i)


def write_cifar100(root):
    """Three training and two test images of every class, as `cifar_part` has them."""
    write_pickle(root / "train", cifar_part(3, first=1))
    write_pickle(root / "test", cifar_part(2, first=2))
    names = {"fine_label_names": CIFAR_NAMES, "coarse_label_names": ["all"] * 20}
    write_pickle(root / "meta", names)


def write_pickle(path, content):
    """Save as the official files of CIFAR-100 are."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=2))


def cifar_part(n, first):
    """``n`` images of every class: red is the class, green counts, blue is ``first``."""
    labels = np.arange(100).repeat(n)
    planes = np.stack([labels, np.arange(len(labels)) % n, np.full(len(labels), first)])
    rows = planes.T.astype(np.uint8).repeat(1024, axis=1)
    mixed = np.random.default_rng(first).permutation(len(labels))
    return {"data": rows[mixed], "fine_labels": labels[mixed].tolist(), "filenames": ["x"] * n}


def truncate(path):
    """Cut a file in the middle."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def rewrite(path, old, new):
    """Replace what stands once in a text file."""
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


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
    return lambda root: draw_domains(root, tuple(kind.domains), ("owl", "cow"), 3, (0, 2))


def classes(root):
    for c, name in enumerate(("cat", "dog")):
        for i in range(3):
            draw(root / name / f"{i}.png", 10 * c + i)


def places(root):
    for domain in ("day", "night"):
        classes(root / domain)


READERS = {
    "cub200": Reader("cub200", draw_cub200, {"n_tasks": 1}, BIRD),
    "pacs": Reader("pacs", lambda r: draw_pacs(r, 2), {}, "photo/dog/1.jpg"),
    "fixed": Reader("imagenet_r", draw_imagenet_r, {"n_tasks": 1}, ART),
    "random": Reader("imagenet_r", draw_imagenet_r, {"n_tasks": 1, "split": "random"}, ART),
    "folders": Reader(
        "imagenet_r",
        draw_split,
        {"n_tasks": 1, "split": "folders"},
        "test/n02007558/1.jpg",
    ),
    "domainnet": Reader("domainnet", domains(DOMAINNET), {}, COW),
    "domainnet by class": Reader("domainnet", domains(DOMAINNET), BY_CLASS, COW),
    "dn4il": Reader("dn4il", domains(DN4IL), {}, COW),
    "class": Reader("image_folder", classes, {"n_tasks": 1}, "dog/1.png"),
    "train and test": Reader("image_folder", draw_split, {"n_tasks": 1}, "test/n02007558/1.jpg"),
    "domain": Reader("image_folder", places, {}, "night/dog/1.png"),
    "cifar100": Reader("cifar100", write_cifar100, {"n_tasks": 1}, ""),
}
OF_IMAGES = [name for name, reader in READERS.items() if reader.image]


def tree(folder: Path, name: str) -> Path:
    """Draw the tree of a reader in a folder; return its own."""
    root = folder / (DATA_SETS[READERS[name].stream].root or "own")
    root.mkdir(exist_ok=True)
    READERS[name].draw(root)
    return root


def read(name, root, **options):
    """The stream of a tree, of 8 pixels."""
    reader = READERS[name]
    return STREAMS[reader.stream](root, image_size=8, **reader.options, **options)
