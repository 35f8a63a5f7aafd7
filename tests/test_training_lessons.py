"""The runs that the notebooks share: made once, read ever after, remade when they do not fit."""

import json
import shutil

import pytest
import torch
from helpers import models
from helpers.records import make_record

import fmlora_kit as fk
from fmlora_kit.record import Record
from fmlora_kit.training import lessons


@pytest.fixture
def quick(monkeypatch):
    """A stream of three small tasks, on a small backbone, and a count of what was trained."""
    monkeypatch.setattr(lessons, "load_backbone", lambda: models.vit())
    monkeypatch.setattr(lessons, "BUDGET", fk.Budget(epochs=1, batch_size=24))
    small = type(
        "Small", (), {"needs_n_tasks": False, "__new__": lambda _, *a, **k: models.fmlora(*a, **k)}
    )
    monkeypatch.setitem(lessons.METHODS, "fmlora", small)
    trained = []
    run = lessons.run

    def counted(*args, **options):
        trained.append(args[0].name)
        return run(*args, **{**options, "show_progress": False})

    monkeypatch.setattr(lessons, "run", counted)
    return trained


def test_a_record_is_trained_once_and_read_ever_after(quick, tmp_path):
    first = lessons.record(models.stream(), folder=tmp_path / "records")
    again = lessons.record(models.stream(), folder=tmp_path / "records")
    assert quick == ["fmlora"] and again.same_as(first) and len(again.tasks) == 3
    assert first.config["method"]["precision"] == "float64"
    assert Record.load(tmp_path / "records" / "tiny glyphs-fmlora-0").same_as(first)


def test_another_method_or_seed_has_a_folder_of_its_own(quick, tmp_path):
    records = [
        lessons.record(models.stream(), name, seed=seed, folder=tmp_path)
        for name, seed in (("fmlora", 0), ("fmlora", 1), ("nearest_class_mean", 0))
    ]
    assert len(quick) == 3 and len({(r.method, r.seed) for r in records}) == 3
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == [
        "tiny glyphs-fmlora-0",
        "tiny glyphs-fmlora-1",
        "tiny glyphs-nearest_class_mean-0",
    ]


@pytest.mark.parametrize("harm", ["versions", "damage", "number", "budget"])
def test_a_record_that_does_not_fit_is_made_anew(quick, tmp_path, monkeypatch, harm):
    first = lessons.record(models.stream(), folder=tmp_path)
    place = tmp_path / "tiny glyphs-fmlora-0"
    if harm == "versions":
        place.joinpath("record.json").unlink()
        old = {"versions": {"torch": "0.1"}, "tasks": first.tasks[:1]}  # unfinished
        Record(**{**vars(first), **old}).save(place)
    elif harm == "damage":
        text = json.loads(place.joinpath("record.json").read_text())
        place.joinpath("record.json").write_text(json.dumps(text)[:-20])
    elif harm == "number":
        place.joinpath("timing.json").write_text(f'{{"seconds": [{"9" * 5000}]}}')
    else:
        monkeypatch.setattr(lessons, "BUDGET", fk.Budget(epochs=2, batch_size=24))
    again = lessons.record(models.stream(), folder=tmp_path)
    assert len(quick) == 2 and len(again.tasks) == 3
    assert again.same_as(first) == (harm != "budget")
    assert Record.load(place).same_as(again)


def test_a_finished_record_of_other_versions_is_read_and_they_are_named(quick, tmp_path):
    first = lessons.record(models.stream(), folder=tmp_path)
    place = tmp_path / "tiny glyphs-fmlora-0"
    place.joinpath("record.json").unlink()
    Record(**{**vars(first), "versions": {"torch": "0.1"}}).save(place)
    with pytest.warns(UserWarning, match="made with torch 0.1 .*remove its folder"):
        again = lessons.record(models.stream(), folder=tmp_path)
    assert quick == ["fmlora"] and again.versions == {"torch": "0.1"}


def test_a_record_that_is_shipped_is_unpacked_and_not_trained(quick, tmp_path, monkeypatch):
    first = lessons.record(models.stream(), folder=tmp_path / "made")
    name = "tiny glyphs-fmlora-0"
    shutil.make_archive(str(tmp_path / "shipped" / name), "zip", tmp_path / "made" / name)
    monkeypatch.setattr(lessons, "SHIPPED", (tmp_path / "none", tmp_path / "shipped"))
    again = lessons.record(models.stream(), folder=tmp_path / "mine")
    assert quick == ["fmlora"] and again.same_as(first)


def test_what_was_interrupted_goes_on(quick, tmp_path):
    stream = models.stream()
    whole = lessons.record(stream, folder=tmp_path / "whole")
    part = Record(**{**vars(whole), "tasks": whole.tasks[:1]})
    part.save(tmp_path / "part" / "tiny glyphs-fmlora-0")
    assert lessons.record(stream, folder=tmp_path / "part").same_as(whole)


