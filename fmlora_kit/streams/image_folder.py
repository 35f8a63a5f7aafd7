"""Any folder of images as a stream: folders of classes, or of domains that hold them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fmlora_kit import checks
from fmlora_kit.streams import files, sampling
from fmlora_kit.streams.data_set import DataSet, as_path
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


def image_folder(
    folder: str | Path,
    seed: int = 0,
    *,
    n_tasks: int | None = None,
    test_share: float = 0.2,
    domains: Sequence[str] | None = None,
    image_size: int = 32,
    n_train: int | None = None,
    n_test: int | None = None,
    class_order: int | None = None,
    decoded: str | Path | None = None,
) -> Stream:
    """A folder of images of yours, in the layout that it has; `Stream.describe` says which.

    ``CLASS/*`` is class-incremental, with ``n_tasks`` tasks; so is ``train/CLASS/*`` beside
    ``test/CLASS/*``, whose split is kept. ``DOMAIN/CLASS/*`` is domain-incremental: a task is a
    domain. Photos are turned upright as their camera noted.

    Args:
        folder: what the folders of classes, or of domains, lie in; only read.
        seed: decides the split, and which images a limit keeps.
        n_tasks: class-incremental: must be given, and divide the number of classes.
        test_share: fraction of each class (and domain) held out for testing.
        domains: domain-incremental: in the order they are learnt; default: alphabetical.
        image_size: height and width that images are brought to, in pixels.
        n_train: at most so many training images per class (and domain); None: all.
        n_test: at most so many test images per class (and domain); None: all.
        class_order: class-incremental: None: alphabetical; a number: the permutation of this seed.
        decoded: a folder outside ``folder``, where one file holds decoded images; None: memory.

    Raises:
        FileNotFoundError: there is no such folder, or nothing in it.
        ValueError: an argument out of range or of no use in the layout, another layout, a class
            with fewer than two images, a broken image.
    """
    seed, image_size, n_train, n_test = sampling.check_numbers(seed, image_size, n_train, n_test)
    test_share = sampling.check_share(test_share)
    root = as_path("folder", folder)
    layout = layout_of(root)
    by_class = {"n_tasks": n_tasks, "class_order": class_order}
    for what, value in (by_class if layout == DOMAINS else {"domains": domains}).items():
        if value is not None:
            raise checks.fail(what, f"None for a folder of {layout}", value)
    read = reader(root, image_size, decoded, upright=True)
    if layout == DOMAINS:
        found = _read_domains(root, domains, test_share, seed)
        plans = {d: [c.at_most(n_train, n_test, seed) for c in found[d]] for d in found}
        tasks = sampling.make_tasks(plans, read)
    else:
        classes = _read_classes(root, layout, test_share, seed)
        order = sampling.order_of_classes(len(classes), class_order)
        kept = [classes[k].at_most(n_train, n_test, seed) for k in order]
        tasks = sampling.class_incremental(kept, n_tasks, read)
    by_seed = f"random by seed, {test_share:g} of each class for testing"
    about = {
        "source": f"folder {root.resolve().name}",
        "layout": layout,
        "split": "folders" if layout == SPLIT else by_seed,
        "class_order": sampling.order_in_words(class_order, "alphabetical"),
        **other_files(root, layout),
        "partial": sampling.partial_note([], n_train, n_test),
    }
    scenario = "domain-incremental" if layout == DOMAINS else "class-incremental"
    return Stream("image_folder", scenario, tasks, seed, about)


def layout_of(root: Path) -> str:
    """Which layout a folder has: `CLASSES`, `SPLIT` or `DOMAINS`.

    Raises:
        FileNotFoundError: there is no such folder, or no folder in it.
        ValueError: some of its folders hold images, and some hold folders.
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
        return CLASSES
    return SPLIT if set(names) in ({"train", "test"}, {"train", "val"}) else DOMAINS


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
    return {"left_out": "; ".join(words)} if words else {}


def _read_classes(root: Path, layout: str, test_share: float, seed: int) -> list[ClassItems]:
    if layout == CLASSES:
        return sampling.split_all(files.class_files(root), test_share, seed)
    test = "test" if (root / "test").is_dir() else "val"
    return [ClassItems(name, *parts) for name, parts in files.presplit_files(root, test).items()]


def _read_domains(
    root: Path, domains: Sequence[str] | None, test_share: float, seed: int
) -> dict[str, list[ClassItems]]:
    names = files.subfolders(root)
    chosen = sampling.check_domains(names if domains is None else domains, names)
    found = {domain: files.class_files(root / domain) for domain in chosen}
    everywhere = set().union(*found.values())
    for domain, each in found.items():
        if lacking := sorted(everywhere - set(each)):
            rule = f"have the same classes in every domain, {domain} lacks {lacking[:5]}"
            raise ValueError(f"{root} must {rule}")
    return {d: sampling.split_all(each, test_share, seed, f"{d}/") for d, each in found.items()}
