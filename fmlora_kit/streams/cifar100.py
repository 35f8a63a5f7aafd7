"""CIFAR-100 as a stream, from its official files."""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from fmlora_kit.streams import sampling
from fmlora_kit.streams.data_set import ONE_TASK, DataSet, Preset
from fmlora_kit.streams.disk import read_bytes
from fmlora_kit.streams.images import fit
from fmlora_kit.streams.task import Stream

FILES = ("train", "test", "meta")
CIFAR100 = DataSet(
    "cifar100",
    "CIFAR-100",
    "Fetch cifar-100-python.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html and unpack it, "
    f"so that cifar-100-python holds the files {', '.join(FILES)}.",
    tree=", ".join(FILES),
    root="cifar-100-python",
    n_classes=100,
    split=(50_000, 10_000),
    side=32,
    files=FILES,
    tries=ONE_TASK,
    presets={
        "cifar100-pycil-10": Preset(
            "cifar100",
            "iCaRL, PyCIL, LAMDA-PILOT, SD-LoRA: class seed 1993",
            {"n_tasks": 10, "class_order": 1993},
        ),
        "cifar100-inflora-10": Preset(
            "cifar100",
            "InfLoRA (2404.00228), and the first repeat of CODA-Prompt: classes in official order",
            {"n_tasks": 10},
        ),
    },
)
N_CLASSES = CIFAR100.n_classes
# How the pixels of an image may lie: the official rows, plane after plane, or an image as it is.
LAYOUTS = ((3072,), (3, 32, 32), (32, 32, 3))
# All that a file of plain arrays, lists and strings calls when it is unpickled.
HARMLESS = {
    "numpy dtype",
    "numpy ndarray",
    "numpy.core.multiarray _reconstruct",
    "numpy._core.multiarray _reconstruct",
    "_codecs encode",
}
# Each of these opcodes finds something to call. Only GLOBAL says what in its own argument.
CALLS = {"GLOBAL", "STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID"}


def cifar100(
    folder: str | Path,
    seed: int = 0,
    *,
    n_tasks: int | Sequence[int] = 10,
    image_size: int = CIFAR100.side,
    n_train: int | None = None,
    n_test: int | None = None,
    class_order: int | None = None,
) -> Stream:
    """Class-incremental: CIFAR-100 (Krizhevsky, 2009), official split, fine labels.

    torchvision reads the files, without its checksum, so that a part of them will do; `describe`
    then calls the data partial. Images may also be stored as (n, 32, 32, 3). The files are pickles,
    and a pickle can run code: each is looked through first, and refused if it would call anything
    but what builds an array. Fetch them from where you trust all the same.

    The stream numbers its classes from 0 in the order they are learnt.

    Args:
        folder: the unpacked data set, or the folder that cifar-100-python lies in; only read.
        seed: decides which images a limit keeps; the split is the official one.
        n_tasks: must divide 100; or how many classes each task has, as (50, 25, 25).
        image_size: height and width that images are brought to, in pixels; 32 is the original.
        n_train: at most so many training images per class; None: all.
        n_test: at most so many test images per class; None: all.
        class_order: None: official (alphabetical); a number: the permutation of this seed.

    Raises:
        FileNotFoundError: the folder or a file is missing; says what to fetch.
        ValueError: an argument out of range, a file that is truncated, no CIFAR-100, or refused.
    """
    seed, image_size, n_train, n_test = sampling.check_numbers(seed, image_size, n_train, n_test)
    order = sampling.order_of_classes(N_CLASSES, class_order)
    root = CIFAR100.find_root(folder, FILES)
    (train, test), names = _read(root)
    images = np.concatenate([train[0], test[0]])
    where = [_positions(train[1], 0), _positions(test[1], len(train[1]))]
    said = [name.replace("_", " ") for name in names]
    classes = [sampling.ClassItems(*each) for each in zip(said, *where, strict=True)]
    kept = [classes[k].at_most(n_train, n_test, seed) for k in order]
    tasks = sampling.class_incremental(kept, n_tasks, partial(_images_at, images, image_size))
    sizes = zip((train, test), CIFAR100.split, ("training", "test"), strict=True)
    found = [(len(labels), n, which) for (_, labels), n, which in sizes]
    missing = [f"{there:,} of {n:,} {which} images" for there, n, which in found if there != n]
    about = {
        "source": CIFAR100.title,
        "split": "official files",
        "class_order": sampling.order_in_words(class_order, "official"),
        "partial": sampling.partial_note(missing, n_train, n_test),
    }
    return Stream("cifar100", "class-incremental", tasks, seed, about)


