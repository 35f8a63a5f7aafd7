"""What the notebooks share: two small streams, and records that are trained once and then read.

All is computed in double precision, so that the notebooks show the same numbers on every machine.
"""

from __future__ import annotations

import json
from contextlib import suppress
from operator import attrgetter
from pathlib import Path

import torch
from filelock import FileLock

from fmlora_kit import checks, streams
from fmlora_kit.backbones import load_backbone
from fmlora_kit.backbones.load import DATA_FOLDERS
from fmlora_kit.methods import METHODS, Method
from fmlora_kit.record import Record, RecordError, load_briefs, load_records
from fmlora_kit.streams import Stream
from fmlora_kit.streams.catalogue import PRESETS
from fmlora_kit.streams.data_set import as_path
from fmlora_kit.streams.rendering import SCRIPTS
from fmlora_kit.training import Budget, pick_device, run, start_record

BUDGET = Budget(epochs=4)
FOLDER = Path("records")  # beside the notebooks: a notebook's working directory is its own folder
_SCRIPTS = ("Latin", "Greek", "Cyrillic", "Armenian", "Georgian")


def stream(seed: int = 0) -> Stream:
    """Class-incremental: five writing systems, then the first one's letters again, barred."""
    return streams.glyphs(seed=seed, scripts=_SCRIPTS, barred=_SCRIPTS[0])


def domain_stream(seed: int = 0) -> Stream:
    """Domain-incremental: the same ten letters in five styles, plain print first."""
    return streams.glyph_styles(5, seed, characters=SCRIPTS["Latin"], n_train=30, n_test=20)


def model(stream: Stream, method: str = "fmlora", *, seed: int = 0) -> Method:
    """A fresh method with its defaults, in double precision, on the GPU if there is one."""
    checks.instance("stream", stream, Stream, "a stream")
    checks.choice("method", method, METHODS)
    options = {"n_tasks": len(stream)} if METHODS[method].needs_n_tasks else {}
    backbone = load_backbone().double()
    return METHODS[method](backbone, stream.n_classes, seed=seed, **options).to(device())


def record(
    stream: Stream, method: str = "fmlora", *, seed: int = 0, folder: str | Path = FOLDER
) -> Record:
    """The record of ``method`` on ``stream``: read from ``folder``, or trained now (a minute).

    Two notebooks may ask at once: one trains, the other waits for it. What was interrupted goes on
    where it ended. A record of other versions, or a damaged one, is made anew. The stream is one of
    the two above, the method a name in `fmlora_kit.methods.METHODS`, and the seed that of the
    method; each record has a folder of its own in ``folder``, which must be writable.
    """
    learner = model(stream, method, seed=seed)
    place = as_path("folder", folder).absolute() / f"{stream.name}-{method}-{seed}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):
        earlier = _load_if_same(place, start_record(learner, stream, BUDGET))
        if earlier is not None and len(earlier.tasks) == len(stream):
            return earlier
        if earlier is None:
            (place / "record.json").unlink(missing_ok=True)
        return run(learner, stream, BUDGET, folder=place, show_progress=True)


def comparison_records(name: str, folder: str | Path | None = None) -> tuple[Record, ...]:
    """The brief records of a comparison: those that come with the package, or those of ``folder``.

    Its name is one of `training.sweep.SETTINGS`, such as "glyphs_10"; if it is not there, the
    message lists those that are. `make compare` puts its own into "../build/compare".
    """
    shipped = [place / "compare" for place in DATA_FOLDERS]
    folders = shipped if folder is None else [as_path("folder", folder)]
    there = {file.stem: file for place in folders for file in sorted(place.glob("*.json"))}
    there.pop("summary", None)
    if name not in there:
        known = ", ".join(there) or f"none in {folders[-1]}: run make compare"
        raise checks.fail("name", f"a comparison that was made ({known})", name)
    return tuple(load_briefs(there[name]))


def published_results(file: str | Path | None = None) -> dict[str, list[dict]]:
    """What codes and papers say: "settings" of published codes, "accuracies" by preset, and "logs".

    The logs are runs whose accuracies their authors published step by step: final and average
    anytime accuracy and forgetting (max, t < T) in %, recomputed from the log; weights and protocol
    stand beside them, and what the log itself prints where that differs.

    They stand in ``file``, one like ``published.json`` among the kit's data; default: that one.

    Raises:
        ValueError: a number without a link to its source, of an unknown preset, or not in %.
    """
    places = [folder / "published.json" for folder in DATA_FOLDERS]
    found = next(p for p in places if p.is_file()) if file is None else as_path("file", file)
    document = json.loads(found.read_text(encoding="utf-8"))
    document.setdefault("logs", [])
    for entry in document["accuracies"]:
        checks.choice(f"preset in {found}", entry.get("preset"), PRESETS)
    for entry in document["logs"]:
        checks.text(f"weights in {found}", entry.get("weights"))
        checks.text(f"protocol in {found}", entry.get("protocol"))
        checks.number(f"average_anytime_accuracy in {found}", entry["average_anytime_accuracy"], 0)
    for entry in (*document["accuracies"], *document["logs"]):
        checks.number(f"final_accuracy in {found}", entry.get("final_accuracy"), 0, 100)
        if not str(entry.get("source", "")).startswith("https://"):
            raise checks.fail(f"source in {found}", "a link to where the number stands", entry)
    return {name: document[name] for name in ("settings", "accuracies", "logs")}


def paper_records(folder: str | Path = "../build/paper") -> tuple[Record, ...]:
    """All readable records below ``folder``; none if there is no such folder."""
    folder = as_path("folder", folder)
    return tuple(load_records(folder).records.values()) if folder.is_dir() else ()


def measured_step(method: str = "fmlora", folder: str | Path = "../build/bench") -> dict | None:
    """What `make bench` measured of one training step of a method, at its latest task.

    That is "backbone", "image_size", "device", "batch_size", "task", "seconds" (median) and
    "gigabytes" (peak); None if ``folder`` has no summary, or the method is not in it.
    """
    file = as_path("folder", folder) / "summary.json"
    summary = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"steps": []}
    rows = [row for row in summary["steps"] if row["side"] == method]
    if not rows:
        return None
    last = max(rows, key=lambda row: row["task"])
    made = {key: summary["made"][key] for key in ("backbone", "image_size", "device", "batch_size")}
    peak = last["peak_bytes"] / 1e9
    return {**made, "task": last["task"], "seconds": last["seconds"]["median"], "gigabytes": peak}


def device() -> torch.device:
    """The GPU if there is one that has double precision, else the CPU."""
    best = pick_device()
    return best if best.type == "cuda" else torch.device("cpu")


def device_line() -> str:
    """One sentence: where the notebooks train."""
    where = torch.cuda.get_device_name() if device().type == "cuda" else "the CPU"
    return f"training on: {where}"


def _load_if_same(place: Path, fresh: Record) -> Record | None:
    """What ``place`` holds of the very run that ``fresh`` begins; None if nothing."""
    same = attrgetter("method", "stream", "seed", "config", "versions")
    with suppress(RecordError):
        if same(earlier := Record.load(place)) == same(fresh):
            return earlier
    return None
