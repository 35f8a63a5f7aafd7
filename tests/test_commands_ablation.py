"""The ablation covers the grid it promises, and its table says what the records say."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from helpers.records import a_run, make_record

from fmlora_kit import streams
from fmlora_kit.__main__ import main as fmlora
from fmlora_kit.adapters.flora import BASES
from fmlora_kit.analysis import Comparison, metrics
from fmlora_kit.commands import ablation
from fmlora_kit.methods import FLoRA
from fmlora_kit.training import sweep

VARIANTS = list(ablation.variants())


def test_the_grid_has_every_combination_once():
    grid = {
        (o["flora"].bases, o["flora"].protect > 0, o["drs"] is not None, o["dmp"] is not None)
        for label, _, o in VARIANTS
        if label.startswith(BASES)
    }
    assert grid == set(itertools.product(BASES, (True, False), (True, False), (True, False)))
    assert len({label for label, _, _ in VARIANTS}) == len(VARIANTS)


def test_the_defaults_are_a_row_of_the_grid():
    default = f"{FLoRA().bases}, protect on, DRS on, DMP on"
    (row,) = [options for label, _, options in VARIANTS if label == default]
    assert row["flora"] == FLoRA()


def test_every_variant_runs_on_every_seed_in_its_own_folder(tmp_path):
    jobs = ablation.jobs("defaults", tmp_path, n_tasks=3, epochs=2, seeds=2)
    assert len(jobs) == 2 * len(VARIANTS) == len({job.folder for job in jobs})
    assert {job.seed for job in jobs} == {100, 101}  # of no comparison
    assert all(job.stream_options == {"n_tasks": 3} and job.budget.epochs == 2 for job in jobs)


def test_the_domain_rows_change_what_they_say(tmp_path):
    rows = {label: options for label, _, options in ablation.domain_variants()}
    assert rows["defaults"] == {} and len(rows) == len(list(ablation.domain_variants()))
    assert rows["protect off, fold 1.0"]["flora"] == FLoRA(protect=0.0, fold=1.0)
    everything = rows["ridge head, all of these"]
    assert everything["head"].kind == "ridge" and everything["flora"].max_rank == 64
    jobs = ablation.jobs("domains", tmp_path, n_tasks=3, epochs=2, seeds=1)
    assert {job.stream for job in jobs} == {"glyph_styles"} and len(jobs) == len(rows)


@pytest.mark.parametrize("stream", ablation.LEARNING)
def test_learning_is_one_head_for_all_on_the_seeds_that_report(stream, tmp_path):
    jobs = ablation.jobs(f"learning-{stream}", tmp_path)
    assert {job.seed for job in jobs} == set(range(5)) and {job.stream for job in jobs} == {stream}
    assert all(j.stream_options == {"n_tasks": 10} and j.budget == sweep.BUDGET for j in jobs)
    first = {job.label: job for job in jobs if job.seed == 0}
    assert [job.label for job in jobs[: len(first)]] == list(first)  # seed by seed
    heads = [job.options["head"] for label, job in first.items() if "defaults" not in label]
    assert len(heads) == 5 and set(heads) == {sweep.COMMON_HEAD}


def test_rows_are_the_records_best_first(tmp_path, monkeypatch, capsys):
    records = {"bad": [a_run(fall=0.1)], "good": [a_run()], "as good": [a_run()]}
    monkeypatch.setattr(ablation, "run_many", lambda jobs, **_: records)
    assert ablation.main(["--out", str(tmp_path), "--seeds", "1"]) == 0
    found = Comparison.from_json(json.loads((tmp_path / "defaults.json").read_text()))
    assert [row.label for row in found.rows] == ["as good", "good", "bad"]
    best = metrics(records["good"][0])["final_accuracy"]
    assert found.rows[0].mean("final_accuracy") == pytest.approx(best)
    text = (tmp_path / "defaults.md").read_text(encoding="utf-8")
    cells = [[c.strip() for c in line.split("|")[1:3]] for line in text.splitlines() if "|" in line]
    assert cells[0] == ["variant", "final accuracy, %"]
    assert cells[2:] == [
        ["**as good**", f"**{100 * best:.1f}**"],  # bold by the rule of every table: equal numbers
        ["**good**", f"**{100 * best:.1f}**"],
        ["bad", f"{100 * best - 10:.1f}"],
    ]
    assert text in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--study", "luck"],
            "--study must be one of defaults, domains, near-duplicate, learning-glyphs, ",
        ),
        (["--seeds", "0"], "--seeds must be a whole number at least 1, got 0"),
        (["--tasks", "4000"], "--tasks: "),
        (["--study", "near-duplicate", "--tasks", "4"], "--tasks must not be given with near-dup"),
        (["--out", __file__], "--out must be a folder, got"),
    ],
)
def test_bad_words_are_refused_before_anything_is_done(words, message, monkeypatch, capsys):
    monkeypatch.setattr(ablation, "run_many", lambda *_, **__: pytest.fail("trained"))
    with pytest.raises(SystemExit) as end:
        ablation.main(words)
    assert end.value.code == 2 and message in capsys.readouterr().err


def test_the_same_last_task_closes_both_streams(tmp_path):
    jobs = ablation.jobs("near-duplicate", tmp_path, seeds=1, n_train=2, n_test=2)
    near, novel = (streams.glyphs(seed=job.seed, **job.stream_options) for job in jobs)
    assert near[-1].name == novel[-1].name == "Greek, barred"
    assert np.array_equal(near[-1].train_images, novel[-1].train_images)
    assert "Greek" in [t.name for t in near] and "Greek" not in [t.name for t in novel]


def test_near_duplicates_are_the_paired_difference_of_the_last_ranks(tmp_path, monkeypatch, capsys):
    records = {
        label: [ranked(seed, 4 + seed + extra * (seed + 1)) for seed in range(2)]
        for label, extra in (("near-duplicate", 0), ("novel", 3))
    }
    monkeypatch.setattr(ablation, "run_many", lambda jobs, **_: records)
    words = ["--study", "near-duplicate", "--seeds", "2", "--out", str(tmp_path)]
    assert ablation.main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [float(x) for x in lines[2].strip("|").split("|")] == [0, 4.0, 7.0, 0.5, 0.5]
    assert lines[5].startswith("near-duplicate minus novel, ranks: -4.50 ± ")  # -3 and -6
    found = Comparison.from_json(json.loads((tmp_path / "near-duplicate.json").read_text()))
    assert found.row("novel").values["rank"] == (7.0, 11.0)


def test_a_stopped_ablation_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(ablation, "run_many", stop)
    assert fmlora(["ablation", "--out", str(tmp_path)]) == 130
    assert "stopped; the same command goes on where it was" in capsys.readouterr().err


def ranked(seed, rank):
    result = {"scalars": {"novelty": 0.5}}
    record = make_record(n_done=2, seed=seed, ranks=[[1, 1], [rank, rank]])
    last = dataclasses.replace(record.tasks[-1], **result)
    return dataclasses.replace(record, tasks=(*record.tasks[:-1], last))
