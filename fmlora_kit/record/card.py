"""The run card: in one place, in words, what a run must share with another to be compared with it.

Weights, normalisation, class order, split, adapted layers, what is frozen, which logits compete,
head, optimiser, seed, device, versions. It reads the record alone; what an older record does not
hold is "not recorded".
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping, Sequence

from fmlora_kit.checks import instance
from fmlora_kit.record.record import Record

NOT_RECORDED = "not recorded"
_RATE = re.compile(r"(.*[._])?lr")  # the name of a learning rate
# What config["method"] holds beside the options of the method's constructor. Nothing else lists it.
IDENTITY = ("method", "backbone", "weights", "precision")  # two runs differ where one of these does
WORDS = ("trained", "frozen", "stores", "masked", "tested", "head_rows")  # for people
PIXELS = ("pixel_mean", "pixel_std", "input_size")  # how images reach the backbone
SOURCE = ("tag", "input_range", "weights_file", "weights_sha256")  # where its weights came from
COMPUTES = "computes"  # `backbones.identity.fingerprint`: heads and norms, which no weight tells
FACTS = (*IDENTITY, *WORDS, *PIXELS, *SOURCE, COMPUTES)
_STREAM_SHOWN = ("name", "scenario", "seed", "tasks", "n_tasks", "partial", "crc32", "image_size")
_STREAM_SHOWN += ("train_images", "test_images")
_DISCRIMINANT = ("scale", "shrinkage", "modes", "max_modes", "compensate")
_HEAD_OPTIONS = {"cosine": ("scale",), "lda": _DISCRIMINANT, "mda": _DISCRIMINANT}
_HEAD_OPTIONS |= {"ridge": ("scale", "projections", "ridge")}


def run_card(record: Record) -> dict[str, str]:
    """What a run was, line by line, in the order to read them: a label, and words for people.

    The record may be unfinished and of any version; what it lacks the facts of is "not recorded".
    """
    instance("record", record, Record, "a Record")
    parts = ("method", "stream", "training")
    facts, stream, training = (record.config.get(part, {}) for part in parts)
    size = facts.get("input_size") or stream.get("image_size")
    train, tests = stream.get("train_images"), stream.get("test_images") or record.n_test.tolist()
    optimiser, rates, options = _training(facts, training)
    lines = {
        "method": record.method,
        "seed": str(record.seed),
        "stream": _stream(record, stream),
        "tasks": _few(stream.get("tasks") or record.task_names, 4),
        "class order": _class_order(record),
        "split": f"train images {_counts(train)}, test images {_counts(tests)}",
        "pixels": f"CRC-32 {stream['crc32']}" if stream.get("crc32") else "",
        "backbone": _backbone(facts),
        "input size": f"{size[0]} × {size[1]} pixels" if size else "",
        "normalisation": _normalisation(facts),
        "augmentation": training.get("augmentation"),
        "adapted layers": _layers(record.layers),
        "trained": facts.get("trained"),
        "frozen": facts.get("frozen"),
        "kept of earlier tasks": facts.get("stores"),
        "other classes masked in training": _mask(record, facts.get("masked", "")),
        "at test": facts.get("tested"),
        "head": _head(facts.get("head"), facts.get("head_rows")),
        "optimiser": optimiser,
        "learning rates": rates,
        "other options": options,
        "device": training.get("device"),
        "numbers": training.get("numbers") or facts.get("precision"),
        "versions": ", ".join(map(" ".join, record.versions.items())),
    }
    if full := full_core(record):
        lines["core"] = full
    return {label: text or NOT_RECORDED for label, text in lines.items()}


def full_core(record: Record) -> str:
    """In which tasks FM-LoRA's core had no room left, in words; rare: a core of width below 20."""
    full = [task.name for task in record.tasks if task.scalars.get("core_full")]
    return f"full in some maps, which then add nothing, in {_few(full, 4)}" if full else ""


def options_of(config: Mapping) -> dict:
    """The options of a method's constructor among what ``config["method"]`` of a record holds."""
    return {name: value for name, value in config.items() if name not in FACTS}


def flat(config: Mapping, before: str = "") -> dict[str, object]:
    """Nested settings by dotted names: {"a": {"b": 1}} is {"a.b": 1}."""
    found = {}
    for key, value in config.items():
        name = f"{before}{key}"
        found |= flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return found


def _stream(record: Record, facts: Mapping) -> str:
    n_tasks = f"{record.n_tasks} {'task' if record.n_tasks == 1 else 'tasks'}"
    parts = [record.stream, record.scenario, n_tasks, f"{record.n_classes} classes"]
    parts.append(f"seed {facts.get('seed', NOT_RECORDED)}")
    if partial := facts.get("partial"):
        parts.append("partial data" if partial is True else f"partial data: {_text(partial)}")
    parts += [f"{k} {_text(v)}" for k, v in facts.items() if k not in _STREAM_SHOWN]
    return ", ".join(parts)


