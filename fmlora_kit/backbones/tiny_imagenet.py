"""Tiny-ImageNet, from which ``photo_vit`` is pre-trained: packed files, or the official folders."""

from __future__ import annotations

import zlib
from itertools import pairwise
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from fmlora_kit.checks import as_path, choice
from fmlora_kit.streams.disk import DAMAGE, entries, open_regular, read_lines
from fmlora_kit.streams.images import open_image

SIDE = 36
PARTS = ("train", "val")
LAYOUT = f"""either the two packed files
  tiny_imagenet_{SIDE}px_train.npz, tiny_imagenet_{SIDE}px_val.npz
    (jpeg: all files end to end, uint8; offsets: n + 1; labels: n; wnids: names of the classes)
or the official archive tiny-imagenet-200.zip of Stanford's CS231n, unpacked:
  wnids.txt, train/<wnid>/images/*.JPEG, val/val_annotations.txt, val/images/*.JPEG"""


def read(folder: str | Path, part: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """One part, decoded: images uint8 (n, 36, 36, 3), labels int64 (n,), WordNet ids of classes.

    Args:
        folder: holds the packed files or the official tree; only read.
        part: "train" or "val".

    Raises:
        ValueError: another part, or a file that cannot be read.
        FileNotFoundError: neither layout is there; says both.
    """
    choice("part", part, PARTS)
    folder = as_path("folder", folder)
    packed = folder / f"tiny_imagenet_{SIDE}px_{part}.npz"
    if packed.exists():
        return _packed(packed)
    if (folder / "wnids.txt").exists():
        return _tree(folder, part)
    raise FileNotFoundError(f"folder must hold {LAYOUT}\ngot {folder} without either")


def _packed(path: Path) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    try:
        with open_regular(path) as opened, np.load(opened, allow_pickle=False) as file:
            jpeg, offsets = file["jpeg"], file["offsets"]
            labels, wnids = file["labels"].astype(np.int64), tuple(file["wnids"].tolist())
            files = [jpeg[a:b].tobytes() for a, b in pairwise(offsets)]
    except (OSError, EOFError, BadZipFile, zlib.error, *DAMAGE) as error:
        raise ValueError(f"{path} must be a packed file, cannot be read: {error}") from None
    named = [(Path(f"{path.name}[{k}]"), data) for k, data in enumerate(files)]
    return _decode_all(named, path.stem), labels, wnids


def _tree(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    wnids = tuple(" ".join(read_lines(folder / "wnids.txt")).split())
    if part == "train":
        named = [(e.path, w) for w in wnids for e in entries(folder / "train" / w / "images")]
    else:
        lines = read_lines(folder / "val" / "val_annotations.txt")
        named = [(folder / "val" / "images" / f, w) for f, w, *_ in (s.split() for s in lines)]
    number = {wnid: k for k, wnid in enumerate(wnids)}
    images = _decode_all([(path, None) for path, _ in named], part)
    return images, np.array([number[wnid] for _, wnid in named]), wnids


def _decode_all(files: list[tuple[Path, bytes | None]], what: str) -> np.ndarray:
    """The pictures of files, or of bytes with a name, (n, 36, 36, 3)."""
    images = np.empty((len(files), SIDE, SIDE, 3), np.uint8)
    bar = tqdm(files, desc=f"decoding {what}", unit=" images", leave=False)
    for k, (path, data) in enumerate(bar):
        with open_image(path, data) as picture:
            small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        images[k] = np.asarray(small)
    return images
