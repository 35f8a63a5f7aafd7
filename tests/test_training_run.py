"""A whole stream, interrupted anywhere: it ends with the files of a run never interrupted."""

import os
import signal
import sys
from itertools import count
from pathlib import Path

import pytest
import torch
from helpers import models

import fmlora_kit as fk
from fmlora_kit.methods import METHODS
from fmlora_kit.record import RecordError
from fmlora_kit.training import pool

BUDGET = fk.Budget(epochs=8, batch_size=8)


def long_run(folder, on_task=lambda record: None, model=None):
    """The run that is killed: three tasks of 24 steps."""
    model = model or models.fmlora(n_classes=9, seed=2)
    return fk.run(model, models.stream(3), BUDGET, folder=folder, on_task=on_task)


def killed_run(folder, n_steps, file):
    """The same; kill -9 after some steps, or when a file of that name is about to be in place."""
    torch.set_num_threads(1)
    model, place = models.fmlora(n_classes=9, seed=2), os.replace
    loss, steps = model.loss, count(1)

    def loss_of_step(*batch):
        if next(steps) == n_steps:
            os.kill(os.getpid(), signal.SIGKILL)
        return loss(*batch)

    def replace(source, target):
        if Path(target).name == file:
            os.kill(os.getpid(), signal.SIGKILL)
        place(source, target)

    model.loss, os.replace = loss_of_step, replace
    long_run(folder, model=model)


def kill(folder, n_steps=None, file=None):
    """A run in a process of its own, which is killed."""
    process = pool.context().Process(target=killed_run, args=(folder, n_steps, file))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def files(folder):
    """Bytes of every file but the timing."""
    kept = sorted(p for p in Path(folder).iterdir() if p.name != "timing.json")
    return {p.name: p.read_bytes() for p in kept}


@pytest.fixture
def one_thread():
    """The number of threads decides the last bits of sums."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_a_run_killed_again_and_again_ends_with_the_same_files(one_thread, tmp_path):
    long_run(tmp_path / "whole")
    folder = tmp_path / "killed"
    kill(folder, n_steps=12)  # inside the first task
    assert not list(folder.glob("*.json"))
    kill(folder, file="task_001.safetensors")  # while the second is written
    assert any(".task_001.safetensors" in file.name for file in folder.iterdir())
    kill(folder, file="record.json")  # arrays of the second are there, but not yet told of
    learned = []
    long_run(folder, lambda record: learned.append(len(record.tasks)))
    assert learned == [2, 3]  # what had been written whole was not learned again
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
