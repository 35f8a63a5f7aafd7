"""DN4IL as a stream: a hundred classes of DomainNet, balanced for domain-incremental learning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fmlora_kit.streams.decoded import reader
from fmlora_kit.streams.domainnet import DomainLists, domain_tasks, in_every_domain
from fmlora_kit.streams.images import check_image_size
from fmlora_kit.streams.sampling import check_limits, partial_note
from fmlora_kit.streams.task import Stream

DN4IL = DomainLists(
    "dn4il",
    100,
    {
        "real": 15_967,
        "clipart": 12_221,
        "infograph": 12_900,
        "painting": 14_771,
        "sketch": 14_685,
        "quickdraw": 16_000,
    },
    "Fetch the lists DOMAIN_train.txt and DOMAIN_test.txt from "
    "https://github.com/NeurAI-Lab/DN4IL-dataset and the images of DomainNet from "
    "http://ai.bu.edu/M3SDA/, so that dn4il holds the lists and DOMAIN/CLASS/*.jpg or *.png; or "
    "leave both where they are: folder= is that of the images, lists= that of the lists.",
)


def dn4il(
    folder: str | Path,
    seed: int = 0,
    *,
    domains: Sequence[str] = tuple(DN4IL.images),
    image_size: int = 32,
    n_train: int | None = None,
    n_test: int | None = None,
    lists: str | Path | None = None,
    decoded: str | Path | None = None,
) -> Stream:
    """Domain-incremental: DN4IL (Gowda et al., 2023), a task is a domain, with the same classes.

    Its images are some of DomainNet's, so that a folder of DomainNet serves, with ``lists``.

    Args:
        folder: the images and the lists, or the folder that dn4il lies in; only read.
        seed: decides which images a limit keeps, and nothing else: the split is the official one.
        domains: the domains, in the order they are learnt; default: the authors' order.
        image_size: height and width that images are brought to, in pixels.
        n_train: at most so many training images per class and domain; None: all.
        n_test: at most so many test images per class and domain; None: all.
        lists: the folder of the lists, if they do not lie in ``folder``.
        decoded: a folder of yours, outside the data set's, in which the decoded images are kept in
            one file that memory need not hold; None: they are held in memory.

    Raises:
        FileNotFoundError: a folder, a list, or some images of a class are missing; says what to
            fetch.
        ValueError: an argument out of range, lists that are damaged or do not fit together, a path
            that leaves the folder, a broken image.
    """
    check_image_size(image_size)
    check_limits(n_train, n_test)
    parts = DN4IL.read(folder, lists, domains)
    kept, left_out = in_every_domain(parts)
    read = reader(DN4IL.root(folder), image_size, decoded)
    about = {
        "source": "DN4IL",
        "split": "official lists",
        **left_out,
        "partial": partial_note(DN4IL.missing(parts), n_train, n_test),
    }
    tasks = domain_tasks(kept, read, n_train, n_test, seed)
    return Stream("dn4il", "domain-incremental", tasks, seed, about)
