"""Image files as arrays: one size, three channels, and an error that names the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

# What Pillow raises for broken files, and for one of more pixels than any camera takes.
BROKEN = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


def read_images(paths: Sequence[Path], image_size: int, upright: bool = False) -> np.ndarray:
    """Decode image files: uint8, (n, image_size, image_size, 3).

    Args:
        paths: the files.
        image_size: height and width that images are brought to, in pixels.
        upright: turn photos as their camera noted (EXIF). Benchmarks are read as they are stored,
            which is what published results have seen.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is no image, or is truncated.
    """
    return np.stack([_read(path, image_size, upright) for path in paths])


def fit(picture: Image.Image, image_size: int) -> np.ndarray:
    """One picture as uint8 RGB, (image_size, image_size, 3).

    The largest square in the middle, resized with antialiased bicubic interpolation; a greyscale
    picture gets three equal channels.
    """
    square = (image_size, image_size)
    return np.asarray(ImageOps.fit(picture.convert("RGB"), square, Image.Resampling.BICUBIC))


def shorter_side(path: Path) -> int:
    """Pixels of the shorter side of an image file; only its header is read.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: it is no image.
    """
    with _opened(path) as picture:
        return min(picture.size)


def check_image_size(image_size: int) -> None:
    """Raise ValueError if ``image_size`` is no number of pixels."""
    if image_size < 1:
        raise ValueError(f"image_size must be at least 1 pixel, got {image_size}")


def _read(path: Path, image_size: int, upright: bool) -> np.ndarray:
    with _opened(path) as picture:
        return fit(ImageOps.exif_transpose(picture) if upright else picture, image_size)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as picture:
            yield picture
    except FileNotFoundError:
        raise
    except BROKEN as error:
        raise ValueError(f"{path} must be a whole image file, cannot be read: {error}") from error
