"""Three dots per method and the bars between them; numbers by hand as in test_analysis_parts."""

import pytest
from helpers.records import THREE_TASKS, make_record

from fmlora_kit.figures import accuracy_parts


@pytest.fixture
def figure():
    worse = make_record(THREE_TASKS - 0.2)
    return accuracy_parts(
        {"L2P": [worse, make_record(THREE_TASKS - 0.4)], "FM-LoRA": make_record()}
    )


def test_dots_are_means_over_tasks_and_seeds(figure):
    dots = {trace.name: trace.x for trace in figure.data if trace.type == "scatter"}
    assert dots["just learned, task given"] == pytest.approx([250 / 3, 250 / 3])
    assert dots["at the end, task given"] == pytest.approx([80, 80])
    assert dots["at the end"] == pytest.approx([200 / 3, 200 / 3 - 30])


def test_bars_are_drift_and_competition(figure):
    bars = {trace.name: trace for trace in figure.data if trace.type == "bar"}
    assert bars["drift"].base == pytest.approx([80, 80])
    assert bars["drift"].x == pytest.approx([10 / 3, 10 / 3])
    assert bars["competition"].x == pytest.approx([40 / 3, 40 / 3 + 30])


def test_the_best_at_the_end_is_on_top(figure):
    axis = figure.layout.yaxis
    assert list(axis.ticktext) == ["<b>FM-LoRA</b>", "L2P"]
    assert axis.range[0] > axis.range[1]


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="at least one record"):
        accuracy_parts({})
