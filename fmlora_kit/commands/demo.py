"""Train FM-LoRA and what it competes with on one stream, and make a page of what came out.

    python -m fmlora_kit demo --methods fmlora,sequential_lora,frozen_backbone --out build/demo
    python -m fmlora_kit demo --methods all --seeds 5

Every run is recorded task by task under OUT/records: a demo that was stopped goes on where it was,
and finished runs are not done again. OUT/summary.json has the numbers, OUT/index.html the page.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from fmlora_kit import streams
from fmlora_kit.analysis import paired_metric, summarise, table
from fmlora_kit.analysis.comparison import METRICS
from fmlora_kit.analysis.sentences import BOUND, OURS, points
from fmlora_kit.backbones.load import DATA_FOLDERS
from fmlora_kit.methods import METHODS
from fmlora_kit.pages.comparison import comparison_page
from fmlora_kit.record import Record, RecordError
from fmlora_kit.record.card import options_of
from fmlora_kit.streams import Stream
from fmlora_kit.training import Budget, pick_device
from fmlora_kit.training.pool import Job, run_many

STREAMS = ("glyphs", "glyph_styles", "digits")
SHOWN = f"{OURS},sequential_lora,frozen_backbone"
_HOW_TO_START_AFRESH = (
    "Runs of an earlier demo lie in {}. If they come from another configuration or version, start "
    "afresh: remove that folder, or add --fresh; or keep them and take another --out."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return 0, or 1 if something failed, which is then said."""
    arguments = sys.argv[1:] if arguments is None else arguments
    asked, stream = _parse(arguments)
    started = time.perf_counter()
    jobs = [_job(asked, method, seed) for method in asked.methods for seed in range(asked.seeds)]
    if asked.fresh:
        for job in jobs:
            shutil.rmtree(job.folder, ignore_errors=True)
    kept = 0
    try:
        kept = sum(_tasks_kept(job.folder) for job in jobs)
        records = run_many(jobs, workers=asked.workers, say=_progress(jobs, stream, kept).say)
        seconds = time.perf_counter() - started
        _finish(asked, records, stream, _made(asked, arguments, records, seconds))
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on where it was.", file=sys.stderr)
        return 1
    except (RuntimeError, RecordError, OSError) as error:
        print(f"\nThe demo could not be finished: {error}", file=sys.stderr)
        if kept or isinstance(error, RecordError):
            print(_HOW_TO_START_AFRESH.format(asked.out / "records"), file=sys.stderr)
        return 1
    print(f"\n{seconds:.0f} seconds in total. Open {(asked.out / 'index.html').resolve()}")
    return 0


@dataclass
class Progress:
    """Prints one aligned line per finished task, with what is done of all.

    Attributes:
        n_tasks: tasks of all runs.
        n_kept: of these, learned by an earlier demo.
        widths: of the longest run's name, and of the longest "task 3/10 Greek".
    """

    n_tasks: int
    n_kept: int
    widths: tuple[int, int]
    n_new: int = 0
    started: float = field(default_factory=time.perf_counter)
    first: float = 0.0

    def say(self, line: str) -> None:
        """Print what `run_many` tells: "label, seed 0: task 3/10 Greek  rank 6.3  acc 0.81 ..."."""
        now = time.perf_counter()
        self.n_new += 1
        self.first = self.first or now
        done = self.n_kept + self.n_new
        left = ""
        if self.n_new > 2:  # the first task also waited for everything to be loaded
            pace = (now - self.first) / (self.n_new - 1)
            left = _clock(pace * (self.n_tasks - done))
        counted = f"{done:{len(str(self.n_tasks))}}/{self.n_tasks}"
        clocks = f"{_clock(now - self.started):>6} {left:>6}"
        print(f"{counted} {clocks}  {aligned(line, self.widths)}", flush=True)


def aligned(line: str, widths: tuple[int, int]) -> str:
    """A line of `run_many` in columns: run, task, rank, accuracy, forgetting, seconds."""
    run, _, rest = line.partition(": ")
    task, *parts = rest.split("  ")
    columns = [run.ljust(widths[0]), task.ljust(widths[1])]
    for start, width in (("rank ", 9), ("acc ", 8), ("forgetting ", 16)):
        columns.append(next((p for p in parts if p.startswith(start)), "").ljust(width))
    return "  ".join([*columns, parts[-1].rjust(5)])


