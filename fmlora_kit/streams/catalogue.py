"""Published protocols by name: which classes come when, and which images test.

They were published at 224 pixels, which is the size of their backbone, ViT-B/16. A preset does not
fix that: ``image_size`` is the size of whatever backbone is used, and goes into the run card.

How each data set must lie on the disk, and where to get it, in one table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from fmlora_kit.streams.cifar100 import FILES, N_TEST, N_TRAIN, cifar100
from fmlora_kit.streams.cifar100 import HOW_TO_GET as CIFAR100_HOW
from fmlora_kit.streams.cub200 import HOW_TO_GET as CUB200_HOW
from fmlora_kit.streams.cub200 import LISTS as CUB200_LISTS
from fmlora_kit.streams.cub200 import N_IMAGES as CUB200_IMAGES
from fmlora_kit.streams.cub200 import cub200
from fmlora_kit.streams.domainnet import DN4IL, DOMAINNET, DomainLists, dn4il, domainnet
from fmlora_kit.streams.image_folder import HOW_TO_GET as IMAGE_FOLDER_HOW
from fmlora_kit.streams.imagenet_r import HOW_TO_GET as IMAGENET_R_HOW
from fmlora_kit.streams.imagenet_r import LISTS as IMAGENET_R_LISTS
from fmlora_kit.streams.imagenet_r import N_IMAGES as IMAGENET_R_IMAGES
from fmlora_kit.streams.imagenet_r import imagenet_r
from fmlora_kit.streams.pacs import HOW_TO_GET as PACS_HOW
from fmlora_kit.streams.pacs import PACS_IMAGES, pacs
from fmlora_kit.streams.task import Stream

PUBLISHED_SIZE = 224  # pixels
READERS = {
    "cifar100": cifar100,
    "cub200": cub200,
    "dn4il": dn4il,
    "domainnet": domainnet,
    "imagenet_r": imagenet_r,
    "pacs": pacs,
}


@dataclass(frozen=True)
class Preset:
    """One protocol.

    Attributes:
        stream: the name of the data set's stream.
        whose: who published results with it, and what of theirs it does not repeat.
        options: the arguments of the stream that make the protocol.
    """

    stream: str
    whose: str
    options: Mapping[str, object] = field(default_factory=dict)


def _coda(n_tasks: int) -> Preset:
    return Preset(
        "imagenet_r",
        "CODA-Prompt (2211.13218), its lists and its first repeat, without shuffling; the later "
        "repeats shuffle classes with Python's own generator",
        {"n_tasks": n_tasks, "split": "fixed"},
    )


def _sd_lora(n_tasks: int) -> Preset:
    return Preset(
        "imagenet_r",
        "SD-LoRA (2501.13198): class seed 1995 over the folders train and test of LAMDA-PILOT",
        {"n_tasks": n_tasks, "split": "folders", "class_order": 1995},
    )


PRESETS: dict[str, Preset] = {
    "cifar100-pycil-10": Preset(
        "cifar100",
        "iCaRL, PyCIL, LAMDA-PILOT, SD-LoRA: class seed 1993",
        {"n_tasks": 10, "class_order": 1993},
    ),
    "cifar100-inflora-10": Preset(
        "cifar100",
        "InfLoRA (2404.00228), and the first repeat of CODA-Prompt: classes in official order",
        {"n_tasks": 10},
    ),
    "imagenet-r-5": _coda(5),
    "imagenet-r-10": _coda(10),
    "imagenet-r-20": _coda(20),
    "imagenet-r-sdlora-5": _sd_lora(5),
    "imagenet-r-sdlora-10": _sd_lora(10),
    "imagenet-r-sdlora-20": _sd_lora(20),
    "imagenet-r-random-10": Preset(
        "imagenet_r",
        "L2P and InfLoRA: a random fifth for testing; which images differs from theirs, because "
        "each code draws its own",
        {"n_tasks": 10, "split": "random", "test_share": 0.2},
    ),
    "cub200-10": Preset(
        "cub200",
        "ten tasks of 20 species, as HiDe-Prompt (2310.07234) has them; official split and order, "
        "where HiDe-Prompt shuffles classes by its own seeds",
        {"n_tasks": 10},
    ),
    "domainnet-sdlora-5": Preset(
        "domainnet",
        "SD-LoRA: 5 tasks of 69 classes in all six domains, class seed 1993",
        {"scenario": "class-incremental", "n_tasks": 5, "class_order": 1993},
    ),
    "domainnet-domains-6": Preset(
        "domainnet",
        "one domain after the other, as in the FM-LoRA paper (2504.08823), in the alphabetical "
        "order of S-Prompts (2207.12819); FM-LoRA's own order is not published as code",
        {"scenario": "domain-incremental"},
    ),
    "dn4il-6": Preset("dn4il", "DUCA (Gowda et al., TMLR 2023), the authors' order of domains"),
    "pacs-4": Preset(
        "pacs",
        "the four domains in the order of the name; the split is ours, a random fifth, because the "
        "official lists hold out a whole domain",
    ),
}


def preset(name: str, folder: str | Path, seed: int = 0, **options: object) -> Stream:
    """The stream of a published protocol; its run card then names it.

    Args:
        name: one of `PRESETS`.
        folder: where the data set lies; only read.
        seed: of what the protocol leaves to chance.
        options: further arguments of the data set's stream, such as ``image_size``, which is that
            of the backbone, and limits.

    Raises:
        ValueError: an unknown name, or an option that the protocol fixes.
        FileNotFoundError: something is missing; says what to fetch.
    """
    if name not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}; got {name!r}")
    chosen = PRESETS[name]
    for key in options:
        if key in chosen.options:
            raise ValueError(
                f"{key} must not be given with preset {name!r}, which fixes it to "
                f"{chosen.options[key]!r}"
            )
    stream = READERS[chosen.stream](folder, seed, **{**chosen.options, **options})
    return replace(stream, about={**stream.about, "preset": name})


@dataclass(frozen=True)
class Layout:
    """One data set on the disk.

    Attributes:
        root: what its folder is called; "" if it may have any name.
        tree: what lies in it, in short.
        how_to_get: what to fetch, and the layout, in sentences.
        n_images: of the whole data set; 0 if it has no official number.
        files: files that must be there, in ``root`` or where ``lists`` says.
        folders: folders that must be there.
        tries: ways to read it, in words, with the options of the stream: one must work.
    """

    root: str
    tree: str
    how_to_get: str
    n_images: int
    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    tries: Mapping[str, Mapping[str, object]] = field(default_factory=lambda: {"": {}})


def _domains(kind: DomainLists) -> Layout:
    tree = "DOMAIN_train.txt, DOMAIN_test.txt, DOMAIN/CLASS/*"
    domains, n_images = tuple(kind.images), sum(kind.images.values())
    return Layout(kind.name, tree, kind.how_to_get, n_images, kind.lists(domains), domains)


ONE_TASK = {"": {"n_tasks": 1}}  # however many classes there are
LAYOUTS: dict[str, Layout] = {
    "cifar100": Layout(
        "cifar-100-python",
        "train, test, meta",
        CIFAR100_HOW,
        N_TRAIN + N_TEST,
        FILES,
        tries=ONE_TASK,
    ),
    "cub200": Layout(
        "CUB_200_2011",
        f"{', '.join(CUB200_LISTS)}, images/CLASS/*",
        CUB200_HOW,
        CUB200_IMAGES,
        CUB200_LISTS,
        ("images",),
        ONE_TASK,
    ),
    "dn4il": _domains(DN4IL),
    "domainnet": _domains(DOMAINNET),
    "imagenet_r": Layout(
        "imagenet-r",
        f"{', '.join(IMAGENET_R_LISTS)}, nXXXXXXXX/*",
        IMAGENET_R_HOW,
        IMAGENET_R_IMAGES,
        IMAGENET_R_LISTS,
        tries={
            f"split={split!r}": {"split": split, "n_tasks": 1}
            for split in ("fixed", "random", "folders")
        },
    ),
    "pacs": Layout(
        "PACS", "DOMAIN/CLASS/*", PACS_HOW, sum(PACS_IMAGES.values()), folders=tuple(PACS_IMAGES)
    ),
    "image_folder": Layout(
        "",
        "CLASS/*, or train/CLASS/* and test/CLASS/*, or DOMAIN/CLASS/*",
        IMAGE_FOLDER_HOW,
        0,
        tries={"class-incremental": {"n_tasks": 1}, "domain-incremental": {}},
    ),
}
