"""README and the pages beside it: their code runs, their tables and links are true."""

import re
import shlex
import tomllib
from importlib import import_module
from itertools import takewhile
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
import yaml
from PIL import Image

import fmlora_kit as fk
from fmlora_kit.__main__ import COMMANDS
from fmlora_kit.commands.compare import documented
from fmlora_kit.methods import METHODS
from fmlora_kit.record.names import NAMES

ROOT = Path(__file__).parents[1]
PAGES = {
    name: (ROOT / name).read_text(encoding="utf-8")
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "notebooks/README.md")
}
README = PAGES["README.md"]
BLOCKS = {name: re.findall(r"```python\n(.*?)```", text, re.DOTALL) for name, text in PAGES.items()}
LINKS = [(name, to) for name in PAGES for to in re.findall(r"\]\(([^)\s]+)\)", PAGES[name])]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PROGRAM = re.compile(r"(?:\bfmlora|-m fmlora_kit) ([a-z_]+)((?: +[^#`\n]*)?)")
SHOWN = [(name, *found) for name in PAGES for found in PROGRAM.findall(PAGES[name])]
WIDTH = 900  # pixels of a page on GitHub


@pytest.fixture
def tiny():
    return fk.streams.glyphs(n_tasks=2, n_train=4, n_test=3)


@pytest.fixture
def own_method():
    """What README's method of your own defines; afterwards the kit forgets it."""
    names = {}
    exec(BLOCKS["README.md"][1], names)
    yield names
    METHODS.pop("layernorm_tuning", None)
    NAMES.pop("layernorm_tuning", None)


# --- code ----------------------------------------------------------------------------------------
def test_the_first_cell_runs_on_a_shorter_stream(capsys):
    code = BLOCKS["README.md"][0].replace("n_tasks=10", "n_tasks=2, n_train=4, n_test=3")
    *statements, last = code.strip().splitlines()
    names = {}
    exec("\n".join(statements), names)
    assert isinstance(eval(last, names), go.Figure)
    assert capsys.readouterr().out.startswith("task 1/2 Latin  rank ")
    assert names["record"].tasks[1].n_deployed == names["record"].tasks[0].n_deployed


def test_the_method_of_your_own_trains_records_and_comes_back(own_method, tiny):
    make = lambda: own_method["LayerNormTuning"](fk.load_backbone(), tiny.n_classes)  # noqa: E731
    model, again = make(), make()
    before = [p.detach().clone() for p in model.parts()]
    record = fk.run(model, tiny, fk.Budget(epochs=1))
    assert not torch.equal(before[0], model.parts()[0])
    for result in record.tasks:
        again.restore(result.classes, result.state)
    images = tiny[1].test_images
    assert np.array_equal(model.logits(images), again.logits(images))


def test_the_exchange_with_peft_and_timm_runs(tiny, tmp_path, monkeypatch):
    pytest.importorskip("peft")
    monkeypatch.chdir(tmp_path)
    backbone = fk.load_backbone()
    model = fk.FMLoRA(backbone, tiny.n_classes, flora=fk.FLoRA(maps=("q", "v")), dmp=None)
    fk.run(model, tiny, fk.Budget(epochs=1))
    names = {"fk": fk, "model": model, "backbone": backbone, "n_classes": tiny.n_classes}
    exec(BLOCKS["README.md"][2], names)
    assert names["model"] is not model and names["model"].name == "fmlora"
    assert (tmp_path / "model.safetensors").is_file()


def test_a_method_that_is_told_to_the_kit_travels_in_time(own_method):
    exec(BLOCKS["CONTRIBUTING.md"][0], own_method)
    assert len(own_method["record"].tasks) == 2
    assert own_method["earlier"].seen == own_method["record"].tasks[0].classes


def test_the_stream_and_the_figure_of_your_own_go_together():
    names = {}
    for block in BLOCKS["CONTRIBUTING.md"][1:]:
        exec(block, names)
    stream, again = names["stripes"](), names["stripes"]()
    assert stream.describe() == again.describe() and stream.n_classes == 6
    record = fk.run(fk.NearestClassMean(fk.load_backbone(), stream.n_classes), stream)
    figure = names["accuracy_when_learned"](record)
    assert figure.data[0].y == pytest.approx(100 * np.diag(record.accuracy))
    assert tuple(figure.data[0].x) == record.task_names


def test_every_block_is_run_by_one_of_these():
    assert {name: len(blocks) for name, blocks in BLOCKS.items() if blocks} == {
        "README.md": 3,
        "CONTRIBUTING.md": 3,
    }


