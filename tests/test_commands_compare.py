"""The program behind `make compare`: its files agree, it goes on, and bad names are refused."""

from __future__ import annotations

import json
import re

import pytest

import fmlora_kit as fk
from fmlora_kit.analysis import compare_records, tables
from fmlora_kit.commands import compare
from fmlora_kit.record import load_briefs
from fmlora_kit.training import sweep

METHODS = "nearest_class_mean,streaming_lda"


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A finished comparison of two methods on a tiny stream, over two seeds."""
    folder = tmp_path_factory.mktemp("compare")
    with pytest.MonkeyPatch.context() as patch:
        tiny = sweep.Setting("glyphs", {"n_tasks": 2, "n_train": 2, "n_test": 1})
        patch.setitem(sweep.SETTINGS, "tiny", tiny)
        words = ["--methods", METHODS, "--streams", "tiny", "--seeds", "2", "--epochs", "1"]
        assert compare.main([*words, "--workers", "1", "--out", str(folder)]) == 0
    return folder


def summary(out):
    return json.loads((out / "summary.json").read_text(encoding="utf-8"))


def test_the_summary_holds_what_the_records_say(out):
    records = [
        fk.Record.load(out / "records" / "tiny" / method / f"seed_{seed}")
        for method in METHODS.split(",")
        for seed in (0, 1)
    ]
    table = compare_records(records)
    assert compare.tables_of(summary(out)) == {"tiny": table}
    assert [row.method for row in table.rows if row.seeds == (0, 1)]
    made = summary(out)["made"]
    assert made["runs"] == 4 and made["training"]["epochs"] == 1
    assert summary(out)["failed"] == {}


def test_the_tables_are_the_summary_rendered(out):
    table = compare.tables_of(summary(out))["tiny"]
    assert (out / "tables.md").read_text(encoding="utf-8") == tables.markdown(table)
    assert (out / "tables.tex").read_text(encoding="utf-8") == tables.latex(table)
    assert (out / "tables.csv").read_text(encoding="utf-8") == tables.csv(table)
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "streaming LDA" in page and 'src="http' not in page


def test_the_brief_records_give_the_same_table(out):
    briefs = load_briefs(out / "tiny.json")
    assert {(r.method, r.seed) for r in briefs} == {
        (method, seed) for method in METHODS.split(",") for seed in (0, 1)
    }
    assert compare_records(briefs) == compare.tables_of(summary(out))["tiny"]
    assert (out / "tiny.json").stat().st_size < 30_000


def test_publishing_ships_the_briefs_and_replaces_the_tables(out, tmp_path, monkeypatch):
    monkeypatch.setitem(sweep.SETTINGS, "tiny", sweep.Setting("glyphs", {}))
    readme = tmp_path / "README.md"
    marks = [f"<!-- {mark} -->\nstale\n<!-- /{mark} -->" for mark in ("overview", "compare")]
    readme.write_text("before\n" + "\nbetween\n".join(marks) + "\nafter\n")
    for _ in range(2):
        compare.publish(out, readme, tmp_path / "shipped")
        text = readme.read_text(encoding="utf-8")
        assert text.startswith("before\n<!-- overview -->\n| final accuracy, %")
        assert "<!-- compare -->\n**glyphs, 2 tasks, 20 classes" in text
        assert text.endswith("<!-- /compare -->\nafter\n") and "stale" not in text
        assert text.count("between") == 1
    assert (tmp_path / "shipped" / "tiny.json").read_bytes() == (out / "tiny.json").read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--methods", "magic"], "methods must be among fmlora, .*got 'magic'"),
        (["--streams", "glyphs_10,mnist"], "streams must be among glyphs_10, .*got 'mnist'"),
        (["--seeds", "0"], "--seeds must be at least 1, got 0"),
        (["--workers", "2", "--cluster", "tcp://host:8786"], "--workers must not be given with"),
    ],
)
def test_bad_words_are_refused_before_anything_is_done(words, message, tmp_path, capsys):
    with pytest.raises(SystemExit):
        compare.main([*words, "--out", str(tmp_path / "out")])
    error = " ".join(capsys.readouterr().err.split())
    assert re.search(message, error), error
    assert not (tmp_path / "out").exists()


def test_if_every_run_fails_the_reason_is_told(tmp_path, capsys, monkeypatch):
    gone = sweep.Setting("pacs", {}, "nowhere")
    monkeypatch.setitem(sweep.SETTINGS, "gone", gone)
    words = ["--methods", "streaming_lda", "--streams", "gone", "--seeds", "1"]
    assert compare.main([*words, "--out", str(tmp_path), "--workers", "1"]) == 1
    assert "no run was finished" in capsys.readouterr().err
    assert not (tmp_path / "summary.json").exists()
