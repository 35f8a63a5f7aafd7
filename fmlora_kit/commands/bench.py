"""What a training step costs: ``fmlora bench`` (``make bench``).

Every method at its first, 10th, 20th and 50th task, PEFT's LoRA and full fine-tuning, in turns, as
a ratio to the frozen-backbone limit (`bench_sides`): seconds, multiplications, peak memory; a
profile of one step of some; then merged inference beside plain timm. The backbone's weights are
random: they change no cost. Writes ``<out>/summary.json`` and ``<out>/tables.md``.

What came out for ViT-B/16 at 224 pixels, batch 8, float32, two CPU cores, median of five rounds (24
minutes): time as a ratio to the limit, peak memory as a ratio to PEFT's LoRA of rank 10. FM-LoRA
and F-LoRA are here those of rank 32 on q and v (``fmlora_r32``); with its defaults, rank 64 on all
maps, FM-LoRA is measured too, beside PEFT's of that rank on those maps, but has not been timed yet.

    a training step                    task 1   10     20     50     memory, tasks 1 and 50
    F-LoRA, rank 32 on q and v         0.950  0.948  0.953  0.949    0.964  0.903
    FM-LoRA, with four prompt tokens   0.997  0.991  0.989  1.007    0.982  0.920
    sequential LoRA                    0.954                0.952    0.964  0.964
    EWC on LoRA                        0.950                0.961    0.964  0.969
    InfLoRA                            0.950                0.953    1.029  1.029
    LoRA per task                      0.952  0.959  0.951  0.965    0.950  1.035
    SD-LoRA                            0.960  1.016  1.039  1.223    0.951  1.202
    SD-LoRA-RR                         0.963  0.998  1.050  1.220    0.951  1.199
    DualPrompt                         1.382  1.390  1.385  1.385    0.932  0.937
    CODA-Prompt                        1.385  1.376  1.393  1.385    0.895  0.940
    HiDe-Prompt                        0.933  0.936  0.935  0.934    0.894  0.902
    L2P                                1.589                         1.021
    full fine-tuning                   1.421                         1.900
    frozen backbone, its head trained  0.438                         0.395
    PEFT's LoRA, rank 10               1.114                         1
    the limit, class token only last   0.933                         0.896

The limit and PEFT run timm's own forward pass. A step of FM-LoRA costs the same at task 1 and 50;
beside the limit of the last row, F-LoRA takes 2 % more and FM-LoRA 7 %, most of it for the prompt:
201 tokens instead of 197. Quartiles reach from 1.04 to 1.11 for PEFT (an earlier run gave 1.03),
from 0.98 to 1.03 for FM-LoRA, within 0.04 of the median for full fine-tuning, 0.02 for the others.

    inference at task 50, batch 8      / plain timm    the same weights in timm's own pass
    frozen backbone                    0.936           1
    F-LoRA, merged                     0.942           0.987
    FM-LoRA, merged                    0.957           1.023
    LoRA per task, prompt methods      1.88 to 2.07

Merged, F-LoRA is a plain timm ViT; FM-LoRA's four more tokens stay, 2 % of all multiplications. No
GPU has been measured; there, training runs in bfloat16 and does not wait for the device between
steps (``--batch-size 128`` measures it; ``--compile`` tells whether `torch.compile` would pay).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from tqdm import tqdm

from fmlora_kit.commands import bench_report, bench_sides
from fmlora_kit.commands.arguments import attempt, make_parser, out_folder, suggest, whole
from fmlora_kit.commands.bench_measure import flops, operators, peak_bytes, take_turns
from fmlora_kit.commands.bench_sides import LIMIT, NO_PROMPT, PEERS, PEFT, SHORT_LIMIT, TimmPass
from fmlora_kit.commands.results import write_files
from fmlora_kit.methods import METHODS
from fmlora_kit.methods.frozen import FrozenBackbone
from fmlora_kit.training.device import pick_device, precision

# No task changes their step.
CONSTANT = (*PEERS, "full_finetuning", "frozen_backbone", "l2p")
PROFILED = (LIMIT, SHORT_LIMIT, NO_PROMPT, "fmlora", PEFT)
ABOUT = "Time a training step of every method, and of PEFT's LoRA, and write a summary and tables."
EXAMPLE = "fmlora bench --quick --methods fmlora sd_lora --out build/bench"
QUICK = {"batch_size": 4, "rounds": 2, "tasks": [1, 2, 3]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; return 0."""
    given = sys.argv[1:] if arguments is None else arguments
    asked = _parse(given)
    started = time.perf_counter()
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler is talkative
    if asked.threads:
        torch.set_num_threads(asked.threads)
    summary = measure(asked)
    summary["made"] |= {
        "command": shlex.join(["python", "-m", "fmlora_kit", "bench", *given]),
        "seconds": round(time.perf_counter() - started, 1),
    }
    text, tables = json.dumps(summary, indent=1, allow_nan=False), bench_report.markdown(summary)
    write_files(asked.out, {"summary.json": f"{text}\n", "tables.md": tables})
    print(tables)
    return 0


