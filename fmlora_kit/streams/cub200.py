"""CUB-200-2011 as a stream: species of birds, in the official lists' split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fmlora_kit.streams import sampling
from fmlora_kit.streams.data_set import ONE_TASK, DataSet, Preset
from fmlora_kit.streams.disk import read_lines
from fmlora_kit.streams.files import classes_present, path_inside
from fmlora_kit.streams.pixel_cache import reader
from fmlora_kit.streams.sampling import ClassItems
from fmlora_kit.streams.task import Stream

LISTS = ("classes.txt", "images.txt", "image_class_labels.txt", "train_test_split.txt")
CUB200 = DataSet(
    "cub200",
    "CUB-200-2011",
    "Fetch CUB_200_2011.tgz from https://www.vision.caltech.edu/datasets/cub_200_2011/ and unpack "
    f"it, so that CUB_200_2011 holds {', '.join(LISTS)} and images/CLASS/*.jpg.",
    tree=f"{', '.join(LISTS)}, images/CLASS/*",
    root="CUB_200_2011",
    n_classes=200,
    split=(5_994, 5_794),  # counted in train_test_split.txt
    files=LISTS,
    folders=("images",),
    tries=ONE_TASK,
    presets={
        "cub200-10": Preset(
            "cub200",
            "ten tasks of 20 species, as HiDe-Prompt (2310.07234) has them; official split and "
            "order, where HiDe-Prompt shuffles classes by its own seeds",
            {"n_tasks": 10},
        )
    },
)
N_CLASSES = CUB200.n_classes


def cub200(
    folder: str | Path,
    seed: int = 0,
    *,
    n_tasks: int | Sequence[int] = 10,
    image_size: int = 32,
    n_train: int | None = None,
    n_test: int | None = None,
    class_order: int | None = None,
    decoded: str | Path | None = None,
) -> Stream:
    """Class-incremental: CUB-200-2011 (Wah et al., 2011), split by its official lists.

    Classes of which no listed image is there are left out, and `Stream.describe` calls the data
    partial. The stream numbers its classes from 0 in the order they are learnt.

    Args:
        folder: the unpacked data set, or the folder that CUB_200_2011 lies in; only read.
        seed: decides which images a limit keeps; the split is the official one.
        n_tasks: must divide the number of classes that are there; or how many each task has.
        image_size: height and width that images are brought to, in pixels.
        n_train: at most so many training images per class; None: all.
        n_test: at most so many test images per class; None: all.
        class_order: None: official; a number: the permutation of all 200 that this seed gives.
        decoded: a folder outside ``folder``, where one file holds decoded images; None: memory.

    Raises:
        FileNotFoundError: a folder, a list or images of a class are missing; says what to fetch.
        ValueError: an argument out of range, lists that are damaged or do not fit together, a path
            that leaves the folder, a broken image.
    """
    seed, image_size, n_train, n_test = sampling.check_numbers(seed, image_size, n_train, n_test)
    order = sampling.order_of_classes(N_CLASSES, class_order)
    root = CUB200.find_root(folder, LISTS)
    there, n_listed = _classes(root)
    kept = [there[k].at_most(n_train, n_test, seed) for k in order if k in there]
    tasks = sampling.class_incremental(kept, n_tasks, reader(root, image_size, decoded))
    missing = CUB200.partial(len(there), CUB200.n_images)
    if n_listed != CUB200.n_images:
        missing.append(f"lists of {n_listed:,} instead of {CUB200.n_images:,} images")
    about = {
        "source": CUB200.title,
        "split": "official lists",
        "class_order": sampling.order_in_words(class_order, "official"),
        "partial": sampling.partial_note(missing, n_train, n_test),
    }
    return Stream("cub200", "class-incremental", tasks, seed, about)


def _classes(root: Path) -> tuple[dict[int, ClassItems], int]:
    """Official class number, from 0 -> its images, where they are there; how many are listed."""
    names, paths, labels, training = lists = [_read_list(root / name) for name in LISTS]
    _check_lists(root, *lists)
    parts: dict[str, dict[str, tuple[Path, ...]]] = {k: {"1": (), "0": ()} for k in names}
    for image, listed in paths.items():
        path = path_inside(root / "images", listed, root / LISTS[1])
        k = labels[image]
        if listed.rpartition("/")[0] != names[k]:
            rule = "give every image the class of its folder"
            got = f"{k!r} ({names[k]}) for image {image}, {listed}"
            raise ValueError(f"{root / LISTS[2]} must {rule}, got {got}")
        parts[k][training[image]] += (path,)
    listed_classes = {
        # "001.Black_footed_Albatross" is said "Black footed Albatross"
        int(k) - 1: ClassItems(name.partition(".")[2].replace("_", " ") or name, *parts[k].values())
        for k, name in names.items()
        if any(parts[k].values())
    }
    there = classes_present(listed_classes, CUB200)
    if not there:
        raise CUB200.lacks(root / "images", "listed images, got none")
    return there, len(paths)


def _check_lists(root: Path, *lists: dict[str, str]) -> None:
    names, paths, labels, training = lists
    foreign = [k for k in names if not 1 <= int(k) <= N_CLASSES]
    if foreign:
        raise ValueError(f"{root / LISTS[0]} must number classes 1 to {N_CLASSES}, got {foreign}")
    if twice := [listed for listed, n in Counter(paths.values()).items() if n > 1]:
        raise ValueError(f"{root / LISTS[1]} must list each image once, got {twice[0]!r} twice")
    rules = (
        (LISTS[2], labels, set(names), f"classes of classes.txt (1 to {len(names)})"),
        (LISTS[3], training, {"0", "1"}, "0 or 1"),
    )
    for name, content, allowed, what in rules:
        if content.keys() != paths.keys():
            rule = f"have one line for each image of images.txt ({len(paths)}), with its number"
            raise ValueError(f"{root / name} must {rule}, got {len(content)}")
        if wrong := [image for image, value in content.items() if value not in allowed]:
            got = f"{content[wrong[0]]!r} for image {wrong[0]}"
            raise ValueError(f"{root / name} must give {what}, got {got}")


def _read_list(path: Path) -> dict[str, str]:
    """Lines "number value" of an official list: number -> value."""
    content: dict[str, str] = {}
    for line in read_lines(path):
        number, _, value = line.strip().partition(" ")
        if not number.isdecimal() or not value or number in content:
            rule = "have lines 'NUMBER VALUE', each number once"
            raise ValueError(f"{path} must {rule}, got {line!r}")
        content[number] = value
    return content
