"""Several runs at once, one process each: methods x seeds on one stream."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.managers import SyncManager
from pathlib import Path

import torch
from tqdm.auto import tqdm

from fmlora_kit.backbones import load_backbone
from fmlora_kit.methods import METHODS
from fmlora_kit.record import Record
from fmlora_kit.streams import STREAMS
from fmlora_kit.training.device import pick_device
from fmlora_kit.training.loop import Budget
from fmlora_kit.training.run import run


@dataclass(frozen=True, eq=False)
class Job:
    """One run, named by values only, so that another process can do it.

    Attributes:
        label: what the run is called beside others.
        method: a name in `METHODS`.
        seed: of the stream's images and of the method.
        folder: where its record goes.
        stream: a name in `STREAMS`.
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

    @property
    def name(self) -> str:
        """What lines and errors call the run."""
        return f"{self.label}, seed {self.seed}"

    def __post_init__(self) -> None:
        """Raise ValueError for an unknown method or stream."""
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {tuple(METHODS)}, got {self.method!r}")
        if self.stream not in STREAMS:
            raise ValueError(f"stream must be one of {tuple(STREAMS)}, got {self.stream!r}")


class FailedRuns(RuntimeError):
    """Some runs failed; the others are finished and kept.

    Attributes:
        reasons: by the run's name, why it failed.
    """

    def __init__(self, reasons: dict[str, str]):
        told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        super().__init__(f"these runs failed (finished ones are kept): {told}")
        self.reasons = reasons


def run_job(
    job: Job, on_task: Callable[[str], None] = lambda line: None, *, device: str = "auto"
) -> Path:
    """Do one job in this process; return the folder of its record."""
    stream = STREAMS[job.stream](seed=job.seed, **job.stream_options)
    if job.method == "joint":
        stream = stream.joined()
    method, options = METHODS[job.method], dict(job.options)
    if method.needs_n_tasks:
        options.setdefault("n_tasks", len(stream))
    model = method(load_backbone(), stream.n_classes, seed=job.seed, **options)
    model.to(pick_device(device))
    run(
        model,
        stream,
        job.budget,
        folder=job.folder,
        on_task=lambda r: on_task(f"{job.name}: {r.summary_line()}"),
    )
    return job.folder


def run_many(
    jobs: Sequence[Job], *, workers: int | None = None, say: Callable[[str], None] = print
) -> dict[str, list[Record]]:
    """Do all jobs, several at once; a job that fails is reported and the others go on.

    Finished runs found in their folders are not done again. A process that dies, for want of memory
    perhaps, takes the others of its pool with it: their jobs go on afterwards, one at a time.

    Args:
        jobs: what to do.
        workers: processes at once, each on one thread; default: as many as there are GPUs, or else
            cores. They take turns on the GPUs.
        say: told one line after every task.

    Returns:
        label -> its records, in the order of the jobs.

    Raises:
        FailedRuns: after all jobs are done, if some failed; names them and why.
    """
    if not jobs:
        return {}
    failed = _pooled(jobs, workers or torch.cuda.device_count() or os.cpu_count() or 1, say)
    for job in [job for job, error in failed.items() if isinstance(error, BrokenProcessPool)]:
        del failed[job]
        failed |= _pooled([job], 1, say)
    if failed:
        raise FailedRuns({job.name: str(error) for job, error in failed.items()})
    records: dict[str, list[Record]] = {}
    for job in jobs:
        records.setdefault(job.label, []).append(Record.load(job.folder))
    return records


def _pooled(
    jobs: Sequence[Job], workers: int, say: Callable[[str], None]
) -> dict[Job, BaseException]:
    """Do the jobs in processes of their own; return those that failed, and why."""
    workers = min(len(jobs), workers)
    context = multiprocessing.get_context("spawn")
    manager = SyncManager(ctx=context)
    manager.start(_end_with_parent)
    with manager:
        lines, devices = manager.Queue(), manager.Queue()
        for name in device_names(workers, torch.cuda.device_count()):
            devices.put(name)
        with ProcessPoolExecutor(workers, context, _set_up, (lines, devices)) as pool:
            futures = {pool.submit(_work, job): job for job in jobs}
            try:
                _listen(futures, lines, say)
            except BaseException:  # stopped: what has not begun is not begun
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return {job: f.exception() for f, job in futures.items() if f.exception()}


def device_names(workers: int, n_gpus: int) -> list[str]:
    """One device per process: the GPUs in turn, or whatever else there is."""
    return [f"cuda:{k % n_gpus}" if n_gpus else "auto" for k in range(workers)]


_lines: queue.Queue
_device: str


def _set_up(lines: queue.Queue, devices: queue.Queue) -> None:
    global _lines, _device
    _lines, _device = lines, devices.get()
    _end_with_parent()
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it: else it would begin the next job
    tqdm.set_lock(threading.RLock())  # tqdm's own is a system's semaphore, and left behind then


def _end_with_parent() -> None:
    """What is killed must not go on in its workers: who takes it up again writes there too."""

    def wait() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _work(job: Job) -> Path:
    return run_job(job, _lines.put, device=_device)


def _listen(futures: dict[Future, Job], lines: queue.Queue, say: Callable[[str], None]) -> None:
    while not (all(f.done() for f in futures) and lines.empty()):
        try:
            say(lines.get(timeout=0.2))
        except queue.Empty:
            continue
