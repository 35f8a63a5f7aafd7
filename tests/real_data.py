"""Where tests find real images, and the made-up ones that they draw themselves."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CHECKOUT = Path(__file__).parents[1]
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
