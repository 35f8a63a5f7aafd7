"""The ablation covers the parts it promises, and its tables say what the records say."""

import dataclasses
import json

import numpy as np
import pytest
from helpers.records import a_run, make_record

from fmlora_kit import streams
from fmlora_kit.__main__ import main as fmlora
from fmlora_kit.adapters.flora import BASES
from fmlora_kit.analysis import Comparison, metrics
from fmlora_kit.commands import ablation
from fmlora_kit.methods import DMP, DRS, FLoRA, FMLoRA, HeadOptions
from fmlora_kit.training import sweep

PARTS = {label: options for label, _, options in ablation.variants()}
DEFAULTS = {
    "flora": FLoRA(),
    "drs": DRS(),
    "dmp": DMP(),
    "step": FMLoRA.__init__.__kwdefaults__["step"],
    "head": FMLoRA.default_head,
}


def changed(label):
    """What a row changes, of the shared subspace field by field."""
    found = {k: v for k, v in PARTS[label].items() if k != "flora" and v != DEFAULTS[k]}
    flora = PARTS[label].get("flora", FLoRA())
    fields = (f.name for f in dataclasses.fields(FLoRA))
    return found | {
        k: getattr(flora, k) for k in fields if getattr(flora, k) != getattr(FLoRA(), k)
    }


def test_one_row_is_the_defaults_and_every_other_one_changes_them():
    assert len(PARTS) == len(list(ablation.variants()))
    assert [label for label in PARTS if not changed(label)] == ["defaults"]
    assert {method for _, method, _ in ablation.variants()} == {"fmlora"}


def test_every_part_is_taken_out_alone():
    single = [found for label in PARTS if len(found := changed(label)) == 1]
    values = {name: [c[name] for c in single if name in c] for c in single for name in c}
    assert values["step"] == ["1/sqrt(t)"]
    assert {*values["bases"], FLoRA().bases} == set(BASES)
    assert values["dmp"] == [None]
    assert values["drs"] == [None, DRS(scaling="fixed")]
    assert values["protect"] == [0.95] and values["max_rank"] == [32]
    assert values["maps"] == [("q", "v")]
    head = FMLoRA.default_head
    assert dataclasses.replace(head, compensate=False) in values["head"]
    assert {h.kind for h in values["head"]} == {head.kind, "lda"}  # of one mode


def test_each_part_that_lets_it_learn_on_is_added_alone_to_what_was_before():
    labels = [label for label in PARTS if label.startswith("before")]
    before, *added = map(changed, labels)
    assert before == {
        "step": "parts",
        "drs": DRS(scaling="fixed"),
        "head": HeadOptions("lda"),
        "max_rank": 32,
        "maps": ("q", "v"),
        "protect": 0.95,
    }
    back = [{k for k in before if each.get(k) != before[k]} for each in added]
    assert back == [{"step"}, {"drs"}, {"head"}, {"protect"}, {"max_rank", "maps"}]
    for each, taken in zip(added, back, strict=True):
        assert not taken & each.keys()  # they are the defaults again


def test_heads_are_crossed_with_what_adapts():
    rows = list(ablation.head_variants())
    assert len({label for label, _, _ in rows}) == len(rows)
    heads = {}
    for _, method, options in rows:
        heads.setdefault(method, set()).add(options["head"])
    frozen = heads.pop("frozen_backbone")  # whose features never move: nothing to compensate
    assert set(heads) == {"first_task_lora", "sequential_lora", "fmlora"}
    for found in heads.values():
        assert found - frozen == {sweep.COMMON_HEAD} and frozen < found
    assert {head.kind for head in frozen} == {"cosine", "lda", "mda", "ridge"}


def test_rates_are_one_grid_under_one_head():
    grid = {}
    for _, method, options in ablation.rate_variants():
        assert options["head"] == sweep.COMMON_HEAD
        grid.setdefault(method, []).append(options["lr"])
    assert "fmlora" in grid and len({tuple(rates) for rates in grid.values()}) == 1
    assert FMLoRA.default_lr in grid["fmlora"]


