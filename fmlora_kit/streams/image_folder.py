"""Any folder of images as a stream: folders of classes, or of domains that hold them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from fmlora_kit import checks
from fmlora_kit.checks import as_path
from fmlora_kit.streams import files, sampling
from fmlora_kit.streams.data_set import DataSet
from fmlora_kit.streams.images import GROUND, check_ground
from fmlora_kit.streams.pixel_cache import reader
from fmlora_kit.streams.sampling import ClassItems
from fmlora_kit.streams.task import Stream

CLASSES, SPLIT, DOMAINS = "CLASS/*", "train/CLASS/* and test/CLASS/*", "DOMAIN/CLASS/*"
IMAGE_FOLDER = DataSet(
    "image_folder",
    "a folder of images",
    f"A folder of your images must hold {CLASSES}, {SPLIT} (or val for test), or {DOMAINS} with "
    f"the same classes in every domain; images are {', '.join(files.SUFFIXES)}.",
    tree="CLASS/*, or train/CLASS/* and test/CLASS/*, or DOMAIN/CLASS/*",
    tries={"class-incremental": {"n_tasks": 1}, "domain-incremental": {}},
)

ALPHABET = "alphabetical"
# What folders of a split are called, by part. Numbers and the words of `_BESIDE` say nothing more.
_PARTS = {
    "train": {"train", "training", "trainset", "trainval", "trn", "learn", "learning"},
    "test": {"test", "testing", "testset", "tst", "eval", "evaluation", "holdout", "heldout"},
    "val": {"val", "valid", "validation", "validate", "valset", "dev", "devel", "development"},
}
_BESIDE = {"set", "data", "dataset", "split", "part", "images", "image", "imgs", "img", "folder"}


def image_folder(
    folder: str | Path,
    seed: int = 0,
    *,
    n_tasks: int | Sequence[int] | None = None,
    test_share: float = 0.2,
    classes: Sequence[str] | None = None,
    domains: Sequence[str] | None = None,
    image_size: int = 32,
    n_train: int | None = None,
    n_test: int | None = None,
    class_order: int | None = None,
    ground: str = GROUND,
    decoded: str | Path | None = None,
) -> Stream:
    """A folder of images of yours, in the layout that it has; `Stream.describe` says which.

    ``CLASS/*`` is class-incremental, with ``n_tasks`` tasks; so is ``train/CLASS/*`` beside
    ``test/CLASS/*``, whose split is kept, however the two are spelt; images for validation are left
    out where there are others for testing. ``DOMAIN/CLASS/*`` is domain-incremental: a task is a
    domain. Photos are turned upright as their camera noted.

    Args:
        folder: what the folders of classes, or of domains, lie in; only read.
        seed: decides the split, and which images a limit keeps.
        n_tasks: class-incremental: must be given; a number that divides that of the classes, or how
            many classes each task has, as (50, 10, 10).
        test_share: fraction of each class (and domain) held out for testing.
        classes: class-incremental: the folders that are learnt, in this order; default: all.
        domains: domain-incremental: in the order they are learnt; default: alphabetical. Must be
            given where there is only one, or where a domain is called like a part of a split.
        image_size: height and width that images are brought to, in pixels.
        n_train: at most so many training images per class (and domain); None: all.
        n_test: at most so many test images per class (and domain); None: all.
        class_order: class-incremental: None: alphabetical; a number: the permutation of this seed.
        ground: the colour that transparent pictures are laid over, as "white" or "#ffcc00".
        decoded: a folder outside ``folder``, where one file holds decoded images; None: memory.

    Raises:
        FileNotFoundError: there is no such folder, or nothing in it.
        ValueError: an argument out of range or of no use in the layout, another layout, a class
            with fewer than two images, a broken image.
    """
    seed, image_size, n_train, n_test = sampling.check_numbers(seed, image_size, n_train, n_test)
    test_share = sampling.check_share(test_share)
    ground, root = check_ground(ground), as_path("folder", folder)
    layout = layout_of(root, classes is not None or domains is not None)
    by_class = {"n_tasks": n_tasks, "class_order": class_order, "classes": classes}
    for what, value in (by_class if layout == DOMAINS else {"domains": domains}).items():
        if value is not None:
            raise checks.fail(what, f"None for a folder of {layout}", value)
    read = reader(root, image_size, decoded, upright=True, ground=ground)
    if layout == DOMAINS:
        found = _read_domains(root, domains, test_share, seed)
        plans = {d: [c.at_most(n_train, n_test, seed) for c in found[d]] for d in found}
        tasks = sampling.make_tasks(plans, read)
    else:
        found = _read_classes(root, layout, test_share, seed)
        kept = sampling.in_order(found, classes, class_order)
        kept = [each.at_most(n_train, n_test, seed) for each in kept]
        tasks = sampling.class_incremental(kept, n_tasks, read)
    order = sampling.order_in_words(class_order, ALPHABET)
    order = order if classes is None else "as given"
    by_seed = f"random by seed, {test_share:g} of each class for testing"
    about = {
        "source": f"folder {os.fsencode(root.resolve().name).decode('utf-8', 'replace')}",
        "layout": layout,
        "split": "folders" if layout == SPLIT else by_seed,
        "class_order": order,
        **other_files(root, layout),
        "partial": sampling.partial_note([], n_train, n_test),
    }
    scenario = "domain-incremental" if layout == DOMAINS else "class-incremental"
    return Stream("image_folder", scenario, tasks, seed, about)


def layout_of(root: Path, named: bool = False) -> str:
    """Which layout a folder has: `CLASSES`, `SPLIT` or `DOMAINS`.

    Args:
        root: the folder.
        named: the caller names the classes or the domains: then some may be called like a part of
            a split, and a single domain will do.

    Raises:
        FileNotFoundError: there is no such folder, or no folder in it.
        ValueError: some of its folders hold images, and some hold folders; they look like a split
            that is not whole, or like one domain, and may be something else.
    """
    how = IMAGE_FOLDER.how_to_get
    if not root.is_dir():
        raise FileNotFoundError(f"folder must be there, there is no folder {root}. {how}")
    if not (names := files.subfolders(root)):
        raise IMAGE_FOLDER.lacks(root, "folders of images, got none")
    nested = [name for name in names if files.subfolders(root / name)]
    flat = [name for name in names if files.image_files(root / name)]
    if nested and flat:
        got = f"images in {flat[0]!r} and folders in {nested[0]!r}. {how}"
        raise ValueError(f"{root} must hold folders of images or folders of folders, got {got}")
    if not nested:
        if not named:
            _refuse_parts(root, names, f"pass classes={tuple(names)} if these are classes", all)
        return CLASSES
    if split_of(names):
        return SPLIT
    if not named:
        _refuse_parts(root, names, f"pass domains={tuple(names)} if these are domains", any)
        if len(names) == 1:
            got = f"{names[0]!r} alone; pass {root / names[0]}, or domains={tuple(names)}"
            raise ValueError(f"{root} must hold several domains, got {got}")
    for place in (root / name for name in nested):
        _refuse_parts(
            place, files.subfolders(place), f"pass {place}, of which a split is kept", all
        )
    return DOMAINS


def split_of(names: Sequence[str]) -> dict[str, str] | None:
    """Part of a split -> its folder, if that is what the names of all folders are, or None.

    Folders are for "train" and "test", or "train" and "val", which is then "test", or all three.
    """
    found = {}
    for name in names:
        words = _words(name)
        of = [part for part, spelt in _PARTS.items() if spelt & words]
        if len(of) != 1 or of[0] in found or not words <= _PARTS[of[0]] | _BESIDE:
            return None
        found[of[0]] = name
    if "test" not in found and "val" in found:
        found["test"] = found.pop("val")
    return found if {"train", "test"} <= found.keys() else None


def _words(name: str) -> set[str]:
    """`TrainSet_2` is "train" and "set"."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return set(re.findall(r"[^\W\d_]+", apart.lower()))


def _refuse_parts(root: Path, names: Sequence[str], otherwise: str, how_many: Callable) -> None:
    """Raise ValueError where folders are called like parts of a split, and are none to be read."""
    if how_many(_words(name) & set().union(*_PARTS.values()) for name in names):
        rule = "hold folders of classes, or a split: train and test (or val) with the same classes"
        raise ValueError(f"{root} must {rule}, got {checks.shown(tuple(names))}; {otherwise}")


def other_files(root: Path, layout: str) -> dict[str, str]:
    """For `describe`: files that are left out because they are no images, or in no class."""
    found = Counter(
        path.suffix.lower() or "no suffix"
        for path in root.glob("*/*" if layout == CLASSES else "*/*/*")
        if path.is_file()
        and path.suffix.lower() not in files.SUFFIXES
        and path.name[0] != "."
        and path.name.lower() not in files.LEFT_BY_SYSTEMS
    )
    kinds = ", ".join(f"{n} of {suffix}" for suffix, n in sorted(found.items()))
    words = [f"files that are no images: {kinds}"] if kinds else []
    if loose := len(files.image_files(root)):  # deeper, `layout_of` refuses them
        words.append(f"images that lie in no class: {loose}")
    if layout == SPLIT and (unused := (split_of(files.subfolders(root)) or {}).get("val")):
        words.append(f"images for validation, {unused}: {files.count_images(root / unused)}")
    return {"left_out": "; ".join(words)} if words else {}


def _read_classes(root: Path, layout: str, test_share: float, seed: int) -> list[ClassItems]:
    if layout == CLASSES:
        return sampling.split_all(files.class_files(root), test_share, seed)
    parts = split_of(files.subfolders(root))
    classes = files.presplit_files(root, parts["train"], parts["test"])
    return [ClassItems(name, *images) for name, images in classes.items()]


def _read_domains(
    root: Path, domains: Sequence[str] | None, test_share: float, seed: int
) -> dict[str, list[ClassItems]]:
    names = files.subfolders(root)
    chosen = sampling.check_names("domains", names if domains is None else domains, names)
    found = {domain: files.class_files(root / domain) for domain in chosen}
    everywhere = set().union(*found.values())
    for domain, each in found.items():
        if lacking := sorted(everywhere - set(each)):
            rule = f"have the same classes in every domain, {domain} lacks {lacking[:5]}"
            raise ValueError(f"{root} must {rule}")
    return {d: sampling.split_all(each, test_share, seed, f"{d}/") for d, each in found.items()}
