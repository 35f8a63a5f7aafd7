"""Panels of a dashboard: the data moves, the axes do not."""

import numpy as np
import plotly.graph_objects as go
import pytest
from helpers.records import confused, make_record

from fmlora_kit.figures import accuracy_matrix, forgotten_to, rank_allocation, task_confusion
from fmlora_kit.figures.panel import frames, notice, panel


def test_a_panel_keeps_the_data_and_drops_the_rest():
    figure = accuracy_matrix(make_record())
    small = panel(figure, "Accuracy", height=300)
    np.testing.assert_array_equal(small.data[0].z, figure.data[0].z)
    assert (small.layout.title.text, small.layout.title.subtitle.text) == ("Accuracy", "")
    assert small.data[0].showscale is False and small.layout.height == 300
    assert figure.data[0].showscale is None and figure.layout.height == 450  # not changed


def test_bars_keep_their_numbers_and_leave_names_to_the_legend():
    small = panel(forgotten_to(confused()), "Forgotten")
    (taker,) = [trace for trace in small.data if trace.name == "task C"]
    assert list(taker.text) == ["50.0", "25.0"]


def test_frames_have_the_axes_of_the_whole():
    record = confused()
    moments = [record.until(n) for n in (1, 2, 3)]
    first, _, last = frames([accuracy_matrix(moment) for moment in moments], "Accuracy")
    assert np.asarray(first.data[0].z).shape == (1, 1)
    for one in (first, last):
        assert one.layout.xaxis.range == (-0.5, 2.5)
        assert one.layout.yaxis.range == (2.5, -0.5)  # downwards
        assert list(one.layout.yaxis.ticktext) == ["task A", "task B", "task C"]


def test_frames_share_the_widest_colour_range():
    record = make_record(ranks=[[8, 2], [3, 4], [1, 1]])
    moments = [rank_allocation(record.until(n)) for n in (1, 2, 3)]
    assert {one.data[0].zmax for one in frames(moments, "Ranks")} == {8}
    taken = [task_confusion(confused(), n) for n in (1, 2, 3)]
    assert {one.data[1].zmax for one in frames(taken, "Confusion")} == {50}


def test_frames_share_the_widest_range_that_a_figure_sets():
    record = confused()
    figures = [None, forgotten_to(record, 2), forgotten_to(record, 3)]
    empty, *drawn = frames(figures, "Forgotten")
    low = min(figure.layout.xaxis.range[0] for figure in figures[1:])
    assert {one.layout.xaxis.range for one in drawn} == {(low, figures[2].layout.xaxis.range[1])}
    assert empty.layout.annotations[0].text == "Nothing to see yet" and not empty.data


def test_frames_without_a_last_figure_are_refused():
    with pytest.raises(ValueError, match="figures must end in a figure"):
        frames([accuracy_matrix(make_record()), None], "Accuracy")
    with pytest.raises(ValueError, match="figures must end in a figure"):
        frames([], "Accuracy")


def test_a_notice_says_why_there_is_nothing():
    figure = notice("Forgetting", "One task only", height=99)
    assert figure.layout.title.text == "Forgetting" and figure.layout.height == 99
    assert figure.layout.annotations[0].text == "One task only"


def test_rows_that_do_not_fit_have_a_label_every_few_and_no_numbers():
    many = go.Figure(go.Heatmap(z=np.zeros((36, 2)), texttemplate="%{z}"))
    many.update_yaxes(tickvals=list(range(36)), ticktext=[f"map {k}" for k in range(36)])
    small = panel(many, "Ranks")
    assert small.layout.yaxis.tickvals == tuple(range(0, 36, 3))
    assert small.layout.yaxis.ticktext[:2] == ("map 0", "map 3")
    assert not small.data[0].texttemplate and many.data[0].texttemplate == "%{z}"


def test_there_is_room_for_the_longest_label_without_measuring():
    def margins(*names):
        figure = go.Figure(go.Heatmap(z=np.zeros((len(names), 1)), texttemplate="%{z}"))
        figure.update_yaxes(tickvals=list(range(len(names))), ticktext=names)
        return panel(figure, "Accuracy").layout

    short, long = margins("a", "b"), margins("a", "b<br>twelve marks")
    assert long.margin.l - short.margin.l == 6 * (len("twelve marks") - 1)
    assert not long.xaxis.automargin and not long.yaxis.automargin
    assert long.margin.b == short.margin.b
