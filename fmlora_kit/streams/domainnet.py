"""DomainNet as a stream: the same things as clip art, paintings, photos, sketches and more.

DN4IL as a stream: a hundred classes of DomainNet, balanced for domain-incremental learning.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fmlora_kit import checks
from fmlora_kit.checks import as_path
from fmlora_kit.streams import sampling
from fmlora_kit.streams.data_set import DataSet, Preset
from fmlora_kit.streams.files import classes_present, count_present, listed_classes
from fmlora_kit.streams.pixel_cache import Read, reader
from fmlora_kit.streams.sampling import ClassItems
from fmlora_kit.streams.task import SCENARIOS, Stream

Parts = dict[str, dict[int, ClassItems]]  # domain -> label -> class
TREE = "DOMAIN_train.txt, DOMAIN_test.txt, DOMAIN/CLASS/*"


def list_names(domains: Sequence[str]) -> tuple[str, ...]:
    """The names of the official lists of some domains."""
    return tuple(f"{domain}_{part}.txt" for domain in domains for part in ("train", "test"))


DOMAINNET_DOMAINS = dict(
    clipart=48_129,
    infograph=51_605,
    painting=72_266,
    quickdraw=172_500,
    real=172_947,
    sketch=69_128,
)
DOMAINNET = DataSet(
    "domainnet",
    "DomainNet",
    "Fetch the cleaned version of DomainNet (Peng et al., 2019) from http://ai.bu.edu/M3SDA/ and "
    "unpack it, so that domainnet holds DOMAIN/CLASS/*.jpg or *.png and, for each domain, the "
    "lists DOMAIN_train.txt and DOMAIN_test.txt.",
    tree=TREE,
    root="domainnet",
    n_classes=345,
    split=(409_832, 176_743),  # counted in the lists
    domains=DOMAINNET_DOMAINS,
    files=list_names(tuple(DOMAINNET_DOMAINS)),
    folders=tuple(DOMAINNET_DOMAINS),
    presets={
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
    },
)
DN4IL_DOMAINS = dict(
    real=15_967, clipart=12_221, infograph=12_900, painting=14_771, sketch=14_685, quickdraw=16_000
)
DN4IL = DataSet(
    "dn4il",
    "DN4IL",
    "Fetch the lists DOMAIN_train.txt and DOMAIN_test.txt from "
    "https://github.com/NeurAI-Lab/DN4IL-dataset and the images of DomainNet from "
    "http://ai.bu.edu/M3SDA/, so that dn4il holds the lists and DOMAIN/CLASS/*.jpg or *.png; or "
    "leave both where they are: folder= is that of the images, lists= that of the lists.",
    tree=TREE,
    root="dn4il",
    n_classes=100,
    split=(67_080, 19_464),  # counted in the lists
    domains=DN4IL_DOMAINS,
    files=list_names(tuple(DN4IL_DOMAINS)),
    folders=tuple(DN4IL_DOMAINS),
    presets={
        "dn4il-6": Preset("dn4il", "DUCA (Gowda et al., TMLR 2023), the authors' order of domains")
    },
)


def domainnet(
    folder: str | Path,
    seed: int = 0,
    *,
    scenario: str = "domain-incremental",
    domains: Sequence[str] = tuple(DOMAINNET_DOMAINS),
    n_tasks: int | Sequence[int] | None = None,
    image_size: int = 32,
    n_train: int | None = None,
    n_test: int | None = None,
    class_order: int | None = None,
    lists: str | Path | None = None,
    decoded: str | Path | None = None,
) -> Stream:
    """DomainNet (Peng et al., 2019), split by its official lists, in one of two scenarios.

    Domain-incremental: a task is a domain. Classes of which a domain has no training image are left
    out of all domains, and `Stream.describe` names them: officially the T-shirt, of which there is
    no painting to train on, so that 344 classes remain. Class-incremental: a task is some of the
    345 classes, in all domains, as SD-LoRA has it.

    At 224 pixels the whole data set needs 88 GB, of memory or of the disk (``decoded``).

    Args:
        folder: the unpacked data set, or the folder that domainnet lies in; only read.
        seed: decides which images a limit keeps; the split is the official one.
        scenario: "domain-incremental" or "class-incremental".
        domains: the domains, in the order they are learnt; default: alphabetical.
        n_tasks: class-incremental: must divide the number of classes; or how many each task has;
            default: 5.
        image_size: height and width that images are brought to, in pixels.
        n_train: at most so many training images per class (and task); None: all.
        n_test: at most so many test images per class (and task); None: all.
        class_order: class-incremental: None: official; a number: the permutation of all 345 classes
            that this seed gives.
        lists: the folder of the lists, if they do not lie in ``folder``.
        decoded: a folder outside ``folder``, where one file holds decoded images; None: memory.

    Raises:
        FileNotFoundError: a folder, a list or images of a class are missing; says what to fetch.
        ValueError: an argument out of range, lists that are damaged or do not fit together, a path
            that leaves the folder, a broken image.
    """
    checks.choice("scenario", scenario, SCENARIOS)
    by_domain = scenario == "domain-incremental"
    for what, value in (("n_tasks", n_tasks), ("class_order", class_order)):
        if by_domain and value is not None:
            raise checks.fail(what, "None if a task is a domain", value)
    domains = sampling.check_names("domains", domains, DOMAINNET.domains)
    seed, image_size, n_train, n_test = sampling.check_numbers(seed, image_size, n_train, n_test)
    order = sampling.order_of_classes(DOMAINNET.n_classes, class_order)
    parts = _read(DOMAINNET, folder, lists, domains)
    read = reader(DOMAINNET.find_root(folder), image_size, decoded)
    if by_domain:
        return _domain_stream(DOMAINNET, parts, read, n_train, n_test, seed)
    merged = _merge_domains(parts)
    some = [merged[k].at_most(n_train, n_test, seed) for k in order if k in merged]
    tasks = sampling.class_incremental(some, 5 if n_tasks is None else n_tasks, read)
    about = {
        "source": DOMAINNET.title,
        "split": "official lists",
        "class_order": sampling.order_in_words(class_order, "official"),
        "domains": ", ".join(domains),
        "partial": sampling.partial_note(_partial(DOMAINNET, parts), n_train, n_test),
    }
    return Stream("domainnet", scenario, tasks, seed, about)


def dn4il(
    folder: str | Path,
    seed: int = 0,
    *,
    domains: Sequence[str] = tuple(DN4IL_DOMAINS),
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
        seed: decides which images a limit keeps; the split is the official one.
        domains: the domains, in the order they are learnt; default: the authors' order.
        image_size: height and width that images are brought to, in pixels.
        n_train: at most so many training images per class and domain; None: all.
        n_test: at most so many test images per class and domain; None: all.
        lists: the folder of the lists, if they do not lie in ``folder``.
        decoded: a folder outside ``folder``, where one file holds decoded images; None: memory.

    Raises:
        FileNotFoundError, ValueError: as `domainnet`.
    """
    domains = sampling.check_names("domains", domains, DN4IL.domains)
    seed, image_size, n_train, n_test = sampling.check_numbers(seed, image_size, n_train, n_test)
    parts = _read(DN4IL, folder, lists, domains)
    read = reader(DN4IL.find_root(folder), image_size, decoded)
    return _domain_stream(DN4IL, parts, read, n_train, n_test, seed)


