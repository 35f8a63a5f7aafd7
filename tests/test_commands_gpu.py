"""The measurements of a GPU, tried on the CPU: one call each, one report."""

import json
import sys
from functools import partial

import pytest
import torch

from fmlora_kit.commands import gpu

QUICK = ["--device", "cpu", "--quick", "--seeds", "2"]


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpu")
    gpu.main(["check", *QUICK, "--out", str(folder)])
    return folder


def test_precisions_a_resumed_run_and_waits_are_in_the_report(out):
    found = json.loads((out / "check.json").read_text())
    low, full = found["final_accuracy"].values()
    assert len(low) == 2 and low == full  # the CPU has one precision
    assert found["resume"]["bit for bit"] and found["resume"]["stopped after task"] == 1
    assert found["resume"]["largest difference of a loss"] == 0
    assert found["waits_per_step"]["aten::_local_scalar_dense"] >= 1  # each loss is looked at there
    text = (out / "report.md").read_text()
    assert "difference 0.0 ± 0.0" in text and "bit for bit the same" in text


def test_a_second_call_trains_nothing_again(out, monkeypatch):
    monkeypatch.setattr(sys.modules["fmlora_kit.training.run"], "train_task", None)
    before = (out / "check.json").read_text()
    gpu.main(["check", *QUICK, "--out", str(out)])
    assert (out / "check.json").read_text() == before


def test_a_run_that_ends_elsewhere_is_told(out):
    asked = gpu._parse(["check", *QUICK, "--out", str(out)])
    told = gpu.resumed(asked, gpu._run(asked, 1, full=False))  # resumed is that of seed 0
    assert not told["bit for bit"] and told["largest difference of a loss"] > 0
    found = json.loads((out / "check.json").read_text()) | {"resume": told}
    assert "losses of the last task differ by" in gpu.report({"check": found})


def test_steps_and_hours_of_each_protocol(tmp_path, monkeypatch):
    compiled = partial(torch.nn.Module.compile, backend="aot_eager")  # traces both passes, but
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled(self))  # writes no C++
    how = ["--device", "cpu", "--quick", "--out", str(tmp_path)]
    with pytest.raises(FileNotFoundError, match="run fmlora gpu bench first"):
        gpu.main(["hours", *how])
    gpu.main(["bench", *how, "--methods", "frozen_backbone"])
    gpu.main(["hours", *how])
    found = json.loads((tmp_path / "bench.json").read_text())
    assert all(min(pair) > 0 for pair in found["milliseconds"].values())
    summary = json.loads((tmp_path / "bench" / "summary.json").read_text())
    (row,) = (row for row in summary["steps"] if row["side"] == "frozen_backbone")
    hours = json.loads((tmp_path / "hours.json").read_text())["hours"]["frozen_backbone"]
    n_steps = 20 * 50_000 / summary["made"]["batch_size"]
    assert hours["cifar100-pycil-10"] == pytest.approx(row["seconds"]["median"] * n_steps / 3600)
    text = (tmp_path / "report.md").read_text()
    assert "| frozen_backbone@1 |" in text and "| cifar100-pycil-10 |" in text


def test_photos_are_trained_and_compared_by_the_programs_there_are(tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(gpu.pretrain, "main", lambda words: called.append(words))

    def compared(words):
        called.append(words)
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "tables.md").write_text("| a table |")

    monkeypatch.setattr(gpu.compare, "main", compared)
    gpu.main(["photos", *QUICK, "--images", str(tmp_path), "--out", str(tmp_path)])
    trained, table = called
    assert trained[:3] == ["photo_vit", "--images", str(tmp_path)]
    gpu.pretrain._parser().parse_args(trained)
    gpu.compare._parse(table)
    assert "| a table |" in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["check", "--device", "cpu"], "--device must be a CUDA device, or --quick given, got"),
        (["photos", "--quick", "--device", "cpu"], "--images must be given with photos, got none"),
        (["frames"], "frames"),
    ],
)
def test_wrong_arguments_end_before_anything_runs(wrong, told, capsys):
    with pytest.raises(SystemExit) as left:
        gpu.main(wrong)
    assert left.value.code == 2 and told in capsys.readouterr().err


def test_full_precision_holds_within_its_block_alone():
    from fmlora_kit.backbones.batches import autocasts, full_precision

    cuda = torch.device("cuda")
    with full_precision():
        assert not autocasts(cuda)
    assert autocasts(cuda) and not autocasts(torch.device("cpu"))
