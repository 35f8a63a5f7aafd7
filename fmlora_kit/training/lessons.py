"""What the notebooks share: two small streams, and records of them, which come with the kit.

All is computed in double precision, so that the notebooks show the same numbers on every machine.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from fmlora_kit import checks, streams
from fmlora_kit.backbones import load_backbone
from fmlora_kit.backbones.load import DATA_FOLDERS
from fmlora_kit.methods import METHODS, Method
from fmlora_kit.record import Record, RecordError, load_briefs, load_records
from fmlora_kit.record.card import COMPUTES
from fmlora_kit.streams import Stream
from fmlora_kit.streams.catalogue import N_IMAGES, PAPER_EPOCHS, PRESETS, expected_hours
from fmlora_kit.streams.rendering import SCRIPTS
from fmlora_kit.training import Budget, pick_device, run, start_record

BUDGET = Budget(epochs=4)
_NOTEBOOKS = DATA_FOLDERS[-1].parent / "notebooks"
FOLDER = (_NOTEBOOKS if _NOTEBOOKS.is_dir() else Path()) / "records"  # a checkout has one for all
SHIPPED = tuple(folder / "lessons" for folder in DATA_FOLDERS)
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
    """The record of ``method`` on ``stream``: from ``folder``, else shipped, else trained now.

    Two notebooks may ask at once: one trains, the other waits for it. What was interrupted goes on
    where it ended; what is damaged, or of other options, is made anew. A finished record of other
    versions of Python or a library is read, and a warning names them. The stream is one of the two
    above, the method a name in `fmlora_kit.methods.METHODS`, and the seed that of the method; each
    record has a folder of its own in ``folder``, which must be writable.
    """
    learner = model(stream, method, seed=seed)
    place = checks.as_path("folder", folder).absolute() / f"{stream.name}-{method}-{seed}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):
        fresh = start_record(learner, stream, BUDGET)
        earlier = _load_if_same(place, fresh)
        archive = next((f for s in SHIPPED if (f := s / f"{place.name}.zip").is_file()), None)
        if earlier is None and archive is not None:
            shutil.unpack_archive(archive, place)
            earlier = _load_if_same(place, fresh)
        if earlier is not None and len(earlier.tasks) == len(stream):
            _warn_of_versions(earlier, fresh)
            return earlier
        if earlier is None or earlier.versions != fresh.versions:
            (place / "record.json").unlink(missing_ok=True)
        return run(learner, stream, BUDGET, folder=place, show_progress=True)


def comparison_records(name: str, folder: str | Path | None = None) -> tuple[Record, ...]:
    """The brief records of a comparison: those that come with the package, or those of ``folder``.

    Its name is one of `training.sweep.SETTINGS`, such as "glyphs_10"; if it is not there, the
    message lists those that are. `make compare` puts its own into "../build/compare".
    """
    shipped = [place / "compare" for place in DATA_FOLDERS]
    folders = shipped if folder is None else [checks.as_path("folder", folder)]
    there = {file.stem: file for place in folders for file in sorted(place.glob("*.json"))}
    there.pop("summary", None)
    if name not in there:
        known = ", ".join(there) or f"none in {folders[-1]}: run make compare"
        raise checks.fail("name", f"a comparison that was made ({known})", name)
    return tuple(load_briefs(there[name]))


def study(name: str, folder: str | Path | None = None) -> dict:
    """A study of `fmlora ablation`, as `Comparison.to_json` gave it: shipped, or in ``folder``."""
    shipped = [place / "compare" / "studies" for place in DATA_FOLDERS]
    folders = shipped if folder is None else [checks.as_path("folder", folder)]
    there = {file.stem: file for place in folders for file in sorted(place.glob("*.json"))}
    file = there[checks.choice("name", name, there)]
    return json.loads(file.read_text(encoding="utf-8"))


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
    found = next(p for p in places if p.is_file()) if file is None else checks.as_path("file", file)
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
    folder = checks.as_path("folder", folder)
    return tuple(load_records(folder).records.values()) if folder.is_dir() else ()


def measured_step(method: str = "fmlora", folder: str | Path = "../build/bench") -> dict | None:
    """What `make bench` measured of one training step of a method, at its latest task.

    That is "backbone", "image_size", "device", "batch_size", "task", "seconds" (median) and
    "gigabytes" (peak); None if ``folder`` has no summary, or the method is not in it.
    """
    file = checks.as_path("folder", folder) / "summary.json"
    summary = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"steps": []}
    rows = [row for row in summary["steps"] if row["side"] == method]
    if not rows:
        return None
    last = max(rows, key=lambda row: row["task"])
    made = {key: summary["made"][key] for key in ("backbone", "image_size", "device", "batch_size")}
    peak = last["peak_bytes"] / 1e9
    return {**made, "task": last["task"], "seconds": last["seconds"]["median"], "gigabytes": peak}


def hours_of(step: Mapping | None) -> dict[str, str]:
    """Hours of training at paper scale by benchmark, from what `measured_step` found."""
    if step is None:
        return dict.fromkeys(PAPER_EPOCHS, "not measured here")
    seconds, size = step["seconds"], step["batch_size"]
    return {
        name: f"{expected_hours(seconds, N_IMAGES[name][0], epochs, size):.1f}"
        for name, epochs in PAPER_EPOCHS.items()
    }


def device() -> torch.device:
    """The GPU if there is one that has double precision, else the CPU."""
    best = pick_device()
    return best if best.type == "cuda" else torch.device("cpu")


def device_line() -> str:
    """One sentence: where the notebooks train."""
    where = torch.cuda.get_device_name() if device().type == "cuda" else "the CPU"
    return f"training on: {where}"


def ship(folder: str | Path = SHIPPED[-1]) -> None:
    """Train what the notebooks read, and pack each record into a zip file in ``folder``.

    Parameters are rounded to single precision, which halves the files: models rebuilt from them
    compute in double precision all the same, and show the same numbers on every machine.
    """
    methods = ("fmlora", "sequential_lora")
    runs = [(stream(), method) for method in methods]
    runs += [(domain_stream(), m) for m in (*methods, "streaming_lda", "frozen_backbone")]
    for tasks, method in runs:
        made = run(model(tasks, method), tasks, BUDGET, show_progress=True)
        rounded = [replace(task, state=_rounded(task.state)) for task in made.tasks]
        with tempfile.TemporaryDirectory() as place:
            replace(made, tasks=tuple(rounded)).save(place)
            packed = checks.as_path("folder", folder) / f"{made.stream}-{method}-{made.seed}"
            shutil.make_archive(str(packed), "zip", place)


def _rounded(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name: array.astype(np.float32).astype(array.dtype) if array.dtype.kind == "f" else array
        for name, array in state.items()
    }


def _load_if_same(place: Path, fresh: Record) -> Record | None:
    """What ``place`` holds of a run with the options of ``fresh``; None if nothing."""
    same = attrgetter("method", "stream", "seed")
    with suppress(RecordError):
        earlier = Record.load(place)
        if same(earlier) == same(fresh) and _options(earlier) == _options(fresh):
            return earlier
    return None


def _options(record: Record) -> dict:
    """What was chosen: not what the weights compute, to the last digit, nor on which device."""
    left_out = {"method": COMPUTES, "training": "device"}
    return {
        part: {k: v for k, v in facts.items() if k != left_out.get(part)}
        for part, facts in record.config.items()
    }


def _warn_of_versions(earlier: Record, fresh: Record) -> None:
    there, here = earlier.versions, fresh.versions
    other = [f"{k} {v} (here {here.get(k)})" for k, v in there.items() if here.get(k) != v]
    if other:
        why = "remove its folder to train it here"
        warnings.warn(f"a record was made with {', '.join(other)}: {why}", stacklevel=3)
