"""The map of features: every point where the embedding says, every frame on the same axes."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from helpers.records import make_history

from fmlora_kit.analysis import embed
from fmlora_kit.figures import embedding
from fmlora_kit.figures.style import task_colors


@cache
def made():
    return embed(make_history(3, per_class=10, drift=0.1), perplexity=8, n_neighbours=5)


def places(moment, task):
    return made().coordinates[moment, made().tasks == task]


def test_one_map_by_the_number_of_tasks_learned():
    figure = embedding(made(), after=2)
    assert not figure.frames and not figure.layout.sliders
    for i in range(2):
        trace = figure.data[i]
        np.testing.assert_allclose(np.stack([trace.x, trace.y], 1), places(1, i), atol=6e-4)
        assert trace.textfont.color == trace.marker.color == task_colors(3)[i]
        assert list(trace.text) == [
            n for n, t in zip(made().names, made().tasks, strict=True) if t == i
        ]
    assert [t.opacity for t in figure.data] == [1, 1, 0]
    assert figure.data[2].hovertemplate == ""
    assert figure.layout.title.text.endswith("after task B")
    trust = made().trustworthiness[1]
    assert f"Trustworthiness {trust:.2f} (1:" in figure.layout.title.subtitle.text


def test_frames_hold_every_map_and_the_last_is_shown():
    figure = embedding(made())
    assert [frame.name for frame in figure.frames] == ["1", "2", "3"]
    for k, frame in enumerate(figure.frames):
        assert frame.traces == (0, 1, 2)
        for i, trace in enumerate(frame.data):
            expected = places(max(k, i), i)  # before it is learned: invisible, where it will be
            assert trace.opacity == (i <= k)
            np.testing.assert_allclose(np.stack([trace.x, trace.y], 1), expected, atol=6e-4)
    np.testing.assert_array_equal(figure.data[2].x, figure.frames[2].data[2].x)
    (slider,) = figure.layout.sliders
    assert slider.active == 2
    assert slider.steps[1].label == "task B"
    said = figure.frames[1].layout.title.subtitle.text
    assert f"Trustworthiness {made().trustworthiness[1]:.2f} (1:" in said
    assert f"moved by {100 * made().moved[1]:.0f} % of the map's size" in said
    assert "moved" not in figure.frames[0].layout.title.subtitle.text
    assert list(slider.steps[1].args[0]) == ["2"]
    (button,) = figure.layout.updatemenus[0].buttons
    assert button.label == "▶ Play" and button.args[0] is None


def test_axes_are_fixed_and_hold_every_point():
    figure = embedding(made())
    ranges = np.array([figure.layout.xaxis.range, figure.layout.yaxis.range])
    points = made().coordinates[np.isfinite(made().coordinates[..., 0])]
    assert (points > ranges[:, 0]).all() and (points < ranges[:, 1]).all()
    assert np.diff(ranges[0]) == pytest.approx(np.diff(ranges[1]))
    assert figure.layout.yaxis.scaleanchor == "x"
    assert all(frame.layout.xaxis.range is None for frame in figure.frames)
    single = embedding(made(), after=1)
    assert single.layout.xaxis.range == figure.layout.xaxis.range


def test_letters_are_written_and_longer_names_are_points():
    assert {t.mode for t in embedding(made()).data} == {"text"}
    words = replace(made(), names=tuple("zero" for _ in made().names))
    assert {t.mode for t in embedding(words).data} == {"markers"}


def test_the_figure_is_light():
    figure = embedding(made())
    per_place = 2 * 4 * 4 / 3  # two numbers of four bytes, in base64
    n_places = 4 * 60  # three frames, and the map that is shown
    assert len(figure.to_json()) < per_place * n_places + 10_000
    assert figure.data[0].x.dtype == np.float32


def test_a_single_moment_needs_no_slider():
    one = embed(make_history(1, n_classes=3, per_class=10), perplexity=8, n_neighbours=5)
    figure = embedding(one)
    assert not figure.frames and figure.layout.title.text.endswith("after task A")


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"after must be one of \(1, 2, 3\), got 4"):
        embedding(made(), after=4)
