"""Many runs on a cluster: jobs go to the workers of a Dask scheduler.

    dask scheduler                                            # on one machine: prints its address
    dask worker tcp://host:8786 --nthreads 1 --nworkers 4     # on each machine: a run per worker

    python -m fmlora_kit.comparison --cluster tcp://host:8786

All need the same fmlora_kit, and the folders of records and images on a file system that they
share. A worker with GPUs takes the first that CUDA_VISIBLE_DEVICES leaves it (the package dask-cuda
sets it, one GPU per worker). Dask gives the job of a worker that died to another, which goes on
where the record ends.
"""

from __future__ import annotations

import queue
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import torch

from fmlora_kit.training.job import Job, listen, run_job

if TYPE_CHECKING:
    from distributed import Future
    from distributed.deploy import Cluster


def on_cluster(
    jobs: Sequence[Job], cluster: str | Cluster, say: Callable[[str], None]
) -> dict[Job, BaseException]:
    """Do the jobs on the workers of ``cluster``; return those that failed, and why.

    Stopped by Ctrl-C, it takes back what has not begun; what has begun ends with its present task.

    Args:
        jobs: what to do; relative folders are relative to this process's.
        cluster: the scheduler's address, or a Dask cluster.
        say: told one line after every task.

    Raises:
        ImportError: `distributed` is not installed.
        OSError: no scheduler answers at the address.
    """
    lines: queue.Queue[str] = queue.Queue()
    topic = f"fmlora_kit-{uuid.uuid4().hex}"
    with _distributed().Client(cluster, set_as_default=False) as client:
        client.subscribe_topic(topic, lambda event: lines.put(event[1]))
        futures = {
            client.submit(_work, _absolute(job), topic, key=f"{job.name}-{topic}-{k}"): job
            for k, job in enumerate(jobs)
        }
        try:
            listen(futures, lines, say)
        except BaseException:
            client.cancel(list(futures), force=True)
            raise
        errors = {job: _error(future, job) for future, job in futures.items()}
    return {job: error for job, error in errors.items() if error is not None}


def _distributed() -> ModuleType:
    try:
        import distributed
    except ImportError as error:
        raise ImportError(
            "runs on a cluster need Dask's distributed: pip install 'fmlora_kit[scale]'"
        ) from error
    return distributed


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


def _work(job: Job, topic: str) -> None:
    """What a worker does."""
    worker = _distributed().get_worker()
    if worker.state.nthreads != 1:
        raise ValueError(
            "workers must have one thread each (dask worker --nthreads 1), got "
            f"{worker.state.nthreads}"
        )
    torch.set_num_threads(1)
    key = worker.get_current_task()

    def tell(line: str) -> None:
        worker.log_event(topic, line)
        here = worker.state.tasks.get(key)
        if here is None or here.state == "cancelled":  # whoever asked has stopped, or is gone
            raise CancelledError(key)

    run_job(job, tell)