def test_an_unknown_method_is_named():
    with pytest.raises(ValueError, match="method must be one of .*, got 'fmlore'"):
        lessons.record(models.stream(), "fmlore")


def test_a_comparison_that_was_not_made(tmp_path):
    with pytest.raises(ValueError, match=r"name must be a comparison .*glyphs_10.*, got 'glyph'"):
        lessons.comparison_records("glyph")
    with pytest.raises(ValueError, match="run make compare.*, got 'glyphs_10'"):
        lessons.comparison_records("glyphs_10", tmp_path)


def test_the_streams():
    stream, domains = lessons.stream(), lessons.domain_stream()
    names = ["Latin", "Greek", "Cyrillic", "Armenian", "Georgian", "Latin, barred"]
    assert [task.name for task in stream] == names and stream.n_classes == 60
    assert stream.scenario == "class-incremental" and domains.scenario == "domain-incremental"
    assert len(domains) == 5 and domains.n_classes == 10
    assert {len(task.test_labels) for task in (*stream, *domains)} == {200}


def test_the_device_is_one_with_double_precision(monkeypatch):
    monkeypatch.setattr(lessons, "pick_device", lambda: torch.device("mps"))
    assert lessons.device() == torch.device("cpu")
    assert lessons.device_line() == "training on: the CPU"
    monkeypatch.setattr(lessons, "pick_device", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    assert lessons.device_line() == "training on: a GPU"


def test_published_settings_name_their_sources():
    settings = lessons.published_results()["settings"]
    assert {"CIFAR-100", "ImageNet-R", "CUB-200", "DomainNet"} == {s["data"] for s in settings}
    assert all(s["source"].startswith("https://github.com/") for s in settings)
    assert len({(s["method"], s["data"]) for s in settings}) == len(settings)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preset": "cub"}, r"preset in .*published.json must be one of .*, got 'cub'$"),
        ({"source": "I remember"}, "source in .* must be a link"),
        ({"final_accuracy": 812}, "final_accuracy in .* must be between 0 and 100, got 812"),
        ({"final_accuracy": "81"}, "final_accuracy in .* must be a finite number .*, got '81'"),
    ],
)
def test_a_published_accuracy_is_checked(tmp_path, changes, message):
    entry = {"preset": "cub200-10", "method": "X", "final_accuracy": 81.2, "source": "https://x"}
    file = tmp_path / "published.json"
    file.write_text(json.dumps({"settings": [], "accuracies": [entry]}))
    assert lessons.published_results(file)["accuracies"] == [entry]
    file.write_text(json.dumps({"settings": [], "accuracies": [{**entry, **changes}]}))
    with pytest.raises(ValueError, match=message):
        lessons.published_results(file)


def test_records_of_paper_runs(tmp_path):
    assert lessons.paper_records(tmp_path / "none") == ()
    record = make_record()
    record.save(tmp_path / "cub200-10" / "fmlora" / "seed_0")
    (found,) = lessons.paper_records(tmp_path)
    assert found.same_as(record)


def test_the_measured_step_is_that_of_the_latest_task(tmp_path):
    assert lessons.measured_step(folder=tmp_path) is None
    made = {"backbone": "vit", "image_size": 224, "device": "cpu", "batch_size": 8, "rounds": 5}
    steps = [
        {"side": side, "task": task, "seconds": {"median": s}, "peak_bytes": 2_500_000_000}
        for side, task, s in (("limit", 1, 1.0), ("fmlora", 50, 1.25), ("fmlora", 1, 1.5))
    ]
    (tmp_path / "summary.json").write_text(json.dumps({"made": made, "steps": steps}))
    found = lessons.measured_step(folder=tmp_path)
    assert found.pop("gigabytes") == pytest.approx(2.5)
    del made["rounds"]
    assert found == {**made, "task": 50, "seconds": 1.25}
    assert lessons.measured_step("l2p", tmp_path) is None


def test_logs_have_accuracies_with_weights_protocol_and_source():
    logs = lessons.published_results()["logs"]
    found = {(log["method"], log["data"], log["tasks"]): log for log in logs}
    assert len(found) == len(logs) == 7
    ten = found["SD-LoRA", "ImageNet-R", 10]
    assert (ten["final_accuracy"], ten["average_anytime_accuracy"]) == (78.17, 82.59)
    assert ten["file"] == "logs/InR-T20.log" and "1996" in ten["protocol"]
    assert all(log["weights"] and log["source"].startswith("https://") for log in logs)


@pytest.mark.parametrize("change", [{"final_accuracy": 101}, {"source": ""}, {"weights": ""}])
def test_a_log_without_source_weights_or_a_percentage_is_refused(tmp_path, change):
    log = lessons.published_results()["logs"][0] | change
    file = tmp_path / "published.json"
    file.write_text(json.dumps({"settings": [], "accuracies": [], "logs": [log]}))
    with pytest.raises(ValueError, match="must be .*got "):
        lessons.published_results(file)
