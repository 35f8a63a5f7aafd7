"""PACS as a stream: the same seven classes as photos, paintings, cartoons and sketches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fmlora_kit.streams import sampling
from fmlora_kit.streams.data_set import DataSet, Preset
from fmlora_kit.streams.files import image_files, subfolders
from fmlora_kit.streams.images import shorter_side
from fmlora_kit.streams.pixel_cache import reader
from fmlora_kit.streams.task import Stream

CLASSES = ("dog", "elephant", "giraffe", "guitar", "horse", "house", "person")
DOMAINS = {"photo": 1670, "art_painting": 2048, "cartoon": 2344, "sketch": 3929}
PACS = DataSet(
    "pacs",
    "PACS",
    "Fetch PACS (Li et al., 2017, arXiv 1710.03077) and unpack it so that images lie as "
    "PACS/DOMAIN/CLASS/*.jpg or *.png, with the domains "
    f"{', '.join(DOMAINS)} and the classes {', '.join(CLASSES)}.",
    tree="DOMAIN/CLASS/*",
    root="PACS",
    n_classes=len(CLASSES),
    domains=DOMAINS,
    side=227,
    folders=tuple(DOMAINS),
    presets={
        "pacs-4": Preset(
            "pacs",
            "the four domains in the order of the name; the split is ours, a random fifth, because "
            "the official lists hold out a whole domain",
        )
    },
)


def pacs(
    folder: str | Path,
    seed: int = 0,
    *,
    domains: Sequence[str] = tuple(DOMAINS),
    image_size: int = 32,
    n_train: int | None = None,
    n_test: int | None = None,
    test_share: float = 0.2,
    decoded: str | Path | None = None,
) -> Stream:
    """Domain-incremental: PACS (Li et al., 2017), a task is a domain, with the same 7 classes.

    The images are divided into training and test at random, per class and domain, by the seed. This
    is not the division of the official lists, which hold out one domain and leave about a tenth of
    the others for validation. `Stream.describe` says so, and whether the data are partial.

    Args:
        folder: the unpacked data set, or the folder that PACS lies in; only read.
        seed: decides the split, and which images a limit keeps.
        domains: the domains, in the order they are learnt; default: the order of the name.
        image_size: height and width that images are brought to, in pixels.
        n_train: at most so many training images per class and domain; None: all.
        n_test: at most so many test images per class and domain; None: all.
        test_share: fraction of each class and domain held out for testing.
        decoded: a folder outside ``folder``, where one file holds decoded images; None: memory.

    Raises:
        FileNotFoundError: the folder, a domain or a class is missing; says what to fetch.
        ValueError: an argument out of range, a class that PACS does not have, a broken image.
    """
    domains = sampling.check_names("domains", domains, DOMAINS)
    test_share = sampling.check_share(test_share)
    seed, image_size, n_train, n_test = sampling.check_numbers(seed, image_size, n_train, n_test)
    root = PACS.find_root(folder, domains)
    files = {domain: _files(root, domain) for domain in domains}
    plans = {}
    for domain, classes in files.items():
        parts = sampling.split_all(classes, test_share, seed, f"{domain}/")
        kept = [each.at_most(n_train, n_test, seed) for each in parts]
        plans[domain.replace("_", " ")] = kept
    about = {
        "source": PACS.title,
        "split": f"random by seed, {test_share:g} of each class and domain for testing",
        "partial": sampling.partial_note(_missing(files), n_train, n_test),
    }
    tasks = sampling.make_tasks(plans, reader(root, image_size, decoded))
    return Stream("pacs", "domain-incremental", tasks, seed, about)


def _files(root: Path, domain: str) -> dict[str, list[Path]]:
    there = subfolders(root / domain)
    if unknown := sorted(set(there) - set(CLASSES)):
        raise ValueError(f"{root / domain} must hold the classes {CLASSES}, got {unknown}")
    if missing := [name for name in CLASSES if name not in there]:
        raise PACS.lacks(root / domain, ", ".join(missing))
    return {name: image_files(root / domain / name) for name in CLASSES}


def _missing(files: dict[str, dict[str, list[Path]]]) -> list[str]:
    """What the folder lacks of the official images: some of them, or some of their pixels."""
    found = sum(len(each) for classes in files.values() for each in classes.values())
    official = sum(PACS.domains[domain] for domain in files)
    firsts = [next(iter(classes.values()))[0] for classes in files.values()]
    side = min(shorter_side(path) for path in firsts)
    missing = PACS.partial(PACS.n_classes, found, official)
    return missing + [f"images of {side} pixels instead of {PACS.side}"] * (side < PACS.side)