def measure(asked: argparse.Namespace) -> dict:
    """All that the command line asks for, as the summary without how it was called."""
    device = pick_device(asked.device)
    low, size = partial(precision, device), asked.batch_size
    if asked.bf16 is not None:
        low = partial(torch.autocast, device.type, torch.bfloat16, enabled=asked.bf16)
    backbone = _backbone(asked).to(device)
    tasks = {name: _tasks(name, asked.tasks) for name in _names(asked.methods)}
    tasks = {LIMIT: (1,), SHORT_LIMIT: (1,), **tasks}
    every = bench_sides.make_sides(backbone, tasks, batch_size=size, device=device, precision=low)
    counting = tqdm(every, desc="counting", unit=" states")
    counted = {side.key: _count(side, device, compiled=asked.compile) for side in counting}
    limit, *sides = every
    turns = {"rounds": asked.rounds, "device": device, "times": asked.steps}
    timed = take_turns(limit.step, {side.key: side.step for side in sides}, **turns)
    rows = bench_report.step_rows(*timed, counted)
    shown = {side.name: side for side in every if side.name in PROFILED}  # last tasks
    profile = {side.key: operators(side.step, device) for side in shown.values()}
    inference = _inference(backbone, sides, size, within=low, **turns)
    return {
        "made": _made(asked, device, backbone),
        "steps": rows,
        "profile": profile,
        "inference": inference,
        "expected_hours": bench_report.cifar100_hours(rows, size, asked.epochs),
        "targets": bench_report.targets(rows, inference),
    }


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = make_parser("bench", ABOUT, EXAMPLE)
    add, usual = parser.add_argument, [*PEERS, *bench_sides.MEASURED]
    known = (*usual, *bench_sides.SAME_STEP)
    methods = {"choices": known, "default": usual, "metavar": "NAME"}
    add("--backbone", default="vit_base_patch16_224", help="any timm ViT; weights are random")
    add("--image-size", type=whole(1), help="pixels; default: the backbone's own")
    add("--batch-size", type=whole(1), default=8, help="default: %(default)s")
    add("--rounds", type=whole(1), default=5, help="timings of each side; default: %(default)s")
    add("--steps", type=whole(1), help="steps per timing; default: 1, on a GPU 10")
    add("--methods", nargs="+", help=f"some of {', '.join(known)}; default: all", **methods)
    add("--tasks", type=whole(1), nargs="+", default=[1, 10, 20, 50], metavar="K")
    add("--epochs", type=whole(1), default=20, help="of the expected hours; %(default)s")
    add("--device", default="auto", help="auto, cpu, mps, cuda or cuda:1; default: %(default)s")
    add("--bf16", action=argparse.BooleanOptionalAction, help="default: as in training")
    add("--compile", action="store_true", help="torch.compile every block")
    add("--fused-attention", action=argparse.BooleanOptionalAction, default=True)
    add("--threads", type=whole(1), help="default: PyTorch's own choice")
    add("--out", type=out_folder, default=Path("build/bench"), help="default: %(default)s")
    add("--quick", action="store_true", help="a tiny ViT and three tasks: does it run at all?")
    asked = parser.parse_args(arguments)
    if asked.quick:
        vars(asked).update(QUICK)
    elif not timm.is_model(asked.backbone):
        near = suggest(asked.backbone, timm.list_models())
        parser.error(f"--backbone must be a timm ViT, got {asked.backbone[:80]!r}{near}")
    device = attempt(parser, "--device", lambda: pick_device(asked.device))
    asked.steps = asked.steps or (10 if device.type == "cuda" else 1)
    return asked


