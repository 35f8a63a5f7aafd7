"""The program behind `make compare`: its files agree, it goes on, and bad names are refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from bs4 import BeautifulSoup

import fmlora_kit as fk
from fmlora_kit.__main__ import main as fmlora
from fmlora_kit.analysis import compare_records, tables
from fmlora_kit.analysis.tables import ALL_METRICS, table_cells
from fmlora_kit.commands import ablation, compare, demo
from fmlora_kit.record import load_briefs
from fmlora_kit.record.archive import save_briefs
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
    loaded = [each["src"] for each in BeautifulSoup(page, "html.parser").select("[src]")]
    assert "streaming LDA" in page and not [each for each in loaded if each.startswith("http")]
    assert "--methods nearest_class_mean,streaming_lda --streams tiny" in page


def test_the_brief_records_give_the_same_table(out):
    briefs = load_briefs(out / "tiny.json")
    assert {(r.method, r.seed) for r in briefs} == {
        (method, seed) for method in METHODS.split(",") for seed in (0, 1)
    }
    assert compare_records(briefs) == compare.tables_of(summary(out))["tiny"]
    assert (out / "tiny.json").stat().st_size < 30_000


def test_publishing_ships_the_briefs_and_replaces_the_tables(out, tmp_path, monkeypatch):
    monkeypatch.setitem(sweep.SETTINGS, "tiny", sweep.Setting("glyphs", {}))
    readme, shipped = tmp_path / "README.md", tmp_path / "shipped"
    shipped.mkdir()
    readme.write_text("before\n<!-- overview -->\nstale\n<!-- /overview -->\nafter\n")
    (shipped / "README.md").write_text("top\n<!-- compare -->\nstale\n<!-- /compare -->\nend\n")
    for _ in range(2):
        compare.publish(out, readme, shipped)
        text, every = (f.read_text("utf-8") for f in (readme, shipped / "README.md"))
        assert text.startswith("before\n<!-- overview -->\n| final accuracy, %")
        assert text.endswith("<!-- /overview -->\nafter\n")
        assert every.startswith("top\n<!-- compare -->\n**glyphs, 2 tasks, 20 classes")
        assert every.endswith("<!-- /compare -->\nend\n") and "stale" not in text + every
    assert (tmp_path / "shipped" / "tiny.json").read_bytes() == (out / "tiny.json").read_bytes()


def test_publishing_some_runs_keeps_what_is_shipped_of_the_others(out, tmp_path, monkeypatch):
    """A run again of one method and seed takes its own place, and no other's."""
    monkeypatch.setitem(sweep.SETTINGS, "tiny", sweep.Setting("glyphs", {}))
    shipped = tmp_path / "shipped"
    compare.publish(out, tmp_path / "README.md", shipped)
    before = load_briefs(shipped / "tiny.json")
    lda = next(run for run in before if (run.method, run.seed) == ("streaming_lda", 1))
    again = tmp_path / "again"
    again.mkdir()
    (again / "summary.json").write_text(json.dumps({"streams": {"tiny": {}}}), "utf-8")
    save_briefs([replace(lda, config={**lda.config, "note": "again"})], again / "tiny.json")
    compare.publish(again, tmp_path / "README.md", shipped)
    after = load_briefs(shipped / "tiny.json")
    assert [(run.seed, run.method) for run in after] == [(run.seed, run.method) for run in before]
    changed = [run for run in after if "note" in run.config]
    assert [(run.method, run.seed) for run in changed] == [("streaming_lda", 1)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--methods", "magic"], "--methods must be all or among fmlora, .*got 'magic'"),
        (["--streams", "glyphs_10,mnist"], "--streams must be all or among glyphs_10, .*'mnist'"),
        (["--seeds", "0"], "--seeds must be a whole number at least 1, got 0"),
        (["--epochs", "few"], "--epochs must be a whole number at least 1, got 'few'"),
        (["--workers", "2", "--cluster", "tcp://host:8786"], "--workers must not be given with"),
        (["--streams", "pacs", "--data", "no/where"], "--data must be a folder .*got 'no.*where'"),
        (["--out", __file__], "--out must be a folder, got '.*compare.py'.* is a file"),
        (["--out", f"{__file__}/below"], "--out must be a folder, got .* is a file"),
    ],
)
def test_bad_words_are_refused_before_anything_is_done(words, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        compare.main(["--out", str(tmp_path / "out"), *words])
    assert end.value.code == 2
    error = " ".join(capsys.readouterr().err.split())
    assert re.search(message, error), error
    assert not (tmp_path / "out").exists()


def test_if_every_run_fails_the_reason_is_told(tmp_path, capsys, monkeypatch):
    gone = sweep.Setting("pacs", {}, "nowhere")
    monkeypatch.setitem(sweep.SETTINGS, "gone", gone)
    words = ["--methods", "streaming_lda", "--streams", "gone", "--seeds", "1"]
    assert fmlora(["compare", *words, "--out", str(tmp_path), "--workers", "1"]) == 1
    assert "fmlora compare: error: no run was finished" in capsys.readouterr().err
    assert not (tmp_path / "summary.json").exists()


def test_the_demo_and_the_comparison_have_the_same_tables(out, tmp_path, monkeypatch):
    """One record set, given to both programs: cell by cell the same, on all that they write."""
    records = load_briefs(out / "tiny.json")
    by_method = {m: [r for r in records if r.method == m] for m in METHODS.split(",")}
    monkeypatch.setattr(demo, "run_many", lambda jobs, **_: by_method)
    words = ["--methods", METHODS, "--tasks", "2", "--seeds", "2", "--out", str(tmp_path)]
    assert demo.main(words) == 0
    (ours,) = compare.tables_of(summary(tmp_path)).values()
    theirs = compare.tables_of(summary(out))["tiny"]
    for layout in (tables.SUMMARY, ALL_METRICS):
        assert table_cells(ours, layout) == table_cells(theirs, layout)
        assert tables.markdown(ours, layout) == tables.markdown(theirs, layout)
    for name in ("tables.md", "tables.tex", "tables.csv"):
        assert (tmp_path / name).read_bytes() == (out / name).read_bytes()
    rows = [
        re.findall(r"<tr>.*?</tr>", (f / "index.html").read_text("utf-8")) for f in (tmp_path, out)
    ]
    results = [[row for row in each if "± " in row] for each in rows]
    assert results[0] == results[1] and len(results[0]) >= 4


def test_a_stopped_comparison_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep, "compare", stop)
    assert fmlora(["compare", "--out", str(tmp_path)]) == 130
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "fmlora compare: stopped; the same command goes on where it was"


def test_the_bar_counts_what_lies_there(out, capsys):
    words = ["--methods", METHODS, "--streams", "tiny", "--seeds", "2", "--epochs", "1"]
    with pytest.MonkeyPatch.context() as patch:
        tiny = sweep.Setting("glyphs", {"n_tasks": 2, "n_train": 2, "n_test": 1})
        patch.setitem(sweep.SETTINGS, "tiny", tiny)
        assert compare.main([*words, "--workers", "1", "--out", str(out)]) == 0
    assert "100%" in capsys.readouterr().err  # and nothing was trained again


def test_the_readme_of_the_shipped_comparison_is_the_shipped_records_rendered():
    text = (compare.SHIPPED / "README.md").read_text(encoding="utf-8")
    texts = {**compare.documented(), **ablation.documented()}
    for mark in ("compare", *ablation.documented()):
        shown = text.partition(f"<!-- {mark} -->\n")[2].partition(f"\n<!-- /{mark} -->")[0]
        assert shown and shown == texts[mark], mark
