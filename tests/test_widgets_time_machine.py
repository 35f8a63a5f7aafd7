"""The time machine: what its controls show, and that each move draws once."""

import ipywidgets
import numpy as np
import pytest
from helpers.boxes import count_shows
from helpers.records import MAPS, make_explanations
from nbval_tolerance import as_numbers

from fmlora_kit.figures.attribution import limit_of
from fmlora_kit.figures.show import PLOTLY
from fmlora_kit.widgets import TimeMachine


def machine():
    return TimeMachine([make_explanations(), make_explanations("grad_cam")])


def shown(panel):
    """The map (None if there is none), the bars and the title."""
    figure = panel.box.outputs[0]["data"][PLOTLY]
    by_type = {trace["type"]: trace for trace in figure["data"]}
    heat = as_numbers(by_type["heatmap"]["z"]) if "heatmap" in by_type else None
    return heat, as_numbers(by_type["bar"]["x"]), figure["layout"]["title"]["text"]


def test_it_opens_on_the_first_image_after_the_last_task():
    panel = machine()
    heat, bars, title = shown(panel)
    np.testing.assert_allclose(heat * limit_of(MAPS[:, 0]), MAPS[2, 0], atol=0.1)
    np.testing.assert_allclose(bars, [40, 30, 10, 10, 5, 5])
    assert title == "The model after task 3, Latin, barred: fmlora on glyphs"


def test_every_control_changes_the_picture_as_the_numbers_say():
    panel = machine()
    panel.task.value = 1
    heat, bars, title = shown(panel)
    np.testing.assert_allclose(heat * limit_of(MAPS[:, 0]), MAPS[0, 0], atol=0.1)
    np.testing.assert_allclose(bars, [80, 20])
    assert title.startswith("The model after task 1, Latin")
    panel.image.value = 1
    heat, bars, _ = shown(panel)
    assert heat is None
    np.testing.assert_allclose(bars, [70, 30])
    panel.task.value = 2
    np.testing.assert_allclose(shown(panel)[0] * limit_of(MAPS[:, 1]), MAPS[1, 1], atol=1e-2)
    panel.method.value = "grad_cam"
    heat, bars, _ = shown(panel)
    np.testing.assert_allclose(heat * limit_of(MAPS[:, 1]), np.abs(MAPS[1, 1]), atol=1e-2)
    np.testing.assert_allclose(bars, [75, 15, 10, 0])


def test_controls_are_labelled_and_tell_pictures_apart():
    panel = machine()
    for control, label in (
        (panel.image, "Image"),
        (panel.method, "Method"),
        (panel.task, "Task (of 3)"),
    ):
        assert control.description == label and control.tooltip
    assert panel.image.options == (("1: B, Latin", 0), ("2: α, Greek", 1))
    assert panel.method.options == (
        ("integrated gradients", "integrated_gradients"),
        ("Grad-CAM", "grad_cam"),
    )
    assert (panel.task.min, panel.task.max, panel.task.value) == (1, 3, 3)
    assert isinstance(panel, ipywidgets.VBox)


def test_one_set_of_explanations_or_a_dict_of_them_will_do():
    assert len(TimeMachine(make_explanations()).method.options) == 1
    by_name = {"a": make_explanations("saliency"), "b": make_explanations("grad_cam")}
    assert [value for _, value in TimeMachine(by_name).method.options] == ["saliency", "grad_cam"]


def test_a_move_of_a_control_draws_once(monkeypatch):
    panel = machine()
    shown = count_shows(monkeypatch)
    moves = ((panel.task, 1), (panel.image, 1), (panel.method, "grad_cam"), (panel.task, 2))
    for n_moves, (control, value) in enumerate(moves, 1):
        control.value = value
        assert len(shown) == n_moves, control.description


def test_what_cannot_be_shown_together_is_refused():
    with pytest.raises(ValueError, match="at least one method's, got"):
        TimeMachine([])
    with pytest.raises(ValueError, match="by different methods, got .*'saliency', 'saliency'"):
        TimeMachine([make_explanations("saliency")] * 2)
    with pytest.raises(ValueError, match="same run, images and targets"):
        TimeMachine([make_explanations(), make_explanations("saliency", run="another")])
