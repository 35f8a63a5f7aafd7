"""The what-if figure and the curves of rank, by the values in their traces."""

import numpy as np
import pytest
from test_analysis_ranks_truncation import make_table

from fmlora_kit.figures import what_if
from fmlora_kit.figures.style import task_colors


def test_frames_of_the_full_ranks_and_bars_after_the_cut():
    figure = what_if(make_table(), "Latin", None, 4)
    frames, bars, changes = figure.data
    np.testing.assert_allclose(frames.y, [90, 80])
    np.testing.assert_allclose(bars.y, [70, 80])
    np.testing.assert_allclose(changes.y, [90, 80])  # above both
    assert list(changes.text) == ["−20.0", "±0"]
    assert list(bars.marker.color) == list(task_colors(2))
    np.testing.assert_allclose(bars.customdata, [[2, 10], [3, 30]])
    assert bars.width < frames.width and figure.layout.barmode == "overlay"
    title = figure.layout.title
    assert title.text == (
        "Latin cut from rank up to 8 to 4 in all 2 layers: 5 of 40 predictions change"
    )
    assert "10 to 30 test images per task" in title.subtitle.text
    (mark,) = figure.layout.annotations
    assert (mark.x, mark.text) == (0, "✂ cut")


def test_one_layer_is_named():
    figure = what_if(make_table(), 0, "blocks.0.v", 0)
    np.testing.assert_allclose(figure.data[1].y, [50, 60])
    assert figure.layout.title.text.startswith("Latin cut from rank 4 to 0 in layer blocks.0.v:")


@pytest.mark.parametrize("rank", [None, 2])
def test_nothing_cut(rank):
    figure = what_if(make_table(), "Greek", "all layers", rank)
    np.testing.assert_allclose(figure.data[1].y, figure.data[0].y)
    assert figure.layout.title.text == (
        "Nothing cut: Greek has rank up to 2 in all 2 layers: 0 of 40 predictions change"
    )
    assert not figure.layout.annotations


def test_a_rank_that_was_not_measured():
    with pytest.raises(ValueError, match=r"rank must be one of \(0, 4, 8\), got 5"):
        what_if(make_table(), 0, None, 5)


def test_curves_pool_all_images():
    figure = what_if(make_table())
    by_panel = {(t.name, t.xaxis): t for t in figure.data}
    latin, greek = (by_panel[name, "x"] for name in ("Latin", "Greek"))
    # 10 images of Latin, 30 of Greek; cut to 0, 4, and the chosen 8.
    np.testing.assert_allclose(latin.y, [17.5, 77.5, 82.5])
    np.testing.assert_allclose(greek.y, [22.5, 82.5])
    np.testing.assert_allclose(by_panel["Latin", "x2"].y, [90, 12.5, 0])
    np.testing.assert_allclose(by_panel["Greek", "x2"].y, [75, 0])
    assert list(figure.layout.xaxis.ticktext) == ["0", "2", "4", "8"]
    assert (list(latin.x), list(greek.x)) == ([0, 2, 3], [0, 1])
    assert figure.layout.title.text == "How much rank does each task need? Cut in all 2 layers"


def test_curves_of_one_layer():
    figure = what_if(make_table(), layer="blocks.0.q")
    latin = figure.data[0]
    np.testing.assert_allclose(latin.y, [37.5, 82.5])
    assert "layer blocks.0.q" in figure.layout.title.text
    with pytest.raises(ValueError, match="layer must be one of"):
        what_if(make_table(), layer="blocks.9.q")
