"""Accuracy against what is stored: points, arrows, names and the bound."""

import math

import pytest
from helpers.records import a_run, storing_runs

from fmlora_kit.figures import accuracy_by_size


@pytest.fixture
def figure():
    return accuracy_by_size(storing_runs())


def test_points_are_size_and_final_accuracy(figure):
    points = {trace.name: trace for trace in figure.data}
    assert points["FM-LoRA"].x == pytest.approx([146])
    assert points["FM-LoRA"].y == pytest.approx([72.5])
    assert points["stores modules per task"].x == pytest.approx([210])
    assert "stores samples" not in points


def test_what_stores_nothing_stands_at_zero(figure):
    nothing = next(trace for trace in figure.data if trace.name == "stores nothing")
    axis = figure.layout.xaxis
    zero = dict(zip(axis.ticktext, axis.tickvals, strict=True))["0"]
    assert nothing.x == pytest.approx([zero])
    assert axis.range[0] < math.log10(zero)


def test_an_arrow_from_the_first_size_to_the_last_where_it_grows(figure):
    arrows = [note for note in figure.layout.annotations if note.showarrow is None]
    assert [(10**a.ax, 10**a.x, a.y) for a in arrows] == [pytest.approx((10, 210, 72.5))]


def test_names_and_the_bound(figure):
    texts = [note.text for note in figure.layout.annotations]
    assert {"<b>FM-LoRA</b>", "SD-LoRA", "frozen backbone"} <= set(texts)
    assert any(text.startswith("joint training, a bound") for text in texts)
    assert figure.layout.shapes[0].y0 == pytest.approx(95)


def test_runs_that_do_not_compare_are_refused():
    with pytest.raises(ValueError, match="one per method and seed"):
        accuracy_by_size([a_run(), a_run()])
