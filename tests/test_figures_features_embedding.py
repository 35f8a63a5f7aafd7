"""The map of features: every point where the embedding says, on the same axes at all moments."""

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
    for i in range(2):
        trace = figure.data[i]
        np.testing.assert_allclose(np.stack([trace.x, trace.y], 1), places(1, i), atol=6e-4)
        assert trace.textfont.color == trace.marker.color == task_colors(3)[i]
        assert list(trace.text) == [
            n for n, t in zip(made().names, made().tasks, strict=True) if t == i
        ]
    assert np.isnan(figure.data[2].x).all()  # not learned yet
    assert figure.layout.title.text.endswith("after task 2, task B")
    trust = made().trustworthiness[1]
    said = figure.layout.title.subtitle.text
    assert f"Trustworthiness {trust:.2f} (1:" in said
    assert f"moved by {100 * made().moved[1]:.0f} % of the map's size" in said
    assert "moved" not in embedding(made(), after=1).layout.title.subtitle.text


def test_without_a_moment_the_last_is_shown():
    assert embedding(made()) == embedding(made(), after=3)


def test_axes_are_fixed_and_hold_every_point():
    figure = embedding(made())
    ranges = np.array([figure.layout.xaxis.range, figure.layout.yaxis.range])
    points = made().coordinates[np.isfinite(made().coordinates[..., 0])]
    assert (points > ranges[:, 0]).all() and (points < ranges[:, 1]).all()
    assert np.diff(ranges[0]) == pytest.approx(np.diff(ranges[1]))
    assert figure.layout.yaxis.scaleanchor == "x"
    single = embedding(made(), after=1)
    assert single.layout.xaxis.range == figure.layout.xaxis.range


def test_letters_are_written_and_longer_names_are_points():
    assert {t.mode for t in embedding(made()).data} == {"text"}
    words = replace(made(), names=tuple("zero" for _ in made().names))
    assert {t.mode for t in embedding(words).data} == {"markers"}


def test_the_figure_is_light():
    figure = embedding(made())
    per_place = 2 * 4 * 4 / 3  # two numbers of four bytes, in base64
    n_places = 60
    assert len(figure.to_json()) < per_place * n_places + 9_000
    assert figure.data[0].x.dtype == np.float32


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"after must be one of \(1, 2, 3\), got 4"):
        embedding(made(), after=4)
