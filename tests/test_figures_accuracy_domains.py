"""A panel per task, a line per method, from when the task was learned on."""

import numpy as np
import pytest
from helpers.records import THREE_TASKS, make_record, plausible_record

from fmlora_kit.figures import accuracy_curves


@pytest.fixture
def figure():
    seeds = [make_record(seed=0), make_record(THREE_TASKS - 0.1, seed=1)]
    return accuracy_curves({"a": make_record(), "b": seeds}, by_task=True)


def curves(figure, name):
    return [t for t in figure.data if t.name == name and t.mode == "lines+markers"]


def test_each_panel_is_a_column_of_the_matrix(figure):
    first, second, third = curves(figure, "a")
    assert (first.x.tolist(), first.y.tolist()) == ([1, 2, 3], pytest.approx([90, 70, 50]))
    assert (second.x.tolist(), second.y.tolist()) == ([2, 3], pytest.approx([80, 90]))
    assert (third.x.tolist(), third.y.tolist()) == ([3], pytest.approx([60]))
    assert [t.xaxis for t in (first, second, third)] == ["x", "x2", "x3"]


def test_seeds_are_averaged(figure):
    assert curves(figure, "b")[0].y == pytest.approx([85, 65, 45])
    assert "mean of 1 to 2 seeds" in figure.layout.title.subtitle.text


def test_a_method_is_once_in_the_legend_and_keeps_its_colour(figure):
    lines = curves(figure, "a")
    assert [t.showlegend for t in lines] == [True, False, False]
    assert len({t.line.color for t in lines}) == 1
    assert lines[0].line.color != curves(figure, "b")[0].line.color


def test_panels_are_named_and_break_after_five():
    figure = accuracy_curves(plausible_record(7), by_task=True)
    titles = [note.text for note in figure.layout.annotations]
    assert titles == [f"task {chr(65 + k)}" for k in range(7)]
    assert curves(figure, "FM-LoRA")[5].xaxis == "x6"


def test_all_lines_are_in_view(figure):
    low, high = figure.layout.yaxis.range
    every = np.concatenate([t.y for t in figure.data if t.mode == "lines+markers"])
    assert low <= every.min() and every.max() <= high