def _backbone(asked: argparse.Namespace) -> VisionTransformer:
    timm.layers.set_fused_attn(asked.fused_attention)
    torch.manual_seed(0)
    if asked.quick:
        sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 64, "depth": 5, "num_heads": 2}
        model = VisionTransformer(num_classes=0, **sizes)
    else:
        size = {"img_size": asked.image_size} if asked.image_size else {}
        model = timm.create_model(asked.backbone, pretrained=False, num_classes=0, **size)
    return model.eval().requires_grad_(False)


def _names(methods: Sequence[str]) -> list[str]:
    """What is measured: PEFT only if it is installed."""
    left_out = () if importlib.util.find_spec("peft") else tuple(PEERS)
    if set(left_out) & set(methods):
        print("peft is not installed: its LoRA is left out", file=sys.stderr, flush=True)
    return [name for name in dict.fromkeys(methods) if name not in left_out]


def _tasks(name: str, tasks: Sequence[int]) -> list[int]:
    """All tasks where a method keeps something per task, else no more than can differ."""
    numbers = sorted(set(tasks))
    if name in CONSTANT:
        return numbers[:1]
    grows = name in ("fmlora", NO_PROMPT) or (name in METHODS and METHODS[name].grows)
    return numbers if grows or len(numbers) == 1 else [numbers[0], numbers[-1]]


def _count(side: bench_sides.Side, device: torch.device, *, compiled: bool) -> dict[str, int]:
    """Two steps or three, which also warm up: the first one makes the optimiser's state."""
    products = flops(side.step)  # which cannot look into compiled code
    if compiled:
        for block in side.model.vit.blocks:
            block.compile()
        side.step()
    side.optimiser.zero_grad()
    peak = peak_bytes(side.step, device)
    return {"flops": products, "peak_bytes": peak, "resident_bytes": side.resident_bytes()}


def _inference(
    backbone: VisionTransformer, sides: Sequence[bench_sides.Side], batch_size: int, **turns
) -> list[bench_report.Row]:
    """F-LoRA and FM-LoRA merged, and each method that no plain ViT can stand for.

    All beside timm's own pass through the frozen backbone; merged models run it once more too.
    """
    size = backbone.patch_embed.img_size
    models = {}
    for name, side in {side.name: side for side in sides}.items():  # the state of its last task
        ours = name in (NO_PROMPT, "fmlora")
        if ours or not side.model.one_model:
            side.model.end_task(bench_sides.few_images(side.task, size))
        if ours:
            models[f"{name}_merged"] = bench_sides.merged(side.model, FrozenBackbone)
            models[f"{name}_merged_timm"] = bench_sides.merged(side.model, TimmPass)
        elif not side.model.one_model:
            models[name] = side.model
    if not models:
        return []
    plain, short = (kind(backbone, 1).to(turns["device"]) for kind in (TimmPass, FrozenBackbone))
    models = {"plain_timm": plain, **models, "plain_timm_class_token": short}
    images = bench_sides.few_images(1, size, (batch_size + 1) // 2).train_images[:batch_size]
    acts = {  # of a copy: nothing may remember it
        name: lambda model=model: model.extract(images.copy()) for name, model in models.items()
    }
    counted = {name: flops(act) for name, act in acts.items()}
    timed = take_turns(acts.pop("plain_timm"), acts, **turns)
    return bench_report.inference_rows(*timed, counted, batch_size)


def _made(asked: argparse.Namespace, device: torch.device, backbone: VisionTransformer) -> dict:
    """How and on what the numbers were made."""
    on_gpu = device.type == "cuda"
    low = on_gpu if asked.bf16 is None else asked.bf16
    packages = filter(importlib.util.find_spec, ("torch", "timm", "numpy", "fmlora_kit", "peft"))
    return {
        "backbone": "tiny" if asked.quick else asked.backbone,
        "image_size": backbone.patch_embed.img_size[0],
        "batch_size": asked.batch_size,
        "rounds": asked.rounds,
        "steps_per_timing": asked.steps,
        "device": torch.cuda.get_device_name(device) if on_gpu else device.type,
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "numbers": "float32, bfloat16 autocast" if low else "float32",
        "fused_attention": asked.fused_attention,
        "compiled": asked.compile,
        "epochs_of_expected_hours": asked.epochs,
        "versions": {"python": platform.python_version(), **{n: version(n) for n in packages}},
    }
