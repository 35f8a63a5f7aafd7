"""Images on the disk: which files a folder or a list names, and which of them are there.

Files are only looked at: never moved, written or downloaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath

from fmlora_kit import checks
from fmlora_kit.streams.data_set import DataSet
from fmlora_kit.streams.disk import Entry, entries, read_lines
from fmlora_kit.streams.images import shorter_side
from fmlora_kit.streams.sampling import ClassItems

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
LEFT_BY_SYSTEMS = ("thumbs.db", "desktop.ini")  # beside images, like .DS_Store, by no one's wish


def path_inside(root: Path, listed: str, where: Path) -> Path:
    """A path that a list (``where``) writes, with forward slashes, as one below ``root``.

    Raises:
        ValueError: the path is absolute or climbs out of ``root``.
    """
    path = PurePosixPath(listed)
    if path.is_absolute() or PureWindowsPath(listed).anchor or ".." in path.parts:
        raise ValueError(f"{where} must list paths inside {root}, got {listed!r}")
    return root / path


def subfolders(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted, without hidden ones.

    Raises:
        ValueError: the folder cannot be read, or a name is none that UTF-8 can hold.
    """
    names = [e.name for e in entries(folder) if e.is_dir and not e.name.startswith(".")]
    return [checks.text(f"the name of a folder in {folder}", name) for name in names]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def image_files(folder: Path) -> list[Path]:
    """The image files in a folder, sorted by name, without hidden ones.

    Raises:
        ValueError: the folder cannot be read, or what has an image's name is no file.
        FileNotFoundError: it is a link to nowhere.
    """
    return [entry.path for entry in _image_entries(folder)]


def _image_entries(folder: Path) -> list[Entry]:
    found = [entry for entry in entries(folder) if _is_image(entry.path)]
    for entry in found:
        if not entry.is_file:
            shorter_side(entry.path)  # raises what is wrong with it
    return found


def count_images(folder: Path) -> int:
    """How many image files lie in a folder and in its folders, linked ones too, three deep."""
    found = (path for pattern in ("*", "*/*", "*/*/*") for path in folder.glob(pattern))
    return sum(map(_is_image, found))


def class_files(root: Path) -> dict[str, list[Path]]:
    """Each folder in ``root``, a class, with its image files; a ValueError if one has none."""
    classes = {name: image_files(root / name) for name in subfolders(root)}
    if empty := [name for name, files in classes.items() if not files]:
        raise ValueError(f"{root / empty[0]} must hold images ({', '.join(SUFFIXES)}), got none")
    return classes


def presplit_files(
    root: Path, train: str = "train", test: str = "test"
) -> dict[str, tuple[tuple[Path, ...], tuple[Path, ...]]]:
    """Class -> training images and test images, from ``root/TRAIN/CLASS`` and ``root/TEST/CLASS``.

    Raises:
        ValueError: the two folders have different classes, or a class without images.
    """
    trained, tested = class_files(root / train), class_files(root / test)
    if different := sorted(set(trained) ^ set(tested)):
        rule = f"have the same classes in {train} and {test}"
        raise ValueError(f"{root} must {rule}, got {different[:5]} in one of them only")
    return {name: (tuple(paths), tuple(tested[name])) for name, paths in trained.items()}


def read_list(path: Path) -> list[tuple[str, int]]:
    """The (path, label) pairs of a list: text with lines "PATH LABEL", or a YAML file.

    The YAML file is one as CODA-Prompt ships them, with two sequences, ``data`` and ``targets``.

    Raises:
        ValueError: the list is empty, or damaged; names the list and the line.
    """
    parse = _parse_yaml if path.suffix == ".yaml" else _parse_lines
    if not (pairs := parse(path, read_lines(path))):
        raise ValueError(f"{path} must list at least one image, got none")
    return pairs


