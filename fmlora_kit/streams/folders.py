"""Where a data set lies on the disk: found, never moved, never written to, never downloaded."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
LEFT_BY_SYSTEMS = ("thumbs.db", "desktop.ini")  # beside images, like .DS_Store, by no one's wish


def find_root(folder: str | Path, name: str, needed: tuple[str, ...], how_to_get: str) -> Path:
    """The folder that holds a data set: ``folder`` itself, or its subfolder ``name``.

    Args:
        folder: where the user says that the data set is.
        name: what its folder is called when it is unpacked.
        needed: files or folders that must lie in it.
        how_to_get: what to fetch, and the layout it must have: ends the error.

    Raises:
        FileNotFoundError: no such folder, or something in it is missing.
    """
    folder = Path(folder)
    root = folder / name if (folder / name).is_dir() else folder
    if not root.is_dir():
        raise FileNotFoundError(f"folder must hold {name}, there is no folder {root}. {how_to_get}")
    missing = [part for part in needed if not (root / part).exists()]
    if missing:
        raise FileNotFoundError(f"{root} must hold {', '.join(missing)}. {how_to_get}")
    return root


def inside(root: Path, listed: str, where: Path) -> Path:
    """A path of a list as a path below ``root``.

    Args:
        root: the folder that listed paths begin in.
        listed: the path as it is written, with forward slashes.
        where: the list, for the error.

    Raises:
        ValueError: the path is absolute or climbs out of ``root``.
    """
    path = PurePosixPath(listed)
    if path.is_absolute() or PureWindowsPath(listed).anchor or ".." in path.parts:
        raise ValueError(f"{where} must list paths inside {root}, got {listed!r}")
    return root / path


def subfolders(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted, without hidden ones."""
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def image_files(folder: Path) -> list[Path]:
    """The image files in a folder, sorted by name, without hidden ones."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )


def count_images(folder: Path) -> int:
    """How many image files lie in a folder and in its folders, linked ones too, three deep."""
    found = (path for pattern in ("*", "*/*", "*/*/*") for path in folder.glob(pattern))
    return sum(path.suffix.lower() in SUFFIXES and path.name[0] != "." for path in found)


def class_files(root: Path) -> dict[str, list[Path]]:
    """Each folder in ``root``, a class, with its image files.

    Raises:
        ValueError: a folder holds no image.
    """
    classes = {name: image_files(root / name) for name in subfolders(root)}
    if empty := [name for name, files in classes.items() if not files]:
        raise ValueError(f"{root / empty[0]} must hold images ({', '.join(SUFFIXES)}), got none")
    return classes


def presplit_files(
    root: Path, test: str = "test"
) -> dict[str, tuple[tuple[Path, ...], tuple[Path, ...]]]:
    """Class -> training images and test images, from ``root/train/CLASS`` and ``root/test/CLASS``.

    Args:
        root: the folder that holds both.
        test: what the folder of the test images is called.

    Raises:
        ValueError: the two folders have different classes, or a class without images.
    """
    parts = [class_files(root / part) for part in ("train", test)]
    if different := sorted(set(parts[0]) ^ set(parts[1])):
        raise ValueError(
            f"{root} must have the same classes in train and {test}, got {different[:5]} in one of "
            "them only"
        )
    return {name: (tuple(parts[0][name]), tuple(parts[1][name])) for name in parts[0]}
