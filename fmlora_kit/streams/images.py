"""Image files as arrays: one size, three channels, and an error that names the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from tqdm.auto import tqdm

from fmlora_kit import checks
from fmlora_kit.streams.data_set import as_path

BLOCK = 32  # images that a thread decodes at a time
MANY = 5000  # images that take so long that a bar is shown


def read_images(paths: Sequence[Path], image_size: int, upright: bool = False) -> np.ndarray:
    """Decode image files into memory: uint8, (n, image_size, image_size, 3); see `decode`.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: ``paths`` are none, ``image_size`` is below 1, a file is no image.
    """
    checks.instance("paths", paths, list | tuple, "a list of paths")
    paths = [as_path("paths", path) for path in paths]
    image_size = checks.integer("image_size", image_size, 1)
    images = np.empty((len(paths), image_size, image_size, 3), dtype=np.uint8)

    few = len(paths) < MANY
    with tqdm(total=len(paths), desc="decoding", unit=" images", leave=False, disable=few) as bar:

        def put(first: int, some: np.ndarray) -> None:
            images[first : first + len(some)] = some
            with bar.get_lock():
                bar.update(len(some))

        decode(paths, image_size, upright, put)
    return images


def decode(
    paths: Sequence[Path], image_size: int, upright: bool, put: Callable[[int, np.ndarray], None]
) -> None:
    """Decode image files, several at once in threads: Pillow works without the interpreter's lock.

    Args:
        paths: the files.
        image_size: height and width that images are brought to, in pixels.
        upright: turn photos as their camera noted (EXIF). Benchmarks are read as they are stored,
            which is what published results have seen.
        put: called in a thread, with the place of the first image of a block and the block, uint8
            (n, image_size, image_size, 3).

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is no image, or is truncated: the first such in ``paths``.
    """

    def block(first: int) -> None:
        some = [_read_one(path, image_size, upright) for path in paths[first : first + BLOCK]]
        put(first, np.stack(some))

    with ThreadPoolExecutor() as pool:
        for _ in pool.map(block, range(0, len(paths), BLOCK)):  # an error cancels the others
            pass


def fit(picture: Image.Image, image_size: int) -> np.ndarray:
    """One picture as uint8 RGB, (image_size, image_size, 3).

    The largest square in the middle, resized with antialiased bicubic interpolation; a greyscale
    picture gets three equal channels, and transparency is left out.

    Raises:
        ValueError: a picture of more than 8 bits per channel, which would be clipped.
    """
    if picture.mode.startswith(("I", "F")):
        raise ValueError(f"more than 8 bits per channel, mode {picture.mode}")
    if picture.mode == "P" and "transparency" in picture.info:
        picture = picture.convert("RGBA")  # straight to RGB, Pillow warns
    square = (image_size, image_size)
    return np.asarray(ImageOps.fit(picture.convert("RGB"), square, Image.Resampling.BICUBIC))


def shorter_side(path: Path) -> int:
    """Pixels of the shorter side of an image file; only its header is read."""
    with _open_image(path) as picture:
        return min(picture.size)


def missing_file(path: Path) -> FileNotFoundError:
    """The error about an image file that is not there, such as a link to nowhere."""
    return FileNotFoundError(f"{path} must be an image file, got none there, or a link to nowhere")


def _read_one(path: Path, image_size: int, upright: bool) -> np.ndarray:
    with _open_image(path) as picture:
        return fit(ImageOps.exif_transpose(picture) if upright else picture, image_size)


@contextmanager
def _open_image(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as picture:
            yield picture
    except FileNotFoundError:
        raise missing_file(path) from None
    except Exception as error:  # a damaged file can fail in any way
        reason = str(error) or type(error).__name__
        raise ValueError(f"{path} must be a whole image file, cannot be read: {reason}") from None
