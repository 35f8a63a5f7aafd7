"""Image files as arrays: one size, three channels, and an error that names the file."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageOps
from tqdm.auto import tqdm

from fmlora_kit import checks
from fmlora_kit.streams.disk import open_regular

FORMATS = ("JPEG", "PNG", "WEBP", "BMP")  # Pillow knows many more, some of which run programs
MOST_PIXELS = 2**26  # 67 megapixels, of which a thread holds 4 bytes each
GROUND = "white"  # what transparent pictures are laid over
BLOCK = 32  # images that a thread decodes at a time
MANY = 5000  # images that take so long that a bar is shown


def read_images(
    paths: Sequence[Path], image_size: int, upright: bool = False, ground: str = GROUND
) -> np.ndarray:
    """Decode image files into memory: uint8, (n, image_size, image_size, 3); see `decode`.

    The array is read-only, so that a `Task` need not copy it.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: ``paths`` are none, ``image_size`` is below 1, a file is no image.
    """
    checks.instance("paths", paths, list | tuple, "a list of paths")
    paths = [Path(checks.instance("paths", p, str | os.PathLike, "a path")) for p in paths]
    image_size = checks.integer("image_size", image_size, 1)
    images = np.empty((len(paths), image_size, image_size, 3), dtype=np.uint8)

    few = len(paths) < MANY
    with tqdm(total=len(paths), desc="decoding", unit=" images", leave=False, disable=few) as bar:

        def put(first: int, some: np.ndarray) -> None:
            images[first : first + len(some)] = some
            with bar.get_lock():
                bar.update(len(some))

        decode(paths, image_size, upright, ground, put)
    images.flags.writeable = False
    return images


def decode(
    paths: Sequence[Path],
    image_size: int,
    upright: bool,
    ground: str,
    put: Callable[[int, np.ndarray], None],
) -> None:
    """Decode image files, several at once in threads: Pillow works without the interpreter's lock.

    Args:
        paths: the files.
        image_size: height and width that images are brought to, in pixels.
        upright: turn photos as their camera noted (EXIF). Benchmarks are read as they are stored,
            which is what published results have seen.
        ground: the colour that transparent pictures are laid over.
        put: called in a thread, with the place of the first image of a block and the block, uint8
            (n, image_size, image_size, 3).

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is no image, or is truncated: the first such in ``paths``.
    """

    def block(first: int) -> None:
        some = [_read_one(p, image_size, upright, ground) for p in paths[first : first + BLOCK]]
        put(first, np.stack(some))

    with ThreadPoolExecutor() as pool:
        for _ in pool.map(block, range(0, len(paths), BLOCK)):  # an error cancels the others
            pass


def fit(picture: Image.Image, image_size: int, ground: str = GROUND) -> np.ndarray:
    """One picture as uint8 RGB, (image_size, image_size, 3).

    The largest square in the middle, resized with antialiased bicubic interpolation; a greyscale
    picture gets three equal channels, and a transparent one is laid over a colour, ``ground``.

    Raises:
        ValueError: a picture of more than 8 bits per channel, which would be clipped.
    """
    if picture.mode.startswith(("I", "F")):
        raise ValueError(f"more than 8 bits per channel, mode {picture.mode}")
    if picture.has_transparency_data:
        if picture.mode == "La":
            picture = picture.convert("LA")  # the only mode that Pillow brings it to
        picture = picture.convert("RGBA")
        below = Image.new("RGBA", picture.size, ground)
        picture = Image.alpha_composite(below, picture)
    square = (image_size, image_size)
    return np.asarray(ImageOps.fit(picture.convert("RGB"), square, Image.Resampling.BICUBIC))


def check_ground(ground: object) -> str:
    """The colour, if it is one that Pillow knows: "white", "#ffcc00"; else a ValueError."""
    try:
        ImageColor.getrgb(checks.text("ground", ground))
    except ValueError:
        raise checks.fail("ground", "the name of a colour, or #rrggbb", ground) from None
    return ground


def shorter_side(path: Path) -> int:
    """Pixels of the shorter side of an image file; only its header is read."""
    with open_image(path) as picture:
        return min(picture.size)


def missing_file(path: Path) -> FileNotFoundError:
    """The error about an image file that is not there, such as a link to nowhere."""
    return FileNotFoundError(f"{path} must be an image file, got none there, or a link to nowhere")


def _read_one(path: Path, image_size: int, upright: bool, ground: str) -> np.ndarray:
    with open_image(path) as picture:
        return fit(_turned(picture) if upright else picture, image_size, ground)


def _turned(picture: Image.Image) -> Image.Image:
    """Upright as the camera noted; as it is stored where the note cannot be read."""
    picture.load()  # what is wrong with the pixels is an error still
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # EXIF of a stranger may be anything
        return picture


@contextmanager
def open_image(path: Path, data: bytes | None = None) -> Iterator[Image.Image]:
    """An image file, opened with care; with ``data``, these bytes, and the path only names them.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is no picture of the formats taken, too large, or fails while it is used.
    """
    try:
        with (
            open_regular(path) if data is None else io.BytesIO(data) as file,
            Image.open(file, formats=FORMATS) as picture,
        ):
            if picture.width * picture.height > MOST_PIXELS:
                rule = f"at most {MOST_PIXELS / 1e6:.0f} megapixels"
                raise ValueError(f"{picture.width} x {picture.height} pixels, {rule} are taken")
            yield picture
    except FileNotFoundError:
        raise missing_file(path) from None
    except Exception as error:  # a damaged file can fail in any way
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ValueError(f"{path} must be a whole image file, cannot be read: {reason}") from None