def _parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, Stream]:
    """What is asked for, and the stream that seed 0 learns; leaves the program if it is wrong."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    names = METHODS if asked.methods == "all" else asked.methods.split(",")
    asked.methods = list(dict.fromkeys(name.strip() for name in names))
    if unknown := [name for name in asked.methods if name not in METHODS]:
        parser.error(f"--methods must be all, or among {', '.join(METHODS)}; got {unknown}")
    images = {"n_train": asked.train_images, "n_test": asked.test_images}
    images = {name: number for name, number in images.items() if number is not None}
    if asked.stream == "digits" and images:
        parser.error("--train-images and --test-images go with the streams of glyphs, not digits")
    asked.tasks = asked.tasks or (5 if asked.stream == "digits" else 10)
    asked.stream_options = {"n_tasks": asked.tasks, **images}
    try:
        return asked, getattr(streams, asked.stream)(seed=0, **asked.stream_options)
    except ValueError as error:
        parser.error(f"--tasks: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fmlora_kit demo", description=(__doc__ or "").split("\n\n")[0]
    )
    add = parser.add_argument
    add("--methods", default=SHOWN, help=f"all, or with commas between: {', '.join(METHODS)}")
    add("--seeds", type=_positive, default=1, help="how many, from 0 on; 5 give good intervals")
    add("--stream", choices=STREAMS, default="glyphs", help="default: %(default)s")
    add("--tasks", type=_positive, help="length of the stream; default: 10, of digits 5")
    add("--epochs", type=_positive, default=Budget().epochs, help="default: %(default)s")
    add("--out", type=Path, default=Path("build/demo"), help="folder; default: %(default)s")
    add("--workers", type=_positive, help="runs at once; default: as many as there are cores")
    add("--fresh", action="store_true", help="remove what earlier demos kept of these runs first")
    add("--train-images", type=_positive, help="training images per class and task (glyphs only)")
    add("--test-images", type=_positive, help="test images per class and task (glyphs only)")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number


def _job(asked: argparse.Namespace, method: str, seed: int) -> Job:
    return Job(
        label=method,
        method=method,
        seed=seed,
        folder=asked.out / "records" / method / f"seed_{seed}",
        stream=asked.stream,
        stream_options=asked.stream_options,
        budget=Budget(epochs=asked.epochs),
    )


def _tasks_kept(folder: Path) -> int:
    return len(Record.load(folder).tasks) if (folder / "record.json").exists() else 0


def _progress(jobs: Sequence[Job], stream: Stream, kept: int) -> Progress:
    n_tasks = sum(1 if job.method == BOUND else len(stream) for job in jobs)
    print(
        f"{stream.name}, {len(stream)} tasks; runs: {len(jobs)}; tasks to learn: {n_tasks - kept}"
    )
    if kept:
        print(f"Kept from an earlier demo, and not learned again: {kept} tasks")
    runs = max(len(f"{job.label}, seed {job.seed}") for job in jobs)
    names = [task.name for task in stream] + ["all tasks"]
    tasks = len(f"task {len(stream)}/{len(stream)} ") + max(map(len, names))
    if kept < n_tasks:
        print(f"{'done':>{len(f'{n_tasks}/{n_tasks}')}} passed   left", flush=True)
    return Progress(n_tasks, kept, (runs, tasks))


def _finish(
    asked: argparse.Namespace,
    records: dict[str, list[Record]],
    stream: Stream,
    made: dict[str, str],
) -> None:
    """Print the results, and write the numbers and the page."""
    summary = summarise(records)
    print(f"\n{table(summary)}")
    print(_differences(records), end="")
    _write(asked.out / "summary.json", json.dumps(summary, indent=2, allow_nan=False) + "\n")
    _write(asked.out / "index.html", comparison_page(records, summary, stream, made))


def _differences(records: dict[str, list[Record]]) -> str:
    """FM-LoRA minus each other method, seed by seed, as text; empty if there is nothing to pair."""
    others = [method for method in records if method not in (OURS, BOUND)]
    if OURS not in records or not others or len(records[OURS]) < 2:
        return ""
    width = max(map(len, others))
    lines = ["", f"{OURS} minus the others, paired by seed: percentage points, 95% interval"]
    lines.append(" " * width + "".join(f"{name.replace('_', ' '):>26}" for name in METRICS))
    for other in others:
        gains = [paired_metric(records[OURS], records[other], name) for name in METRICS]
        cells = "".join(f"{points(gain.mean, gain.ci95, unit=''):>26}" for gain in gains)
        lines.append(f"{other:{width}}{cells}")
    return "\n".join(lines) + "\n"


def _made(
    asked: argparse.Namespace,
    arguments: Sequence[str],
    records: dict[str, list[Record]],
    seconds: float,
) -> dict[str, str]:
    """How the numbers were made, for the page."""
    runs = [record for each in records.values() for record in each]
    learning = sum(float(record.seconds.sum()) for record in runs)
    card = _backbone_card()
    made = {
        "command": shlex.join(["python", "-m", "fmlora_kit", "demo", *arguments]),
        "seeds": f"0 to {asked.seeds - 1}" if asked.seeds > 1 else "0",
        "training": _text(runs[0].config["training"]),
        "seconds": f"{seconds:.0f} in this call, {learning:.0f} of training in all runs",
        "device": _device(),
        "versions": _text(runs[0].versions),
        "backbone": _text({k: v for k, v in card.items() if k not in ("versions", "threads")}),
    }
    for method, (first, *_) in records.items():
        facts = first.config["method"]
        told = {*options_of(facts), "weights", "precision"}
        made[f"{method}: settings"] = _text({k: v for k, v in facts.items() if k in told})
    return made


def _device() -> str:
    device = pick_device()
    return (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{device}, {os.cpu_count()} cores"
    )


def _backbone_card() -> dict:
    cards = (folder / "glyph_vit.json" for folder in DATA_FOLDERS)
    return next((json.loads(card.read_text()) for card in cards if card.exists()), {})


def _text(value: object) -> str:
    """A JSON-able value for people: `epochs 8, batch_size 32`."""
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_text(v)}" for k, v in value.items())
    return f"[{', '.join(map(_text, value))}]" if isinstance(value, list | tuple) else str(value)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
