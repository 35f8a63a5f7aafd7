"""`fmlora lab`: which copy is opened, with which settings, what becomes of it, and what is said."""

import ast
import json
import os
import sys
import tomllib
from hashlib import sha256
from pathlib import Path

import nbformat
import pytest
from helpers.workshop import workshop_notebook, write_notebook

from fmlora_kit import commands
from fmlora_kit.__main__ import main
from fmlora_kit.commands import lab, lab_copy
from fmlora_kit.commands.workshop_build import BEGIN, STUB

ROOT = Path(__file__).parents[1]
NUMBERED = ("01_quickstart.ipynb", "07_a.ipynb", "10_b.ipynb")
TAUGHT = ("workshop/w1.ipynb", "workshop/w2.ipynb")


@pytest.fixture
def opened(monkeypatch):
    """What JupyterLab is called with, instead of JupyterLab."""
    calls = []
    labapp = type(sys)("jupyterlab.labapp")
    labapp.main = calls.append
    monkeypatch.setitem(sys.modules, "jupyterlab", type(sys)("jupyterlab"))
    monkeypatch.setitem(sys.modules, "jupyterlab.labapp", labapp)
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "elsewhere")
    monkeypatch.setenv("PLOTLY_RENDERER", "")
    monkeypatch.delenv("PLOTLY_RENDERER")
    return calls


