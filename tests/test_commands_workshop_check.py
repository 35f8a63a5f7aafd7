"""`fmlora workshop check`: one line says ready, or names what is wrong and what to do."""

import builtins
import sys
from collections import namedtuple
from importlib import metadata

import pytest

from fmlora_kit.__main__ import main
from fmlora_kit.commands import workshop_check

DO = ("install again", "empty the bin", "copy the notebooks", "share a laptop", "install a newer")


@pytest.fixture
def check(capsys, tmp_path, monkeypatch):
    """Runs the check in an empty folder; returns its status, and what it said and complained of."""
    monkeypatch.setattr(workshop_check, "training", lambda seconds: "0.0 training steps a second")

    def run(*words):
        status = main(["workshop", "check", "--folder", str(tmp_path), "--seconds", "0", *words])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def not_ready(check):
    """Runs the check, which has to fail; returns its one line."""

    def run():
        status, said, line = check()
        assert status == 1 and said == "" and line.count("\n") == 1
        assert line.startswith("fmlora workshop check: not ready: ")
        assert any(what in line for what in DO)
        return line

    return run


def test_a_laptop_that_is_ready_gets_one_line(check):
    status, said, wrong = check()
    python, torch = ".".join(map(str, sys.version_info[:3])), metadata.version("torch")
    assert status == 0 and wrong == "" and said.count("\n") == 1
    assert said.startswith(f"ready: Python {python}, torch {torch}, ")
    for part in ("packages load", "GB free", "can be written", "widgets work", "steps a second"):
        assert part in said


@pytest.mark.parametrize(("no_color", "green"), [(None, True), ("1", False)])
def test_the_line_is_green_where_there_are_colours(no_color, green, check, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", no_color)
    assert check()[1].startswith("\x1b[32mready" if green else "ready")


def test_it_trains(capsys):
    said = workshop_check.training(0)
    assert float(said.removesuffix(" training steps a second")) > 0


def test_a_missing_package_is_named(not_ready, monkeypatch):
    version = metadata.version

    def without_timm(name):
        if name == "timm":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without_timm)
    assert "the package timm is missing: install again" in not_ready()


def test_an_old_package_is_named(not_ready, monkeypatch):
    version = metadata.version
    old = {"plotly": "5.24.1"}
    monkeypatch.setattr(metadata, "version", lambda name: old.get(name) or version(name))
    assert "the package plotly must be >=6.0, got 5.24.1" in not_ready()


def test_a_package_that_is_no_use_is_named(not_ready, monkeypatch):
    monkeypatch.setitem(sys.modules, "captum", None)  # as if its folder were gone
    assert "captum does not load (" in not_ready()


@pytest.mark.parametrize(("platform", "more"), [("win32", True), ("linux", False)])
def test_a_library_that_does_not_load_is_told_with_its_reason(
    platform, more, not_ready, monkeypatch
):
    def fails(name):
        if name == "torch":
            raise OSError("[WinError 126]\n  c10.dll")
        return plain(name)

    plain = workshop_check.import_module
    monkeypatch.setattr(workshop_check, "import_module", fails)
    monkeypatch.setattr(sys, "platform", platform)
    line = not_ready()
    assert "torch does not load ([WinError 126] c10.dll): install again" in line
    assert ("Visual C++" in line) is more


def test_an_old_python_is_told(not_ready, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))
    assert "Python must be >=3.11, got 3.10.4" in not_ready()


def test_the_kit_itself_may_be_missing(not_ready, monkeypatch):
    def none(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "metadata", none)
    assert "the package fmlora_kit is not installed" in not_ready()


def test_a_full_disk_is_told(not_ready, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(
        workshop_check.shutil, "disk_usage", lambda place: usage(10**12, 10**12, 4 * 10**8)
    )
    assert "must have 1 GB free, got 0.4 GB: empty the bin" in not_ready()


def test_a_folder_that_cannot_be_written_is_told(not_ready, monkeypatch, tmp_path):
    def refuse(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(workshop_check.tempfile, "TemporaryFile", refuse)
    line = not_ready()
    assert f"the folder {tmp_path} cannot be written (Permission denied): copy" in line


def test_widgets_that_jupyterlab_does_not_find_are_told(not_ready, monkeypatch, tmp_path):
    import jupyter_core.paths

    monkeypatch.setattr(jupyter_core.paths, "jupyter_path", lambda *names: [str(tmp_path)])
    assert "JupyterLab does not find its widgets" in not_ready()


@pytest.mark.parametrize("loss", [float("nan"), RuntimeError("no memory\nleft")])
def test_training_that_fails_is_told(loss, monkeypatch):
    import fmlora_kit as fk

    def steps(*given):
        yield fk.training.loop.Step("preparing", 0, 1)
        if isinstance(loss, Exception):
            raise loss
        yield fk.training.loop.Step("training", 0, 1, loss)

    monkeypatch.setattr(fk.training, "train_steps", steps)
    said = "no finite loss" if isinstance(loss, float) else r"training failed \(no memory left\)"
    with pytest.raises(workshop_check.NotReadyError, match=f"{said}.*share a laptop"):
        workshop_check.training(0)


def test_the_cause_is_told_not_what_follows_from_it(not_ready, monkeypatch):
    """Without numpy nothing else loads: nothing of the kit is imported before the packages."""
    plain = builtins.__import__
    asked = []

    def listed(name, *given, **named):
        asked.append(name)
        return plain(name, *given, **named)

    monkeypatch.setattr(metadata, "version", lambda name: "0.1")
    monkeypatch.setattr(builtins, "__import__", listed)
    assert "must be >=" in not_ready()
    assert not {name for name in asked if name.startswith(("torch", "fmlora_kit.s", "timm"))}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "the following arguments are required: WHAT"),
        (("chek",), "must be one of check, build, slides, wheelhouse, got 'chek'; did you mean"),
        (("check", "--seconds", "-1"), "--seconds must be a whole number at least 0"),
        (("check", "--folder", "nowhere"), "--folder must be a folder, got 'nowhere'"),
        (("build", "--notebooks", "nowhere"), "--notebooks must be a folder"),
        (("wheelhouse", "--platforms", "linux,beos"), "--platforms must be all or among linux"),
        (("wheelhouse", "--python", "3.9"), "--python must be one like 3.12, got '3.9'"),
    ],
)
def test_bad_arguments_give_one_line_and_status_2(words, said, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["workshop", *words])
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and line.startswith("fmlora workshop") and said in line
