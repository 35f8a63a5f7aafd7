"""What a training step costs: ``fmlora bench`` (``make bench``).

Every method at its first, 10th, 20th and 50th task, PEFT's LoRA and full fine-tuning, in turns, as
a ratio to the frozen-backbone limit (`bench_sides`): seconds, multiplications, peak memory; a
profile of one step of some; then merged inference beside plain timm. The backbone's weights are
random: they change no cost. Writes ``<out>/summary.json`` and ``<out>/tables.md``.

What came out for ViT-B/16 at 224 pixels, batch 8, float32, two CPU cores, median of five rounds
(``--methods`` and ``--tasks 1 10 50`` as in the table, 17 minutes): time as a ratio to the limit,
peak memory as a ratio to PEFT's LoRA of rank 10. FM-LoRA stands with its defaults, rank 64 on all
maps, beside PEFT's LoRA of that rank on those maps; and at rank 32 on q and v (``fmlora_r32``).

    a training step                      task 1   10     50     memory, tasks 1 and 50
    FM-LoRA                              1.228  1.126  1.166    1.401  1.004
    FM-LoRA without prompt               1.153  1.084  1.095    1.378  0.988
    PEFT's LoRA, rank 64 on all maps     1.222                  1.407
    FM-LoRA, rank 32 on q and v          0.994         1.016    0.982  0.920
    the same without prompt              0.958         0.908    0.964  0.903
    PEFT's LoRA, rank 32 on q, k, v      1.035                  1.011
    PEFT's LoRA, rank 10 on q, k, v      1.045                  1
    PEFT's DoRA, rank 10 on q, k, v      1.103                  1.340
    sequential LoRA                      1.015         0.985    0.964  0.964
    LoRA per task                        1.014  0.955  0.988    0.950  1.035
    the limit, class token only last     0.950                  0.896

Later tasks of FM-LoRA train smaller factors than the first, whose pairs are whole. With defaults a
step at task 50 takes 0.95 of PEFT's at that rank on those maps, with as much memory as PEFT's of
rank 10. Beside the limit of the last row, rank 32 on q and v takes 5 % (task 1) and 7 % (task 50)
more, the prompt's four tokens of 201 among it, and without prompt 1 % more and 4 % less. PEFT's
step does not depend on the task; an adapter kept for each task adds its own numbers. Quartiles lie
up to 0.18 apart for FM-LoRA, 0.05 for PEFT at rank 10, 0.14 for it at rank 32: the machine did a
little else in the first two rounds.

    inference at task 50, batch 8      / plain timm    the same weights in timm's own pass
    frozen backbone                    0.928           1
    FM-LoRA without prompt, merged     0.948           1.011
    FM-LoRA, merged                    1.048           1.111
    LoRA per task                      1.945

Merged, FM-LoRA without prompt is a plain timm ViT; the prompt's four more tokens stay, 2 % of all
multiplications. No GPU has been measured; there, training runs in bfloat16 and does not wait for
the device between steps (``fmlora gpu`` measures it).
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
