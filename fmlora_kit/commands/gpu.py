"""What a graphics card has to show, measured by whoever has one: ``fmlora gpu`` (``make gpu``).

    fmlora gpu check     FM-LoRA in bfloat16 beside float32, a run gone on with, what waits
    fmlora gpu bench     a training step of ViT-B/16 at batch 128, with and without torch.compile
    fmlora gpu hours     from that, the hours that each published protocol takes
    fmlora gpu photos --images FOLDER --data FOLDER
                         photo_vit trained ten times as long, and the tables of photos made again

``fmlora gpu`` alone does the first three. Each writes OUT/PART.json; OUT/report.md is all of them
rendered, and the file to send back. Runs that were stopped go on. ``--quick`` tries every part in a
minute or two, on the CPU too; its numbers say nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from fmlora_kit.analysis import metrics, paired_difference
from fmlora_kit.analysis.formats import points
from fmlora_kit.backbones.batches import full_precision
from fmlora_kit.backbones.load import DATA_FOLDERS, load_backbone
from fmlora_kit.commands import bench, compare, pretrain
from fmlora_kit.commands.arguments import attempt, folder, make_parser, out_folder, whole
from fmlora_kit.commands.results import write_files
from fmlora_kit.methods import FMLoRA
from fmlora_kit.record import Record
from fmlora_kit.streams.catalogue import N_IMAGES, PAPER_EPOCHS, PRESETS, expected_hours
from fmlora_kit.training import sweep
from fmlora_kit.training.device import describe_device, pick_device
from fmlora_kit.training.job import Job, run_job
from fmlora_kit.training.loop import Budget, train_steps

ABOUT = "Measure what a GPU has to show: precision, resume, speed, hours; write a report."
EXAMPLE = "fmlora gpu check --quick --out build/gpu"
# Events of the profiler at which Python waits for the device.
WAITS = ("aten::_local_scalar_dense", "cudaStreamSynchronize", "cudaDeviceSynchronize")
N_WATCHED = 40  # steps: the loop looks at its losses once in 50
PHOTO_STEPS = 230_000
PHOTO_STREAMS = "pacs,cub200,cifar100"


def main(arguments: Sequence[str] | None = None) -> int:
    """Do the parts that are asked for; return 0."""
    asked = _parse(sys.argv[1:] if arguments is None else arguments)
    for part in [asked.part] if asked.part else ("check", "bench", "hours"):
        text = json.dumps(PARTS[part](asked), indent=1)
        write_files(asked.out, {f"{part}.json": f"{text}\n"})
    files = {part: asked.out / f"{part}.json" for part in PARTS}
    found = {part: json.loads(file.read_text()) for part, file in files.items() if file.exists()}
    text = report(found)
    write_files(asked.out, {"report.md": text})
    print(text)
    return 0


def check(asked: argparse.Namespace) -> dict:
    """bfloat16 and float32 over seeds; a run gone on with beside one never stopped; waits."""
    low, full = ([_run(asked, seed, full=full) for seed in range(asked.seeds)] for full in (0, 1))
    accuracy = [[metrics(record)["final_accuracy"] for record in side] for side in (low, full)]
    return {
        "device": describe_device(asked.device, torch.float32),
        "torch": torch.__version__,
        "final_accuracy": dict(zip(("as trained", "float32"), accuracy, strict=True)),
        "difference": points(paired_difference(*accuracy)),
        "resume": resumed(asked, low[0]),
        "waits_per_step": waits(asked),
    }


def resumed(asked: argparse.Namespace, never: Record) -> dict:
    """How far a run that goes on after half of its tasks ends from one that was never stopped."""
    half = len(never.tasks) // 2
    job = _job(asked, 0, "resumed")
    if not (job.folder / "record.json").exists():
        never.until(half).save(job.folder)
    last, other = never.tasks[-1], Record.load(run_job(job, device=str(asked.device))).tasks[-1]
    return {
        "stopped after task": half,
        "bit for bit": other == last,
        "largest difference of a loss": float(np.abs(last.losses - other.losses).max()),
        "share of other predictions": float(np.mean(last.predictions != other.predictions)),
    }


def waits(asked: argparse.Namespace) -> dict[str, float]:
    """How often a training step waits for the device, by the profiler's name of the event."""
    job = _job(asked, 0, "watched")
    stream, n = job.make_stream(), 4 if asked.quick else N_WATCHED
    model = FMLoRA(load_backbone(job.backbone), stream.n_classes)
    steps = train_steps(model.to(asked.device), stream[0], stream, job.budget)
    list(islice(steps, 3))  # preparing, and two that warm up
    kinds = [torch.profiler.ProfilerActivity.CPU]
    if asked.device.type == "cuda":
        kinds.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=kinds) as profile:
        list(islice(steps, n))
    counted = {event.key: event.count for event in profile.key_averages()}
    return {name: counted.get(name, 0) / n for name in WAITS}


