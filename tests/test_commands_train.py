"""The program `train`: one run into a folder. In two processes: test_training_parallel.py."""

import re

import pytest

import fmlora_kit as fk
from fmlora_kit.__main__ import main
from fmlora_kit.commands import train
from fmlora_kit.training import Budget
from fmlora_kit.training.job import Job, run_job

SMALL = {"n_tasks": 2, "n_train": 2, "n_test": 1}
WORDS = ["--stream-options", '{"n_tasks": 2, "n_train": 2, "n_test": 1}', "--device", "cpu"]


def test_a_run_into_a_folder_and_again(tmp_path, capsys):
    words = [*WORDS, "--method", "sequential_lora", "--method-options", '{"rank": 2}']
    words += ["--seed", "3", "--epochs", "1", "--batch-size", "16"]
    assert train.main([*words, "--out", str(tmp_path / "a")]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line[:40] for line in told[:2]] == [
        "sequential_lora, seed 3: task 1/2 Latin ",
        "sequential_lora, seed 3: task 2/2 Greek ",
    ]
    assert told[2] == f"The record lies in {tmp_path / 'a'}"
    same = Job(
        *("x", "sequential_lora", 3, tmp_path / "b", "glyphs"),
        stream_options=SMALL,
        options={"rank": 2},
        budget=Budget(epochs=1, batch_size=16),
    )
    here = fk.Record.load(run_job(same, device="cpu"))
    assert fk.Record.load(tmp_path / "a").same_as(here)
    assert train.main([*words, "--out", str(tmp_path / "a")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1  # finished before: nothing is done again


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--method", "fmlra"],
            "--method must be one of fmlora.*got 'fmlra'; did you mean 'fmlora'",
        ),
        (["--stream", "magic"], "--stream must be one of .*glyphs.*pacs-4.*got 'magic'"),
        (["--epochs", "0"], "--epochs must be a whole number at least 1, got 0"),
        (["--stream-options", "[1]"], "--stream-options must be a JSON object .*"),
        (["--stream-options", '{"n_taks": 1}'], "got 'n_taks'; did you mean 'n_tasks'"),
        (["--stream-options", '{"n_tasks": 0}'], "--stream: n_tasks must be .*, got 0"),
        (["--method-options", '{"lrr": 1}'], "--method-options must have names .*, got 'lrr'"),
        (["--method", "sequential_lora", "--method-options", '{"rank": -1}'], "rank must be .*-1"),
        (["--stream", "pacs"], "--data must be the folder of the images of pacs, got none"),
        (["--stream", "pacs", "--data", "nowhere"], "--data must be a folder, got 'nowhere'"),
        (["--data", "."], "--data must be left out with --stream glyphs"),
        (["--backbone", "glif_vit"], "--backbone must be .*; did you mean 'glyph_vit'"),
        (["--device", "cuda:77"], "--device: device must be .*got 'cuda:77'"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_loaded(words, message, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        train.main([*words, "--out", str(tmp_path / "out")])
    said = capsys.readouterr().err
    assert re.search(message, said) and said.startswith("fmlora train: error: ")
    assert said.count("\n") == 1 and not (tmp_path / "out").exists()


def test_what_goes_wrong_is_said(tmp_path, capsys):
    (tmp_path / "none").mkdir()
    words = ["--stream", "pacs-4", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit, match="2"):
        train.main(words)
    assert str(tmp_path / "none") in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_accelerate_launch_on_the_cpu_would_be_one_process(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    monkeypatch.setenv("MASTER_PORT", "29500")
    assert main(["train", *WORDS, "--out", str(tmp_path / "out")]) == 1
    assert "torchrun --nproc_per_node N" in capsys.readouterr().err
