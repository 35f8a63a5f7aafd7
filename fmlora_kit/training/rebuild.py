"""A method rebuilt from a record, exactly as it was after any task: time travel, and resuming."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from timm.models.vision_transformer import VisionTransformer

from fmlora_kit.backbones import load_backbone
from fmlora_kit.methods import DMP, DRS, METHODS, FLoRA, HeadOptions, Method
from fmlora_kit.methods.description import PIXELS, options_of
from fmlora_kit.record import Record, TaskResult

_OPTIONS = {"head": HeadOptions, "flora": FLoRA, "drs": DRS, "dmp": DMP}


def from_record(
    record: Record, after: int | None = None, backbone: VisionTransformer | None = None
) -> Method:
    """The model exactly as it was after task number ``after`` (time travel).

    Args:
        record: of a run of any method of this package.
        after: how many tasks it had learned, from 0; default: all that the record holds.
        backbone: the backbone of the run; default: loaded as the record says.

    Raises:
        ValueError: the record's method is unknown, ``after`` is out of range, or ``backbone`` has
            other weights than the run's, or is not given where they came from a file.
    """
    done = len(record.tasks)
    after = done if after is None else after
    if not 0 <= after <= done:
        raise ValueError(f"after must be between 0 and the {done} tasks recorded, got {after}")
    if record.method not in METHODS:
        raise ValueError(f"method must be one of {tuple(METHODS)}, got {record.method!r}")
    described = options_of(record.config["method"])
    del described["method"], described["weights"], described["backbone"]
    dtype = getattr(torch, described.pop("precision", "float32"))
    backbone = _backbone(record.config["method"]).to(dtype) if backbone is None else backbone
    model = METHODS[record.method](
        backbone, record.n_classes, seed=record.seed, **_options(described)
    )
    replay(model, record, after)
    return model


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
    """The model as it was after each task of ``record``, in order: one object that moves on.

    Args:
        record: see `from_record`.
        backbone: see `from_record`.

    Raises:
        ValueError: see `from_record`.
    """
    model = from_record(record, 0, backbone)
    for result in record.tasks:
        _restore(model, result)
        yield model


@torch.no_grad()
def _restore(model: Method, result: TaskResult) -> None:
    model.restore(result.classes, result.state)


def replay(model: Method, record: Record, after: int | None = None) -> None:
    """Bring a fresh ``model`` to where the record's was after ``after`` tasks (default: all).

    Raises:
        ValueError: the record was made by another method, seed, backbone or configuration, or
            ``model`` has learned something already.
    """
    if model.n_tasks_done:
        raise ValueError(
            f"model must be fresh, got one that has learned {model.n_tasks_done} tasks"
        )
    described, recorded = model.describe(), record.config["method"]
    here = (model.name, model.seed, options_of(described))
    there = (record.method, record.seed, options_of(recorded))
    pixels = [what for what in PIXELS if what in recorded]  # older records do not have them
    here += tuple(described[what] for what in pixels)
    there += tuple(recorded[what] for what in pixels)
    if _plain(here) != _plain(there):
        raise ValueError(f"the record must come from the same method: it has {there}, got {here}")
    for result in record.tasks[:after]:
        _restore(model, result)


def _options(described: dict) -> dict:
    options = {}
    for key, value in described.items():
        if isinstance(value, dict):
            value = _OPTIONS[key](**{k: _tuple(v) for k, v in value.items()})
        options[key] = _tuple(value)
    return options


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _plain(value: object) -> object:
    """Tuples as lists: what JSON makes of them."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value