def steps(asked: argparse.Namespace) -> dict:
    """The bench as it is and compiled, each in a folder of its own."""
    how = ["--device", str(asked.device), *(["--quick"] if asked.quick else [])]
    how += ["--batch-size", str(asked.batch_size), "--methods", *asked.methods]
    for name, more in {"bench": [], "bench_compiled": ["--compile"]}.items():
        bench.main([*how, *more, "--out", str(asked.out / name)])
    plain, compiled = (
        {f"{r['side']}@{r['task']}": r["seconds"]["median"] for r in _bench(asked, name)["steps"]}
        for name in ("bench", "bench_compiled")
    )
    return {
        "made": _bench(asked, "bench")["made"],
        "milliseconds": {key: [1e3 * plain[key], 1e3 * compiled[key]] for key in plain},
        "peak_gigabytes": {
            f"{row['side']}@{row['task']}": row["peak_bytes"] / 1e9
            for row in _bench(asked, "bench")["steps"]
        },
    }


def hours(asked: argparse.Namespace) -> dict:
    """Hours of training of each published protocol, for every side that was timed last."""
    summary = _bench(asked, "bench")
    seconds = {row["side"]: row["seconds"]["median"] for row in summary["steps"]}
    batch_size = summary["made"]["batch_size"]
    work = {
        name: (N_IMAGES[each.stream][0], PAPER_EPOCHS[each.stream])
        for name, each in PRESETS.items()
        if each.stream in PAPER_EPOCHS
    }
    found = {
        side: {name: expected_hours(s, *how, batch_size) for name, how in work.items()}
        for side, s in seconds.items()
    }
    return {"batch_size": batch_size, "hours": found}


