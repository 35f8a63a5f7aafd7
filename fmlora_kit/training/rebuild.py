"""A method rebuilt from a record, exactly as it was after any task: time travel, and resuming."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import get_args

import torch
from timm.models.vision_transformer import VisionTransformer

from fmlora_kit.backbones import load_backbone
from fmlora_kit.backbones.identity import same_function
from fmlora_kit.checks import fail, instance, integer, shown
from fmlora_kit.methods import METHODS, Method
from fmlora_kit.methods.base import option_kinds
from fmlora_kit.record import Record
from fmlora_kit.record.card import COMPUTES, IDENTITY, PIXELS, options_of


def from_record(
    record: Record, after: int | None = None, backbone: VisionTransformer | None = None
) -> Method:
    """The model exactly as it was after the first ``after`` tasks (time travel).

    Args:
        record: of a run of any method of this package, or of one that `register` was told of.
        after: how many tasks it had learned, from 0; default: all that the record holds.
        backbone: the backbone of the run; default: loaded as the record says.

    Raises:
        ValueError: the record's method is unknown, or ``backbone`` has other weights than the
            run's, or is not given where they came from a file.
    """
    done = len(instance("record", record, Record, "a Record").tasks)
    after = done if after is None else integer("after", after)
    if not 0 <= after <= done:
        raise fail("after", f"between 0 and the {done} tasks recorded", after)
    method, recorded = _method(record.method), record.config["method"]
    dtype = getattr(torch, recorded.get("precision", "float32"))
    backbone = _backbone(recorded).to(dtype) if backbone is None else backbone
    options = _options(method, options_of(recorded))
    model = method(backbone, record.n_classes, seed=record.seed, **options)
    replay(model, record, after)
    return model


def _method(name: str) -> type[Method]:
    if name not in METHODS:
        rule = "a known one; fk.register(MyMethod) makes a class of yours known"
        raise ValueError(f"method of the record must be {rule}, got {shown(name)}")
    return METHODS[name]


def _backbone(recorded: dict) -> VisionTransformer:
    if file := recorded.get("weights_file"):
        raise ValueError(
            f"backbone must be given where its weights came from a file, here {file}, SHA-256 "
            f"{recorded.get('weights_sha256')}"
        )
    tag = f".{recorded['tag']}" if recorded.get("tag") else ""
    return load_backbone(
        f"{recorded['backbone']}{tag}",
        input_range=recorded.get("input_range", "normalised"),
        image_size=recorded.get("input_size"),
    )


def models_over_time(record: Record, backbone: VisionTransformer | None = None) -> Iterator[Method]:
    """The model as it was after each task, one object that moves on: see `from_record`."""
    model = from_record(record, 0, backbone)
    for result in record.tasks:
        with torch.no_grad():
            model.restore(result.classes, result.state)
        yield model


def replay(model: Method, record: Record, after: int | None = None) -> None:
    """Bring a fresh ``model`` to where the record's was after ``after`` tasks (default: all).

    Raises:
        ValueError: the record was made by another method, seed, backbone or configuration, or
            ``model`` has learned something already.
    """
    if model.n_tasks_done:
        given = f"one that has learned {model.n_tasks_done} tasks"
        raise ValueError(f"model must be fresh, got {given}")
    described, recorded = model.describe(), record.config["method"]
    # Words may be put better in a later version; older records do not have the pixels' facts.
    same = [what for what in (*IDENTITY, *PIXELS) if what in recorded or what in IDENTITY]
    both = (model.name, model.seed, described), (record.method, record.seed, recorded)
    here, there = (
        (*identity, options_of(facts), {what: facts.get(what) for what in same})
        for *identity, facts in both
    )
    if _plain(here) != _plain(there):
        raise ValueError(f"the record must come from the same method: it has {there}, got {here}")
    if not same_function(described[COMPUTES], recorded.get(COMPUTES)):
        rule = "compute what the run's does (heads, pooling, activation, norms and their eps)"
        raise ValueError(f"backbone must {rule}, got another function of the same weights")
    with torch.no_grad():
        for result in record.tasks[:after]:
            model.restore(result.classes, result.state)


def _options(method: type[Method], recorded: dict) -> dict:
    """The options of a method, of the kinds that its signature names, from a record."""
    known = option_kinds(method)
    missing = {k: v for k, v in method.when_missing.items() if k in known and k not in recorded}
    options = {**missing, **recorded}
    for name, value in recorded.items():
        if isinstance(value, dict):
            kind = known[name]  # such as ``FLoRA | None``
            fields = next(part for part in (kind, *get_args(kind)) if is_dataclass(part))
            options[name] = fields(**getattr(fields, "when_missing", {}) | value)
    return options


def _plain(value: object) -> object:
    """Tuples as lists: what JSON makes of them."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value
