"""`fmlora workshop wheelhouse`: which packages for whom, and the program that installs them."""

import json
import re
import sys
from collections import namedtuple
from pathlib import Path

import nbformat
import pytest

from fmlora_kit.__main__ import main
from fmlora_kit.commands import workshop, workshop_install
from fmlora_kit.commands import workshop_wheelhouse as house

ROOT = Path(__file__).parents[1]
ONLY = {"windows": {"colorama", "pywinpty"}, "macos": {"appnope"}, "linux": set()}


@pytest.fixture
def pip(monkeypatch):
    """The calls of pip, which is not run; of "wheel" and "download" it leaves an empty wheel."""
    calls = []

    def call(words):
        assert words[:3] == [sys.executable, "-m", "pip"] and "--quiet" in words
        calls.append(words[3:])
        into = words[words.index("--wheel-dir" if words[3] == "wheel" else "--dest") + 1]
        Path(into).mkdir(parents=True, exist_ok=True)
        (Path(into) / f"wheel-{len(calls)}.whl").write_bytes(b"0" * 10**6)
        return 0

    monkeypatch.setattr(house.subprocess, "call", call)
    return calls


# --- which packages ------------------------------------------------------------------------------
@pytest.mark.parametrize("platform", house.MARKERS)
def test_the_list_is_pinned_and_only_what_the_platform_needs(platform):
    listed = house.packages(platform, "3.12", house.pins())
    names = {re.match("[a-z0-9-]+", line)[0]: line for line in listed}
    assert {"torch", "timm", "numpy", "jupyterlab", "ipywidgets", "captum", "ipykernel"} <= {*names}
    assert not {"pytest", "ruff", "peft", "fmlora-kit", "triton"} & {*names}
    assert not [name for name in names if name.startswith(("nvidia", "cuda"))]
    assert all(names[name] == f"{name}{pin}" for name, pin in house.pins().items() if name in names)
    others = set().union(*ONLY.values()) - ONLY[platform]
    assert ONLY[platform] <= {*names} and not others & {*names}


def test_with_cuda_each_library_has_the_version_that_torch_was_made_with():
    listed = house.packages("linux", "3.12", house.pins(), cpu=False)
    cuda = [line for line in listed if re.match("nvidia-|cuda-|triton", line)]
    assert all("==" in line for line in cuda)
    assert set(listed) - set(cuda) == set(house.packages("linux", "3.12", house.pins()))


def test_markers_are_read_for_the_laptops_python():
    old, new = (house.packages("linux", python, house.pins()) for python in ("3.11", "3.13"))
    assert {line.partition("==")[0] for line in set(old) - set(new)} >= {"overrides"}


def test_all_that_is_needed_has_a_pin_but_what_other_platforms_need():
    for platform, only in ONLY.items():
        listed = house.packages(platform, "3.12", house.pins())
        loose = {re.match("[a-z0-9-]+", line)[0] for line in listed if "==" not in line}
        assert loose <= only, platform


def test_every_command_line_argument_names_platforms_that_there_are():
    assert tuple(house.MARKERS) == workshop.PLATFORMS == tuple(house.TAGS) == tuple(house.MACHINES)


# --- filling -------------------------------------------------------------------------------------
def test_a_folder_for_two_platforms(pip, tmp_path, capsys):
    out = tmp_path / "stick"
    index = "https://example.org/without-cuda"
    words = ["--out", str(out), "--platforms", "linux,windows", "--python", "3.12"]
    words += ["--torch-index", index]
    if not (ROOT / "notebooks" / "workshop" / "SETUP.md").exists():
        pytest.skip("the workshop has no notebooks")
    assert main(["workshop", "wheelhouse", *words]) == 0
    said = capsys.readouterr().out
    assert f"{out}: 5 wheels for Python 3.12 on linux, windows, 0.01 GB" in said
    assert [call[0] for call in pip] == ["wheel", *4 * ["download"]]
    assert pip[0][1:4] == ["--no-deps", "--wheel-dir", str(out / "wheels")] and str(ROOT) in pip[0]
    for call, tag in zip(pip[1:], 2 * ["manylinux_2_28_x86_64"] + 2 * ["win_amd64"], strict=True):
        assert call[call.index("--platform") + 1] == tag and "--only-binary=:all:" in call
        assert call[call.index("--python-version") + 1] == "3.12" and "--no-deps" in call
    in_call = [{w.partition("==")[0] for w in call if "==" in w} for call in pip[1:]]
    assert in_call[1] == in_call[3] == {"torch", "torchvision"}
    assert "numpy" in in_call[0] and not in_call[1] & in_call[0]
    assert pip[2][pip[2].index("--index-url") + 1] == index
    assert [("--index-url" in call) for call in pip[1:]] == [False, True, False, False]
    assert json.loads((out / "made_for.json").read_text()) == {
        "python": "3.12",
        "platforms": ["linux", "windows"],
    }
    assert (out / "install.py").read_bytes() == Path(workshop_install.__file__).read_bytes()
    assert (out / "SETUP.md").is_file()
    made = sorted(path.name for path in (out / "notebooks" / "workshop").iterdir())
    assert made == [path.name for path in workshop.sources()]
    assert len(list((out / "notebooks").glob("[0-9]*.ipynb"))) > 10
    for path in (out / "notebooks").rglob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        assert not any(cell.get("outputs") for cell in notebook.cells)


