"""Several runs at once: each in a process of this machine, or on the workers of a Dask scheduler.

    dask scheduler                                            # on one machine: prints its address
    dask worker tcp://host:8786 --nthreads 1 --nworkers 4     # on each machine: a run per worker

    python -m fmlora_kit compare --cluster tcp://host:8786

All need the same fmlora_kit, and the folders of records and images on a file system that they
share. Dask takes pickles: whoever reaches the scheduler's port can run code on its workers. Keep it
inside a network that you trust, or give both --tls-ca-file, --tls-cert and --tls-key, and ask for
tls://host:8786 with the same files named in the environment:

    DASK_DISTRIBUTED__COMM__TLS__CA_FILE
    DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT
    DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY

A worker with GPUs takes the first that CUDA_VISIBLE_DEVICES leaves it (the package dask-cuda
sets it, one GPU per worker). Dask gives the job of a worker that died to another, which goes on
where the record ends.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing.managers import SyncManager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import torch
from tqdm.auto import tqdm

from fmlora_kit.checks import Count, checked, instance, listed
from fmlora_kit.methods import METHODS
from fmlora_kit.record import Record
from fmlora_kit.training.device import import_extra
from fmlora_kit.training.job import FailedRuns, Job, listen, run_job
from fmlora_kit.training.register import is_importable, register, registered

if TYPE_CHECKING:
    from distributed import Future
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
    perhaps, takes the others of its pool with it: their jobs go on afterwards, one at a time. Jobs
    of a method that a notebook defines are done in this process: no other one has its class.

    Args:
        jobs: what to do; relative folders are relative to where this process is now.
        workers: processes at once, each on one thread; default: as many as there are GPUs, or else
            cores. They take turns on the GPUs. Not for a cluster, which has its own.
        cluster: send the jobs to the workers of this Dask scheduler instead (its address, such as
            "tcp://host:8786", or a Dask cluster), see the top of this file; needs `distributed`.
        say: told one line after every task.

    Returns:
        label -> its records, in the order of the jobs.

    Raises:
        FailedRuns: after all jobs are done, if some failed; names them and why.
        OSError: no scheduler answers at the cluster's address.
        RuntimeError: it is called at the top of a script, not under ``if __name__ == "__main__":``.
    """
    checked("workers", workers, Count | None)
    if workers is not None and cluster is not None:
        raise ValueError(f"workers must not be given with a cluster, which has its own; {workers=}")
    jobs = [_absolute(instance("jobs", job, Job, "a list of jobs")) for job in listed("jobs", jobs)]
    if not jobs:
        return {}
    here = cluster is None
    failed = _on_this_machine(jobs, workers, say) if here else _on_cluster(jobs, cluster, say)
    if failed:
        raise FailedRuns({job.name: str(error) for job, error in failed.items()})
    records: dict[str, list[Record]] = {}
    for job in jobs:
        records.setdefault(job.label, []).append(Record.load(job.folder))
    return records


def _on_this_machine(
    jobs: Sequence[Job], workers: int | None, say: Callable[[str], None]
) -> dict[Job, BaseException]:
    here = {each.name for each, _ in registered(METHODS) if not is_importable(each)}
    there = [job for job in jobs if job.method not in here]
    failed = _in_pool(there, workers or torch.cuda.device_count() or os.cpu_count() or 1, say)
    for job in (job for job in jobs if job.method in here):  # no other process has its class
        try:
            run_job(job, say)
        except Exception as error:
            failed[job] = error
    for job in [job for job, error in failed.items() if isinstance(error, BrokenProcessPool)]:
        del failed[job]
        failed |= _in_pool([job], 1, say)
    return failed


