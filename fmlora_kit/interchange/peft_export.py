"""What was learned as a standard PEFT LoRA adapter: adapter_config.json, adapter_model.safetensors.

PEFT adds (lora_alpha / r) lora_B lora_A to a linear map of the timm model. The factors of an update
A B of this package, scale included, are therefore lora_B = A and lora_A = B with lora_alpha = r.
timm fuses q, k and v into one map of 3 d outputs: its adapted parts stand side by side,

    lora_A = [B_q; B_v]           (r_q + r_v, d)
    lora_B = [[A_q, 0], [0, 0], [0, A_v]]    (3 d, r_q + r_v), the rows of k stay zero

so that the rank on qkv is the sum of its parts' ranks. Maps of different rank are told apart by
`rank_pattern` and `alpha_pattern`.

A prompt is no part of a LoRA adapter. Where the model has one (FM-LoRA's `dmp`), the adapter is
right only on a base that carries it: the frozen backbone with the prompt as register tokens is
written beside it, base.safetensors.

PEFT is optional: it is imported when an adapter goes out or comes in.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import torch
from safetensors.torch import save
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from fmlora_kit import checks
from fmlora_kit.adapters.flora import FactorizedUpdate
from fmlora_kit.adapters.sites import Site, adapted_maps
from fmlora_kit.adapters.task_guess import TaskUpdates
from fmlora_kit.adapters.updates import FoldedUpdate
from fmlora_kit.interchange import checkpoint
from fmlora_kit.methods import Method
from fmlora_kit.record import TaskResult
from fmlora_kit.record.storage import write_atomically

Factors = tuple[Tensor, Tensor]  # A (d_out, r) with all scales, B (r, d_in)
BASE, WEIGHTS = "base.safetensors", "adapter_model.safetensors"
CONFIG = "adapter_config.json"


def export_peft(model: Method, folder: str | Path, *, task: TaskResult | None = None) -> Path:
    """Write a PEFT LoRA adapter that `peft.PeftModel.from_pretrained(vit, folder)` loads.

    The features of the timm model with it are those of ``model``. To export the sum up to an
    earlier task, take the model from there: ``export_peft(fk.from_record(record, after=3), ..)``.

    Args:
        model: between two tasks, and of a LoRA kind.
        folder: where to write; an adapter that is there is replaced.
        task: a result of the model's own run: export what this task alone has added, as it was
            folded in. FM-LoRA: A M_t, N_t B; InfLoRA: B_t A_t; LoRA per task: the task's adapter.
            Default: the sum of all tasks learned, for FM-LoRA A C_t, B.

    Returns:
        ``folder``. With a prompt it also holds base.safetensors, the ViT to load the adapter on:
        see `load_timm`.

    Raises:
        ImportError: peft is not installed.
        ValueError: the method has no LoRA, ``task`` has no factors of its own, the sum has none
            (InfLoRA keeps it as a full matrix), or a prompt enters after the first block.
    """
    peft = load_peft()
    checks.instance("model", model, Method, "a Method")
    if task is not None:
        checks.instance("task", task, TaskResult, "a TaskResult")
    if not model.sites or not model.n_tasks_done or model.head.current:
        raise ValueError(
            "model must be of a LoRA kind and have finished a task, got "
            f"{model.name} after {model.n_tasks_done} tasks; save_timm writes any model's weights"
        )
    if hasattr(model.vit, "entering_prompt"):
        raise ValueError(
            "prompt must enter before block 0, since a plain timm ViT has no other place for it, "
            f"got block {model.vit.entering_prompt.block}; use dmp=None, or adapt block 0 too"
        )
    factors = _sum_factors(model) if task is None else _task_factors(model, task)
    folder = checks.as_path("folder", folder)
    layers = _stack_by_module(model.sites, factors, model.vit)
    folder.mkdir(parents=True, exist_ok=True)
    for name in (CONFIG, BASE, WEIGHTS):  # of an adapter that was here before; then it is none
        (folder / name).unlink(missing_ok=True)
    if getattr(model, "dmp", None) is not None:
        plain = copy.deepcopy(model.vit)  # the frozen backbone, prompt included
        for path, module in adapted_maps(plain).items():
            module.unmerge()
            plain.set_submodule(path, module.base)
        checkpoint.write(plain, model, folder / BASE)
    weights = {}
    for path, (down, up) in layers.items():
        weights[f"base_model.model.{path}.lora_A.weight"] = down
        weights[f"base_model.model.{path}.lora_B.weight"] = up
    write_atomically(folder, WEIGHTS, save(weights, metadata={"format": "pt"}))
    ranks = {path: len(down) for path, (down, _) in layers.items()}
    most = max(ranks.values())
    others = {path: rank for path, rank in ranks.items() if rank != most}
    patterns = {"rank_pattern": others, "alpha_pattern": dict(others)}
    config = peft.LoraConfig(  # of scale 1 on every map
        r=most, lora_alpha=most, target_modules=list(ranks), inference_mode=True, **patterns
    )
    config.target_modules = list(ranks)  # PEFT makes it a set, whose order in the file changes
    with TemporaryDirectory() as aside:  # last, and whole: without it there is no adapter
        config.save_pretrained(aside)
        write_atomically(folder, CONFIG, (Path(aside) / CONFIG).read_bytes())
    return folder


@torch.no_grad()
def _sum_factors(model: Method) -> dict[str, Factors]:
    if not model.one_model:
        raise ValueError(f"task must be given: {model.name} keeps one adapter per task, got None")
    updates = {site.name: model.updates[site.name] for site in model.sites}
    if any(update.dense() is not None for update in updates.values()):
        raise ValueError(
            f"task must be given: {model.name} keeps the sum of its tasks as full matrices, which "
            "have no factors; save_timm writes it merged into the weights"
        )
    return {name: update.factors() for name, update in updates.items()}


@torch.no_grad()
def _task_factors(model: Method, task: TaskResult) -> dict[str, Factors]:
    found = {}
    for site in model.sites:
        update = model.updates[site.name]
        if isinstance(update, FactorizedUpdate):
            m, n = (_read(task, f"{site.name}.{part}").to(update.a) for part in "mn")
            found[site.name] = update.scale * update.a @ m, n @ update.b
            continue
        a, b = (_read(task, f"{site.name}.{part}") for part in "ab")
        if isinstance(update, FoldedUpdate):
            found[site.name] = b, a  # InfLoRA's letters are the other way round
        elif isinstance(update, TaskUpdates):
            found[site.name] = model.alpha / model.rank * a, b
        else:
            rule = f"left out: no task of {model.name} has an update of its own"
            raise ValueError(f"task must be {rule}, got {task.name!r}")
    return found


def _read(task: TaskResult, name: str) -> Tensor:
    if name not in task.state:
        got = f"{task.name!r} without {name!r}"
        raise ValueError(f"task must be a result of this model's run, got {got}")
    return torch.from_numpy(task.state[name].copy())


def _stack_by_module(
    sites: Sequence[Site], factors: dict[str, Factors], vit: VisionTransformer
) -> dict[str, Factors]:
    """By path of the module: lora_A (r, d_in) and lora_B (d_out, r); no maps of rank 0."""
    layers = {}
    for path, module in adapted_maps(vit).items():
        here = [site for site in sites if site.path == path]
        down = torch.cat([factors[site.name][1] for site in here]).cpu()
        up = down.new_zeros(module.base.out_features, len(down))
        done = 0
        for site in here:
            outer = factors[site.name][0]
            up[site.rows, done : done + outer.shape[1]] = outer.to(up)
            done += outer.shape[1]
        if len(down):
            layers[path] = down.contiguous(), up
    if not layers:
        raise ValueError("the update must have a rank above 0 on some map, got none")
    return layers


def load_peft() -> ModuleType:
    """The library `peft`; ImportError, which says how to install it, where it is not."""
    try:
        return import_module("peft")
    except ImportError as error:
        how = "pip install fmlora_kit[interchange]"
        raise ImportError(f"PEFT adapters need the library peft: {how} ({error})") from error
