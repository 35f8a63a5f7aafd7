"""The demo, really run: two tasks of few pictures, in processes of its own."""

import io
import json
import re
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from helpers.records import confused
from plotly.offline import get_plotlyjs

from fmlora_kit.__main__ import main as fmlora
from fmlora_kit.analysis import compare_records, metrics
from fmlora_kit.analysis.comparison import COSTS, METRICS
from fmlora_kit.analysis.sentences import findings
from fmlora_kit.analysis.tables import plain
from fmlora_kit.commands import demo
from fmlora_kit.commands.results import write_files
from fmlora_kit.methods import METHODS
from fmlora_kit.record import Record

NAMES = ("fmlora", "frozen_backbone", "joint")
SMALL = ["--methods", ",".join(NAMES), "--tasks", "2", "--train-images", "2", "--test-images", "2"]


def run(out, *more):
    """Exit code, standard output and standard error of a small demo."""
    with redirect_stdout(io.StringIO()) as said, redirect_stderr(io.StringIO()) as complained:
        code = fmlora(["demo", *SMALL, "--out", str(out), "--workers", "1", *more])
    return code, said.getvalue(), complained.getvalue()


def contents(folder):
    """Every file under a folder, as bytes."""
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A finished demo: its folder, and what it printed."""
    out = tmp_path_factory.mktemp("demo") / "with blanks in its name"
    code, said, complained = run(out, "--epochs", "1")
    assert code == 0 and "could not" not in complained
    assert "100%" in complained  # the bar
    return out, said


@pytest.fixture(scope="module")
def records(first):
    return {name: [Record.load(first[0] / "records" / name / "seed_0")] for name in NAMES}


def test_the_numbers_are_those_of_the_records(first, records):
    summary = json.loads((first[0] / "summary.json").read_text(), parse_constant=pytest.fail)
    rows = {row["method"]: row["values"] for row in summary["streams"]["glyphs"]["rows"]}
    assert set(rows) == set(NAMES)
    for name, (record,) in records.items():
        values = rows[name]
        assert set(values) == {*METRICS, *COSTS, "seconds_per_task"}
        if name != "joint":
            measured = metrics(record)
            assert {key: values[key]["mean"] for key in METRICS} == pytest.approx(
                {key: measured[key] for key in METRICS}
            )
        assert values["final_accuracy"]["ci95"] is None  # one seed
        assert values["seconds"]["mean"] == pytest.approx(record.seconds.sum())
        last = record.tasks[-1].n_deployed
        assert values["deployed_parameters_after_last_task"]["mean"] == last
    assert rows["joint"]["forgetting"]["mean"] is None
    assert summary["made"]["runs"] == 3 and summary["made"]["training"]["epochs"] == 1


def test_the_runs_are_the_ones_asked_for(records):
    (ours,) = records["fmlora"]
    assert (ours.n_tasks, len(ours.tasks), ours.seed, ours.n_classes) == (2, 2, 0, 20)
    assert ours.config["training"]["epochs"] == 1
    assert ours.config["stream"]["train_images"] == [20, 20]
    assert records["joint"][0].n_tasks == 1


def test_progress_has_a_line_per_task_in_columns(first):
    lines = [line for line in first[1].splitlines() if ": task" in line or "seed 0  " in line]
    assert [re.match(r"\d/5", line)[0] for line in lines] == ["1/5", "2/5", "3/5", "4/5", "5/5"]
    assert len({line.index("task ") for line in lines}) == 1
    assert len({line.index(" acc ") for line in lines}) == 1
    assert sum("rank" in line for line in lines) == 2


def test_the_table_is_printed_and_the_page_named(first, records):
    out, said = first
    found = compare_records([run for runs in records.values() for run in runs])
    assert plain(found) in said
    assert all(sentence in said for sentence in findings(found))
    assert re.search(r"\d+ seconds in total\. Open (.*)", said)[1] == str(out / "index.html")
    assert not list(out.glob(".*"))  # no temporary file


def test_the_page_is_whole_and_offline(first, records):
    page = (first[0] / "index.html").read_text().replace(get_plotlyjs(), "")
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', page, re.S)[1])
    assert {"stream", "accuracy", "forgetting", "ranks", "parameters"} <= set(figures)
    assert figures["ranks"]["data"][0]["text"][0][0] == str(records["fmlora"][0].ranks[0, 0])
    sources = re.findall(r'<[^>]*\s(?:src|href)="([^"]*)"', page)
    assert sources and not [s for s in sources if not s.startswith(("#", "data:,"))]
    assert "--methods fmlora,frozen_backbone,joint --tasks 2" in page
    assert "epochs 1, batch_size 32" in page and "held_out_accuracy 0.9" in page


def test_a_second_demo_learns_nothing_again(first):
    out, _ = first
    before = contents(out / "records")
    numbers = json.loads((out / "summary.json").read_text())["streams"]
    code, said, complained = run(out, "--epochs", "1")
    assert code == 0, complained
    assert "tasks to learn: 0" in said
    assert contents(out / "records") == before
    assert json.loads((out / "summary.json").read_text())["streams"] == numbers


def test_another_configuration_is_refused_until_fresh_is_asked_for(first):
    out, _ = first
    before = contents(out)
    code, _, complained = run(out, "--methods", "frozen_backbone", "--epochs", "2")
    assert code == 1
    assert "folder must be empty or hold this very run" in complained
    assert "--fresh" in complained and str(out / "records") in complained
    assert contents(out) == before


def test_fresh_removes_the_runs_asked_for_and_no_others(first, tmp_path, monkeypatch):
    for name in ("fmlora", "joint"):
        (tmp_path / "records" / name / "seed_0").mkdir(parents=True)
    monkeypatch.setattr(
        demo, "run_many", lambda jobs, **_: pytest.fail("stop") if jobs[1:] else 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        demo.main(["--methods", "joint", "--fresh", "--out", str(tmp_path)])
    assert [p.name for p in (tmp_path / "records").glob("*/seed_0")] == ["seed_0"]
    assert (tmp_path / "records" / "fmlora" / "seed_0").exists()


def test_a_damaged_run_is_named_before_anything_is_trained(tmp_path, monkeypatch):
    folder = tmp_path / "records" / "joint" / "seed_0"
    folder.mkdir(parents=True)
    (folder / "record.json").write_text("{")
    monkeypatch.setattr(demo, "run_many", lambda *_, **__: pytest.fail("trained"))
    code, _, complained = run(tmp_path, "--methods", "joint")
    assert code == 1 and "record.json" in complained and "--fresh" in complained


def test_a_number_too_large_to_read_is_one_sentence_too(tmp_path, monkeypatch):
    folder = tmp_path / "records" / "joint" / "seed_0"
    confused().save(folder)
    (folder / "timing.json").write_text(f'{{"seconds": [{"9" * 5000}]}}')
    monkeypatch.setattr(demo, "run_many", lambda *_, **__: pytest.fail("trained"))
    code, _, complained = run(tmp_path, "--methods", "joint")
    assert code == 1 and "timing.json" in complained and len(complained) < 800


def test_a_stopped_demo_says_how_to_go_on(tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "run_many", stop)
    code, _, complained = run(tmp_path)
    assert code == 130 and "stopped; the same command goes on where it was" in complained


def test_a_full_disk_leaves_the_earlier_numbers(tmp_path, monkeypatch):
    path = tmp_path / "summary.json"
    path.write_text("earlier")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_files(tmp_path, {path.name: "later"})
    assert path.read_text() == "earlier" and list(tmp_path.iterdir()) == [path]


def test_all_means_every_method_and_seeds_count_from_zero(tmp_path):
    asked, stream = demo._parse(["--methods", "all", "--stream", "digits", "--out", str(tmp_path)])
    assert asked.methods == tuple(METHODS) and len(stream) == 5
    job = demo._job(asked, "joint", 3)
    assert job.folder == tmp_path / "records" / "joint" / "seed_3"
    assert (job.stream, job.seed, job.stream_options) == ("digits", 3, {"n_tasks": 5})
    asked, stream = demo._parse([])
    assert asked.methods == ("fmlora", "sequential_lora", "frozen_backbone")
    assert (asked.seeds, asked.out, len(stream)) == (1, Path("build/demo"), 10)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (["--methods", "fmlora,best"], "--methods must be all or among fmlora"),
        (["--seeds", "0"], "--seeds must be a whole number at least 1, got 0"),
        (["--stream", "imagenet"], "--stream must be one of glyphs, "),
        (["--out", __file__], "--out must be a folder, got"),
        (["--stream", "digits", "--tasks", "6"], "n_tasks must be between 1 and 5, got 6"),
        (["--stream", "digits", "--test-images", "3"], "go with the streams of glyphs"),
    ],
)
def test_wrong_arguments_are_refused_with_their_rule(wrong, says, capsys):
    with pytest.raises(SystemExit) as end:
        demo.main(wrong)
    assert end.value.code == 2
    assert says in capsys.readouterr().err


def test_columns_of_a_line_stand_still():
    long = "fmlora, seed 0: task 10/10 Tifinagh  rank 6.3  acc 0.81  forgetting 0.04  12 s"
    brief = "joint, seed 0: task 1/10 Latin  acc 0.81  3 s"
    a, b = (demo.aligned(line, (14, 19)) for line in (long, brief))
    assert a == "fmlora, seed 0  task 10/10 Tifinagh  rank 6.3   acc 0.81  forgetting 0.04    12 s"
    for part in ("task", "acc", " s"):
        assert a.rindex(part) == b.rindex(part)
