"""A whole stream, interrupted anywhere: it ends with the files of a run never interrupted."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from helpers import models

import fmlora_kit as fk
from fmlora_kit.methods import METHODS
from fmlora_kit.record import RecordError

BUDGET = fk.Budget(epochs=8, batch_size=8)
PROGRAM = """
import sys, torch
import test_training_run
torch.set_num_threads(1)
print("ready", flush=True)
test_training_run.long_run(sys.argv[1], lambda record: print(len(record.tasks), flush=True))
"""


def long_run(folder, on_task=lambda record: None):
    """The run that is killed: four tasks of 24 steps."""
    model = models.fmlora(n_classes=12, seed=2)
    return fk.run(model, models.stream(4), BUDGET, folder=folder, on_task=on_task)


def program(folder):
    """The same in a process of its own."""
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parent)])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, str(folder)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def files(folder):
    """Bytes of every file but the timing."""
    kept = sorted(p for p in Path(folder).iterdir() if p.name != "timing.json")
    return {p.name: p.read_bytes() for p in kept}


def kill_after(process, line, wait):
    """Kill -9, `wait` seconds after the process has said `line`."""
    while process.stdout.readline().strip() != line:
        assert process.poll() is None, "the run ended before it could be killed"
    time.sleep(wait)
    kill(process)


def kill_while_writing(process, path):
    """Kill -9 as soon as a file of that name, or a temporary one for it, is there."""
    while not any(path.parent.glob(f"*{path.name}*")):
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.001)
    kill(process)


def kill(process):
    """Kill -9, for real."""
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


@pytest.fixture
def one_thread():
    """The number of threads decides the last bits of sums."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_a_run_killed_again_and_again_ends_with_the_same_files(one_thread, tmp_path):
    started = time.monotonic()
    long_run(tmp_path / "whole")
    a_task = (time.monotonic() - started) / 4
    folder = tmp_path / "killed"
    kill_after(program(folder), "ready", a_task / 2)  # inside the first task
    assert not list(folder.glob("*.json"))
    kill_while_writing(program(folder), folder / "task_001.safetensors")
    kill_while_writing(program(folder), folder / "task_002.safetensors")
    learned = []
    long_run(folder, lambda record: learned.append(len(record.tasks)))
    assert learned in ([3, 4], [4])  # what had been written whole was not learned again
    assert files(folder) == files(tmp_path / "whole")


@pytest.mark.parametrize("name", [name for name in METHODS if name != "joint"])
def test_a_run_taken_up_after_every_task_is_the_same_record(name, tmp_path):
    stream = models.stream()
    whole = fk.run(models.build(name), stream, models.BUDGET, folder=tmp_path / "whole")

    class Interrupted(Exception):
        pass

    def stop(record):
        raise Interrupted

    for _ in range(3):
        with pytest.raises(Interrupted):
            fk.run(
                models.build(name), stream, models.BUDGET, folder=tmp_path / "parts", on_task=stop
            )
    record = fk.run(models.build(name), stream, models.BUDGET, folder=tmp_path / "parts")
    assert record.same_as(whole) and files(tmp_path / "parts") == files(tmp_path / "whole")


def test_a_finished_run_is_loaded_not_done_again(tmp_path):
    stream, told = models.stream(), []
    first = fk.run(
        models.build("fmlora"), stream, models.BUDGET, folder=tmp_path, on_task=told.append
    )
    assert [len(record.tasks) for record in told] == [1, 2, 3]
    model = models.build("fmlora")
    again = fk.run(model, stream, models.BUDGET, folder=tmp_path, on_task=told.append)
    assert again.same_as(first) and len(told) == 3 and model.n_tasks_done == 3


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = fk.run(models.build("nearest_class_mean"), models.stream(), models.BUDGET)
    assert len(record.tasks) == 3 and not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", ["method", "seed", "option", "budget", "stream", "backbone"])
def test_a_folder_of_another_run_is_refused_and_left_alone(what, tmp_path):
    stream = models.stream()
    fk.run(models.build("sequential_lora"), stream, models.BUDGET, folder=tmp_path)
    kept = files(tmp_path)
    name = "first_task_lora" if what == "method" else "sequential_lora"
    options = {"seed": {"seed": 9}, "option": {"lr": 0.5}}.get(what, {})
    backbone = models.vit(seed=1) if what == "backbone" else None
    budget = fk.Budget(epochs=1) if what == "budget" else models.BUDGET
    other = models.stream(seed=1) if what == "stream" else stream
    with pytest.raises(ValueError, match="folder must be empty or hold this very run.*sequential"):
        fk.run(models.build(name, backbone, **options), other, budget, folder=tmp_path)
    assert files(tmp_path) == kept


def test_the_refusal_says_where_the_runs_differ(tmp_path, monkeypatch):
    stream = models.stream()
    fk.run(models.build("sequential_lora"), stream, models.BUDGET, folder=tmp_path)
    with pytest.raises(ValueError, match="seed 0; method.lr 0.001 there, 0.5 here$"):
        fk.run(models.build("sequential_lora", lr=0.5), stream, models.BUDGET, folder=tmp_path)
    with pytest.raises(ValueError, match="; method.lr .* method.rank 4 there, 2 here and 3 more$"):
        other = models.build("sequential_lora", lr=0.5, rank=2, head_lr=0.1)
        fk.run(other, stream, fk.Budget(epochs=1), folder=tmp_path)
    elsewhere = {"device": "Some GPU", "numbers": "float32, bfloat16 autocast"}
    module = sys.modules["fmlora_kit.training.run"]  # its name is hidden by the function's
    monkeypatch.setattr(module, "describe_device", lambda *_: elsewhere)
    with pytest.raises(ValueError, match="training.device 'cpu' there, 'Some GPU' here"):
        fk.run(models.build("sequential_lora"), stream, models.BUDGET, folder=tmp_path)


def test_a_used_model_cannot_take_up_a_run(tmp_path):
    stream = models.stream()
    model = models.build("sequential_lora")
    fk.run(model, stream, models.BUDGET, folder=tmp_path)
    with pytest.raises(ValueError, match="model must be fresh"):
        fk.run(model, stream, models.BUDGET, folder=tmp_path)


def test_a_damaged_record_is_not_continued(tmp_path):
    stream = models.stream()
    fk.run(models.build("sequential_lora"), stream, models.BUDGET, folder=tmp_path)
    file = tmp_path / "task_001.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(RecordError, match="task_001.safetensors"):
        fk.run(models.build("sequential_lora"), stream, models.BUDGET, folder=tmp_path)


def test_the_record_names_budget_stream_and_method():
    record = fk.start_record(models.build("fmlora", seed=6), models.stream(), models.BUDGET)
    assert record.config["training"] == {
        "epochs": 2,
        "batch_size": 16,
        "clip": 1.0,
        "optimiser": "AdamW",
        "weight_decay": 0.0,
        "schedule": "cosine per task",
        "augmentation": "none",
        "device": "cpu",
        "numbers": "float32",
    }
    assert record.config["stream"] == models.stream().describe()
    assert record.config["method"]["flora"]["max_rank"] == 8
    assert record.seed == 6 and record.layers == (
        "blocks.0.q",
        "blocks.0.v",
        "blocks.1.q",
        "blocks.1.v",
    )
