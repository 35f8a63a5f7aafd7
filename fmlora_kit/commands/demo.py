"""Train FM-LoRA and what it competes with on one stream, and make a page of what came out.

Every run is recorded task by task under OUT/records: a demo that was stopped goes on where it was,
and finished runs are not done again. OUT/summary.json has the numbers, OUT/index.html the page.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from fmlora_kit.analysis import compare_records, tables
from fmlora_kit.analysis.names import BOUND, OURS
from fmlora_kit.analysis.sentences import findings
from fmlora_kit.commands.arguments import attempt, make_parser, names, out_folder, whole
from fmlora_kit.commands.results import progress_bar, write_results
from fmlora_kit.methods import METHODS
from fmlora_kit.record import Record, RecordError
from fmlora_kit.streams import Stream
from fmlora_kit.streams.catalogue import STREAMS
from fmlora_kit.training import Budget
from fmlora_kit.training.pool import Job, run_many

EXAMPLE = "fmlora demo --methods fmlora,frozen_backbone --tasks 3 --epochs 2 --out build/small"
EMBEDDED = ("glyphs", "moving_styles", "glyph_styles", "digits")
SHOWN = (OURS, "sequential_lora", "frozen_backbone")
_HOW_TO_START_AFRESH = (
    "Runs of an earlier demo lie in {}. If they come from another configuration or version, start "
    "afresh: remove that folder, or add --fresh; or keep them and take another --out."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return 0; RuntimeError, with what to do, if runs left by another do not fit."""
    arguments = sys.argv[1:] if arguments is None else arguments
    asked, stream = _parse(arguments)
    jobs = [_job(asked, method, seed) for method in asked.methods for seed in range(asked.seeds)]
    if asked.fresh:
        for job in jobs:
            shutil.rmtree(job.folder, ignore_errors=True)
    there = any((job.folder / "record.json").exists() for job in jobs)
    try:
        return _demo(asked, arguments, jobs, stream)
    except (RuntimeError, RecordError) as error:
        if not there:
            raise
        hint = _HOW_TO_START_AFRESH.format(asked.out / "records")
        raise RuntimeError(f"{error}. {hint}") from error


def aligned(line: str, widths: tuple[int, int]) -> str:
    """A line of `run_many` in columns: run, task, rank, accuracy, forgetting, seconds."""
    run, _, rest = line.partition(": ")
    task, *facts = rest.split("  ")
    columns = [run.ljust(widths[0]), task.ljust(widths[1])]
    for start, width in (("rank ", 9), ("acc ", 8), ("forgetting ", 16)):
        columns.append(next((f for f in facts if f.startswith(start)), "").ljust(width))
    full = [fact for fact in facts if fact.startswith("core ")]
    return "  ".join([*columns, facts[-1].rjust(5), *full])


def _parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, Stream]:
    """What is asked for, and the stream that seed 0 learns; leaves the program if it is wrong."""
    parser = make_parser("demo", " ".join((__doc__ or "").split("\n\n")[0].split()), EXAMPLE)
    known, add = tuple(METHODS), parser.add_argument
    add("--methods", type=names(known), default=SHOWN, help=f"all, or some of {', '.join(known)}")
    add("--seeds", type=whole(1), default=1, help="how many, from 0 on; 5 give good intervals")
    add("--stream", choices=EMBEDDED, default="glyphs", help="default: %(default)s")
    add("--tasks", type=whole(1), help="length of the stream; default: 10, of digits 5")
    add("--epochs", type=whole(1), default=Budget().epochs, help="default: %(default)s")
    add("--out", type=out_folder, default=Path("build/demo"), help="default: %(default)s")
    add("--workers", type=whole(1), help="runs at once; default: as many as there are cores")
    add("--fresh", action="store_true", help="remove what earlier demos kept of these runs first")
    add("--train-images", type=whole(1), help="training images per class and task (glyphs only)")
    add("--test-images", type=whole(1), help="test images per class and task (glyphs only)")
    asked = parser.parse_args(arguments)
    images = {"n_train": asked.train_images, "n_test": asked.test_images}
    images = {name: number for name, number in images.items() if number is not None}
    if asked.stream == "digits" and images:
        parser.error("--train-images and --test-images go with the streams of glyphs, not digits")
    asked.tasks = asked.tasks or (5 if asked.stream == "digits" else 10)
    asked.stream_options = {"n_tasks": asked.tasks, **images}
    make = partial(STREAMS[asked.stream], seed=0, **asked.stream_options)
    return asked, attempt(parser, "--tasks", make)


def _job(asked: argparse.Namespace, method: str, seed: int) -> Job:
    folder = asked.out / "records" / method / f"seed_{seed}"
    stream = {"stream": asked.stream, "stream_options": asked.stream_options}
    return Job(method, method, seed, folder, **stream, budget=Budget(epochs=asked.epochs))


def _demo(
    asked: argparse.Namespace, arguments: Sequence[str], jobs: Sequence[Job], stream: Stream
) -> int:
    started = time.perf_counter()
    with progress_bar(jobs, _lines(jobs, stream)) as say:
        records = run_many(jobs, workers=asked.workers, say=say)
    runs = list(chain.from_iterable(records.values()))
    found, name = compare_records(runs), asked.stream
    made = "demo", arguments, (seconds := time.perf_counter() - started)
    write_results(asked.out, {name: found}, {name: runs}, made, streams={name: stream})
    print(f"\n{tables.plain(found)}\n")
    print(*findings(found), sep="\n")
    print(f"\n{seconds:.0f} seconds in total. Open {(asked.out / 'index.html').resolve()}")
    return 0


def _lines(jobs: Sequence[Job], stream: Stream) -> Callable[[str], str]:
    """Say what is to be learned; return what makes of each task's line one in columns, counted."""
    total = sum(1 if job.method == BOUND else len(stream) for job in jobs)
    there = [job.folder for job in jobs if (job.folder / "record.json").exists()]
    kept = done = sum(len(Record.load(folder).tasks) for folder in there)
    print(f"{stream.name}, {len(stream)} tasks; runs: {len(jobs)}; tasks to learn: {total - kept}")
    if kept:
        print(f"Kept from an earlier demo, and not learned again: {kept} tasks")
    longest = max(len(name) for name in [*(task.name for task in stream), "all tasks"])
    widths = max(len(job.name) for job in jobs), len(f"task {len(stream)}/{len(stream)} ") + longest

    def show(line: str) -> str:
        nonlocal done
        done += 1
        return f"{done:{len(str(total))}}/{total}  {aligned(line, widths)}"

    return show
