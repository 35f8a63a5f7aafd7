"""Several runs at once, each in a process of this machine, or on a cluster (`training.cluster`)."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.managers import SyncManager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from tqdm.auto import tqdm

from fmlora_kit.record import Record
from fmlora_kit.training.cluster import on_cluster
from fmlora_kit.training.job import FailedRuns, Job, listen, run_job

if TYPE_CHECKING:
    from distributed.deploy import Cluster


def run_many(
    jobs: Sequence[Job],
    *,
    workers: int | None = None,
    cluster: str | Cluster | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, list[Record]]:
    """Do all jobs, several at once; a job that fails is reported and the others go on.

    Finished runs found in their folders are not done again. A process that dies, for want of memory
    perhaps, takes the others of its pool with it: their jobs go on afterwards, one at a time.

    Args:
        jobs: what to do.
        workers: processes at once, each on one thread; default: as many as there are GPUs, or else
            cores. They take turns on the GPUs.
        cluster: send the jobs to the workers of this Dask scheduler instead (its address, such as
            "tcp://host:8786", or a Dask cluster), see `training.cluster`; needs `distributed`.
        say: told one line after every task.

    Returns:
        label -> its records, in the order of the jobs.

    Raises:
        FailedRuns: after all jobs are done, if some failed; names them and why.
        ImportError: for a cluster, if `distributed` is not installed.
        OSError: no scheduler answers at the cluster's address.
        ValueError: both ``workers`` and ``cluster`` are given.
    """
    if workers is not None and cluster is not None:
        raise ValueError(f"workers must not be given with a cluster, which has its own; {workers=}")
    if not jobs:
        return {}
    if cluster is None:
        failed = _on_this_machine(jobs, workers, say)
    else:
        failed = on_cluster(jobs, cluster, say)
    if failed:
        raise FailedRuns({job.name: str(error) for job, error in failed.items()})
    records: dict[str, list[Record]] = {}
    for job in jobs:
        records.setdefault(job.label, []).append(Record.load(job.folder))
    return records


def _on_this_machine(
    jobs: Sequence[Job], workers: int | None, say: Callable[[str], None]
) -> dict[Job, BaseException]:
    failed = _pooled(jobs, workers or torch.cuda.device_count() or os.cpu_count() or 1, say)
    for job in [job for job, error in failed.items() if isinstance(error, BrokenProcessPool)]:
        del failed[job]
        failed |= _pooled([job], 1, say)
    return failed


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
                listen(futures, lines, say)
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
