"""ImageNet-R as a stream: paintings, toys, tattoos and other renditions of 200 ImageNet classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fmlora_kit import checks
from fmlora_kit.checks import as_path
from fmlora_kit.streams import files, sampling
from fmlora_kit.streams.data_set import DataSet, Preset
from fmlora_kit.streams.disk import read_lines
from fmlora_kit.streams.pixel_cache import reader
from fmlora_kit.streams.sampling import ClassItems
from fmlora_kit.streams.task import Stream

LISTS = ("imagenet-r_train.yaml", "imagenet-r_test.yaml")
LISTED_FROM = "data/imagenet-r/"  # what every path of the lists begins with
SPLITS = {
    "fixed": "fixed lists of CODA-Prompt",
    "random": "random by seed, {:g} of each class for testing",
    "folders": "folders train and test",
}
WNID = re.compile(r"n\d{8}")
NAMES = re.compile(r"^(n\d{8}) (.+)$", re.MULTILINE)  # how README.txt of the archive names classes


CODA = (
    "CODA-Prompt (2211.13218), its lists and its first repeat, without shuffling; the later "
    "repeats shuffle classes with Python's own generator"
)
SD_LORA = "SD-LoRA (2501.13198): class seed 1995 over the folders train and test of LAMDA-PILOT"


def _presets(prefix: str, whose: str, **options: object) -> dict[str, Preset]:
    numbers = (5, 10, 20)
    return {
        f"{prefix}-{n}": Preset("imagenet_r", whose, {"n_tasks": n, **options}) for n in numbers
    }


IMAGENET_R = DataSet(
    "imagenet_r",
    "ImageNet-R",
    "Fetch imagenet-r.tar from https://github.com/hendrycks/imagenet-r and unpack it, so that "
    "imagenet-r holds the 200 folders nXXXXXXXX/*.jpg; for split='fixed' put "
    f"{' and '.join(LISTS)} beside them, from dataloaders/splits of "
    "https://github.com/GT-RIPL/CODA-Prompt; for split='folders' imagenet-r holds "
    "train/nXXXXXXXX/*.jpg and test/nXXXXXXXX/*.jpg, as LAMDA-PILOT and SD-LoRA have them.",
    tree=f"{', '.join(LISTS)}, nXXXXXXXX/*",
    root="imagenet-r",
    n_classes=200,
    split=(24_000, 6_000),  # of the fixed lists; no split is official
    files=LISTS,
    tries={f"split={split!r}": {"split": split, "n_tasks": 1} for split in SPLITS},
    presets={
        **_presets("imagenet-r", CODA, split="fixed"),
        **_presets("imagenet-r-sdlora", SD_LORA, split="folders", class_order=1995),
        "imagenet-r-random-10": Preset(
            "imagenet_r",
            "L2P and InfLoRA: a random fifth for testing; which images differs from theirs, "
            "because each code draws its own",
            {"n_tasks": 10, "split": "random", "test_share": 0.2},
        ),
    },
)


def imagenet_r(
    folder: str | Path,
    seed: int = 0,
    *,
    n_tasks: int | Sequence[int] = 10,
    split: str = "fixed",
    test_share: float = 0.2,
    image_size: int = 32,
    n_train: int | None = None,
    n_test: int | None = None,
    class_order: int | None = None,
    lists: str | Path | None = None,
    decoded: str | Path | None = None,
) -> Stream:
    """Class-incremental: ImageNet-R (Hendrycks et al., 2021), which has no official split.

    Three splits are in use, and numbers from different ones do not compare: the fixed lists that
    CODA-Prompt ships (24,000 training and 6,000 test images), a random fifth for testing (L2P,
    InfLoRA), and folders ``train`` and ``test`` that were split once (LAMDA-PILOT, SD-LoRA). The
    lists number the classes in an order of their own; otherwise it is that of the folders' names.
    No file is moved.

    Args:
        folder: the unpacked data set, or the folder that imagenet-r lies in; only read.
        seed: decides a random split, and which images a limit keeps.
        n_tasks: must divide the number of classes that are there; or how many each task has.
        split: "fixed", "random" or "folders".
        test_share: fraction of each class held out for testing, if the split is random.
        image_size: height and width that images are brought to, in pixels.
        n_train: at most so many training images per class; None: all.
        n_test: at most so many test images per class; None: all.
        class_order: None: by number; a number: the permutation that this seed gives, of all 200
            classes (fixed) or of those that are there.
        lists: the folder of the fixed lists, if they do not lie in ``folder``.
        decoded: a folder outside ``folder``, where one file holds decoded images; None: memory.

    Raises:
        FileNotFoundError: a folder, a list or images of a class are missing; says what to fetch.
        ValueError: an argument out of range, lists that are damaged or do not fit together, a path
            that leaves the folder, a folder that is no class, a broken image.
    """
    checks.choice("split", split, SPLITS)
    test_share = sampling.check_share(test_share)
    seed, image_size, n_train, n_test = sampling.check_numbers(seed, image_size, n_train, n_test)
    fixed = split == "fixed"
    there = _read_listed(folder, lists) if fixed else _read_folders(folder, split, test_share, seed)
    there = _with_readable_names(there)
    order = sampling.order_of_classes(IMAGENET_R.n_classes if fixed else len(there), class_order)
    kept = [there[k].at_most(n_train, n_test, seed) for k in order if k in there]
    root = IMAGENET_R.find_root(folder)
    tasks = sampling.class_incremental(kept, n_tasks, reader(root, image_size, decoded))
    missing = IMAGENET_R.partial(len(there), files.count_present(there))
    about = {
        "source": IMAGENET_R.title,
        "split": SPLITS[split].format(test_share),
        "class_numbers": "of the lists" if fixed else "sorted names of the folders",
        "class_order": sampling.order_in_words(class_order, "by number"),
        "partial": sampling.partial_note(missing, n_train, n_test),
    }
    return Stream("imagenet_r", "class-incremental", tasks, seed, about)


def _read_listed(folder: str | Path, lists: str | Path | None) -> dict[int, ClassItems]:
    where = IMAGENET_R.find_root(folder if lists is None else as_path("lists", lists), LISTS)
    root = IMAGENET_R.find_root(folder)
    names = tuple(where / name for name in LISTS)
    listed = files.listed_classes(root, names, IMAGENET_R.n_classes, LISTED_FROM)
    there = files.classes_present(listed, IMAGENET_R)
    if not there:
        raise IMAGENET_R.lacks(root, "the listed images, got none")
    return there


def _read_folders(
    folder: str | Path, split: str, test_share: float, seed: int
) -> dict[int, ClassItems]:
    needed = ("train", "test") if split == "folders" else ()
    root = IMAGENET_R.find_root(folder, needed)
    names = files.subfolders(root / "train" if split == "folders" else root)
    if foreign := [name for name in names if not WNID.fullmatch(name)]:
        got = f"{foreign[:5]}; split='folders' reads them in train and test"
        raise ValueError(f"{root} must hold folders of classes, nXXXXXXXX, got {got}")
    if not names:
        raise IMAGENET_R.lacks(root, "folders of classes, got none")
    if split == "random":
        return dict(enumerate(sampling.split_all(files.class_files(root), test_share, seed)))
    classes = files.presplit_files(root)
    for name, (train, test) in classes.items():
        if both := {path.name for path in train} & {path.name for path in test}:
            got = f"{name}/{min(both)} in both"
            raise ValueError(f"{root} must have each image in train or in test, got {got}")
    return dict(enumerate(ClassItems(name, *parts) for name, parts in classes.items()))


def _with_readable_names(there: dict[int, ClassItems]) -> dict[int, ClassItems]:
    """The same with the names that README.txt of the archive gives, if it is there."""
    first = next(iter(there.values()))
    folder = (first.train + first.test)[0].parent
    readmes = [above / "README.txt" for above in (folder.parent, folder.parent.parent)]
    lines = next((read_lines(path) for path in readmes if path.is_file()), [])
    names = dict(NAMES.findall("\n".join(lines)))
    return {
        k: replace(each, name=names.get(each.name, each.name).strip().replace("_", " "))
        for k, each in there.items()
    }
