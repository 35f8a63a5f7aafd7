"""`compare`: which runs it makes, that it goes on, and that a failure costs no other run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fmlora_kit as fk
from fmlora_kit.analysis import Comparison
from fmlora_kit.analysis.names import display_name
from fmlora_kit.methods import METHODS
from fmlora_kit.streams.catalogue import STREAMS
from fmlora_kit.training import Budget, lessons, sweep
from fmlora_kit.training.sweep import SETTINGS

TINY = sweep.Setting("glyphs", {"n_tasks": 2, "n_train": 2, "n_test": 1})


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(sweep.SETTINGS, "tiny", TINY)
    common = replace(TINY, head=sweep.COMMON_HEAD)
    monkeypatch.setitem(sweep.SETTINGS, "tiny-common", common)
    gone = sweep.Setting("pacs", {"n_train": 2, "n_test": 1}, "no such folder")
    monkeypatch.setitem(sweep.SETTINGS, "gone", gone)


def test_all_methods_on_the_main_streams_by_default(tmp_path):
    jobs = sweep.jobs(None, sweep.MAIN, range(3), folder=tmp_path)
    assert len(jobs) == len({job.folder for job in jobs}) == len(METHODS) * 4 * 3
    first = jobs[: len(METHODS) * 4]
    assert {job.seed for job in first} == {0}  # whole tables of one seed come first
    assert [job.method for job in first[: len(METHODS)]] == list(METHODS)


def test_every_setting_names_a_stream(tmp_path):
    assert {setting.stream for setting in SETTINGS.values()} <= set(STREAMS)
    (job,) = sweep.jobs(["fmlora"], ["pacs"], [4], folder=tmp_path, data="/images")
    assert job.stream_options["folder"] == "/images/PACS"
    assert job.folder == tmp_path / "pacs" / "fmlora" / "seed_4"


def test_photos_go_to_the_backbone_for_photos_at_its_size(tmp_path):
    names = [n for n in SETTINGS if n not in ("tiny", "tiny-common", "gone")]
    for job in sweep.jobs(["fmlora"], names, [0], folder=tmp_path):
        photos = job.stream not in ("glyphs", "moving_styles", "glyph_styles", "digits")
        assert job.backbone == ("photo_vit" if photos else "glyph_vit")
        assert job.stream_options.get("image_size") == (36 if photos else None)


def test_the_long_streams_have_two_thousand_test_images():
    for name, n_tasks in (("glyphs_10", 10), ("glyphs_20", 20), ("glyphs_40", 40)):
        options = SETTINGS[name].options
        assert options["n_tasks"] == n_tasks
        assert 10 * options["n_tasks"] * options["n_test"] == 2000


@pytest.mark.parametrize(
    ("methods", "streams", "message"),
    [
        (["magic"], ["tiny"], "methods must be one of .'fmlora', .*'joint'., got 'magic'"),
        (["fmlora"], ["imagenet"], "streams must be one of .'glyphs_10', .*, got 'imagenet'"),
    ],
)
def test_unknown_names_list_the_known_ones(methods, streams, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        fk.compare(methods, streams, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_failed_run_is_told_and_the_others_are_kept_and_not_done_again(tmp_path):
    lines = []
    asked = {"folder": tmp_path, "budget": Budget(epochs=1), "workers": 1, "say": lines.append}
    methods = ["nearest_class_mean", "streaming_lda", "joint"]
    done = fk.compare(methods[:2], ["tiny", "gone"], [3], **asked)
    assert [(r.method, r.seed) for r in done.records["tiny"]] == [
        ("nearest_class_mean", 3),
        ("streaming_lda", 3),
    ]
    assert done.records["gone"] == ()
    assert set(done.failed) == {f"gone/{method}, seed 3" for method in methods[:2]}
    assert all("no such folder" in reason for reason in done.failed.values())
    assert len(lines) == 4

    again = fk.compare(methods, ["tiny"], [3], **asked)
    assert len(lines) == 5  # only the run of joint, of one task
    assert again.records["tiny"][:2] == done.records["tiny"]
    table = fk.compare_records(again.records["tiny"])
    assert [row.method for row in table.rows][-1] == "joint"
    assert np.isfinite([row.final_accuracy.mean for row in table.rows]).all()


def test_a_common_head_is_given_to_all_that_can_take_it(tmp_path):
    jobs = sweep.jobs(None, ["tiny-common"], [0], folder=tmp_path)
    assert {job.method for job in jobs} == set(METHODS) - set(sweep.OWN_HEAD)
    for job in jobs:
        same = METHODS[job.method].default_head == sweep.COMMON_HEAD
        rate = {"lr": sweep.COMMON_RATES[job.method]} if job.method in sweep.COMMON_RATES else {}
        assert job.options == ({} if same else {"head": sweep.COMMON_HEAD, **rate})
        assert job.folder.parts[-3] == ("tiny" if same else "tiny-common")


def test_a_run_whose_own_head_is_the_common_one_is_made_once(tmp_path, monkeypatch):
    monkeypatch.setattr(METHODS["frozen_backbone"], "default_head", sweep.COMMON_HEAD)
    streams = ("tiny", "tiny-common")
    found = sweep.compare(["frozen_backbone"], streams, [0], folder=tmp_path, workers=1)
    ((own,), (common,)) = (found.records[name] for name in streams)
    assert own.same_as(common) and not found.failed
    assert [folder.name for folder in tmp_path.iterdir()] == ["tiny"]


def _grid(study):
    """By method: final accuracy by learning rate, as shipped."""
    names = {display_name(name): name for name in METHODS}
    grid: dict[str, dict[float, float]] = {}
    for row in Comparison.from_json(lessons.study(study)).rows:
        label, _, lr = row.label.partition(", lr ")
        grid.setdefault(names[label], {})[float(lr)] = row.values["final_accuracy"][0]
    return grid


def test_no_method_is_held_at_a_rate_two_points_below_its_best_under_the_common_head():
    for name, found in _grid("rates").items():
        lr = sweep.COMMON_RATES.get(name, METHODS[name].default_lr)
        assert max(found.values()) - found[lr] < 0.02, name


def test_nor_with_its_own_head_by_the_mean_of_two_streams():
    glyphs, digits = _grid("rates") | _grid("rates-own"), _grid("rates-digits")
    assert "fmlora" in digits and len(digits) == 13
    for name, found in digits.items():
        means = {lr: (found[lr] + glyphs[name][lr]) / 2 for lr in found}
        assert max(means.values()) - means[METHODS[name].default_lr] < 0.02, name


def test_a_rate_under_the_common_head_is_the_best_and_far_from_the_usual_one():
    found = _grid("rates")
    for name, lr in sweep.COMMON_RATES.items():
        assert found[name][lr] == max(found[name].values())
        assert found[name][lr] - found[name][METHODS[name].default_lr] > 0.02


def test_only_under_the_common_head_a_method_has_that_rate(tmp_path):
    own, common = sweep.jobs(["sd_lora"], ["glyphs_10", "glyphs_10-common"], [0], folder=tmp_path)
    assert "lr" not in own.options and common.options["lr"] == sweep.COMMON_RATES["sd_lora"]