def _read(
    data: DataSet, folder: str | Path, lists: str | Path | None, domains: Sequence[str]
) -> Parts:
    """What the lists of these domains say, as far as their images are there."""
    where = folder if lists is None else as_path("lists", lists)
    where = data.find_root(where, list_names(domains))
    root = data.find_root(folder, domains)
    listed, names = {}, {}
    for domain in domains:
        two = tuple(where / name for name in list_names([domain]))
        listed[domain] = listed_classes(root, two, data.n_classes)
        for k, each in listed[domain].items():
            if (before := names.setdefault(k, each.name)) != each.name:
                got = f"label {k} for {each.name!r} in {domain}, and for {before!r} before"
                raise ValueError(f"{where} must have lists that label classes alike, got {got}")
    parts = {domain: classes_present(classes, data) for domain, classes in listed.items()}
    if empty := [domain for domain, classes in parts.items() if not classes]:
        raise data.lacks(root / empty[0], "the listed images, got none")
    return parts


def _partial(data: DataSet, parts: Parts) -> list[str]:
    """What the images that are there lack of the official ones, in words."""
    found = sum(count_present(classes) for classes in parts.values())
    n_classes = len({k for classes in parts.values() for k in classes})
    return data.partial(n_classes, found, sum(data.domains[domain] for domain in parts))


def _in_every_domain(parts: Parts) -> tuple[Parts, dict[str, str]]:
    """The classes that every domain can be trained on, and for `describe` which are left out."""
    trained = {d: {k for k, each in classes.items() if each.train} for d, classes in parts.items()}
    common = set.intersection(*trained.values())
    if not common:
        raise ValueError(f"domains must share classes with training images, got {[*parts]}")
    names = {k: each.name for classes in parts.values() for k, each in classes.items()}
    lacking = [
        f"{names[k]} (no training image in {', '.join(d for d in parts if k not in trained[d])})"
        for k in sorted(set(names) - common)
    ]
    kept = {d: {k: each[k] for k in sorted(common)} for d, each in parts.items()}
    more = [f"and {len(lacking) - 5} classes more"] if len(lacking) > 5 else []
    return kept, {"left_out": "; ".join(lacking[:5] + more)} if lacking else {}


def _domain_stream(
    data: DataSet, parts: Parts, read: Read, n_train: int | None, n_test: int | None, seed: int
) -> Stream:
    """One task per domain, all with the same classes, and at most so many images of each."""
    shared, left_out = _in_every_domain(parts)
    plans = {d: [k.at_most(n_train, n_test, seed) for k in shared[d].values()] for d in shared}
    about = {
        "source": data.title,
        "split": "official lists",
        **left_out,
        "partial": sampling.partial_note(_partial(data, parts), n_train, n_test),
    }
    tasks = sampling.make_tasks(plans, read)
    return Stream(data.name, "domain-incremental", tasks, seed, about)


def _merge_domains(parts: Parts) -> dict[int, ClassItems]:
    """Each class with its images of all domains."""
    merged: dict[int, ClassItems] = {}
    for classes in parts.values():
        for k, each in classes.items():
            train, test = (merged[k].train, merged[k].test) if k in merged else ((), ())
            merged[k] = ClassItems(each.name, train + each.train, test + each.test)
    return {k: each for k, each in merged.items() if each.train}
