"""Where a backbone's weights come from: a file, or the hub that timm names for them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import timm
from timm.models import load_state_dict
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torch import Tensor

HUB_FILE = "model.safetensors"  # what timm asks the hub for, unless a model names another
_SHOWN = 4


def load_file(model: VisionTransformer, path: str | Path) -> None:
    """Put the weights of a file into ``model``; position embeddings are resized where they must be.

    Args:
        model: takes the weights. What the file has for a classification head is left out if the
            model has none.
        path: ``.safetensors``, ``.pth`` (without pickled code; timm's own and the authors' layouts
            of ViT, DeiT, DINO, DINOv2, MAE, CLIP) or ``.npz`` (JAX ViTs).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, or does not fit (names the weights).
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"weights must be a file, found none at {path}")
    try:
        if path.suffix == ".npz":
            _fit_jax(model, path)
            return
        state = load_state_dict(path, weights_only=True)
        state = checkpoint_filter_fn(state, model, adapt_layer_scale=True)
    except Exception as error:  # each reader has errors of its own for what is no weight file
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(
            f"weights must be a .safetensors, .pth or .npz file that fits, got {path}: {reason}"
        ) from error
    _fit(model, state, path)


def _fit_jax(model: VisionTransformer, path: Path) -> None:
    with path.open("rb") as opened, np.load(opened) as file:  # what is none fails here, and closes
        extra = [k for k in file.files if f"encoderblock_{len(model.blocks)}/" in k]
    model.load_pretrained(str(path))  # leaves a deeper file's other blocks out without a word
    if extra:
        raise ValueError(f"unexpected: {_few(extra)}")


def _fit(model: VisionTransformer, state: dict[str, Tensor], path: Path) -> None:
    wanted = model.state_dict()
    heads = () if model.num_classes else ("head.", "head_dist.")
    state = {k: v for k, v in state.items() if not k.startswith(heads)}
    shapes = {k: (tuple(state[k].shape), tuple(wanted[k].shape)) for k in wanted if k in state}
    found = {
        "missing": [k for k in wanted if k not in state],
        "unexpected": [k for k in state if k not in wanted],
        "of another shape": [f"{k} {a} for {b}" for k, (a, b) in shapes.items() if a != b],
    }
    if any(found.values()):
        said = "; ".join(f"{what}: {_few(names)}" for what, names in found.items() if names)
        raise ValueError(f"weights must fit the model, got {path}: {said}")
    model.load_state_dict(state)


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def fetch(name: str, facts: Mapping, **options: int) -> VisionTransformer:
    """A timm model with timm's own weights, out of the hub's cache or from the hub.

    `huggingface_hub` asks the mirror that the environment variable HF_ENDPOINT names, and asks
    nobody where HF_HUB_OFFLINE=1.

    Args:
        name: of a timm model.
        facts: its ``pretrained_cfg``.
        options: of its constructor.

    Raises:
        ValueError: timm knows no weights for it.
        FileNotFoundError: the hub cannot be reached, or refuses (says what to place where).
    """
    hub, url = facts.get("hf_hub_id"), facts.get("url")
    if not hub and not url:
        rule = "False, or weights a file, for a model without published weights"
        raise ValueError(f"pretrained must be {rule}, got pretrained=True for {name!r}")
    try:
        return timm.create_model(name, pretrained=True, **options)
    except OSError as error:  # all that the hub, its cache and urllib raise
        full = f"{facts['architecture']}.{facts['tag']}" if facts.get("tag") else name
        file = f"{facts.get('hf_hub_filename', HUB_FILE)} of hub repository {hub}" if hub else url
        raise FileNotFoundError(
            f"the weights of {name!r} could not be fetched: {file}. Copy that file to this machine "
            f"and pass load_backbone({full!r}, weights=FILE), or name a mirror in the environment "
            f"variable HF_ENDPOINT before Python starts. {type(error).__name__}: {error}"
        ) from error


def sha256(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
