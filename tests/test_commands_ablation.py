"""The ablation covers the grid it promises, and its table says what the records say."""

import itertools
import json

import pytest
from helpers.records import make_record

from fmlora_kit.adapters.flora import BASES
from fmlora_kit.analysis import metrics
from fmlora_kit.commands import ablation
from fmlora_kit.methods import FLoRA

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
    jobs = ablation.jobs(tmp_path, n_tasks=3, epochs=2, seeds=(7, 8))
    assert len(jobs) == 2 * len(VARIANTS) == len({job.folder for job in jobs})
    assert {job.seed for job in jobs} == {7, 8}
    assert all(job.stream_options == {"n_tasks": 3} and job.budget.epochs == 2 for job in jobs)


def test_the_domain_rows_change_what_they_say(tmp_path):
    rows = {label: options for label, _, options in ablation.domain_variants()}
    assert rows["defaults"] == {} and len(rows) == len(list(ablation.domain_variants()))
    assert rows["protect off, fold 1.0"]["flora"] == FLoRA(protect=0.0, fold=1.0)
    everything = rows["ridge head, all of these"]
    assert everything["head"].kind == "ridge" and everything["flora"].max_rank == 64
    jobs = ablation.jobs(tmp_path, n_tasks=3, epochs=2, seeds=(7,), stream="glyph_styles")
    assert {job.stream for job in jobs} == {"glyph_styles"} and len(jobs) == len(rows)


def test_rows_are_the_records_best_first(tmp_path, monkeypatch, capsys):
    good, bad = make_record(n_done=3), make_record(n_done=2)
    records = {"bad": [bad], "good": [good]}
    assert metrics(good)["final_accuracy"] != metrics(bad)["final_accuracy"]
    monkeypatch.setattr(ablation, "run_many", lambda jobs, workers: records)
    ablation.main(["--out", str(tmp_path), "--seeds", "7"])
    rows = json.loads((tmp_path / "ablation.json").read_text())
    means = [row["final_accuracy"]["mean"] for row in rows]
    assert means == sorted(means, reverse=True)
    top = {"good": good, "bad": bad}[rows[0]["variant"]]
    assert means[0] == pytest.approx(metrics(top)["final_accuracy"])
    line = (tmp_path / "ablation.md").read_text().splitlines()[2]
    assert line.startswith(f"| {rows[0]['variant']} | {100 * means[0]:.1f} |")
    assert line in capsys.readouterr().out
