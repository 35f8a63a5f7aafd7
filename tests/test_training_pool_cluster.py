"""Runs on a Dask cluster, here two workers of this machine: the records are those of `run_many`."""

import os
import re
import signal
import time
from types import SimpleNamespace

import dask
import pytest
from distributed import Client, LocalCluster
from distributed.cli import dask_scheduler, dask_worker
from distributed.utils import get_mp_context

import fmlora_kit as fk
from fmlora_kit.commands import compare
from fmlora_kit.training import Budget, pool, sweep
from fmlora_kit.training.pool import FailedRuns, Job, run_job, run_many

BUDGET = Budget(epochs=1, batch_size=32)


@pytest.fixture(scope="module")
def workers():
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        # torch is imported once, and not again by every worker
        get_mp_context().set_forkserver_preload(["distributed", "fmlora_kit.training.job"])
        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as local:
            yield local


def job(folder, method="nearest_class_mean", seed=0, n_tasks=2, **options):
    small = {"n_tasks": n_tasks, "n_train": 2, "n_test": 1}
    return Job(method, method, seed, folder, stream_options=small, options=options, budget=BUDGET)


def busy(workers):
    """Processes of the workers that have a job."""
    states = workers.scheduler.workers
    nannies = workers.workers.values()
    return [n.pid for n in nannies if states.get(n.worker_address, SimpleNamespace()).processing]


def hold(dask_worker, gate):
    """A job waits in its worker after each line that it tells, until the gate, a file, is there."""
    tell = dask_worker.log_event

    def tell_and_wait(topic, line):
        tell(topic, line)
        wait_until(gate.exists)

    dask_worker.log_event = tell_and_wait


def states_of_jobs(dask_worker):
    """Of the jobs that a worker knows; and whether one of them is in it."""
    tasks = dask_worker.state.tasks.values()
    return {task.state for task in tasks}, bool(dask_worker.active_threads)


def wait_until(condition, limit=600):
    """Wait until a condition comes true; the limit in seconds is against a hang only."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_records_are_those_of_this_machine_and_a_failing_job_is_named(
    workers, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # after the workers began: they are told where "there" is
    lines = []
    jobs = [job("there/a", "fmlora"), job("there/b", "sequential_lora", rank=999)]
    with pytest.raises(FailedRuns, match=r"sequential_lora, seed 0: rank must be .* got 999"):
        run_many(jobs, cluster=workers, say=lines.append)
    assert [line.split()[:5] for line in lines] == [
        ["fmlora,", "seed", "0:", "task", "1/2"],
        ["fmlora,", "seed", "0:", "task", "2/2"],
    ]
    records = run_many(jobs[:1], cluster=workers, say=lines.append)
    assert len(lines) == 2  # it was finished before: nothing is done again
    here = fk.Record.load(run_job(job(tmp_path / "here", "fmlora"), device="cpu"))
    assert records["fmlora"][0].same_as(here)


def test_stopping_takes_the_jobs_back(workers, tmp_path):
    def stop(line):
        raise KeyboardInterrupt

    jobs = [job(tmp_path / str(k), n_tasks=4, seed=k) for k in range(3)]
    with Client(workers) as client:
        client.run(hold, gate=tmp_path / "gate")
        with pytest.raises(KeyboardInterrupt):
            run_many(jobs, cluster=workers, say=stop)
        wait_until(lambda: all(s <= {"cancelled"} for s, _ in client.run(states_of_jobs).values()))
        (tmp_path / "gate").touch()
        wait_until(lambda: not any(within for _, within in client.run(states_of_jobs).values()))
    done = [len(fk.Record.load(j.folder).tasks) for j in jobs if j.folder.exists()]
    assert done in ([1], [1, 1])  # what had begun ended with its task, the rest did not begin


def test_the_job_of_a_worker_that_dies_goes_on_in_another(workers, tmp_path):
    killed = []

    def kill(line):
        if not killed:
            killed.extend(busy(workers))
            os.kill(killed[0], signal.SIGKILL)
            (tmp_path / "gate").touch()

    with Client(workers) as client:
        client.run(hold, gate=tmp_path / "gate")
    records = run_many([job(tmp_path / "there", n_tasks=3)], cluster=workers, say=kill)
    here = fk.Record.load(run_job(job(tmp_path / "here", n_tasks=3), device="cpu"))
    assert len(killed) == 1 and records["nearest_class_mean"][0].same_as(here)


def test_a_record_that_does_not_come_here_is_told(tmp_path):
    finished = SimpleNamespace(status="finished")
    error = pool._error(finished, job(tmp_path / "elsewhere"))
    assert isinstance(error, FileNotFoundError)
    assert "folder must lie on a file system that all workers share" in str(error)
    assert "gave the job up: lost" in str(pool._error(SimpleNamespace(status="lost"), None))


def test_workers_belong_to_this_machine_or_to_the_cluster(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="workers must not be given with a cluster"):
        run_many([job(tmp_path)], workers=2, cluster="tcp://host:8786")
    monkeypatch.setattr(sweep, "run_many", lambda jobs, **asked: asked_for.update(asked))
    asked_for = {}
    fk.compare([], ["digits"], [0], folder=tmp_path, cluster="tcp://host:8786")
    assert asked_for["cluster"] == "tcp://host:8786" and asked_for["workers"] is None


def test_without_distributed_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(ImportError, match=r"pip install 'fmlora_kit\[scale\]'"):
        run_many([job(tmp_path)], cluster="tcp://host:8786")


def test_who_reaches_the_scheduler_is_told_of_beside_the_command_with_options_that_dask_has(capsys):
    with pytest.raises(SystemExit):
        compare.main(["--help"])
    for said in (capsys.readouterr().out, pool.__doc__):
        said = " ".join(said.split())
        assert re.search(r"whoever reaches (its|the scheduler's) port can run code", said)
        named = {option.rstrip(",") for option in re.findall(r"--tls-[-a-z]+", said)}
        assert named == {"--tls-ca-file", "--tls-cert", "--tls-key"}
        for program in (dask_scheduler, dask_worker):
            assert named <= {option for each in program.main.params for option in each.opts}
    variables = re.findall("DASK_[A-Z_]+", pool.__doc__)
    asked = dask.config.collect_env(dict.fromkeys(variables, "file"))["distributed"]["comm"]["tls"]
    assert asked == {"ca_file": "file", "client": {"cert": "file", "key": "file"}}
    known = dask.config.get("distributed.comm.tls")
    assert "ca-file" in known and asked["client"].keys() <= known["client"].keys()
