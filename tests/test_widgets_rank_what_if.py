"""The rank what-if: every control shows what the table holds, at once."""

import numpy as np
import pytest
from helpers.boxes import count_shows
from helpers.records import make_record
from nbval_tolerance import as_numbers
from test_analysis_ranks_truncation import LAYERS, make_table

from fmlora_kit.figures.show import PLOTLY
from fmlora_kit.widgets import RankWhatIf


def bars(panel):
    """Accuracies in % after the cut, as drawn, and the title."""
    figure = panel.box.outputs[0]["data"][PLOTLY]
    y = np.asarray(as_numbers(figure["data"][1]["y"]))
    return y.tolist(), figure["layout"]["title"]["text"]


def test_it_begins_with_nothing_cut():
    panel = RankWhatIf(make_table())
    assert (panel.task.value, panel.layer.value, panel.rank.value) == ("Latin", "all layers", 8)
    np.testing.assert_allclose(bars(panel)[0], [90, 80])
    assert bars(panel)[1].startswith("Nothing cut")


def test_controls_are_labelled():
    panel = RankWhatIf(make_table())
    controls = panel.task, panel.layer, panel.rank
    assert [control.description for control in controls] == ["Task", "Layer", "Rank"]
    assert all(control.tooltip for control in controls)
    assert panel.task.options == ("Latin", "Greek")
    assert panel.layer.options == ("all layers", *LAYERS)


def test_the_rank_changes_the_accuracy_of_every_task():
    panel = RankWhatIf(make_table())
    assert panel.rank.options == (0, 4, 8)
    panel.rank.value = 4
    np.testing.assert_allclose(bars(panel)[0], [70, 80])
    panel.rank.value = 0
    np.testing.assert_allclose(bars(panel)[0], [10, 20])
    panel.rank.index = 2  # what the page sets
    np.testing.assert_allclose(bars(panel)[0], [90, 80])


def test_another_layer_offers_its_own_ranks_and_starts_full():
    panel = RankWhatIf(make_table())
    panel.rank.value = 0
    panel.layer.value = "blocks.0.v"
    assert panel.rank.options == (0, 4) and panel.rank.value == 4
    np.testing.assert_allclose(bars(panel)[0], [90, 80])
    panel.rank.value = 0
    np.testing.assert_allclose(bars(panel)[0], [50, 60])
    assert "layer blocks.0.v" in bars(panel)[1]


def test_another_task_offers_its_own_ranks():
    panel = RankWhatIf(make_table())
    panel.task.value = "Greek"
    assert panel.rank.options == (0, 2) and panel.rank.value == 2
    panel.rank.value = 0
    np.testing.assert_allclose(bars(panel)[0], [90, 0])
    panel.layer.value = "blocks.0.q"  # nothing was measured here: only the chosen rank is offered
    assert panel.rank.options == (2,)
    panel.task.value = "Latin"
    panel.rank.value = 0
    np.testing.assert_allclose(bars(panel)[0], [30, 40])


def test_a_move_of_a_control_draws_once(monkeypatch):
    panel = RankWhatIf(make_table())
    shown = count_shows(monkeypatch)
    moves = ((panel.task, "Greek"), (panel.rank, 0), (panel.layer, "blocks.0.q"))
    for n_moves, (control, value) in enumerate(moves, 1):
        control.value = value
        assert len(shown) == n_moves, control.description


def test_what_has_no_pairs_is_named():
    with pytest.raises(ValueError, match="pairs M_t N_t, got Record of method 'sequential_lora'"):
        RankWhatIf(make_record(method="sequential_lora"))
    with pytest.raises(ValueError, match="got dict"):
        RankWhatIf({})