def listed_classes(
    root: Path, lists: tuple[Path, Path], n_classes: int, prefix: str = ""
) -> dict[int, ClassItems]:
    """Label -> class with its listed training and test images, whether they are there or not.

    Args:
        root: the folder that listed paths begin in.
        lists: the list of training images, and that of test images.
        n_classes: how many classes the data set has, numbered from 0.
        prefix: what listed paths begin with that is not below ``root``.

    Raises:
        ValueError: a list is damaged, a label out of range, two labels for one folder or two
            folders with one label, an image listed twice, a path that leaves ``root``.
    """
    labels: dict[str, int] = {}
    names: dict[int, str] = {}
    parts: tuple[dict[int, list[Path]], ...] = ({}, {})
    seen: set[str] = set()
    for path, part in zip(lists, parts, strict=True):
        for listed, label in read_list(path):
            got = f"got {label} for {listed}"
            if not 0 <= label < n_classes:
                raise ValueError(f"{path} must give labels from 0 to {n_classes - 1}, {got}")
            below = listed.removeprefix(prefix)
            place = path_inside(root, below, path)
            folder = below.rpartition("/")[0]
            if (before := labels.setdefault(folder, label)) != label:
                rule = f"give one label to all of {folder}"
                raise ValueError(f"{path} must {rule}, {got}, and {before} before")
            if (before := names.setdefault(label, folder)) != folder:
                rule = "give each label to one folder"
                raise ValueError(f"{path} must {rule}, {got}, and for {before} before")
            if below in seen:
                both = f"{lists[0]} and {lists[1].name}"
                raise ValueError(f"{both} must list each image once, got {listed} twice")
            seen.add(below)
            part.setdefault(label, []).append(place)
    said = {k: folder.rpartition("/")[2].replace("_", " ") for k, folder in sorted(names.items())}
    return {k: ClassItems(said[k], *(tuple(part.get(k, ())) for part in parts)) for k in said}


def classes_present(classes: Mapping[int, ClassItems], data: DataSet) -> dict[int, ClassItems]:
    """The classes whose images are there: of each class all must be, or none (FileNotFoundError).

    Folders are listed once instead of asking for each file, which is slow on a network drive.
    """
    there: dict[int, ClassItems] = {}
    for label, each in classes.items():
        paths = each.train + each.test
        names = {folder: _names_in(folder) for folder in {path.parent for path in paths}}
        missing = [path for path in paths if path.name not in names[path.parent]]
        if missing and len(missing) < len(paths):
            lost = f"{len(missing)} are missing, first {missing[0].name}"
            raise data.lacks(missing[0].parent, f"all {len(paths)} listed images or none, {lost}")
        if not missing:
            there[label] = each
    return there


def count_present(classes: Mapping[int, ClassItems]) -> int:
    """How many images classes have, for training and for testing together."""
    return sum(len(each.train) + len(each.test) for each in classes.values())


def _parse_lines(path: Path, lines: list[str]) -> list[tuple[str, int]]:
    pairs = []
    for number, line in enumerate(lines, 1):
        listed, _, label = line.strip().rpartition(" ")
        if not listed or not _is_integer(label):
            raise ValueError(f"{path} must have lines 'PATH LABEL', got {line!r} in line {number}")
        pairs.append((listed, int(label)))
    return pairs


def _parse_yaml(path: Path, lines: list[str]) -> list[tuple[str, int]]:
    found: dict[str, list[str]] = {"data:": [], "targets:": []}
    current: list[str] | None = None
    for number, line in enumerate(lines, 1):
        if line in found:
            current = found[line]
        elif current is not None and line.startswith("- "):
            current.append(line[2:].strip())
        else:
            rule = "hold 'data:' and 'targets:', then lines '- VALUE'"
            raise ValueError(f"{path} must {rule}, got {line!r} in line {number}")
    data, targets = found.values()
    if len(data) != len(targets):
        got = f"{len(data)} images and {len(targets)} targets"
        raise ValueError(f"{path} must have one target per image, got {got}")
    if wrong := [value for value in targets if not _is_integer(value)]:
        raise ValueError(f"{path} must have numbers as targets, got {wrong[0]!r}")
    return [(listed, int(target)) for listed, target in zip(data, targets, strict=True)]


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _names_in(folder: Path) -> set[str]:
    return {entry.name for entry in _image_entries(folder)} if folder.is_dir() else set()
