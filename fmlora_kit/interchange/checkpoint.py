"""An adapted model as one safetensors file that plain timm loads.

The updates are in the weights, a prompt is timm's register tokens, and the head is a linear layer
where the method's head is one: nothing of this package is needed to run it.

    arguments = save_timm(model, "letters.safetensors", head=True)
    timm.create_model(**arguments)

The arguments also stand in the file itself, as JSON under "create_model" of its metadata.
"""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path

import timm
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from timm.models.vision_transformer import VisionTransformer

from fmlora_kit import checks
from fmlora_kit.adapters.dmp import add_prompt
from fmlora_kit.backbones import load_backbone
from fmlora_kit.methods import Method

LINEAR_HEADS = ("lda", "linear")


def save_timm(model: Method, file: str | Path, *, head: bool = False) -> dict:
    """Write ``model`` as a plain timm ViT, updates merged and prompt as register tokens.

    Args:
        model: keeps one set of weights for all images.
        file: where to write, a .safetensors file; one that is there is replaced.
        head: add the class head: one output per class seen, in the order of ``model.seen``, equal
            to ``model.logits``. Only heads that are a linear layer can: "lda" and "linear".

    Returns:
        What `timm.create_model` takes to build the model and load the file, the normalisation of
        the pixels included. "model_name" is missing where timm does not know the backbone by name
        or its options (the embedded backbones, a ViT of your own): `load_timm` loads these.

    Raises:
        ValueError: there is no one model for all images, ``head`` is no linear layer or has no
            class yet, a prompt enters after the first block, or ``file`` has another ending.
    """
    checks.instance("model", model, Method, "a Method")
    checks.flag("head", head)
    plain = model.to_timm()
    if head:
        _add_head(plain, model)
    return write(plain, model, file, model.seen if head else ())


def load_timm(file: str | Path, backbone: VisionTransformer | None = None) -> VisionTransformer:
    """The model of a file that `save_timm` or `export_peft` wrote, in evaluation mode.

    Args:
        file: a .safetensors file.
        backbone: a ViT of the same architecture, before any prompt; it is copied. Default: built
            by the name in the file, which is known for timm's and the embedded backbones.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file was not written by this package, its backbone is not known by name,
            or its weights do not fit.
    """
    if not isinstance(file, str | os.PathLike):
        raise checks.fail("file", "a path", file)
    if not Path(file).is_file():
        raise FileNotFoundError(f"file must be a checkpoint, found nothing at {file}")
    with safe_open(file, "pt") as opened:
        facts = opened.metadata() or {}
    if "create_model" not in facts:
        raise ValueError(
            f"file must be written by save_timm or export_peft, got {file}; other checkpoints "
            "load with timm.create_model(name, checkpoint_path=...)"
        )
    arguments, weights = json.loads(facts["create_model"]), load_file(file)
    if backbone is None and "model_name" in arguments:
        vit = timm.create_model(**arguments)
    else:
        try:
            vit = backbone or load_backbone(facts["backbone"], pretrained=False)
        except ValueError as error:
            own = f"the file's own, {facts['backbone']!r}"
            raise ValueError(f"backbone must be given: {own}, is not known by name") from error
        vit = _prepare(vit, arguments)
    vit = vit.to(next(iter(weights.values())).dtype)
    try:
        vit.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"backbone must have the shapes of {file}: {error}") from error
    return vit.eval()


def write(
    vit: VisionTransformer, model: Method, file: str | Path, classes: tuple[int, ...] = ()
) -> dict:
    """Write a plain ``vit`` that came of ``model``; see `save_timm` for what is returned."""
    if not isinstance(file, str | os.PathLike) or Path(file).suffix != ".safetensors":
        raise checks.fail("file", "a path that ends in .safetensors", file)
    weights = {name: t.detach().cpu().contiguous() for name, t in vit.state_dict().items()}
    arguments = _arguments(vit, model)
    facts = {
        "format": "pt",
        "backbone": model.backbone_name,
        "classes": json.dumps(list(classes)),
        "create_model": json.dumps(arguments),
    }
    half_written = f"{file}.tmp"
    save_file(weights, half_written, metadata=facts)
    os.replace(half_written, file)
    return {**arguments, "checkpoint_path": str(file)}


def _add_head(plain: VisionTransformer, model: Method) -> None:
    if model.head.kind not in LINEAR_HEADS or type(model).scores is not Method.scores:
        raise ValueError(
            f"head must be one of {LINEAR_HEADS} to become a linear layer, got "
            f"{model.head.kind!r} of {model.name}; head=False writes the backbone alone"
        )
    if not model.seen:
        raise ValueError("model must have learned a task for head=True, got one with no class")
    rows = list(model.seen)
    plain.reset_classifier(len(rows))
    plain.head.to(model.head.weight)
    with torch.no_grad():
        plain.head.weight.copy_(model.head.weight[rows])
        plain.head.bias.copy_(model.head.bias[rows])


def _arguments(vit: VisionTransformer, model: Method) -> dict:
    pixels = {part: getattr(model, f"pixel_{part}").flatten().tolist() for part in ("mean", "std")}
    arguments = {
        "img_size": tuple(vit.patch_embed.img_size),
        "num_classes": vit.num_classes,
        "global_pool": vit.global_pool,
        "reg_tokens": vit.num_reg_tokens,
        "pretrained_cfg_overlay": pixels,
    }
    if timm.is_model(model.backbone_name):
        tag = model.input_facts.get("tag")
        name = f"{model.backbone_name}.{tag}" if tag else model.backbone_name
        twins = vit, timm.create_model(name, **arguments)
        ours, theirs = ({k: w.shape for k, w in twin.state_dict().items()} for twin in twins)
        if ours == theirs:
            return {"model_name": name, **arguments}
    return arguments


def _prepare(backbone: VisionTransformer, arguments: dict) -> VisionTransformer:
    """A copy of ``backbone`` with the file's register tokens and head, their values still open."""
    vit = copy.deepcopy(backbone).requires_grad_(False)
    missing = arguments["reg_tokens"] - vit.num_reg_tokens
    if missing < 0:
        rule = f"at most the file's {arguments['reg_tokens']} register tokens"
        raise ValueError(f"backbone must have {rule}, got {vit.num_reg_tokens}")
    add_prompt(vit, missing, torch.Generator())
    vit.reg_token = None if vit.reg_token is None else vit.reg_token.requires_grad_(False)
    vit.reset_classifier(arguments["num_classes"])
    pixels = arguments["pretrained_cfg_overlay"]
    vit.pretrained_cfg = {**(getattr(vit, "pretrained_cfg", None) or {}), **pixels}
    return vit