def photos(asked: argparse.Namespace) -> dict:
    """photo_vit trained longer, in the place of the one that is there, and its three tables."""
    data = next(place for place in DATA_FOLDERS if place.exists())
    made = ["photo_vit", "--images", str(asked.images), "--steps", str(asked.steps)]
    made += ["--early-steps", str(asked.steps * 3 // 5), "--device", str(asked.device)]
    pretrain.main([*made, "--out", str(data)])
    what = ["--streams", PHOTO_STREAMS, "--data", str(asked.data), "--seeds", str(asked.seeds)]
    out = asked.out / "photos"
    compare.main([*what, "--out", str(out)])
    return {
        "card": json.loads((data / "photo_vit.json").read_text(encoding="utf-8")),
        "tables": (out / "tables.md").read_text(encoding="utf-8"),
    }


PARTS: dict[str, Callable[[argparse.Namespace], dict]] = {
    "check": check,
    "bench": steps,
    "hours": hours,
    "photos": photos,
}


def report(found: Mapping[str, Mapping]) -> str:
    """All parts as Markdown; a part that is not there is left out."""
    shown = []
    if part := found.get("check"):
        accuracy = {
            name: ", ".join(f"{100 * value:.1f}" for value in values)
            for name, values in part["final_accuracy"].items()
        }
        again, per_step = part["resume"], part["waits_per_step"]
        shown += [
            "# What the GPU shows",
            f"{part['device']['device']}, torch {part['torch']}; {part['device']['numbers']}.",
            f"Final accuracy on glyphs by seed, %: {accuracy['as trained']}; in float32 "
            f"{accuracy['float32']}; difference {part['difference']}.",
            f"A run gone on with after task {again['stopped after task']}: "
            + ("bit for bit the same." if again["bit for bit"] else _gap(again)),
            "Waits per training step: "
            + "; ".join(f"{name} {n:g}" for name, n in per_step.items())
            + ".",
        ]
    if part := found.get("bench"):
        made = part["made"]
        lines = [
            f"## A step of {made['backbone']}, batch {made['batch_size']}, {made['device']}, "
            f"{made['numbers']}\n\n| step | ms | compiled, ms | peak, GB |\n|:--|--:|--:|--:|"
        ]
        for key, (plain, compiled) in part["milliseconds"].items():
            peak = part["peak_gigabytes"][key]
            lines.append(f"| {key} | {plain:.1f} | {compiled:.1f} | {peak:.2f} |")
        shown.append("\n".join(lines))
    if part := found.get("hours"):
        sides = part["hours"]
        lines = [
            f"## Hours of training at the epochs of the papers, batch {part['batch_size']}\n",
            f"| protocol | {' | '.join(sides)} |\n|:--{'|--:' * len(sides)}|",
        ]
        for name in next(iter(sides.values())):
            cells = (f"{each[name]:.2f}" for each in sides.values())
            lines.append(f"| {name} | {' | '.join(cells)} |")
        shown.append("\n".join(lines))
    if part := found.get("photos"):
        top = f"photo_vit: {part['card']['steps']} steps, top-1 {100 * part['card']['top_1']:.1f} %"
        shown.append(f"## Photos\n\n{top}\n\n{part['tables']}")
    return "\n\n".join(shown) + "\n"


def _gap(again: Mapping) -> str:
    return (
        f"losses of the last task differ by {again['largest difference of a loss']:.2g} at most, "
        f"{100 * again['share of other predictions']:.2f} % of predictions are others."
    )


def _job(asked: argparse.Namespace, seed: int, side: str) -> Job:
    """A run of FM-LoRA as the comparison makes it; quick: two tasks of few images."""
    budget = Budget(epochs=1) if asked.quick else sweep.BUDGET
    where = asked.out / "records" / side
    (job,) = sweep.jobs(["fmlora"], ["glyphs_10"], [seed], folder=where, budget=budget)
    if asked.quick:
        job.stream_options.update(n_tasks=2, n_train=4, n_test=2)
    return job


def _run(asked: argparse.Namespace, seed: int, *, full: bool) -> Record:
    with full_precision() if full else nullcontext():
        job = _job(asked, seed, "float32" if full else "as_trained")
        return Record.load(run_job(job, print, device=str(asked.device)))


def _bench(asked: argparse.Namespace, name: str) -> dict:
    file = asked.out / name / "summary.json"
    if not file.is_file():
        raise FileNotFoundError(f"{file} must be there: run fmlora gpu bench first")
    return json.loads(file.read_text(encoding="utf-8"))


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = make_parser("gpu", ABOUT, EXAMPLE)
    add = parser.add_argument
    add("part", nargs="?", choices=tuple(PARTS), help="default: check, bench and hours")
    add("--device", default="auto", help="auto, cuda or cuda:1; cpu to try it; %(default)s")
    add("--seeds", type=whole(1), default=3, help="of check and photos; default: %(default)s")
    add("--batch-size", type=whole(1), default=128, help="of bench; default: %(default)s")
    add("--methods", nargs="+", default=["fmlora", "fmlora_r32", "sequential_lora", "peft_lora"])
    add("--images", type=folder, help="of photos: where Tiny-ImageNet lies, only read")
    add("--data", type=folder, default=Path("data"), help="of photos: folder of the data sets")
    add("--steps", type=whole(5), default=PHOTO_STEPS, help="of photos; default: %(default)s")
    add("--out", type=out_folder, default=Path("build/gpu"), help="default: %(default)s")
    add("--quick", action="store_true", help="does it run at all?")
    asked = parser.parse_args(arguments)
    if asked.part == "photos" and asked.images is None:
        parser.error("--images must be given with photos, got none")
    asked.device = attempt(parser, "--device", partial(pick_device, asked.device))
    if asked.device.type != "cuda" and not asked.quick:
        rule = "a CUDA device, or --quick given"
        parser.error(f"--device must be {rule}, got {asked.device.type!r}")
    return asked
