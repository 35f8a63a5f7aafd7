"""`fmlora test` does what `make test` does, and says where it cannot."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from fmlora_kit.__main__ import main
from fmlora_kit.commands import check

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make")
def test_its_steps_are_those_of_make():
    told = subprocess.run(
        ["make", "-n", "test", "PY=python"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lines = map(shlex.split, told.stdout.replace("\\\n", " ").splitlines())
    made = [line for line in lines if {"ruff", "pytest"} & set(line)]
    assert [line[line.index("python") + 1 :] for line in made] == check.steps(2, 600)
    assert all(line[0] == "OMP_NUM_THREADS=1" for line in made[1:]) and len(made) == 3
    renderer = check.ENVIRONMENT["PLOTLY_RENDERER"]
    assert f"export PLOTLY_RENDERER := {renderer}\n" in (ROOT / "Makefile").read_text()


def test_the_first_that_fails_ends_it(monkeypatch, capsys):
    called = []

    def call(words, cwd, env):
        called.append(words[1:])
        assert cwd == ROOT and env.items() >= check.ENVIRONMENT.items() and "PATH" in env
        return 3 if len(called) == 2 else 0

    monkeypatch.setattr(check.subprocess, "call", call)
    assert main(["test", "--jobs", "4"]) == 3
    assert called == check.steps(4, 600)[:2]
    assert capsys.readouterr().out.splitlines() == [shlex.join(["python", *w]) for w in called]


def test_without_a_checkout_one_sentence_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(check, "__file__", str(tmp_path / "a" / "b" / "check.py"))
    assert main(["test"]) == 1
    assert capsys.readouterr().err == f"fmlora test: error: {check.NO_TESTS}\n"
