"""Choose records of a folder: every view follows, and what cannot be read is said."""

import numpy as np
import pytest
from bs4 import BeautifulSoup
from helpers.boxes import count_shows
from helpers.records import THREE_TASKS, make_record
from test_widgets_stepper import numbers

from fmlora_kit.figures.show import PLOTLY
from fmlora_kit.record import RecordError
from fmlora_kit.widgets import RunComparison


@pytest.fixture
def folder(tmp_path):
    make_record().save(tmp_path / "ours")
    make_record(THREE_TASKS - 0.1, method="sequential_lora").save(tmp_path / "theirs")
    make_record(stream="another").save(tmp_path / "another")
    return tmp_path


def shown(panel, view):
    panel.view.value = view
    (output,) = panel.box.outputs
    return output["data"][PLOTLY]


def test_starts_with_the_records_that_can_be_compared(folder):
    panel = RunComparison(folder)
    assert panel.records.options == ("another", "ours", "theirs")
    assert panel.records.value == ("ours", "theirs")
    assert panel.status.value.startswith("2 of 3 records shown.")
    assert [trace["name"] for trace in shown(panel, "accuracy")["data"]] == ["ours", "theirs"]


def test_a_stream_can_be_named(folder):
    assert RunComparison(folder, stream="another").records.value == ("another",)
    assert RunComparison(folder, stream="missing").records.value == ()


def test_all_views_follow_the_choice(folder):
    panel = RunComparison(folder)
    panel.records.value = ("theirs",)
    (curve,) = shown(panel, "accuracy")["data"]
    np.testing.assert_allclose(numbers(curve, "y"), [80, 100 * 23 / 30 - 10, 62.5])
    (matrix,) = shown(panel, "matrices")["data"]
    np.testing.assert_allclose(numbers(matrix), 100 * (THREE_TASKS - 0.1))
    panel.view.value = "metrics"
    table = BeautifulSoup(panel.box.outputs[0]["data"]["text/html"], "html.parser")
    assert table.tbody("td")[2].get_text() == "62.5 %"
    assert "theirs" in shown(panel, "forgetting")["layout"]["title"]["text"]


def test_choosing_nothing_says_so(folder):
    panel = RunComparison(folder)
    panel.records.value = ()
    for _, view in panel.view.options:
        text = shown(panel, view)["layout"]["annotations"][0]["text"]
        assert text == "records must be at least one record, got {}"


def test_a_run_too_short_for_a_view_leaves_the_others(tmp_path):
    make_record(n_done=1).save(tmp_path / "short")
    panel = RunComparison(tmp_path)
    text = shown(panel, "forgetting")["layout"]["annotations"][0]["text"]
    assert "at least 2 finished tasks" in text
    assert numbers(shown(panel, "matrices")["data"][0]).tolist() == [[90]]


def test_what_cannot_be_read_is_listed_with_its_reason(folder):
    (folder / "theirs" / "task_000.safetensors").unlink()
    make_record(n_done=0).save(folder / "<empty>")
    panel = RunComparison(folder)
    assert panel.records.options == ("another", "ours")
    assert "Not readable: <b>theirs</b>: " in panel.status.value
    assert "task_000.safetensors" in panel.status.value
    assert "<b>&lt;empty&gt;</b>: no finished task" in panel.status.value


def test_an_empty_folder_is_an_empty_list(tmp_path):
    panel = RunComparison(tmp_path)
    assert panel.records.options == () and panel.records.value == ()
    assert panel.status.value.startswith("0 of 0 records shown.")


def test_records_are_read_once_when_the_widget_is_built(folder):
    panel = RunComparison(folder)
    for file in folder.rglob("*.*"):
        file.unlink()
    panel.records.value = ("ours",)
    assert [trace["name"] for trace in shown(panel, "accuracy")["data"]] == ["ours"]


def test_a_choice_draws_once_and_only_what_is_looked_at(folder, monkeypatch):
    panel = RunComparison(folder)
    shown = count_shows(monkeypatch)
    panel.records.value = ("ours",)
    panel.view.value = "metrics"
    assert len(shown) == 2


def test_controls_are_labelled_and_a_folder_must_exist(folder):
    panel = RunComparison(folder)
    assert panel.records.description == "Records" and panel.records.tooltip
    assert panel.view.description == "View" and panel.view.tooltips
    with pytest.raises(RecordError, match="folder must be a folder that exists"):
        RunComparison(folder / "nowhere")