@pytest.mark.parametrize("name", [name for name in ablation.STUDIES if name != ablation.NEAR])
def test_every_variant_runs_on_every_seed_in_its_own_folder(name, tmp_path):
    study = ablation.STUDIES[name]
    jobs = ablation.jobs(name, tmp_path, n_tasks=3, epochs=2, seeds=2)
    n = len(list(study.variants()))
    assert len(jobs) == 2 * n == len({job.folder for job in jobs})
    assert {job.seed for job in jobs} == {100, 101}  # of no comparison
    assert {job.stream for job in jobs} == {study.stream}
    assert all(job.stream_options == {"n_tasks": 3} and job.budget.epochs == 2 for job in jobs)
    assert [job.label for job in jobs[:n]] == [job.label for job in jobs[n:]]  # seed by seed
    usual = ablation.jobs(name, tmp_path, seeds=1)[0]
    assert usual.stream_options == {"n_tasks": study.n_tasks} and usual.budget == sweep.BUDGET


def test_rows_are_the_records_best_first(tmp_path, monkeypatch, capsys):
    records = {"bad": [a_run(fall=0.1)], "good": [a_run()], "as good": [a_run()]}
    monkeypatch.setattr(ablation, "run_many", lambda jobs, **_: records)
    assert ablation.main(["--out", str(tmp_path), "--seeds", "1"]) == 0
    found = Comparison.from_json(json.loads((tmp_path / "parts.json").read_text()))
    assert [row.label for row in found.rows] == ["as good", "good", "bad"]
    best = metrics(records["good"][0])["final_accuracy"]
    assert found.rows[0].mean("final_accuracy") == pytest.approx(best)
    text = (tmp_path / "parts.md").read_text(encoding="utf-8")
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
        (["--study", "luck"], "--study must be one of parts, parts-styles, parts-digits, heads"),
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


def test_near_duplicates_are_the_paired_differences_of_the_last_task(tmp_path, monkeypatch, capsys):
    records = {
        label: [last_task(seed, 4 + seed + extra * (seed + 1), 0.5 + extra) for seed in range(2)]
        for label, extra in (("near-duplicate", 0), ("novel", 3))
    }
    monkeypatch.setattr(ablation, "run_many", lambda jobs, **_: records)
    words = ["--study", "near-duplicate", "--seeds", "2", "--out", str(tmp_path)]
    assert ablation.main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    cells = [float(x) for x in lines[2].strip("|").split("|")]
    assert cells == [0, 4.0, 7.0, 50.0, 350.0, 0.5, 0.5]  # seed, ranks, moves in %, novelties
    said = lines[5]  # ranks differ by -3 and -6
    assert said.startswith("near-duplicate minus novel (95%): rank -4.50 ± ")
    assert "; the core's move, % -300.00 ± 0.00; novelty 0.00 ± 0.00" in said
    found = Comparison.from_json(json.loads((tmp_path / "near-duplicate.json").read_text()))
    assert found.row("novel").values["rank"] == (7.0, 11.0)


def test_a_stopped_ablation_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(ablation, "run_many", stop)
    assert fmlora(["ablation", "--out", str(tmp_path)]) == 130
    assert "stopped; the same command goes on where it was" in capsys.readouterr().err


def last_task(seed, rank, move):
    """Two tasks: the first sets a core of I, the second adds ``move`` times as much to it."""
    flora = {"flora": {"max_rank": 2, "alpha": None}}
    ranks = [[1, 1], [rank, rank]]
    record = make_record(n_done=2, seed=seed, ranks=ranks, config={"method": flora})
    tasks = []
    for task, size in zip(record.tasks, (1.0, move), strict=True):
        parts = {"a": np.eye(3)[:, :2], "b": np.eye(2, 3), "m": size * np.eye(2), "n": np.eye(2)}
        state = {f"{layer}.{k}": part for layer in record.layers for k, part in parts.items()}
        tasks.append(dataclasses.replace(task, state=state, scalars={"novelty": 0.5}))
    return dataclasses.replace(record, tasks=tuple(tasks))
