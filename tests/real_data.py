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


def rewrite(path, old, new):
    """Replace what stands once in a text file."""
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
