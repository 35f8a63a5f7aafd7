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
import re
from pathlib import Path

import timm
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from fmlora_kit import checks
from fmlora_kit.adapters.dmp import add_prompt
from fmlora_kit.backbones import load_backbone
from fmlora_kit.backbones.identity import fingerprint, same_function
from fmlora_kit.methods import Method
from fmlora_kit.record.storage import write_atomically

LINEAR_HEADS = ("lda", "linear")
_ARGUMENTS = {"img_size", "num_classes", "global_pool", "reg_tokens", "pretrained_cfg_overlay"}
_POOLS = ("token", "avg", "avgmax", "max", "map")
_PLAIN = re.compile(r"[\w.]+").fullmatch
_MOST_PIXELS = 4096  # of a side


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
            its weights do not fit, or ``backbone`` computes something else of them.
    """
    if not isinstance(file, str | os.PathLike):
        raise checks.fail("file", "a path", file)
    if not Path(file).is_file():
        raise FileNotFoundError(f"file must be a checkpoint, found nothing at {file}")
    arguments, weights, facts = _read(file)
    if backbone is None and "model_name" in arguments:
        with torch.device("meta"):  # a small file cannot make us build a giant
            plan = timm.create_model(**arguments)
        if _shapes(plan) != {name: tensor.shape for name, tensor in weights.items()}:
            raise ValueError(f"file must hold the weights of its model_name, got others in {file}")
        vit = timm.create_model(**arguments)
    else:
        vit = _prepare(backbone or _load_by_name(facts, arguments), arguments)
    vit = vit.to(next(iter(weights.values())).dtype)
    try:
        vit.load_state_dict(weights)
    except RuntimeError as error:
        first = " ".join(str(error).split())[:200]
        raise ValueError(f"backbone must have the shapes of {file}, got: {first}") from error
    if not same_function(json.loads(facts.get("computes", "null")), fingerprint(vit)):
        rule = "compute what the saved one does (heads, pooling, activation, norms and their eps)"
        raise ValueError(f"backbone must {rule}, got another function of the weights in {file}")
    return vit.eval()


def _read(file: str | Path) -> tuple[dict, dict[str, Tensor], dict[str, str]]:
    """What to build the model of, its weights, and what else the file says.

    Nothing else than `write` puts there is obeyed: timm would fetch a URL or open any local file
    that a stranger's arguments name.
    """
    try:
        with safe_open(file, "pt") as opened:
            facts = opened.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"file must be a whole .safetensors file, got {file}: {error}") from None
    if "create_model" not in facts:
        raise ValueError(
            f"file must be written by save_timm or export_peft, got {file}; other checkpoints "
            "load with timm.create_model(name, checkpoint_path=...)"
        )
    weights = load_file(file)
    try:
        arguments = _checked(json.loads(facts["create_model"]), weights)
        checks.text("backbone", facts.get("backbone"))
        numbers = json.loads(facts.get("computes", "null"))
        for number in checks.instance("computes", numbers, list | None, "a list or null") or ():
            checks.number("computes", number)
    except (ValueError, RecursionError) as error:
        rule = "be as save_timm and export_peft write it"
        raise ValueError(f"file must {rule}, got {file}: {error}") from None
    return arguments, weights, facts


def _checked(arguments: object, weights: dict[str, Tensor]) -> dict:
    """The arguments, if they are the five of `_arguments`, of their types and of the weights' size.

    Raises:
        ValueError: there are others, or one is something else.
    """
    checks.instance("create_model", arguments, dict, "arguments by name")
    name = arguments.get("model_name")
    if arguments.keys() - {"model_name"} != _ARGUMENTS:
        raise checks.fail("create_model", f"of {sorted(_ARGUMENTS)}", sorted(arguments))
    if name is not None and not (timm.is_model(checks.text("model_name", name)) and _PLAIN(name)):
        raise checks.fail("model_name", "the name of a timm model", name)
    size = checks.checked("img_size", arguments["img_size"], tuple[checks.Count, checks.Count])
    if max(size) > _MOST_PIXELS:
        raise checks.fail("img_size", f"at most {_MOST_PIXELS}", size)
    checks.choice("global_pool", arguments["global_pool"], _POOLS)
    rows = len(weights["head.weight"]) if "head.weight" in weights else 0
    tokens = weights["reg_token"].shape[1] if "reg_token" in weights else 0
    for what, found in (("num_classes", rows), ("reg_tokens", tokens)):
        if checks.integer(what, arguments[what]) != found:
            raise checks.fail(what, f"{found}, as the weights have it", arguments[what])
    overlay = checks.instance("overlay", arguments["pretrained_cfg_overlay"], dict, "mean and std")
    if overlay.keys() != {"mean", "std"}:
        raise checks.fail("pretrained_cfg_overlay", "mean and std", overlay)
    kind = tuple[float, float, float]
    overlay = {part: checks.checked(part, value, kind) for part, value in overlay.items()}
    return {**arguments, "img_size": size, "pretrained_cfg_overlay": overlay}


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
        "computes": json.dumps(fingerprint(vit)),
    }
    file = Path(file)
    write_atomically(file.parent, file.name, save(weights, metadata=facts))
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
        built = timm.create_model(name, **arguments)
        if _shapes(built) == _shapes(vit):
            built.load_state_dict(vit.state_dict())
            if same_function(fingerprint(built), fingerprint(vit)):
                return {"model_name": name, **arguments}
    return arguments


def _shapes(vit: VisionTransformer) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in vit.state_dict().items()}


def _load_by_name(facts: dict[str, str], arguments: dict) -> VisionTransformer:
    try:
        size = arguments["img_size"]
        return load_backbone(facts["backbone"], pretrained=False, image_size=size)
    except ValueError as error:
        raise ValueError(
            f"backbone must be given: the file's own, {facts['backbone']!r}, is not known by name"
        ) from error


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