def _class_order(record: Record) -> str:
    """The first classes and the last, and a checksum: two orders that look alike may differ."""
    if not record.tasks:
        return ""
    order = [[task.name, task.classes, task.class_names] for task in record.tasks]
    pairs = [p for t in record.tasks for p in zip(t.classes, t.class_names, strict=True)]
    names = list(dict.fromkeys(f"{k} {name}" for k, name in pairs))
    known = len({k for k, _ in pairs})
    some = f"{known} of {record.n_classes} classes so far, " if known < record.n_classes else ""
    each = ", in every task" if record.scenario == "domain-incremental" else ""
    crc = zlib.crc32(json.dumps(order).encode())
    return f"{_few(names, 4)}{each} ({some}CRC-32 {crc:08x})"


def _backbone(facts: Mapping) -> str:
    source = ""
    if not facts.get("backbone"):
        return ""
    tag = f".{facts['tag']}" if facts.get("tag") else ""
    if facts.get("weights_file"):
        source = f", from the file {facts['weights_file']}, SHA-256 {facts.get('weights_sha256')}"
    return f"{facts['backbone']}{tag}, weights CRC-32 {facts.get('weights', NOT_RECORDED)}{source}"


def _normalisation(facts: Mapping) -> str:
    if "pixel_mean" not in facts or "pixel_std" not in facts:
        return ""
    raw = ": not as in the backbone's training" if facts.get("input_range") == "unit" else ""
    mean, std = _text(facts["pixel_mean"]), _text(facts["pixel_std"])
    return f"bytes / 255, minus mean {mean}, divided by std {std}{raw}"


def _layers(layers: Sequence[str]) -> str:
    """`q, v of blocks 0 to 5 (12 maps)`, or the first names."""
    if not (n := len(layers)):
        return "none"
    names, n_maps = _few(layers, 4), f"{n} {'map' if n == 1 else 'maps'}"
    found = [re.fullmatch(r"blocks\.(\d+)\.(\w+)", name) for name in layers]
    if all(found):
        blocks = sorted({int(m[1]) for m in found})
        maps = list(dict.fromkeys(m[2] for m in found))
        in_a_row = blocks == list(range(blocks[0], blocks[-1] + 1))
        if in_a_row and len(set(layers)) == len(blocks) * len(maps):
            several = f"blocks {blocks[0]} to {blocks[-1]}"
            names = f"{', '.join(maps)} of {several if blocks[1:] else f'block {blocks[0]}'}"
    return f"{names} ({n_maps})"


def _mask(record: Record, text: str) -> str:
    if text.startswith("yes") and record.scenario == "domain-incremental":
        return f"{text}; every task has all classes here, so that all compete"
    return text


def _head(head: object, rows: str | None) -> str:
    if not isinstance(head, Mapping) or "kind" not in head:
        return ""
    used = _HEAD_OPTIONS.get(head["kind"], ())
    options = ", ".join(f"{name} {_text(head[name])}" for name in used if name in head)
    kind = head["kind"] + (f" ({options})" if options else "")
    return f"{kind}: {rows}" if rows else kind


def _training(facts: Mapping, training: Mapping) -> tuple[str, str, str]:
    """In words: the optimiser, the learning rates, and the other options but the head's."""
    names = {
        "optimiser": "{}",
        "weight_decay": "weight decay {}",
        "schedule": "learning rate {}",
        "clip": "gradient norm at most {}",
        "batch_size": "images per batch {}",
        "epochs": "epochs per task {}",
    }
    optimiser = [say.format(_text(training[k])) for k, say in names.items() if k in training]
    named = flat({name: value for name, value in options_of(facts).items() if name != "head"})
    options = [
        f"{name} {_text(value)}" for name, value in named.items() if not _RATE.fullmatch(name)
    ]
    rates = [
        f"{name} {_text(value)}" for name, value in flat(facts).items() if _RATE.fullmatch(name)
    ]
    if facts.get("trained") == "nothing":
        optimiser = rates = ["none: nothing is trained by gradient"]
    return ", ".join(optimiser), ", ".join(rates), ", ".join(options) or "none"


def _counts(counts: Sequence[int] | None) -> str:
    """`300 in each task`, or `2,033 (34, 20, … 51)`."""
    if not counts:
        return NOT_RECORDED
    if len(set(counts)) == 1:
        return f"{counts[0]:,} in each task" if len(counts) > 1 else f"{counts[0]:,}"
    return f"{sum(counts):,} ({_few(list(map(str, counts)), 4)})"


def _few(names: Sequence[str], n: int) -> str:
    """The first `n` - 1 of many names and the last."""
    if len(names) <= n:
        return ", ".join(names)
    return f"{', '.join(names[: n - 1])}, … {names[-1]}"


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"({', '.join(map(_text, value))})"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_text(v)}" for k, v in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)
