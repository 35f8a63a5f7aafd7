"""Colours and styles: the same task always alike, and told apart without colour vision."""

import itertools
import textwrap

import numpy as np
import plotly.graph_objects as go
import pytest
from helpers import records as made
from plotly.colors import hex_to_rgb

import fmlora_kit as fk
from fmlora_kit.figures.style import (
    AVERAGE_COLOR,
    FRACTION_SCALE,
    GAIN_SCALE,
    INK,
    METHOD_STYLES,
    NEUTRAL,
    PALETTE,
    RANK_SCALE,
    bar_fills,
    faded,
    method_styles,
    name_axis,
    new_figure,
    readable_on,
    short,
    task_colors,
    task_looks,
)
from fmlora_kit.record.names import NAMES

# Linear RGB as seen without one kind of cones: Machado, Oliveira and Fernandes, "A
# Physiologically-based Model for Simulation of Color Vision Deficiency", 2009, severity 1.
SEEN = {
    "all cones": np.eye(3),
    "no red cones": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "no green cones": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "no blue cones": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}


def linear(rgb):
    """Linear RGB from 0 to 1 of sRGB from 0 to 255."""
    parts = np.asarray(rgb) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def oklab(rgb):
    """OKLab of linear RGB, times 100: Ottosson, "A perceptual color space", 2020."""
    to_cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    to_lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return 100 * np.array(to_lab) @ np.cbrt(np.array(to_cones) @ rgb)


def gaps(colors, cones):
    """Distance in OKLab of each pair of colours, as eyes without these cones see them."""
    seen = [oklab(np.clip(SEEN[cones] @ linear(hex_to_rgb(c)), 0, 1)) for c in colors]
    return np.array([np.linalg.norm(a - b) for k, a in enumerate(seen) for b in seen[:k]])


def contrast(color, other="#ffffff"):
    """Contrast of WCAG 2, from 1 to 21."""
    low, high = sorted(luminance(hex_to_rgb(each)) for each in (color, other))
    return (high + 0.05) / (low + 0.05)


def luminance(rgb):
    """Relative luminance of WCAG 2.1, from 0 to 1."""
    parts = [part / 255 for part in rgb]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_up_to_eight_tasks_have_a_colour_each():
    assert task_colors(3) == ("#0072B2", "#D55E00", "#009E73")
    assert task_colors(8) == PALETTE


@pytest.mark.parametrize("n", [8, 9, 20, 40])
def test_two_tasks_differ_in_colour_or_else_in_dash_and_in_marker(n):
    looks = task_looks(n)
    for look, other in itertools.combinations(looks, 2):
        same = [getattr(look, part) == getattr(other, part) for part in ("dash", "symbol")]
        assert look.color != other.color or same == [False, False]
    assert looks == task_looks(n) and looks[:8] == task_looks(8)


@pytest.mark.parametrize("cones", SEEN)
def test_neighbouring_tasks_of_a_long_stream_are_told_apart(cones):
    pairs = itertools.pairwise(task_colors(40))
    assert min(gaps(pair, cones).item() for pair in pairs) >= 7.6


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


def test_a_method_looks_the_same_by_either_name_and_in_any_company():
    alone = method_styles(["FM-LoRA"])["FM-LoRA"]
    many = method_styles(["before", *NAMES.values(), "after"])
    assert method_styles(["seed 0", "fmlora"])["fmlora"] == alone == many["FM-LoRA"]
    assert list(many) == ["before", *NAMES.values(), "after"]
    assert set(METHOD_STYLES) == set(NAMES)
    for parts in (("color", "dash"), ("symbol",)):  # as lines, and as points
        looks = [tuple(getattr(s, p) for p in parts) for s in METHOD_STYLES.values()]
        assert len(set(looks)) == len(looks)
    assert len(set(many.values())) == len(many)


def test_other_labels_take_colours_that_no_known_method_beside_them_has():
    styles = method_styles(["seed 0", "FM-LoRA", "sequential LoRA"])
    assert len({look.color for look in styles.values()}) == 3


def test_bars_of_methods_that_share_a_colour_differ_by_stripes():
    fills = bar_fills(method_styles(METHOD_STYLES))
    looks = [(one["color"], one["pattern"]["shape"]) for one in fills.values()]
    assert len(set(looks)) == len(METHOD_STYLES)
    assert fills["fmlora"]["pattern"]["shape"] == fills["sequential_lora"]["pattern"]["shape"] == ""


@pytest.mark.parametrize(
    "color", [*PALETTE, NEUTRAL, INK, AVERAGE_COLOR, *task_colors(9), *task_colors(40)]
)
def test_lines_and_marks_stand_out_from_white(color):
    assert contrast(color) >= 3


@pytest.mark.parametrize("color", [*PALETTE, NEUTRAL, *task_colors(40), "#ffffff", "#bcdff3"])
def test_texts_inside_bars_are_legible(color):
    assert contrast(readable_on(color), color) >= 4.5


@pytest.mark.parametrize("cones", SEEN)
def test_the_colours_are_told_apart_without_red_green_or_blue_cones(cones):
    assert gaps([*PALETTE, AVERAGE_COLOR], cones).min() >= 7.6  # two of before: 2.1


@pytest.mark.parametrize("color", GAIN_SCALE)
def test_numbers_are_legible_on_changes(color):
    assert contrast(INK, color[1]) >= 4.5


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
