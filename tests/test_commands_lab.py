"""`fmlora lab`: which notebook is opened, with which settings, and what is said where it cannot."""

import json
import os
import sys
from pathlib import Path

import pytest

from fmlora_kit.__main__ import main
from fmlora_kit.commands import lab

ROOT = Path(__file__).parents[1]


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


def test_the_first_notebook_from_anywhere(opened, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["lab"]) == 0
    root = f"--ServerApp.root_dir={ROOT}"
    assert opened == [[root, str(ROOT / "notebooks" / "01_quickstart.ipynb")]]
    assert main(["lab", "10", "--", "--no-browser", "--port=1"]) == 0
    assert opened[1][1:] == [str(ROOT / "notebooks" / "10_tsne.ipynb"), "--no-browser", "--port=1"]
    assert os.environ["PLOTLY_RENDERER"] == "plotly_mimetype"


def test_the_workshop_as_students_have_it_once_it_is_built(opened, tmp_path, monkeypatch):
    for place in ("notebooks", "notebooks/workshop", lab.BUILT):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "notebooks" / "01_a.ipynb").touch()
    (tmp_path / "notebooks" / "workshop" / "w1_a.ipynb").touch()
    monkeypatch.setattr(lab, "find_notebooks", lambda: tmp_path / "notebooks")
    assert main(["lab", "w1"]) == 0
    (tmp_path / lab.BUILT / "w1_a.ipynb").touch()
    assert main(["lab", "w1"]) == 0
    root = f"--ServerApp.root_dir={tmp_path}"
    solved, built = (tmp_path / p / "w1_a.ipynb" for p in ("notebooks/workshop", lab.BUILT))
    assert opened == [[root, str(solved)], [root, str(built)]]


def test_jupyterlab_fetches_no_news(opened):
    assert main(["lab", "01"]) == 0
    first, second = os.environ["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    assert second == "elsewhere"
    path = Path(first) / "labconfig" / "default_setting_overrides.json"
    settings = json.loads(path.read_text())["@jupyterlab/apputils-extension:notification"]
    assert settings == {"fetchNews": "false", "checkForUpdates": False}
    jupyterlab_server = pytest.importorskip("jupyterlab_server.config")
    found = jupyterlab_server.ConfigManager(config_dir_name="labconfig")
    assert found.get("default_setting_overrides").keys() >= json.loads(path.read_text()).keys()


def test_an_unknown_notebook_is_refused(opened, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["lab", "99"])
    assert "NOTEBOOK must begin like one of 01_quickstart, " in capsys.readouterr().err
    assert not opened


def test_without_notebooks_or_jupyterlab(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "jupyterlab.labapp", None)
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "")
    assert main(["lab"]) == 1
    assert capsys.readouterr().err == f"fmlora lab: error: {lab.NO_LAB}\n"
    monkeypatch.setattr(lab, "__file__", str(tmp_path / "a" / "b" / "lab.py"))
    monkeypatch.chdir(tmp_path)
    assert main(["lab"]) == 1
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "Fetch the source" in line and str(tmp_path) in line
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01_a.ipynb").touch()
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert lab.find_notebooks() == tmp_path / "notebooks"
