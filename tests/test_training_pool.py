"""Several runs in processes of their own: results in order, failures told, finished runs kept."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from helpers import models

import fmlora_kit as fk
from fmlora_kit.methods.base import checksum
from fmlora_kit.training import Budget
from fmlora_kit.training import job as jobs_of
from fmlora_kit.training.pool import FailedRuns, Job, device_names, run_job, run_many

BUDGET = Budget(epochs=1, batch_size=32)
SMALL = {"n_tasks": 2, "n_train": 2, "n_test": 1}


def job(folder, method="nearest_class_mean", seed=0, label=None, **options):
    return Job(
        label or method, method, seed, folder, stream_options=SMALL, options=options, budget=BUDGET
    )


def test_jobs_run_in_processes_and_a_failing_one_is_told_and_the_others_kept(tmp_path):
    jobs = [
        job(tmp_path / "a", seed=1),
        job(tmp_path / "b", "sequential_lora", rank=999),
        job(tmp_path / "c", seed=2),
    ]
    lines = []
    with pytest.raises(RuntimeError, match=r"sequential_lora, seed 0: rank must be .* got 999"):
        run_many(jobs, workers=2, say=lines.append)
    assert len(lines) == 4 and sum("seed 2: task 2/2 Greek" in line for line in lines) == 1

    records = run_many([jobs[2], jobs[0]], workers=1, say=lines.append)
    assert len(lines) == 4  # both were finished before: nothing is done again
    assert list(records) == ["nearest_class_mean"]
    assert [record.seed for record in records["nearest_class_mean"]] == [2, 1]
    here = fk.run(
        fk.NearestClassMean(fk.load_backbone(), 20, seed=1),
        fk.streams.glyphs(seed=1, **SMALL),
        BUDGET,
    )
    assert records["nearest_class_mean"][1].same_as(here)


def test_no_jobs_are_no_records():
    assert run_many([]) == {}


def test_one_job_in_this_process(tmp_path):
    lines = []
    folder = run_job(job(tmp_path / "run", label="means"), lines.append)
    record = fk.Record.load(folder)
    assert [line.split(":")[0] for line in lines] == ["means, seed 0"] * 2
    assert np.isfinite(record.accuracy[1]).all() and record.n_classes == 20


def test_the_joint_bound_gets_all_tasks_at_once(tmp_path):
    folder = run_job(job(tmp_path / "run", "joint", rank=2))
    record = fk.Record.load(folder)
    assert record.n_tasks == 1 and record.tasks[0].n_test == 20
    assert record.stream == "glyphs, joined"


def test_a_job_names_its_backbone(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(jobs_of, "load_backbone", lambda name: asked.append(name) or models.vit())
    folder = run_job(replace(job(tmp_path / "run"), backbone="photo_vit"), device="cpu")
    assert asked == ["photo_vit"]
    assert fk.Record.load(folder).config["method"]["weights"] == checksum(models.vit())


def test_a_job_may_name_a_published_protocol(tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr(jobs_of, "preset", lambda name, **options: asked.update({name: options}))
    Job("x", "fmlora", 3, tmp_path, "pacs-4", {"folder": "here", "n_test": 1}).make_stream()
    assert asked == {"pacs-4": {"seed": 3, "folder": "here", "n_test": 1}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "magic"}, "method must be one of .*'fmlora'.*got 'magic'"),
        ({"stream": "imagenet"}, "stream must be one of .*'glyphs'.*'pacs'.*got 'imagenet'"),
    ],
)
def test_bad_jobs(change, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        Job(**{"label": "x", "method": "fmlora", "seed": 0, "folder": tmp_path, **change})


@pytest.mark.parametrize(("given", "used"), [({}, 2), ({"n_tasks": 5}, 5)])
def test_a_method_that_asks_for_the_length_of_the_stream_is_told(tmp_path, given, used):
    folder = run_job(job(tmp_path / "run", "inflora", rank=2, **given))
    record = fk.Record.load(folder)
    assert record.config["method"]["n_tasks"] == used and len(record.tasks) == 2


class Deadly:
    """Kills the process that reads it."""

    def __reduce__(self):
        return os._exit, (1,)


def test_a_process_that_dies_takes_no_other_job_with_it(tmp_path):
    jobs = [
        job(tmp_path / "b", seed=2, label="doomed", head=Deadly()),
        job(tmp_path / "c", seed=3),
    ]
    with pytest.raises(FailedRuns) as error:
        run_many(jobs, workers=1, say=lambda line: None)
    assert list(error.value.reasons) == ["doomed, seed 2"]
    record = fk.Record.load(tmp_path / "c")
    assert record.seed == 3 and len(record.tasks) == 2


def test_processes_take_turns_on_the_gpus():
    assert device_names(5, 2) == ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"]
    assert device_names(2, 0) == ["auto", "auto"]


LONG = """
import sys
from pathlib import Path
from fmlora_kit.training import Budget
from fmlora_kit.training.pool import Job, run_many

if __name__ == "__main__":
    small = {"n_tasks": 40, "n_train": 2, "n_test": 1}
    job = Job("x", "fmlora", 0, Path(sys.argv[1]), stream_options=small, budget=Budget(epochs=50))
    run_many([job, job], workers=1, say=lambda line: print(line, flush=True))
"""


def test_workers_end_with_the_process_that_asked_for_them(tmp_path):
    (tmp_path / "long.py").write_text(LONG)
    words = [sys.executable, str(tmp_path / "long.py"), str(tmp_path / "run")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, start_new_session=True) as parent:
        try:
            assert b"task 1/40" in parent.stdout.readline()  # a worker learns
            assert len(session(parent.pid)) > 2  # the parent, its manager and the worker at least
            parent.kill()
            parent.wait()
            wait_until(lambda: not session(parent.pid))
        finally:
            with suppress(ProcessLookupError):
                os.killpg(parent.pid, signal.SIGKILL)
    assert len(fk.Record.load(tmp_path / "run").tasks) < 40


def wait_until(condition, limit=600):
    """Wait until a condition comes true; the limit in seconds is against a hang only."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def session(pid):
    """Process ids of the session that a process leads, without those that wait to be collected."""
    words = ["ps", "-eo", "pid=,sess=,stat="]
    found = subprocess.run(words, capture_output=True, text=True, check=True)
    rows = (line.split() for line in found.stdout.splitlines())
    return [int(p) for p, leader, state in rows if int(leader) == pid and state[0] != "Z"]
