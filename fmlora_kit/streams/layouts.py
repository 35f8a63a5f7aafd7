"""How each data set must lie on the disk, and where to get it, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fmlora_kit.streams.cifar100 import FILES, N_TEST, N_TRAIN
from fmlora_kit.streams.cifar100 import HOW_TO_GET as CIFAR100_HOW
from fmlora_kit.streams.cub200 import HOW_TO_GET as CUB200_HOW
from fmlora_kit.streams.cub200 import LISTS as CUB200_LISTS
from fmlora_kit.streams.cub200 import N_IMAGES as CUB200_IMAGES
from fmlora_kit.streams.dn4il import DN4IL
from fmlora_kit.streams.domainnet import DOMAINNET, DomainLists
from fmlora_kit.streams.image_folder import HOW_TO_GET as IMAGE_FOLDER_HOW
from fmlora_kit.streams.imagenet_r import HOW_TO_GET as IMAGENET_R_HOW
from fmlora_kit.streams.imagenet_r import LISTS as IMAGENET_R_LISTS
from fmlora_kit.streams.imagenet_r import N_IMAGES as IMAGENET_R_IMAGES
from fmlora_kit.streams.pacs import HOW_TO_GET as PACS_HOW
from fmlora_kit.streams.pacs import PACS_IMAGES


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
