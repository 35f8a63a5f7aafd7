"""Load a backbone by name."""

from __future__ import annotations

import json
from pathlib import Path

import timm
from safetensors.torch import load_file
from timm.models.vision_transformer import VisionTransformer

_PACKAGE = Path(__file__).parents[1]
DATA_FOLDERS = (_PACKAGE / "_data", _PACKAGE.parent / "data")  # a wheel's, a checkout's


def load_backbone(name: str = "glyph_vit", *, pretrained: bool = True) -> VisionTransformer:
    """A ViT without a classification head, in evaluation mode, ready to be adapted.

    Args:
        name: "glyph_vit" (embedded, offline) or any timm model that is a `VisionTransformer`.
        pretrained: load pre-trained weights; timm fetches its own unless they are cached.

    Returns:
        The model; ``pretrained_cfg["mean"]`` and ``["std"]`` say how its inputs are normalised.

    Raises:
        ValueError: timm has no such model, or it is no `VisionTransformer`.
        FileNotFoundError: the embedded weights are missing (says how to make them).
    """
    if name == "glyph_vit":
        model = _glyph_vit(pretrained)
    elif not timm.is_model(name):
        near = timm.list_models(f"*{name.split('_')[0]}*")[:5]
        raise ValueError(f"name must be 'glyph_vit' or a timm model, got {name!r} (near: {near})")
    else:
        model = timm.create_model(name, pretrained=pretrained, num_classes=0)
    if not isinstance(model, VisionTransformer):
        kind = type(model).__name__
        raise ValueError(f"name must be a timm VisionTransformer, got {name!r}: {kind}")
    return model.eval()


def _glyph_vit(pretrained: bool) -> VisionTransformer:
    folder = next((f for f in DATA_FOLDERS if (f / "glyph_vit.safetensors").exists()), None)
    if folder is None:
        raise FileNotFoundError(
            "the weights glyph_vit.safetensors and their card glyph_vit.json must be in "
            f"{DATA_FOLDERS[-1]}, found neither; `make pretrain` makes them"
        )
    card = json.loads((folder / "glyph_vit.json").read_text())
    architecture = {k: v for k, v in card["architecture"].items() if k != "class"}
    model = VisionTransformer(**architecture)
    model.pretrained_cfg = {"architecture": "glyph_vit", **card["normalisation"]}
    if pretrained:
        model.load_state_dict(load_file(folder / "glyph_vit.safetensors"))
    return model
