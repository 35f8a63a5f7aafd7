"""The explorer: every control changes the figure to what the figure function gives."""

import pytest
from helpers.boxes import count_shows
from helpers.records import flora_record, lora_record, make_record, orthonormal

from fmlora_kit.figures import subspace_pair
from fmlora_kit.figures.show import PLOTLY, mime_bundle
from fmlora_kit.widgets import SubspaceExplorer


def shown(explorer):
    return explorer.box.outputs[0]["data"][PLOTLY]


def drawn(record, *tasks, **options):
    return mime_bundle(subspace_pair(record, *tasks, **options))[PLOTLY]


def test_begins_with_the_first_and_the_last_task_over_all_layers():
    record = flora_record()
    explorer = SubspaceExplorer(record)
    assert shown(explorer) == drawn(record, "task A", "task C")
    assert explorer.layer.options == ("all layers", "blocks.0.q", "blocks.0.v")
    assert "task A and task C, all layers" in explorer.status.value


def test_each_control_changes_the_figure():
    record = flora_record()
    explorer = SubspaceExplorer(record)
    explorer.other.value = "task B"
    assert shown(explorer) == drawn(record, 0, 1)
    explorer.layer.value = "blocks.0.v"
    assert shown(explorer) == drawn(record, 0, 1, layer="blocks.0.v")
    assert "input 0.50 (chance 0.33)" in explorer.status.value
    explorer.layer.value = "blocks.0.q"
    explorer.task.value = "task C"
    assert shown(explorer) == drawn(record, 1, 2, layer="blocks.0.q")
    before = shown(explorer)
    # Task C's weaker direction holds a fifth of its energy: of 90 % it is a part, of 80 % not.
    assert "1.0 of task B, 2.0 of task C" in before["layout"]["title"]["subtitle"]["text"]
    explorer.energy.value = 1.0
    assert "holding 100 %" in shown(explorer)["layout"]["title"]["subtitle"]["text"]


def test_the_same_task_twice_is_said_in_place_of_the_figure():
    explorer = SubspaceExplorer(flora_record())
    height = shown(explorer)["layout"]["height"]
    explorer.other.value = "task A"
    assert not shown(explorer)["data"] and explorer.status.value == ""
    assert "Choose two different tasks" in explorer.box.outputs[0]["data"]["text/plain"]
    assert shown(explorer)["layout"]["height"] == height  # the page does not jump
    explorer.task.value = "task B"
    assert shown(explorer) == drawn(explorer.record, 0, 1)
    assert "task A and task B" in explorer.status.value


def test_every_control_is_labelled():
    explorer = SubspaceExplorer(flora_record())
    controls = (explorer.task, explorer.other, explorer.layer, explorer.energy)
    assert [c.description for c in controls] == ["Task", "Against", "Layer", "Energy"]
    assert all(control.tooltip for control in controls)


def test_a_move_of_a_control_draws_once(monkeypatch):
    explorer = SubspaceExplorer(flora_record())
    shown = count_shows(monkeypatch)
    moves = (
        (explorer.other, "task B"),
        (explorer.layer, "blocks.0.v"),
        (explorer.energy, 1.0),
        (explorer.task, "task C"),
    )
    for n_moves, (control, value) in enumerate(moves, 1):
        control.value = value
        assert len(shown) == n_moves, control.description


def test_bad_records_are_named():
    with pytest.raises(ValueError, match="got 'frozen_backbone'"):
        SubspaceExplorer(make_record(method="frozen_backbone"))
    state = {"blocks.0.q.a": orthonormal(6, 1, 0), "blocks.0.q.b": orthonormal(5, 1, 1).T}
    with pytest.raises(ValueError, match="at least 2 finished tasks, got 1"):
        SubspaceExplorer(lora_record([state]))
