"""Load a backbone by name."""

from __future__ import annotations

import json
from difflib import get_close_matches
from pathlib import Path

import timm
import torch
from timm.models.vision_transformer import VisionTransformer

from fmlora_kit.backbones.weights import fetch, load_file, sha256
from fmlora_kit.checks import as_path, choice, fail, flag, integer, text

_PACKAGE = Path(__file__).parents[1]
DATA_FOLDERS = (_PACKAGE / "_data", _PACKAGE.parent / "data")  # a wheel's, a checkout's
_MADE_BY = {
    "glyph_vit": "fmlora pretrain glyph_vit",
    "photo_vit": "fmlora pretrain photo_vit --images FOLDER",
}
EMBEDDED = tuple(_MADE_BY)
INPUT_RANGES = ("normalised", "unit")


def load_backbone(
    name: str = "glyph_vit",
    *,
    pretrained: bool = True,
    weights: str | Path | None = None,
    input_range: str = "normalised",
    image_size: int | tuple[int, int] | None = None,
    keep_head: bool = False,
) -> VisionTransformer:
    """A ViT without a classification head, in evaluation mode, ready to be adapted.

    Args:
        name: "glyph_vit" or "photo_vit" (embedded, offline), or any timm model that is a
            `VisionTransformer`: ViT, DeiT, DINO, DINOv2, MAE, CLIP, SigLIP; with or without timm's
            tag, as "vit_base_patch16_224.augreg_in21k". Name the tag: timm has changed defaults.
        pretrained: load pre-trained weights; timm fetches its own unless they are cached, from the
            mirror that the environment variable HF_ENDPOINT names if it does.
        weights: a file to take them from instead (see `weights.load_file`); nothing is fetched.
        input_range: "normalised", by mean and standard deviation of the weights' own training, or
            "unit", pixels from 0 to 1 as they are: what the published codes of L2P, CODA-Prompt,
            InfLoRA and SD-LoRA feed to weights that expect -1 to 1.
        image_size: pixels, a side or (height, width); default: the model's own. Position embeddings
            are resized.
        keep_head: keep the classification head of pre-training; methods bring their own.

    Returns:
        The model; ``pretrained_cfg["mean"]`` and ``["std"]`` say how its inputs are normalised.

    Raises:
        ValueError: timm has no such model, tag or weights, it is no `VisionTransformer`, the file
            does not fit, or an option is out of range.
        FileNotFoundError: embedded weights or ``weights`` are missing, or timm's cannot be fetched
            (says what to place where).
    """
    text("name", name)
    flag("pretrained", pretrained)
    flag("keep_head", keep_head)
    choice("input_range", input_range, INPUT_RANGES)
    if weights is not None:
        weights = as_path("weights", weights)
    if weights is not None and not pretrained:
        raise ValueError("pretrained must be True where weights are given, got False")
    make = _embedded if name in EMBEDDED else _timm
    own = pretrained and weights is None
    model = make(name, own, keep_head)
    facts = dict(model.pretrained_cfg)
    if not pretrained or (weights is not None and "." not in name):
        facts.pop("tag", None)  # timm's default, which these weights need not be
    if weights is not None:
        load_file(model, weights)
        facts |= {"weights_file": Path(weights).name, "weights_sha256": sha256(weights)}
    if image_size is not None:
        _resize(model, image_size)
    if input_range == "unit":
        facts |= {"mean": (0.0,) * 3, "std": (1.0,) * 3, "input_range": "unit"}
    model.pretrained_cfg = facts
    return model.eval()


def _embedded(name: str, pretrained: bool, keep_head: bool) -> VisionTransformer:
    files = [f"{name}.safetensors", f"{name}.json"]
    folder = next((f for f in DATA_FOLDERS if all((f / part).exists() for part in files)), None)
    if folder is None:
        raise FileNotFoundError(
            f"the weights {files[0]} and their card {files[1]} must be in {DATA_FOLDERS[-1]}, "
            f"found not both; `{_MADE_BY[name]}` makes them"
        )
    card = json.loads((folder / files[1]).read_text())
    architecture = {k: v for k, v in card["architecture"].items() if k != "class"}
    model = VisionTransformer(**architecture)
    if not keep_head:
        model.reset_classifier(0)
    if pretrained:
        load_file(model, folder / files[0])
    model.pretrained_cfg = {"architecture": name, **card["normalisation"]}
    return model


def _timm(name: str, pretrained: bool, keep_head: bool) -> VisionTransformer:
    if not timm.is_model(name):
        near = get_close_matches(name.lower(), [*EMBEDDED, *timm.list_models()], 4)
        known = " or ".join(map(repr, EMBEDDED))
        meant = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ValueError(f"name must be {known} or a timm model, got {name!r}{meant}")
    architecture, _, tag = name.partition(".")
    tags = [n.partition(".")[2] for n in timm.list_models(f"{architecture}.*", pretrained=True)]
    if tag and tag not in tags:
        raise ValueError(f"name must end in one of timm's tags {tags}, got {name!r}")
    with torch.device("meta"):  # before anything is fetched, and in no time
        plan = timm.create_model(name)
    if not isinstance(plan, VisionTransformer):
        raise ValueError(
            f"name must be a timm VisionTransformer, got {name!r}: {type(plan).__name__}; adapters "
            "and prompts need its qkv maps and its one sequence of tokens"
        )
    options = {} if keep_head else {"num_classes": 0}
    if pretrained:
        return fetch(name, plan.pretrained_cfg, **options)
    return timm.create_model(name, **options)


def _resize(model: VisionTransformer, image_size: int | tuple[int, int]) -> None:
    both = image_size if isinstance(image_size, list | tuple) else (image_size,) * 2
    size = tuple(integer("image_size", side) for side in both)
    patch = model.patch_embed.feat_ratio(as_scalar=False)
    if len(size) != 2 or any(side < 1 or side % p for side, p in zip(size, patch, strict=True)):
        raise fail("image_size", f"positive multiples of the patch {tuple(patch)}", image_size)
    model.set_input_size(size)
