"""The picture grid of a stream: its pictures decoded and compared."""

import base64
import io

import numpy as np
import pytest
from helpers.records import make_stream
from PIL import Image

from fmlora_kit.figures import samples
from fmlora_kit.figures.style import task_colors
from fmlora_kit.streams import glyphs


def decoded(image):
    """The pixels of a layout image."""
    data = base64.b64decode(image.source.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)))


def test_each_row_shows_the_first_picture_of_each_class():
    stream = make_stream(n_tasks=3, n_classes=2, size=8)
    figure = samples(stream)
    assert len(figure.layout.images) == 3
    row = decoded(figure.layout.images[1])
    assert row.shape == (10, 20, 3)
    first, second = stream.tasks[1].train_images[[0, 2]]
    assert np.abs(row[:8, :8].astype(int) - first).max() < 8  # 5 of 8 bits are kept
    assert np.abs(row[:8, 10:18].astype(int) - second).max() < 8
    assert (row[8:] == 255).all() and (row[:, 8:10] == 255).all()
    assert (figure.layout.images[1].sizex, figure.layout.images[1].y) == (2, 1)


def test_hover_names_the_class():
    figure = samples(make_stream(), per_class=2)
    assert list(figure.data[1].text) == ["class 2", "class 2", "class 3", "class 3"]
    assert "task 2, task 1" in figure.data[1].hovertemplate
    np.testing.assert_array_equal(figure.data[1].x, [0.5, 1.5, 2.5, 3.5])


def test_rows_are_named_in_the_colour_of_their_task():
    ticks = samples(make_stream(n_tasks=10)).layout.yaxis.ticktext
    assert ticks[0].startswith("task 0 ") and task_colors(10)[0] in ticks[0]
    assert ticks[9].startswith("task 9 ") and task_colors(10)[9] in ticks[9]


def test_class_names_stand_beside_short_rows_only():
    figure = samples(make_stream())
    assert [a.text for a in figure.layout.annotations][0] == "class 0\u200e  class 1"
    assert not samples(make_stream(n_classes=13)).layout.annotations
    long = samples(make_stream(n_classes=12)).layout.annotations[0].text
    assert len(long) == 48 and long.endswith("…")


def test_black_and_white_stay_black_and_white():
    stream = make_stream(n_tasks=1, n_classes=1)
    stream.tasks[0].train_images[0] = 0
    stream.tasks[0].train_images[0, 0] = 255
    row = decoded(samples(stream).layout.images[0])
    assert (row[0, :8] == 255).all() and (row[1:8, :8] == 0).all()


def test_large_pictures_are_thinned_out_and_long_rows_cut():
    stream = make_stream(n_tasks=1, n_classes=3, size=224)
    figure = samples(stream, max_columns=2)
    row = decoded(figure.layout.images[0])
    assert row.shape == (47, 94, 3)  # every fifth pixel, and the gaps
    assert list(figure.data[0].text) == ["class 0", "class 1"]


def test_the_figure_is_light():
    figure = samples(glyphs(10, n_train=1, n_test=1))
    assert len(figure.layout.images) == 10
    assert len(figure.to_json()) < 200_000


def test_the_same_stream_gives_the_same_figure():
    assert samples(make_stream()).to_json() == samples(make_stream()).to_json()


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="per_class must be at least 1, got 0"):
        samples(make_stream(), per_class=0)
    with pytest.raises(ValueError, match="max_columns must be at least 1, got 0"):
        samples(make_stream(), max_columns=0)
