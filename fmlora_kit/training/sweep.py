"""Methods x streams x heads x seeds, each a run of its own: what `compare` runs.

Every stream stands twice among `SETTINGS`: "glyphs_10" gives each method its own head, and
"glyphs_10-common" gives all the same one, `COMMON_HEAD`, with the same drift compensation, so that
what is left between them is the adaptation.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fmlora_kit import checks
from fmlora_kit.methods import METHODS, HeadOptions
from fmlora_kit.record import Record
from fmlora_kit.training.loop import Budget, takes_budget
from fmlora_kit.training.pool import FailedRuns, Job, run_many

if TYPE_CHECKING:
    from distributed.deploy import Cluster

BUDGET = Budget(epochs=4)


@dataclass(frozen=True)
class Setting:
    """A stream as comparisons name it.

    Attributes:
        stream: a name in `fmlora_kit.streams.STREAMS`.
        options: its arguments, without the seed.
        folder: for a stream of real images: where they lie, relative to the folder of all data.
        backbone: what `load_backbone` calls the one that fits the images.
        head: of all methods that can take it; None: each method's own.
    """

    stream: str
    options: dict
    folder: str | None = None
    backbone: str = "glyph_vit"
    head: HeadOptions | None = None


def _photos(stream: str, folder: str, **options: int) -> Setting:
    """Photos, at the size that the embedded backbone for them was trained at."""
    return Setting(stream, {**options, "image_size": 36}, folder, "photo_vit")


# The longer the stream of glyphs, the fewer test images per class: 2,000 in all at its end.
_PER_CLASS = {"n_train": 30, "n_test": 30}
SETTINGS: dict[str, Setting] = {
    "glyphs_10": Setting("glyphs", {"n_tasks": 10, "n_test": 20}),
    "glyphs_20": Setting("glyphs", {"n_tasks": 20, "n_test": 10}),
    "glyphs_40": Setting("glyphs", {"n_tasks": 40, "n_test": 5}),
    "moving_styles": Setting("moving_styles", {"n_tasks": 10}),
    "glyph_styles": Setting("glyph_styles", {"n_tasks": 10}),
    "digits": Setting("digits", {"n_tasks": 5}),
    "pacs": _photos("pacs", "PACS", n_train=100, n_test=50),
    "cub200": _photos("cub200", "CUB_200_2011", n_tasks=10),
    "cifar100": _photos("cifar100", "cifar-100-python", n_tasks=10),
    "imagenet_r": _photos("imagenet_r", "imagenet-r", n_tasks=10),
    "domainnet": _photos("domainnet", "domainnet", **_PER_CLASS),
    "dn4il": _photos("dn4il", "dn4il", **_PER_CLASS),
}
MAIN = ("glyphs_10", "glyphs_20", "glyph_styles", "digits")
COMMON = "-common"
COMMON_HEAD = HeadOptions("mda", compensate=True)
# Learning rates under that head, where the grid of the study "rates", on seed 100, has another best
# one than the method's own head, by more than two points: SD-LoRA 43.8 % instead of 32.4.
COMMON_RATES = {"sd_lora": 2e-3}
SETTINGS |= {n + COMMON: replace(each, head=COMMON_HEAD) for n, each in SETTINGS.items()}
# Their head is what makes them a method of their own, or there is one for each task.
OWN_HEAD = ("nearest_class_mean", "streaming_lda", "ranpac", "task_lora")


@dataclass(frozen=True)
class Compared:
    """What a comparison left behind.

    Attributes:
        records: by setting, the finished records.
        failed: by the run's name, why it failed.
    """

    records: dict[str, tuple[Record, ...]]
    failed: dict[str, str]


@takes_budget
def compare(
    methods: Iterable[str] | None = None,
    streams: Iterable[str] = MAIN,
    seeds: Iterable[int] = range(3),
    *,
    folder: str | Path,
    data: str | Path = "data",
    budget: Budget = BUDGET,
    workers: int | None = None,
    cluster: str | Cluster | None = None,
    say: Callable[[str], None] = print,
) -> Compared:
    """Run every method on every stream with every seed, several runs at once.

    Each run keeps its record in ``folder/stream/method/seed_0``, task by task: what was stopped or
    killed goes on there, what is finished is not done again, and a run that fails costs no other.

    Args:
        methods: names in `METHODS`; default: all.
        streams: names in `SETTINGS`.
        seeds: of the streams' images and of the methods.
        folder: where the records go.
        data: where the folders of real images lie.
        budget: the same for every method.
        workers: runs at once; default: as many as there are GPUs or else cores.
        cluster: send the runs to this Dask scheduler instead, see `run_many`; then ``folder`` and
            ``data`` must be reached from all its workers.
        say: told one line after every task.

    Raises:
        ValueError: an unknown method or stream; the message lists the known ones.
    """
    streams = checks.different("streams", streams)  # it may be read once only
    wanted = jobs(methods, streams, seeds, folder=folder, data=data, budget=budget)
    once = {job.folder: job for job in wanted}  # a method's own head may be the common one
    try:
        run_many(tuple(once.values()), workers=workers, cluster=cluster, say=say)
        failed = {}
    except FailedRuns as error:
        failed = error.reasons
    records: dict[str, tuple[Record, ...]] = {name: () for name in streams}
    for job in wanted:
        if once[job.folder].name not in failed:
            records[job.label.partition("/")[0]] += (Record.load(job.folder),)
    return Compared(records, failed)


def jobs(
    methods: Iterable[str] | None,
    streams: Iterable[str],
    seeds: Iterable[int],
    *,
    folder: str | Path,
    data: str | Path = "data",
    budget: Budget = BUDGET,
) -> list[Job]:
    """The runs of `compare`, seed by seed: stopped early, it has whole tables of fewer seeds.

    Raises:
        ValueError: an unknown method or stream; the message lists the known ones. Or a name or a
            seed stands twice, or is no such thing.
    """
    methods = checks.different("methods", tuple(METHODS) if methods is None else methods)
    streams = checks.different("streams", streams)
    seeds = tuple(checks.integer("seeds", each, 0) for each in checks.different("seeds", seeds))
    folder, data = (
        checks.as_path("folder", folder).absolute(),
        checks.as_path("data", data).absolute(),
    )
    for what, given, known in (("methods", methods, METHODS), ("streams", streams, SETTINGS)):
        for name in given:
            checks.choice(what, name, known)
    return [
        _job(name, method, seed, folder, data, budget)
        for seed, name, method in itertools.product(seeds, streams, methods)
        if SETTINGS[name].head is None or method not in OWN_HEAD
    ]


def _job(name: str, method: str, seed: int, folder: Path, data: Path, budget: Budget) -> Job:
    setting = SETTINGS[name]
    options = dict(setting.options)
    if setting.folder is not None:
        options["folder"] = str(data / setting.folder)
    own = setting.head in (None, METHODS[method].default_head)
    return Job(
        label=f"{name}/{method}",
        method=method,
        seed=seed,
        folder=folder / (name.removesuffix(COMMON) if own else name) / method / f"seed_{seed}",
        stream=setting.stream,
        stream_options=options,
        options={} if own else {"head": setting.head, **_common_rate(method)},
        budget=budget,
        backbone=setting.backbone,
    )


def _common_rate(method: str) -> dict[str, float]:
    return {"lr": COMMON_RATES[method]} if method in COMMON_RATES else {}