def test_what_is_wrong_is_one_line(pip, tmp_path, monkeypatch, capsys):
    words = ["workshop", "wheelhouse", "--out", str(tmp_path)]
    monkeypatch.setattr(workshop, "sources", lambda place=None: [])
    (tmp_path / "a").touch()
    assert main(words) == 1
    assert "--out must be a new or an empty folder, got" in capsys.readouterr().err
    (tmp_path / "a").unlink()
    monkeypatch.setattr(house.subprocess, "call", lambda words: 23)
    assert main(words) == 1
    assert "pip wheel ended with status 23; its reason" in capsys.readouterr().err
    monkeypatch.setattr(house, "ROOT", tmp_path)
    assert main(words) == 1
    assert house.NO_SOURCE in capsys.readouterr().err


# --- installing ----------------------------------------------------------------------------------
@pytest.fixture
def stick(tmp_path, monkeypatch):
    """A folder to install from, without wheels; what would be run is listed instead."""
    folder, ran = tmp_path / "stick", []
    (folder / "notebooks" / "workshop").mkdir(parents=True)
    (folder / "notebooks" / "workshop" / "w1.ipynb").write_text("first")
    (folder / "notebooks" / "01_a.ipynb").write_text("read me")
    made_for = {"python": "{}.{}".format(*sys.version_info), "platforms": list(house.MARKERS)}
    (folder / "made_for.json").write_text(json.dumps(made_for))
    monkeypatch.setattr(workshop_install, "HERE", folder)
    monkeypatch.setattr(workshop_install.venv, "create", lambda *a, **k: ran.append(("venv", a, k)))
    listed = lambda words: ran.append(words) or 0  # noqa: E731
    monkeypatch.setattr(workshop_install.subprocess, "check_call", listed)
    monkeypatch.setattr(workshop_install.subprocess, "call", listed)
    monkeypatch.setattr(workshop_install, "LEAST", 0)
    return folder, ran


@pytest.mark.parametrize(("platform", "place"), [("linux", "bin"), ("win32", "Scripts")])
def test_it_installs_without_a_network_and_tries_it(
    platform, place, stick, tmp_path, monkeypatch, capsys
):
    folder, ran = stick
    monkeypatch.setattr(sys, "platform", platform)
    target = tmp_path / "mine"
    assert workshop_install.main([str(target)]) == 0
    made, installed, tried = ran
    assert made == ("venv", (target / ".venv",), {"with_pip": True})
    assert {"--no-index", "--isolated", "fmlora_kit[notebooks]"} <= {*installed}
    assert installed[installed.index("--find-links") + 1] == str(folder / "wheels")
    program = str(target / ".venv" / place / "fmlora")
    assert tried == [program, "workshop", "check", "--folder", str(target)]
    assert f"cd {target}\n  {program} lab w1" in capsys.readouterr().out
    assert (target / "notebooks" / "01_a.ipynb").read_text() == "read me"


def test_work_is_kept_when_it_is_run_again(stick, tmp_path):
    target = tmp_path / "mine"
    work = target / "notebooks" / "workshop" / "w1.ipynb"
    for _ in range(2):
        assert workshop_install.main([str(target)]) == 0
        work.write_text("my work")
    assert work.read_text() == "my work"


def test_it_says_what_it_needs(stick, tmp_path, monkeypatch, capsys):
    folder, ran = stick
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        (folder / "wheels").mkdir()
        (folder / "wheels" / "torch.whl").write_bytes(b"0" * 10**6)
        patch.setattr(workshop_install, "UNPACKED", 4000)  # as if it were 4 GB
        patch.setattr(workshop_install.shutil, "disk_usage", lambda place: usage(9, 9, 10**9))
        assert workshop_install.main([str(tmp_path / "mine")]) == 1
    assert "must have 4.0 GB free, got 1.0 GB" in capsys.readouterr().err
    made_for = {"python": "3.99", "platforms": ["windows"]}
    (folder / "made_for.json").write_text(json.dumps(made_for))
    assert workshop_install.main([]) == 1
    version = "{}.{}".format(*sys.version_info)
    line = f"install.py: must be run by Python 3.99, got {version}: install Python 3.99 first\n"
    assert capsys.readouterr().err == line
    (folder / "made_for.json").write_text(json.dumps(made_for | {"python": version}))
    monkeypatch.setattr(sys, "platform", "linux")
    assert workshop_install.main([]) == 1
    assert "was made for windows, got linux" in capsys.readouterr().err and not ran


def test_what_pip_cannot_install_is_one_line(stick, tmp_path, monkeypatch, capsys):
    def fails(words):
        raise workshop_install.subprocess.CalledProcessError(1, "pip")

    monkeypatch.setattr(workshop_install.subprocess, "check_call", fails)
    assert workshop_install.main([str(tmp_path / "mine")]) == 1
    line = capsys.readouterr().err
    assert line.startswith("install.py: it could not be installed into") and line.count("\n") == 1


def test_the_program_needs_the_standard_library_alone():
    text = Path(workshop_install.__file__).read_text()
    found = re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE)
    assert found and set(found) <= set(sys.stdlib_module_names)