def _in_pool(
    jobs: Sequence[Job], workers: int, say: Callable[[str], None]
) -> dict[Job, BaseException]:
    """Do the jobs in processes of their own; return those that failed, and why."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SystemExit(1)  # a process that imports the script; the one that began it says why
    if not jobs:
        return {}
    workers, own = min(len(jobs), workers), registered(job.method for job in jobs)
    ctx = context()
    manager = SyncManager(ctx=ctx)
    try:
        manager.start(_end_with_parent)
    except EOFError:
        rule = "be called under if __name__ == '__main__': in a script, which its processes import"
        raise RuntimeError(f"run_many must {rule}; got a call at the top of it") from None
    with manager:
        lines, devices = manager.Queue(), manager.Queue()
        for name in device_names(workers, torch.cuda.device_count()):
            devices.put(name)
        given = (lines, devices, dict(os.environ), own)
        with ProcessPoolExecutor(workers, ctx, _set_up, given) as pool:
            futures = {pool.submit(_work, job): job for job in jobs}
            try:
                listen(futures, lines, say)
            except BaseException:  # stopped: what has not begun is not begun
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return {job: f.exception() for f, job in futures.items() if f.exception()}


def context() -> multiprocessing.context.BaseContext:
    """How processes begin: on Linux one imports torch, once, and all others are forks of that one.

    It does nothing else, so that neither CUDA nor a thread of this process is forked.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload([__name__, "sklearn.cluster", "sklearn.model_selection"])
    return forks


def device_names(workers: int, n_gpus: int) -> list[str]:
    """One device per process: the GPUs in turn, or whatever else there is."""
    return [f"cuda:{k % n_gpus}" if n_gpus else "auto" for k in range(workers)]


_lines: queue.Queue
_device: str


def _set_up(
    lines: queue.Queue, devices: queue.Queue, environment: dict[str, str], own: Sequence[tuple]
) -> None:
    for method in own:
        register(*method)
    os.environ.update(environment)  # the process that is forked may be older than its variables
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


def _on_cluster(
    jobs: Sequence[Job], cluster: str | Cluster, say: Callable[[str], None]
) -> dict[Job, BaseException]:
    """Do the jobs on the workers of ``cluster``; return those that failed, and why.

    Stopped by Ctrl-C, it takes back what has not begun; what has begun ends with its present task.
    """
    lines: queue.Queue[str] = queue.Queue()
    topic = f"fmlora_kit-{uuid.uuid4().hex}"
    with _distributed().Client(cluster, set_as_default=False) as client:
        client.subscribe_topic(topic, lambda event: lines.put(event[1]))
        futures = {}
        for k, job in enumerate(jobs):
            key = f"{job.name}-{topic}-{k}"
            own = registered([job.method])
            futures[client.submit(_work_on_cluster, job, topic, own, key=key)] = job
        try:
            listen(futures, lines, say)
        except BaseException:
            client.cancel(list(futures), force=True)
            raise
        errors = {job: _error(future, job) for future, job in futures.items()}
    return {job: error for job, error in errors.items() if error is not None}


def _distributed() -> ModuleType:
    return import_extra("distributed", "runs on a cluster need Dask's distributed")


def _absolute(job: Job) -> Job:
    options = dict(job.stream_options)
    if "folder" in options:
        options["folder"] = str(Path(options["folder"]).absolute())
    return replace(job, folder=Path(job.folder).absolute(), stream_options=options)


def _error(future: Future, job: Job) -> BaseException | None:
    if future.status == "error":
        return future.exception()
    if future.status != "finished":
        return ConnectionError(f"the scheduler gave the job up: {future.status}")
    if not (Path(job.folder) / "record.json").exists():
        return FileNotFoundError(
            f"folder must lie on a file system that all workers share: {job.folder} has no record "
            "here, but a worker finished it there"
        )
    return None


def _work_on_cluster(job: Job, topic: str, own: Sequence[tuple] = ()) -> None:
    for method in own:
        register(*method)
    worker = _distributed().get_worker()
    if worker.state.nthreads != 1:
        rule = "have one thread each (dask worker --nthreads 1)"
        raise ValueError(f"workers must {rule}, got {worker.state.nthreads}")
    torch.set_num_threads(1)
    key = worker.get_current_task()

    def tell(line: str) -> None:
        worker.log_event(topic, line)
        here = worker.state.tasks.get(key)
        if here is None or here.state == "cancelled":  # whoever asked has stopped, or is gone
            raise CancelledError(key)

    run_job(job, tell)