def _read(root: Path) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[str]]:
    """(images, labels) of both parts, and the names of the classes."""
    from torchvision import datasets  # here, so that the streams alone need no torch

    class Part(datasets.CIFAR100):
        base_folder = ""
        train_list, test_list = [["train", None]], [["test", None]]  # None: whatever checksum
        meta = {**datasets.CIFAR100.meta, "md5": None}
        stored = ()  # the shape in the file, which torchvision does not look at

        def __setattr__(self, name: str, value: object) -> None:
            before = vars(self).get("data")
            if name == "data" and isinstance(before, list) and before:
                self.stored = np.shape(before[0])
            super().__setattr__(name, value)

    for name in FILES:
        _refuse_calls(root / name)
    parts = []
    for name in FILES[:2]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # newer NumPy about the official files' old dtype
                data = Part(root, train=name == "train")
        except Exception as error:  # a damaged pickle can fail in any way
            raise ValueError(f"{root / name} must be CIFAR-100, cannot be read: {error}") from None
        images = _as_stored(root / name, data.data, data.stored)
        parts.append(_check_part(root / name, images, data.targets, data.classes))
    return parts, data.classes


def _as_stored(path: Path, images: np.ndarray, stored: tuple[int, ...]) -> np.ndarray:
    """The images as the file has them; torchvision takes every layout for planes."""
    if stored[1:] not in LAYOUTS:
        raise ValueError(f"{path} must hold images as (n, 3072) or (n, 32, 32, 3), got {stored}")
    if stored[1:] == (32, 32, 3):
        return images.transpose(0, 3, 1, 2).reshape(-1, 32, 32, 3)
    return images


def _refuse_calls(path: Path) -> None:
    try:
        codes = pickletools.genops(read_bytes(path, "a whole pickle file"))
        calls = [(code.name, value) for code, value, _ in codes if code.name in CALLS]
    except ValueError as error:
        raise ValueError(f"{path} must be a whole pickle file, cannot be read: {error}") from None
    for code, value in calls:
        if code != "GLOBAL" or value not in HARMLESS:
            why = f"refused: it would call {value or code!r}"
            raise ValueError(f"{path} must hold plain arrays, lists and strings, {why}")


def _check_part(
    path: Path, images: np.ndarray, targets: Sequence[int], names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    labels = np.asarray(targets)
    if len(names) != N_CLASSES or len(set(names)) != N_CLASSES:
        got = f"{len(names)} names, {len(set(names))} of them different"
        raise ValueError(
            f"{path.parent / 'meta'} must name {N_CLASSES} different classes, got {got}"
        )
    if images.dtype != np.uint8 or labels.shape != (len(images),):
        got = f"{images.dtype}, {len(images)} images and labels of shape {labels.shape}"
        raise ValueError(f"{path} must hold uint8 images and one label per image, got {got}")
    if labels.dtype.kind not in "iu" or set(labels.tolist()) != set(range(N_CLASSES)):
        rule = f"have fine labels of all classes, 0 to {N_CLASSES - 1}"
        got = f"{len(np.unique(labels))} labels from {labels.min()} to {labels.max()}"
        raise ValueError(f"{path} must {rule}, got {got}")
    return images, labels


def _positions(labels: np.ndarray, first: int) -> list[tuple[int, ...]]:
    """Where each class's images are, counted from ``first``."""
    return [tuple((first + np.flatnonzero(labels == k)).tolist()) for k in range(N_CLASSES)]


def _images_at(
    images: np.ndarray, image_size: int, parts: Sequence[tuple[int, ...]]
) -> list[np.ndarray]:
    chosen = [images[list(places)] for places in parts]
    if image_size == CIFAR100.side:
        return chosen
    return [np.stack([fit(Image.fromarray(each), image_size) for each in some]) for some in chosen]
