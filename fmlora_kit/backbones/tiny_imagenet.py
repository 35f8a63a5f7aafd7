"""Tiny-ImageNet, from which ``photo_vit`` is pre-trained: packed files, or the official folders."""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from fmlora_kit.checks import choice

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
        ValueError: another part.
        FileNotFoundError: neither layout is there; says both.
    """
    choice("part", part, PARTS)
    folder = Path(folder)
    packed = folder / f"tiny_imagenet_{SIDE}px_{part}.npz"
    if packed.exists():
        return _packed(packed)
    if (folder / "wnids.txt").exists():
        return _tree(folder, part)
    raise FileNotFoundError(f"folder must hold {LAYOUT}\ngot {folder} without either")


def _packed(path: Path) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    with np.load(path, allow_pickle=False) as file:
        jpeg, offsets = file["jpeg"], file["offsets"]
        labels, wnids = file["labels"].astype(np.int64), tuple(file["wnids"].tolist())
    files = [jpeg[a:b] for a, b in pairwise(offsets)]
    return _decode_all(files, np.ndarray.tobytes, path.stem), labels, wnids


def _tree(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    wnids = tuple((folder / "wnids.txt").read_text("utf-8").split())
    if part == "train":
        named = [(p, w) for w in wnids for p in sorted((folder / "train" / w / "images").iterdir())]
    else:
        lines = (folder / "val" / "val_annotations.txt").read_text("utf-8").splitlines()
        named = [(folder / "val" / "images" / f, w) for f, w, *_ in (s.split() for s in lines)]
    number = {wnid: k for k, wnid in enumerate(wnids)}
    images = _decode_all([path for path, _ in named], Path.read_bytes, part)
    return images, np.array([number[wnid] for _, wnid in named]), wnids


def _decode_all(files: list, read_bytes: Callable[..., bytes], what: str) -> np.ndarray:
    bar = tqdm(files, desc=f"decoding {what}", unit=" images", leave=False)
    pictures = (Image.open(io.BytesIO(read_bytes(file))).convert("RGB") for file in bar)
    return np.stack(
        [np.asarray(p.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for p in pictures]
    )
