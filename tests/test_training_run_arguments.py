"""What a run is asked for is checked before anything is learned; its folder stays where it was."""

import os

import pytest
from helpers import models
from helpers.records import confused

import fmlora_kit as fk
from fmlora_kit.training import pick_device
from fmlora_kit.training.job import Job
from fmlora_kit.training.pool import run_many
from fmlora_kit.training.sweep import jobs

BUDGET = fk.Budget(epochs=1, batch_size=32)


def test_a_relative_folder_stays_the_same_one_when_the_process_moves(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    tasks, model = models.stream(2), models.build("frozen_backbone", n_classes=6)
    moved = lambda record: os.chdir(tmp_path / "elsewhere")  # noqa: E731
    record = fk.run(model, tasks, BUDGET, folder="runs/a", on_task=moved)
    assert fk.Record.load(tmp_path / "runs" / "a") == record and len(record.tasks) == 2
    assert not list((tmp_path / "elsewhere").iterdir())


def test_the_jobs_of_a_sweep_have_absolute_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (job,) = jobs(["fmlora"], ["digits"], [0], folder="runs")
    assert job.folder == tmp_path / "runs" / "digits" / "fmlora" / "seed_0"


@pytest.mark.parametrize("n_classes", [5, 7])
def test_a_model_for_other_classes_than_the_streams_is_refused_at_the_start(n_classes, tmp_path):
    model = models.build("frozen_backbone", n_classes=n_classes)
    with pytest.raises(ValueError, match=f"the stream's 6 classes, got one for {n_classes}"):
        fk.run(model, models.stream(2), BUDGET, folder=tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_a_gap_in_the_numbers_of_the_classes_is_told_at_the_start():
    first, _, third = models.stream()
    stream = fk.streams.Stream("gap", "class-incremental", (first, third), 0)
    model = models.build("frozen_backbone", n_classes=stream.n_classes)
    with pytest.raises(ValueError, match="its 6 classes from 0 to 5, got none with 3, but 8"):
        fk.run(model, stream, BUDGET)
    assert model.n_tasks_done == 0


def test_a_model_that_has_learned_something_is_refused_at_the_start(tmp_path):
    stream = models.stream(2)
    model = models.build("frozen_backbone", n_classes=6)
    fk.run(model, stream, BUDGET)
    with pytest.raises(ValueError, match="model must be fresh, got one that has learned 2 tasks"):
        fk.run(model, stream, BUDGET, folder=tmp_path / "run")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "function", [fk.run, fk.start_record, fk.train_task, fk.train_steps, fk.compare]
)
def test_epochs_go_into_the_budget(function):
    told = rf"{function.__name__} takes epochs in its budget: budget=fk.Budget\(epochs=2\)"
    with pytest.raises(TypeError, match=told):
        function(epochs=2)


BAD = {
    "model": (None, "x", 3),
    "stream": (None, "glyphs", []),
    "budget": ({}, "fast", 3, True),
    "folder": (3, "", b"runs", True),
    "on_task": (None, "say", 1),
    "show_progress": (1, "no", 0.0),
    "cache_bytes": (True, 1.5, "1", -1, None),
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in BAD.items() for v in values])
def test_run_names_the_argument_that_is_of_another_kind(name, value):
    model = models.build("frozen_backbone", n_classes=6)
    given = {"model": model, "stream": models.stream(2), "budget": BUDGET, name: value}
    with pytest.raises(ValueError, match=f"^{name} must be .*, got "):
        fk.run(**given)
    assert model.n_tasks_done == 0


@pytest.mark.parametrize("value", ["3", 2.5, True, -1, float("nan"), 10**30 * 1.0, None, [1]])
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("epochs", lambda v: fk.Budget(epochs=v)),
        ("batch_size", lambda v: fk.Budget(batch_size=v)),
        ("max_rank", lambda v: fk.FLoRA(max_rank=v)),
        ("length", lambda v: fk.DMP(length=v)),
        ("n_classes", lambda v: models.build("frozen_backbone", n_classes=v)),
        ("seed", lambda v: models.build("frozen_backbone", seed=v)),
        ("rank", lambda v: models.build("sequential_lora", rank=v)),
        ("n_tasks", lambda v: models.build("inflora", n_tasks=v)),
        ("seed", lambda v: Job("a", "fmlora", v, "runs")),
        ("processes", lambda v: _start(v)),
    ],
)
def test_what_counts_something_is_a_whole_number(name, make, value):
    with pytest.raises(ValueError, match=rf"^{name} must be .*, got "):
        make(value)


def _start(processes):
    tasks = models.stream(2)
    return fk.start_record(models.build("frozen_backbone", n_classes=6), tasks, processes=processes)


@pytest.mark.parametrize("value", ["0.1", True, float("nan"), float("inf"), -1, [0.1], {}])
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("clip", lambda v: fk.Budget(clip=v)),
        ("alpha", lambda v: fk.FLoRA(alpha=v)),
        ("protect", lambda v: fk.FLoRA(protect=v)),
        ("lr", lambda v: models.build("frozen_backbone", lr=v)),
        ("head_lr", lambda v: models.build("fmlora", head_lr=v)),
        ("alpha", lambda v: models.build("sequential_lora", alpha=v)),
    ],
)
def test_what_measures_something_is_a_finite_number(name, make, value):
    with pytest.raises(ValueError, match=rf"^{name} must be .*, got "):
        make(value)


@pytest.mark.parametrize("value", [{}, [], 0, False, "off", ()])
@pytest.mark.parametrize("name", ["drs", "dmp", "flora", "head"])
def test_only_none_switches_a_part_off(name, value):
    given = {"flora": fk.FLoRA(max_rank=8), name: value}
    with pytest.raises(ValueError, match=rf"^{name} must be an instance of .*, or None, got "):
        fk.FMLoRA(models.vit(), 9, **given)


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("record must be a Record, got None", lambda: fk.from_record(None)),
        ("after must be a whole number", lambda: fk.from_record(confused(), "1")),
        ("device must be a text", lambda: pick_device(3)),
        ("jobs must be a list, got", lambda: run_many("glyphs")),
        ("jobs must be a list of jobs, got 3", lambda: run_many([3])),
        ("methods must be different", lambda: jobs(["l2p", "l2p"], ["digits"], [0], folder="a")),
        ("streams must be a list, got", lambda: jobs(None, "digits", [0], folder="a")),
        ("seeds must be different", lambda: jobs(None, ["digits"], [0, 0], folder="a")),
        ("seeds must be a list, got 3", lambda: jobs(None, ["digits"], 3, folder="a")),
        ("seeds must be a whole number", lambda: jobs(None, ["digits"], [1.5], folder="a")),
        ("seeds must be a whole number", lambda: jobs(None, ["digits"], ["a\0"], folder="a")),
        ("seeds must be at least 0, got -1", lambda: jobs(None, ["digits"], [0, -1], folder="a")),
        ("folder must be a path, got 3", lambda: jobs(None, ["digits"], [0], folder=3)),
        ("options must be options by name", lambda: Job("a", "fmlora", 0, "a", options=[1])),
    ],
)
def test_what_is_no_such_thing_is_named(message, call):
    with pytest.raises(ValueError, match=message):
        call()


def test_images_of_another_size_are_refused_at_the_start_with_what_to_say(tmp_path):
    model = models.build("frozen_backbone", models.vit(img_size=64), n_classes=6)
    with pytest.raises(ValueError, match="stream must .* got 32 x 32: read it with image_size=64"):
        fk.run(model, models.stream(2), BUDGET, folder=tmp_path / "run")
    assert not list(tmp_path.iterdir())
