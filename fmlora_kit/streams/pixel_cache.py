"""Decoded images in one file of the user's choosing: for data sets that memory does not hold."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import PIL
from filelock import FileLock
from numpy.lib import format as npy
from tqdm.auto import tqdm

from fmlora_kit import __version__
from fmlora_kit.checks import as_path
from fmlora_kit.streams.disk import DAMAGE, open_regular
from fmlora_kit.streams.images import GROUND, decode, missing_file, read_images

CHUNK = 2**26  # bytes that one checksum is of
CHECKSUMS = "crc32"  # of the chunks, beside the key
Read = Callable[[Sequence[tuple]], list[np.ndarray]]  # parts of a stream -> the images of each


def reader(
    root: Path,
    image_size: int,
    decoded: str | Path | None = None,
    upright: bool = False,
    ground: str = GROUND,
) -> Read:
    """What reads the images of a stream, all its parts at once, each uint8 (n, size, size, 3).

    Args:
        root: the data set's folder, in which every file lies.
        image_size: height and width that images are brought to, in pixels.
        decoded: None to hold the images in memory. A folder outside ``root``: they are decoded into
            one file there and mapped from it, by this reader and by later ones, as long as no image
            file has changed and the versions of this package and of Pillow are the same.
        upright: turn photos as their camera noted.
        ground: the colour that transparent pictures are laid over.

    Raises:
        ValueError: ``decoded`` is no folder, or lies in the data set's.
    """
    if decoded is None:
        one = partial(read_images, image_size=image_size, upright=upright, ground=ground)
        return lambda parts: [one(part) for part in parts]
    folder = cache_folder(decoded)
    if folder.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"decoded must lie outside the data set's folder {root}, got {folder}")
    how = {"image_size": image_size, "upright": upright, "ground": ground}
    return partial(_map_parts, root=root, folder=folder, how=how)


def cache_folder(decoded: object) -> Path:
    """The folder for decoded images, which need not be there; a ValueError if it is none."""
    folder = as_path("decoded", decoded)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"decoded must be a folder, got the file {folder}")
    return folder


def _map_parts(
    parts: Sequence[tuple[Path, ...]], root: Path, folder: Path, how: dict[str, object]
) -> list[np.ndarray]:
    """The parts of a stream, end to end in one file, which is made where there is none that fits.

    Of a broken image, or a disk without room, no file is left.
    """
    paths = list(chain.from_iterable(parts))
    key = _key(paths, root, how)
    size = how["image_size"]
    name = f"{root.resolve().name}-{size}px-{key['names'][:12]}"
    shape = (len(paths), size, size, 3)
    whole = map_file(folder, name, key, shape, lambda put: decode(paths, **how, put=put))
    return split_rows(whole, parts)


def split_rows(whole: np.ndarray, parts: Sequence[Sequence]) -> list[np.ndarray]:
    """As many rows as each part has items, one part after the other."""
    return [whole[a:b] for a, b in pairwise(np.cumsum([0, *map(len, parts)]))]


def map_file(
    folder: Path, name: str, key: dict[str, object] | None, shape: tuple[int, ...], fill: Callable
) -> np.ndarray:
    """A memory map of the images in a file of ``folder``, which is made where none has this key.

    Args:
        folder: made if it is not there.
        name: of the file, without ending.
        key: what decides the images; None: nothing can say it, they are always made again.
        shape: (n, size, size, 3).
        fill: called with a function of (place of the first image, images), which writes them.

    Raises:
        OSError: the folder cannot be written, or has no room.
    """
    whole = _open_if_same(folder / name, key, shape)
    if whole is None:
        with _lock(folder, name):  # other processes may want the same
            whole = _open_if_same(folder / name, key, shape)
            if whole is None:
                needed, free = int(np.prod(shape)), shutil.disk_usage(folder).free
                if needed > free:
                    rule = f"have room for {shape[0]:,} images of {shape[1]} pixels"
                    got = f"{needed:,} bytes, got {free:,} bytes free in {folder}"
                    raise OSError(f"decoded must {rule}, {got}")
                _write(folder / name, key, shape, fill)
                whole = np.load(folder / f"{name}.npy", mmap_mode="r")
    return whole


@contextmanager
def _lock(folder: Path, name: str) -> Iterator[None]:
    lock = FileLock(folder / f"{name}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        rule, reason = "be a folder that can be written", error.strerror or error
        raise OSError(f"decoded must {rule}, got {folder}: {reason}") from None
    try:
        yield
    finally:
        lock.release()


def _key(paths: list[Path], root: Path, how: dict[str, object]) -> dict[str, object]:
    """What decides the decoded images: which files, in which order and state, and who decodes."""
    names, states = hashlib.sha256(), hashlib.sha256()
    names.update(os.fsencode(f"{root.resolve()}\n{how['upright']}\n{how['ground']}\n"))
    for path in paths:
        try:
            state = path.stat()
        except FileNotFoundError:
            raise missing_file(path) from None
        names.update(os.fsencode(f"{path.relative_to(root).as_posix()}\n"))
        states.update(f"{state.st_size} {state.st_mtime_ns}\n".encode())
    return {
        "folder": str(root.resolve()),
        "images": len(paths),
        **how,
        "names": names.hexdigest(),
        "sizes_and_times": states.hexdigest(),
        "versions": {"fmlora_kit": __version__, "pillow": PIL.__version__},
    }


def _open_if_same(
    path: Path, key: dict[str, object] | None, shape: tuple[int, ...]
) -> np.ndarray | None:
    """The images of an earlier decoding, if their key is this one and no bit of them has changed.

    All bytes are read for that, about as fast as the disk gives them.
    """
    try:
        with open_regular(Path(f"{path}.json")) as file:
            found = json.load(file)
            sums = found.pop(CHECKSUMS)
        head = _header(shape)
        with open_regular(Path(f"{path}.npy")) as file:
            same = key and found == key and file.read(len(head)) == head
        whole = np.memmap(f"{path}.npy", np.uint8, "r", len(head), shape) if same else None
    except (OSError, *DAMAGE):  # none, or a damaged one
        return None
    return whole if same and sums == _checksums(whole) else None


def _header(shape: tuple[int, ...]) -> bytes:
    """How NumPy begins a file of such images."""
    buffer = io.BytesIO()
    npy.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def _checksums(whole: np.ndarray) -> list[int]:
    """CRC-32 of every chunk of the images, several at once in threads."""
    flat = whole.reshape(-1)
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda a: zlib.crc32(flat[a : a + CHUNK]), range(0, flat.size, CHUNK)))


def _write(
    path: Path, key: dict[str, object] | None, shape: tuple[int, ...], fill: Callable
) -> None:
    """Write to another name first: a file of the right name is whole. The key comes last."""
    images, part = Path(f"{path}.npy"), Path(f"{path}.part")
    part.unlink(missing_ok=True)  # of a process that was killed, or a link that someone laid
    try:
        with part.open("xb") as file:
            file.write(_header(shape))
            words = {"desc": f"decoding {path.name}", "unit": "image", "leave": False}
            with tqdm(total=shape[0], **words) as bar:
                fill(_RowWriter(file, int(np.prod(shape[1:])), bar.update))
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, images)
        sums = _checksums(np.load(images, mmap_mode="r"))
        with part.open("x", encoding="utf-8") as file:
            json.dump({**(key or {}), CHECKSUMS: sums}, file, indent=1)
        os.replace(part, f"{path}.json")
    finally:
        part.unlink(missing_ok=True)


class _RowWriter:
    """Takes decoded images from several threads to their place in a file.

    By writing, not through a memory map: a disk that fills up is then an error that can be told,
    where it would end the process.
    """

    def __init__(self, file, size: int, done: Callable[[int], object]):
        self.file, self.size, self.done = file, size, done
        self.start, self.lock = file.tell(), threading.Lock()

    def __call__(self, first: int, images: np.ndarray) -> None:
        with self.lock:
            try:
                self.file.seek(self.start + first * self.size)
                self.file.write(images.data)
            except OSError as error:
                raise OSError(f"{self.file.name} must be written whole, got: {error}") from None
            self.done(len(images))