@pytest.fixture
def kit(monkeypatch, tmp_path):
    """A checkout with five notebooks, which stands for the one that the program lies in."""
    kit = tmp_path / "a kit"
    for name in NUMBERED:
        write(kit / "notebooks" / name, f"original of {name}")
    for name in TAUGHT:
        write_notebook(kit / "notebooks" / name)
    (kit / "pyproject.toml").touch()
    monkeypatch.setattr(lab, "__file__", str(kit / "fmlora_kit" / "commands" / "lab.py"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return kit


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_copy_of_the_notebooks_is_opened_from_anywhere(opened, kit, capsys):
    assert main(["lab"]) == 0
    mine = kit / "fmlora_notebooks"
    root = f"--ServerApp.root_dir={kit}"
    assert [call[:2] for call in opened] == [[root, str(mine / "01_quickstart.ipynb")]]
    assert str(mine) in capsys.readouterr().out
    assert main(["lab", "10", "--", "--no-browser", "--port=1"]) == 0
    assert opened[1][1] == str(mine / "10_b.ipynb")
    assert opened[1][-2:] == ["--no-browser", "--port=1"]
    assert os.environ["PLOTLY_RENDERER"] == "plotly_mimetype"
    assert capsys.readouterr().out == ""
    for name in NUMBERED:
        assert (mine / name).read_text() == f"original of {name}"
    assert "fmlora_notebooks/" in (ROOT / ".gitignore").read_text().splitlines()


def test_what_was_worked_in_stays_and_the_rest_follows_the_originals(opened, kit, capsys):
    assert main(["lab"]) == 0
    mine, theirs = kit / "fmlora_notebooks", kit / "notebooks"
    for name in ("07_a.ipynb", "10_b.ipynb", "workshop/w1.ipynb", "my own.ipynb", "records/x"):
        write(mine / name, "mine")
    (mine / "workshop" / "w2.ipynb").unlink()
    capsys.readouterr()
    assert main(["lab"]) == 0  # nothing has changed on the other side: nothing to say
    assert capsys.readouterr().out == ""
    for name in ("01_quickstart.ipynb", "07_a.ipynb", "11_new.ipynb"):
        write(theirs / name, "of a new version")
    changed = workshop_notebook()
    changed.cells[-1].source = "1 + 2"
    write_notebook(theirs / "workshop" / "w1.ipynb", changed)
    assert main(["lab", "11"]) == 0
    told = capsys.readouterr().out
    assert told.count("\n") == 1 and ": 07_a, w1 (fmlora lab --fresh 07 " in told
    assert (mine / "01_quickstart.ipynb").read_text() == "of a new version"
    assert (mine / "11_new.ipynb").read_text() == "of a new version"
    assert STUB in (mine / "workshop" / "w2.ipynb").read_text()
    for name in ("07_a.ipynb", "10_b.ipynb", "workshop/w1.ipynb", "my own.ipynb", "records/x"):
        assert (mine / name).read_text() == "mine"
    assert main(["lab", "my"]) == 0
    assert opened[-1][1] == str(mine / "my own.ipynb")


def test_the_original_again_and_yours_under_another_name(opened, kit, capsys):
    mine = kit / "fmlora_notebooks"
    assert main(["lab", "--fresh", "07"]) == 0
    assert sorted(path.name for path in mine.glob("07*")) == ["07_a.ipynb"]  # never worked in
    for text in ("first", "second"):
        write(mine / "07_a.ipynb", text)
        write(kit / "notebooks" / "07_a.ipynb", f"before the {text}")
        capsys.readouterr()
        assert main(["lab", "--fresh", "07"]) == 0
        assert opened[-1][1] == str(mine / "07_a.ipynb")
        assert (mine / "07_a.ipynb").read_text() == f"before the {text}"
        assert capsys.readouterr().out.count("\n") == 1  # where yours is, and no word of the change
    assert (mine / "07_a-mine-1.ipynb").read_text() == "first"
    assert (mine / "07_a-mine-2.ipynb").read_text() == "second"
    write(kit / "notebooks" / "07_a.ipynb", "followed")
    assert main(["lab", "07"]) == 0
    assert (mine / "07_a.ipynb").read_text() == "followed"
    with pytest.raises(SystemExit, match="2"):
        main(["lab", "--fresh", "07_a-mine"])
    assert "--fresh must be asked of a notebook whose original" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["", "[1]", "{", None])
def test_a_lost_manifest_makes_all_of_it_yours(opened, kit, damage, capsys):
    assert main(["lab"]) == 0
    mine = kit / "fmlora_notebooks"
    manifest = mine / lab_copy.MANIFEST
    manifest.unlink()
    if damage is not None:
        manifest.write_text(damage)
    write(mine / "07_a.ipynb", "mine")
    capsys.readouterr()
    assert main(["lab"]) == 0
    assert ": 07_a (fmlora lab --fresh 07 " in capsys.readouterr().out
    assert (mine / "07_a.ipynb").read_text() == "mine"
    assert json.loads(manifest.read_text()).keys() == {*NUMBERED, *TAUGHT} - {"07_a.ipynb"}


def test_an_installed_package_holds_the_notebooks(opened, kit, tmp_path, monkeypatch):
    package = kit / "fmlora_kit"
    package.mkdir()
    (kit / "notebooks").rename(package / "_notebooks")
    (kit / "pyproject.toml").unlink()
    assert main(["lab"]) == 0
    here = tmp_path / "elsewhere"
    mine = here / "fmlora_notebooks"
    first = [f"--ServerApp.root_dir={here}", str(mine / "01_quickstart.ipynb")]
    assert [call[:2] for call in opened] == [first]
    monkeypatch.chdir(mine / "workshop")
    assert main(["lab", "w2"]) == 0
    assert opened[1][1] == str(mine / "workshop" / "w2.ipynb")
    assert not (mine / "workshop" / "fmlora_notebooks").exists()


def test_the_wheel_is_told_to_hold_them():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = settings["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["sources"] == {f: f"fmlora_kit/_{f}" for f in ("data", "notebooks")}
    assert set(wheel["only-include"]) == {"fmlora_kit", *wheel["sources"]}
    inside = {path.name for path in (ROOT / "notebooks").iterdir() if path.suffix != ".ipynb"}
    left_out = {place.rpartition("/")[2] for place in wheel["exclude"]}
    assert inside - left_out <= {"workshop", ".ipynb_checkpoints"}  # which git ignores, and hatch


def test_notebooks_that_are_somebodys_already_are_opened_where_they_are(opened, kit, monkeypatch):
    (kit / "pyproject.toml").unlink()
    monkeypatch.chdir(kit / "notebooks")
    assert main(["lab", "w1"]) == 0
    assert opened[0][1] == str(kit / "notebooks" / "workshop" / "w1.ipynb")
    for words in (["--fresh", "01"], ["--solved", "w1"]):  # of what is not at hand
        with pytest.raises(SystemExit, match="2"):
            main(["lab", *words])
    assert not (kit / "fmlora_notebooks").exists()


def test_nobody_is_shown_a_solution_unasked(opened, kit):
    assert main(["lab", "w1"]) == 0
    mine = kit / "fmlora_notebooks"
    taught, solved = mine / "workshop" / "w1.ipynb", mine / "solved" / "w1.ipynb"
    assert opened[-1][1] == str(taught) and not solved.exists()
    for path in sorted(mine.glob("workshop/*.ipynb")):
        sources = [cell.source for cell in nbformat.read(path, as_version=4).cells]
        assert any(STUB in each for each in sources)
        assert not any(BEGIN in each or "secret" in each for each in sources)
    write(taught, "mine")
    assert main(["lab", "--solved", "w1"]) == 0
    assert opened[-1][1] == str(solved)
    assert solved.read_text() == (kit / "notebooks" / "workshop" / "w1.ipynb").read_text()
    write(solved, "mine too")
    assert main(["lab", "--solved", "--fresh", "w1"]) == 0
    assert solved.with_stem("w1-mine-1").read_text() == "mine too" and BEGIN in solved.read_text()
    assert main(["lab", "w1"]) == 0 and taught.read_text() == "mine"


def test_a_solved_copy_of_an_older_kit_becomes_the_students_unless_it_was_worked_in(opened, kit):
    mine = kit / "fmlora_notebooks"
    assert main(["lab"]) == 0
    made_of = json.loads((mine / lab_copy.MANIFEST).read_text())
    for name in TAUGHT:  # what was copied before there were students' versions
        text = (kit / "notebooks" / name).read_bytes()
        (mine / name).write_bytes(text)
        made_of[name] = sha256(text).hexdigest()
    (mine / lab_copy.MANIFEST).write_text(json.dumps(made_of))
    write(mine / "workshop" / "w2.ipynb", "mine")
    assert main(["lab", "w1"]) == 0
    assert BEGIN not in (mine / "workshop" / "w1.ipynb").read_text()
    assert (mine / "workshop" / "w2.ipynb").read_text() == "mine"


def test_without_what_jupyterlab_brings_one_line_says_so(opened, kit, monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "fmlora_kit.commands.workshop_build")
    monkeypatch.delattr(commands, "workshop_build")
    monkeypatch.setitem(sys.modules, "nbconvert", None)
    monkeypatch.setitem(sys.modules, "nbconvert.preprocessors", None)
    assert main(["lab"]) == 1
    assert capsys.readouterr().err == f"fmlora lab: error: {lab.NO_LAB}\n"


def test_jupyterlab_fetches_no_news(opened, kit):
    assert main(["lab", "01"]) == 0
    first, second = os.environ["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    assert second == "elsewhere"
    path = Path(first) / "labconfig" / "default_setting_overrides.json"
    settings = json.loads(path.read_text())["@jupyterlab/apputils-extension:notification"]
    assert settings == {"fetchNews": "false", "checkForUpdates": False}
    jupyterlab_server = pytest.importorskip("jupyterlab_server.config")
    found = jupyterlab_server.ConfigManager(config_dir_name="labconfig")
    assert found.get("default_setting_overrides").keys() >= json.loads(path.read_text()).keys()


def test_jupyterlab_is_given_a_style_sheet_for_figures(opened, kit):
    assert main(["lab", "01"]) == 0
    assert "--LabApp.custom_css=True" in opened[0]
    (look,) = [word for word in opened[0] if word.startswith("--ServerApp.tornado_settings=")]
    (folder,) = ast.literal_eval(look.partition("=")[2])["static_custom_path"]
    assert "jp-RenderedPlotly" in (Path(folder) / "custom.css").read_text()


def test_an_unknown_notebook_is_refused(opened, kit, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["lab", "99"])
    assert "NOTEBOOK must begin like one of 01_quickstart, " in capsys.readouterr().err
    assert not opened


def test_without_notebooks_or_jupyterlab(kit, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "jupyterlab.labapp", None)
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "")
    assert main(["lab"]) == 1
    assert capsys.readouterr().err == f"fmlora lab: error: {lab.NO_LAB}\n"
    monkeypatch.setattr(lab, "__file__", str(tmp_path / "a" / "b" / "lab.py"))
    assert main(["lab"]) == 1
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "fetch the source" in line and str(tmp_path) in line
    monkeypatch.chdir(kit / "notebooks" / "workshop")
    assert lab.find_notebooks() == kit / "notebooks"
