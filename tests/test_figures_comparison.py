"""Dots with intervals: a panel per stream, the best on top, the bound as a line."""

import pytest
from helpers.records import a_run, runs

from fmlora_kit.analysis import compare_records
from fmlora_kit.figures import comparison_dots

HALF_WIDTH = 100 * 4.302652729911275 * 0.05 / 3**0.5  # of 72.5, 62.5 and 67.5 %


@pytest.fixture
def figure():
    return comparison_dots({"hand made": compare_records(runs())})


def drawn(figure):
    """The traces with data; those of the legend have none."""
    return [trace for trace in figure.data if trace.x != (None,)]


def test_means_and_intervals(figure):
    ours, others, bound = drawn(figure)
    assert ours.x == pytest.approx([67.5])
    assert ours.error_x.array == pytest.approx([HALF_WIDTH])
    assert others.x == pytest.approx([67.5 - 0.5 / 3, 56.5])
    assert bound.x == pytest.approx([95, 95])
    assert bound.line.dash == "dash"


def test_methods_are_rows_the_best_on_top(figure):
    axis = figure.layout.yaxis
    assert list(axis.ticktext) == ["<b>FM-LoRA</b>", "L2P", "EWC on LoRA"]
    assert list(axis.tickvals) == [0, 1, 2]
    assert axis.range[0] > axis.range[1]  # 0 is on top
    ours, others, _ = drawn(figure)
    assert (list(ours.y), list(others.y)) == ([0], [1, 2])


def test_fmlora_stands_out_by_colour_and_shape(figure):
    ours, others, _ = drawn(figure)
    assert ours.marker.color != others.marker.color
    assert ours.marker.symbol != others.marker.symbol
    assert ours.marker.size > others.marker.size


def test_no_end_of_an_interval_is_cut_off(figure):
    low, high = figure.layout.xaxis.range
    assert low < 56.5 - 100 * 4.302652729911275 * 0.0556 / 3**0.5
    assert high > 95


def test_hover_says_the_numbers(figure):
    assert drawn(figure)[0].customdata[0] == "FM-LoRA: 67.5 ± 12.4 %, 3 seeds"
    assert drawn(figure)[2].hovertemplate.startswith("joint training: 95.0 %")


def test_a_panel_per_stream():
    one, other = runs(), runs(["l2p", "ewc_lora"], joint=False)
    figure = comparison_dots({name: compare_records(one) for name in "abc"})
    assert [title.text for title in figure.layout.annotations] == ["a", "b", "c"]
    assert [t.xaxis for t in drawn(figure)] == ["x"] * 3 + ["x2"] * 3 + ["x3"] * 3
    assert "xaxis4" not in figure.layout.to_plotly_json()
    two = comparison_dots({"a": compare_records(one), "b": compare_records(other)})
    assert len(drawn(two)) == 3 + 1
    assert list(two.layout.yaxis2.ticktext) == ["L2P", "EWC on LoRA"]


@pytest.mark.parametrize("n_methods", [1, 3, 17])
def test_panels_leave_room_for_ticks_and_names(n_methods):
    made = compare_records([a_run(f"method {k}") for k in range(n_methods)])
    layout = comparison_dots({name: made for name in "abcde"}).layout
    inside = layout.height - layout.margin.t - layout.margin.b
    spans = [layout[axis].domain for axis in ("yaxis", "yaxis3", "yaxis5")]  # from the top down
    for upper, lower in zip(spans, spans[1:], strict=False):
        assert (upper[0] - lower[1]) * inside >= 50  # pixels
    assert all((high - low) * inside >= 12.5 * n_methods for low, high in spans)


def test_the_legend_names_what_is_there(figure):
    assert [t.name for t in figure.data if t.x == (None,)] == [
        "FM-LoRA",
        "other methods",
        "joint training, a bound",
    ]
    rivals = comparison_dots({"a": compare_records(runs(["l2p"], joint=False))})
    assert [t.name for t in rivals.data if t.x == (None,)] == ["other methods"]


def test_seeds_are_said():
    one = comparison_dots({"a": compare_records([a_run(), a_run("l2p")])})
    assert one.layout.title.subtitle.text.startswith("One seed, so no intervals")
    two = compare_records([*runs(["l2p"]), a_run(), a_run(seed=1)])
    subtitle = comparison_dots({"a": two}).layout.title.subtitle.text
    assert subtitle.startswith("Mean over 2 to 3 seeds")


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="at least one comparison, got none"):
        comparison_dots({})