# --- tables --------------------------------------------------------------------------------------
def test_the_overview_is_the_shipped_records_rendered():
    text = README.partition("<!-- overview -->\n")[2].partition("\n<!-- /overview -->")[0]
    assert text and text == documented()["overview"]


def test_the_table_of_methods_has_them_all():
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", README, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"\w+", row)} == set(METHODS)


@pytest.mark.parametrize(
    ("page", "folder"), [("README.md", "notebooks/"), ("notebooks/README.md", "")]
)
def test_the_series_lists_every_notebook_in_order(page, folder):
    listed = re.findall(rf"^\| \[(\d\d)\]\({folder}(\S+\.ipynb)\)", PAGES[page], re.MULTILINE)
    assert listed == [(path.name[:2], path.name) for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_times_of_a_notebook_are_those_of_its_first_cell(path):
    row = re.search(rf"^.*\({path.name}\).*$", PAGES["notebooks/README.md"], re.MULTILINE)[0]
    said = re.search(r"\*\*Time\*\*[^\"]*", path.read_text(encoding="utf-8"))[0]
    for unit in ("minutes", "s of CPU"):
        assert re.search(rf"(\d+) {unit}", row)[1] == re.search(rf"(\d+) {unit}", said)[1]


# --- links, pictures, commands -------------------------------------------------------------------
@pytest.mark.parametrize(("page", "to"), LINKS)
def test_links_resolve(page, to):
    if to.startswith("https://"):
        return
    file, _, anchor = to.partition("#")
    target = (ROOT / page).parent / file if file else ROOT / page
    assert target.exists(), to
    if anchor:
        heads = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_pictures_are_legible_and_light_and_the_first_is_on_the_first_screen():
    lines = README.splitlines()
    assert any(line.startswith("![") for line in lines[:12])
    for to in re.findall(r"!\[[^\]]+\]\((\S+)\)", README):
        with Image.open(ROOT / to) as picture:
            assert picture.width >= WIDTH and (ROOT / to).stat().st_size < 250_000, to


def test_the_door_is_small():
    assert len(README.splitlines()) <= 250 and len(README.split()) <= 2500


def test_make_has_the_targets_that_are_named():
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name, text in PAGES.items():
        code = re.findall(r"`make\s([a-z-]+)|^make ([a-z-]+)", text, re.MULTILINE)
        assert {a or b for a, b in code} <= targets, name


@pytest.mark.parametrize(("page", "command", "words"), SHOWN)
def test_commands_exist_with_the_options_that_are_shown(page, command, words, capsys):
    assert command in COMMANDS, page
    before = list(takewhile(str.islower, shlex.split(words))) if command == "data" else []
    module = COMMANDS[command] if isinstance(COMMANDS[command], str) else COMMANDS[command][0]
    with pytest.raises(SystemExit) as left:
        import_module(f"fmlora_kit.{module}").main([*before, "--help"])
    assert left.value.code in (0, None)
    told = capsys.readouterr().out
    assert [w for w in shlex.split(words) if w.startswith("--") and w not in told] == []


def test_files_that_are_named_are_there():
    for name, text in PAGES.items():
        if name != "CHANGELOG.md":  # which also names what was
            named = re.findall(r"`((?:fmlora_kit|tests|data)/[\w/.]*)`", text)
            assert [
                path
                for path in named
                if not re.search("NAME|_data", path) and not (ROOT / path).exists()
            ] == []


def test_modules_are_where_the_changelog_says_they_moved():
    rows = re.findall(r"^\| `([\w/]+)` \| (.+) \|$", PAGES["CHANGELOG.md"], re.MULTILINE)
    assert len(rows) > 10
    for room, moves in rows:
        for move in moves.split("; "):
            was, _, now = move.partition(" → ")
            home = ROOT / "fmlora_kit" / room
            stem = (now or was).rpartition(".")[2]
            assert (home if stem == "(itself)" else home / f"{stem}.py").exists(), f"{room}: {move}"


# --- what one cites ------------------------------------------------------------------------------
def test_the_citation_is_of_this_version_and_of_the_paper():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["cff-version"] == "1.2.0" and cited["message"] and cited["type"] == "software"
    assert cited["version"] == PROJECT["version"] == fk.__version__
    assert cited["license"] == PROJECT["license"] and cited["authors"] == PROJECT["authors"]
    (paper,) = cited["references"]
    assert paper["doi"] == "10.1109/cvprw67362.2025.00637"
    assert [author["family-names"] for author in paper["authors"]] == "Yu Yang Wu Qiu Liu".split()
    assert paper["identifiers"] == [{"type": "other", "value": "arXiv:2504.08823"}]
