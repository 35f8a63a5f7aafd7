"""Colours and styles: the same task always alike, and told apart without colour vision."""

import textwrap

import numpy as np
import plotly.graph_objects as go
import pytest
from helpers import records as made
from plotly.colors import hex_to_rgb

import fmlora_kit as fk
from fmlora_kit.figures.style import (
    FRACTION_SCALE,
    INK,
    OKABE_ITO,
    RANK_SCALE,
    faded,
    method_styles,
    name_axis,
    new_figure,
    short,
    task_colors,
)


def luminance(rgb):
    """Relative luminance of WCAG 2.1, from 0 to 1."""
    parts = [part / 255 for part in rgb]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_up_to_eight_tasks_have_okabe_ito_colours():
    assert task_colors(3) == ("#0072B2", "#D55E00", "#009E73")
    assert task_colors(8) == OKABE_ITO


@pytest.mark.parametrize("n", [9, 10, 20, 40])
def test_longer_streams_go_from_dark_to_light(n):
    colors = task_colors(n)
    assert len(set(colors)) == n
    assert colors[0] == "#440154"  # viridis begins here
    brightness = [luminance(hex_to_rgb(color)) for color in colors]
    assert brightness == sorted(brightness)
    assert 1.05 / (brightness[-1] + 0.05) > 1.4  # the lightest is still seen on white
    assert colors == task_colors(n)


def test_the_figure_of_your_own_that_the_room_shows_runs():
    block = fk.figures.__doc__.partition("of a cell:\n\n")[2]
    names = {"fk": fk, "record": made.plausible_record(3)}
    exec(textwrap.dedent(block), names)
    figure = names["figure"]
    assert figure.layout.template == fk.figures.TEMPLATE
    assert figure.data[0].marker.color == task_colors(3)
    assert figure.data[0].y == pytest.approx(100 * names["record"].accuracy[2])


def test_no_tasks_have_no_colours():
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        task_colors(0)


def test_methods_differ_in_colour_dash_and_marker():
    styles = method_styles(["a", "b", "c", "d", "e", "f"])
    for part in ("color", "dash", "symbol"):
        assert len({getattr(style, part) for style in styles.values()}) == 6
    assert styles["a"] == method_styles(["a", "z"])["a"]


def test_many_methods_still_differ():
    assert len(set(method_styles([str(k) for k in range(20)]).values())) == 20


@pytest.mark.parametrize("scale", [FRACTION_SCALE, RANK_SCALE])
def test_numbers_are_legible_on_every_cell(scale):
    stops = [stop for stop, _ in scale]
    colors = np.array([hex_to_rgb(color) for _, color in scale])
    places = np.linspace(0, 1, 21)
    cells = np.stack([np.interp(places, stops, channel) for channel in colors.T], axis=1)
    brightness = [luminance(cell) for cell in cells]
    assert brightness == sorted(brightness, reverse=True)
    ink = luminance(hex_to_rgb(INK))
    assert min((b + 0.05) / (ink + 0.05) for b in brightness) >= 4.5


def test_faded_colours_are_see_through():
    assert faded("#0072B2", 0.2) == "rgba(0,114,178,0.2)"


def test_a_new_figure_has_the_house_template():
    figure = new_figure("what is seen", "how it is defined")
    assert figure.layout.title.text == "what is seen"
    assert figure.layout.title.subtitle.text == "how it is defined"
    assert figure.layout.template.layout.plot_bgcolor == "white"
    assert isinstance(figure, go.Figure)


def test_crowded_names_are_slanted():
    assert name_axis(["Latin", "Greek"], "task")["tickangle"] == 0
    assert name_axis(["Latin"] * 20, "task")["tickangle"] == 30


def test_long_names_are_cut():
    assert short("Canadian syllabics") == "Canadian syllabics"
    assert short("Canadian syllabics, barred") == "Canadian syllabic…"
