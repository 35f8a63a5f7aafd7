"""What a figure says in words is what its data are; nothing it holds keeps it from being shown."""

import numpy as np
import plotly.graph_objects as go
import pytest

from fmlora_kit.figures.describe import LONGEST, MOST, describe, strip
from fmlora_kit.figures.style import grid, new_figure


def said(*traces, **layout):
    return describe(go.Figure(list(traces), layout))


def test_title_subtitle_and_axes_come_first_without_their_marks():
    figure = new_figure("<b>Forgetting</b> &lt;i&gt;", "first<br>second")
    figure.update_layout(xaxis_title="task", yaxis_title="accuracy (%)")
    words = "Forgetting <i>. first second. Across: task. Up: accuracy (%)."
    assert describe(figure) == words


def test_a_line_says_where_it_begins_and_ends_and_how_far_it_went_between():
    rising = go.Scatter(x=[1, 2, 3], y=[None, 10.0, 12.345], mode="lines", name="A")
    dipping = go.Scatter(x=[1, 2, 3], y=np.array([5.0, 1.0, 6.0]), name="B")
    flat = go.Scatter(x=[1, 2], y=[1234567, 1234567], mode="lines+markers", name="C")
    silent = go.Scatter(x=[1, 2], y=[1, 2], mode="lines", hoverinfo="skip", name="D")
    words = said(rising, dipping, flat, silent)
    assert "A: 10 to 12.3; B: 5 to 6, between 1 and 6; C: 1.23M throughout." in words
    assert "D" not in words


def test_bars_are_named_by_the_ticks_that_they_stand_at():
    ticks = {"tickvals": [0, 1], "ticktext": ["Latin", "Greek"]}
    bars = [go.Bar(x=[k / 3, 1 - k / 3], y=[k, 2.5], name=f"m{k}") for k in range(2)]
    assert "Bars: m0: Latin 0, Greek 2.5; m1: Latin 1, Greek 2.5." in said(*bars, xaxis=ticks)
    lying = go.Bar(y=["a", "b"], x=[3, 4], orientation="h")
    assert "Bars: a 3, b 4." in said(lying)
    many = go.Bar(x=[f"t{k}" for k in range(40)], y=np.arange(40.0))
    assert "40 bars, highest t39 39" in said(many)


def test_a_map_says_where_it_is_highest_and_lowest():
    z = np.array([[0.25, np.nan], [0.75, 0.5]])
    words = said(go.Heatmap(z=z, x=["u", "v"], y=["r", "s"]))
    assert "Maps: 2 rows, 2 columns, highest 0.75 at s, u, lowest 0.25 at r, u." in words
    assert "all 3" in said(go.Heatmap(z=[[3, 3]]))
    ticks = {"tickvals": [0, 1], "ticktext": ["Latin", "Greek"]}
    assert "at Greek, 0" in said(go.Heatmap(z=z), yaxis=ticks)


def test_a_table_is_read_row_by_row_and_pictures_are_counted():
    cells = {"values": [["<b>a</b>", "b"], ["1", "2"]]}
    table = go.Table(header={"values": ["name", "n"]}, cells=cells)
    assert "Table: name | n. a | 1. b | 2." in said(table)
    assert said(images=[{"source": "data:,"}] * 3) == "3 pictures."


def test_the_panels_of_a_grid_have_the_names_of_their_own_axes():
    figure = grid("g", cols=2)
    figure.add_heatmap(z=[[1, 2]], row=1, col=1)
    figure.add_heatmap(z=[[1, 2]], row=1, col=2)
    figure.layout.xaxis2.update(tickvals=[0, 1], ticktext=["p", "q"])
    assert "lowest 1 at 0, 0" in describe(figure) and "lowest 1 at 0, p" in describe(figure)


def test_what_is_much_is_counted_and_cut():
    lines = [go.Scatter(x=[0, 1], y=[k, k + 1], mode="lines", name=f"L{k}") for k in range(20)]
    assert f"and {20 - MOST} more" in said(*lines)
    assert len(said(title="word " * 5000)) <= LONGEST


@pytest.mark.parametrize(
    "trace",
    [
        go.Bar(x=[], y=[]),
        go.Bar(y=[1, 2]),
        go.Bar(x=[["a", "a"], ["p", "q"]], y=[1, 2]),
        go.Scatter(x=[], y=[], name="empty"),
        go.Scatter(x=["a"], y=["b"], name="words"),
        go.Scatter(x=[None], y=[None], mode="markers", name="legend"),
        go.Heatmap(z=[["a", "b"]]),
        go.Heatmap(z=[[None, None]]),
        go.Heatmap(),
        go.Table(),
        go.Pie(values=[1, 2]),
        go.Scatter3d(x=[1], y=[1], z=[1]),
    ],
    ids=lambda trace: type(trace).__name__,
)
def test_no_trace_keeps_a_figure_from_being_shown(trace):
    assert said(trace, title={"text": "seen"}).startswith("seen.")


def test_tags_are_left_out_but_not_what_stands_between_two_signs():
    assert strip("<b>BWT</b><br>mean_{i<T} (a[T,i] − a[i,i]) for T>1") == (
        "BWT mean_{i<T} (a[T,i] − a[i,i]) for T>1"
    )
