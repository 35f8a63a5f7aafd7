"""Several runs at once, one process each: methods x seeds on one stream."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import torch
from tqdm.auto import tqdm

from fmlora_kit import streams
from fmlora_kit.backbones import load_backbone
from fmlora_kit.methods import METHODS
from fmlora_kit.record import Record
from fmlora_kit.training.device import pick_device
from fmlora_kit.training.loop import Budget
from fmlora_kit.training.run import run


@dataclass(frozen=True)
class Job:
    """One run, named by values only, so that another process can do it.

    Attributes:
        label: what the run is called beside others.
        method: a name in `METHODS`.
        seed: of the stream's images and of the method.
        folder: where its record goes.
        stream: a function of `fmlora_kit.streams`.
        stream_options: its arguments, without the seed.
        options: the method's arguments.
        budget: epochs and batch size.
    """

    label: str
    method: str
    seed: int
    folder: Path
    stream: str = "glyphs"
    stream_options: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)
    budget: Budget = Budget()

    def __post_init__(self) -> None:
        """Raise ValueError for an unknown method or stream."""
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {tuple(METHODS)}, got {self.method!r}")
        if self.stream not in ("glyphs", "glyph_styles", "digits"):
            raise ValueError(f"stream must be glyphs, glyph_styles or digits, got {self.stream!r}")


def run_job(job: Job, on_task: Callable[[str], None] = lambda line: None) -> Path:
    """Do one job in this process; return the folder of its record."""
    stream = getattr(streams, job.stream)(seed=job.seed, **job.stream_options)
    if job.method == "joint":
        stream = stream.joined()
    method, options = METHODS[job.method], dict(job.options)
    if method.needs_n_tasks:
        options.setdefault("n_tasks", len(stream))
    model = method(load_backbone(), stream.n_classes, seed=job.seed, **options)
    model.to(pick_device())
    run(
        model,
        stream,
        job.budget,
        folder=job.folder,
        on_task=lambda r: on_task(f"{job.label}, seed {job.seed}: {r.summary_line()}"),
    )
    return job.folder


def run_many(
    jobs: Sequence[Job], *, workers: int | None = None, say: Callable[[str], None] = print
) -> dict[str, list[Record]]:
    """Do all jobs, several at once; a job that fails is reported and the others go on.

    Finished runs found in their folders are not done again.

    Args:
        jobs: what to do.
        workers: processes at once; default: as many as there are cores (each uses one thread).
        say: told one line after every task.

    Returns:
        label -> its records, in the order of the jobs.

    Raises:
        RuntimeError: after all jobs are done, if some failed; names them and why.
    """
    if not jobs:
        return {}
    workers = min(len(jobs), workers or os.cpu_count() or 1)
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        lines = manager.Queue()
        with ProcessPoolExecutor(workers, context, _one_thread, (lines,)) as pool:
            futures = {pool.submit(_work, job): job for job in jobs}
            try:
                _listen(futures, lines, say)
            except BaseException:  # stopped: what has not begun is not begun
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    failed = [
        f"{j.label}, seed {j.seed}: {f.exception()}" for f, j in futures.items() if f.exception()
    ]
    if failed:
        raise RuntimeError("these runs failed (finished ones are kept): " + "; ".join(failed))
    records: dict[str, list[Record]] = {}
    for job in jobs:
        records.setdefault(job.label, []).append(Record.load(job.folder))
    return records


_lines: queue.Queue


def _one_thread(lines: queue.Queue) -> None:
    global _lines
    _lines = lines
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it: else it would begin the next job
    tqdm.set_lock(threading.RLock())  # tqdm's own is a system's semaphore, and left behind then


def _work(job: Job) -> Path:
    return run_job(job, _lines.put)


def _listen(futures: dict[Future, Job], lines: queue.Queue, say: Callable[[str], None]) -> None:
    while not (all(f.done() for f in futures) and lines.empty()):
        try:
            say(lines.get(timeout=0.2))
        except queue.Empty:
            continue
