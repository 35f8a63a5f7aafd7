"""One run by two processes (CPU, gloo) is that of one, and a process that fails ends the other."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import two_processes

import fmlora_kit as fk
from fmlora_kit.training import parallel

SCRIPT = Path(two_processes.__file__)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The folder of what two processes made; they are forked, so from a process of their own."""
    folder = tmp_path_factory.mktemp("together")
    words = [sys.executable, str(SCRIPT), str(folder)]
    path = os.pathsep.join(map(str, (SCRIPT.parents[1], SCRIPT.parents[2])))
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    run = subprocess.run(words, capture_output=True, text=True, timeout=900, env=env)
    assert run.returncode == 0, run.stderr
    return folder


def said(folder, name):
    return json.loads((folder / f"{name}.json").read_text())


@pytest.mark.parametrize("name", two_processes.CASES)
def test_the_record_is_that_of_one_process(done, name):
    together, alone = fk.Record.load(done / name), two_processes.learn(name)
    assert together.config["training"]["processes"] == 2
    assert "processes" not in alone.config["training"]
    for a, b in zip(alone.tasks, together.tasks, strict=True):
        np.testing.assert_array_equal(a.predictions, b.predictions)
        np.testing.assert_array_equal(a.accuracy, b.accuracy)
        np.testing.assert_array_equal(a.ranks, b.ranks)
        np.testing.assert_allclose(a.losses, b.losses, rtol=1e-5)
        assert a.state.keys() == b.state.keys()
        for key, value in a.state.items():
            scale = max(np.abs(value).max(initial=0), 1e-6)
            np.testing.assert_allclose(b.state[key], value, rtol=0, atol=1e-3 * scale)


def test_class_means_are_the_same_bit_for_bit(done):
    alone = two_processes.learn("nearest_class_mean").tasks[-1].state
    together = fk.Record.load(done / "nearest_class_mean").tasks[-1].state
    assert all(np.array_equal(alone[key], together[key]) for key in alone)


def test_a_run_goes_on_where_it_was_stopped(done):
    assert fk.Record.load(done / "resumed").same_as(fk.Record.load(done / "fmlora"))


def test_only_the_main_process_tells_and_writes(done):
    assert said(done, "said_0")["lines"] == 8 and said(done, "said_1")["lines"] == 0


def test_processes_that_run_different_things_are_refused(done):
    wanted = "seed must be the same in every process, got 0 in process 0 and 1 in process 1"
    assert said(done, "said_0")["seeds"] == said(done, "said_1")["seeds"] == wanted


def test_the_program_runs_in_two_processes(done):
    assert said(done, "said_0")["program"] == said(done, "said_1")["program"] == 0
    record = fk.Record.load(done / "program")
    assert (record.method, len(record.tasks)) == ("fmlora", 2)
    assert record.config["training"]["processes"] == 2


def test_a_process_that_fails_ends_the_other_and_says_why(done):
    assert said(done, "failed") == "process 1 failed: MemoryError: no room for a batch"


@pytest.mark.parametrize(("n", "counts"), [(5, (2, 2, 1)), (2, (1, 1, 0)), (1, (1, 0, 0))])
def test_a_batch_is_shared_out_and_weights_make_its_mean(n, counts):
    values = torch.arange(1.0, n + 1) ** 2
    model, total, seen = SimpleNamespace(loss_by_image=True), 0.0, []
    for rank, count in enumerate(counts):
        fake = SimpleNamespace(process_index=rank, num_processes=3)
        weight, (mine, same) = parallel.Group(fake).share(model, values, values)
        assert weight == count / n and len(mine) == max(count, 1) and mine.equal(same)
        total += weight * mine.mean().item()
        seen += mine.tolist() if count else []
    assert total == pytest.approx(values.mean().item(), rel=1e-6)
    assert sorted(seen) == values.tolist()


def test_a_loss_that_compares_images_is_computed_whole_everywhere():
    group = parallel.Group(SimpleNamespace(process_index=1, num_processes=4))
    values = torch.arange(6.0)
    weight, (mine,) = group.share(SimpleNamespace(loss_by_image=False), values)
    assert weight == 0.25 and mine.equal(values)
    assert not fk.HiDePrompt.loss_by_image and fk.FMLoRA.loss_by_image


def test_one_process_is_a_group_to_nobody():
    assert parallel.group_of(None) is None
    assert parallel.group_of(SimpleNamespace(num_processes=1, process_index=0)) is None


def test_launching_needs_a_process_and_accelerate(monkeypatch):
    with pytest.raises(ValueError, match="n_processes must be at least 1, got 0"):
        parallel.launch(print, n_processes=0)
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ImportError, match=r"pip install 'fmlora_kit\[scale\]'"):
        parallel.launch(print, n_processes=2)
