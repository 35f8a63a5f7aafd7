"""A method of one's own: what is refused, and where the kit knows it afterwards."""

import json
import sys
from abc import ABC, abstractmethod

import numpy as np
import pytest
from helpers import models

import fmlora_kit as fk
from fmlora_kit.__main__ import main
from fmlora_kit.analysis.names import display_name
from fmlora_kit.methods import METHODS, Method
from fmlora_kit.methods.base import numpy, tensor
from fmlora_kit.record.names import NAMES
from fmlora_kit.training.job import Job
from fmlora_kit.training.pool import run_many

FILE = """
import fmlora_kit as fk

@fk.register
class MyMeans(fk.NearestClassMean):
    name = "my_means"
"""
SMALL = ["--tasks", "2", "--train-images", "2", "--test-images", "2", "--workers", "1"]


@pytest.fixture(autouse=True)
def forget():
    """Afterwards the kit knows its own methods only."""
    before = [(known, dict(known)) for known in (METHODS, NAMES)]
    yield
    for known, was in before:
        known.clear()
        known.update(was)


class Offset(Method):
    """A number is added to the features, and learnt on one task after another."""

    name = "offset"

    def __init__(self, backbone, n_classes, *, start: float = 0.0, **options):
        super().__init__(backbone, n_classes, **options)
        self.set_options(start=start)
        self.vit.norm.bias.requires_grad_(True).data.add_(start)

    def parts(self):
        return [self.vit.norm.bias]

    def snapshot(self):
        return super().snapshot() | {"offset": numpy(self.vit.norm.bias)}

    def restore(self, task_classes, state):
        super().restore(task_classes, state)
        self.vit.norm.bias.data.copy_(tensor(state["offset"]))


class Grown(Offset):
    name = "fmlora"


def test_it_is_rebuilt_from_its_record_with_its_options_and_figures_call_it_by_its_title():
    assert fk.register(Offset, title="LayerNorm's offset") is Offset
    stream = models.stream()
    model = Offset(models.vit(), stream.n_classes, start=0.5, seed=3)
    record = models.record_of(model, stream, models.learn(model, stream))
    back = fk.from_record(record, backbone=models.vit())
    assert type(back) is Offset and back.start == 0.5
    images = models.noise(4)
    np.testing.assert_array_equal(back.logits(images), model.logits(images))
    named = [str(line.name) for line in fk.figures.accuracy_curves([record]).data]
    assert "LayerNorm's offset" in named or "LayerNorm&#x27;s offset" in named
    assert display_name("offset") == "LayerNorm's offset"


def test_the_same_class_again_takes_its_own_place_and_another_one_does_not():
    made = []
    for _ in range(2):  # a cell that is run twice
        exec(FILE, {"__name__": "__main__"})
        made.append(METHODS["my_means"])
    assert made[0] is not made[1]
    other = type("Other", (Method,), {"name": "my_means", "__module__": "elsewhere"})
    with pytest.raises(ValueError, match=r"Other\.name must be a new one, as __main__\.MyMeans"):
        fk.register(other)
    with pytest.raises(ValueError, match=r"Grown\.name must be .* fmlora_kit\.\S+FMLoRA has it"):
        fk.register(Grown)


def test_without_a_title_it_is_called_by_its_name():
    fk.register(type("M", (Method,), {"name": "layernorm_tuning"}))
    assert display_name("layernorm_tuning") == "layernorm tuning"


class Abstract(Method, ABC):
    name = "abstract"

    @abstractmethod
    def score(self):
        """Left to others."""


def needs_more(self, backbone, n_classes, rank, **options):
    """An option without a default."""


def takes_none(self, backbone, n_classes):
    """Not even a seed."""


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (Offset.parts, "method must be a class that extends fmlora_kit.methods.Method, got"),
        (dict, "method must be a class that extends .* got <class 'dict'>"),
        (type("M", (Offset,), {}), "M.name must be set in the class to letters, .* got None"),
        (type("M", (Offset,), {"name": "a,b"}), "M.name must be set .* underscores, got 'a,b'"),
        (Abstract, "Abstract must define what is abstract, got none of score"),
        (
            type("M", (Method,), {"name": "m", "__init__": needs_more}),
            r"M\(\) must take \(backbone, n_classes, \*\*options\), .* got missing .* 'rank'",
        ),
        (
            type("M", (Method,), {"name": "m", "__init__": takes_none}),
            r"M\(\) must take \(backbone, n_classes, \*\*options\), .* got .* 'seed'",
        ),
        (
            type("M", (Method,), {"name": "m", "parts": Offset.parts}),
            "M must define snapshot and restore, or kept, got none of them: what parts",
        ),
        (
            type("M", (Method,), {"name": "m", "snapshot": Offset.snapshot}),
            "M must define snapshot and restore, got snapshot alone",
        ),
    ],
)
def test_what_cannot_be_registered_is_told_why(method, message):
    before = dict(METHODS)
    with pytest.raises(ValueError, match=message):
        fk.register(method)
    assert before == METHODS


def test_a_title_is_a_text():
    with pytest.raises(ValueError, match="title must be a text that is not empty, got 3"):
        fk.register(Offset, title=3)
    assert "offset" not in METHODS


def test_runs_of_a_class_that_no_other_process_finds_are_done_in_this_one(tmp_path, monkeypatch):
    fk.register(type("Here", (fk.NearestClassMean,), {"name": "here"}))
    monkeypatch.setattr("fmlora_kit.training.pool.context", None)  # no process can begin
    options = {"n_tasks": 2, "n_train": 2, "n_test": 1}
    budget, lines = fk.Budget(epochs=1), []
    jobs = [
        Job("a", "here", seed, tmp_path / str(seed), stream_options=options, budget=budget)
        for seed in (0, 1)
    ]
    records = run_many(jobs, say=lines.append)
    assert [record.method for record in records["a"]] == ["here", "here"] and len(lines) == 4


def test_a_file_registers_it_for_a_command_and_for_its_processes(tmp_path, monkeypatch, capsys):
    (tmp_path / "my_method.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    words = ["--with", "my_method.py", "demo", "--methods", "my_means", *SMALL, "--out", "out"]
    assert main(words) == 0
    del sys.modules["my_method"]
    assert "my means" in capsys.readouterr().out
    table = json.loads((tmp_path / "out" / "summary.json").read_text())["streams"]["glyphs"]
    (row,) = table["rows"]
    assert row["method"] == "my_means"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--with", "x.py"], "fmlora: error: --with must be followed by FILE COMMAND\n"),
        (["--with", "x.py", "demo"], "fmlora --with: error: FILE must be a Python file"),
        (["--with", "json.py", "demo"], "fmlora --with: error: FILE must not be named like"),
    ],
)
def test_a_file_that_cannot_be_imported(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "json.py").touch()
    assert main(words) in (1, 2)
    assert capsys.readouterr().err.startswith(message)
