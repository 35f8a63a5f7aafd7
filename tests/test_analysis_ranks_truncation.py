"""The table of cuts: what it looks up, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest

from fmlora_kit.analysis.ranks import TruncationTable

LAYERS = ("blocks.0.q", "blocks.0.v")


def make_table(**changes):
    """Two tasks, two maps, five cuts; accuracies that tell which cut they are of."""
    values = {
        "method": "fmlora",
        "task_names": ("Latin", "Greek"),
        "layers": LAYERS,
        "ranks": np.array([[8, 4], [2, 2]]),
        "n_images": np.array([10, 30]),
        "full": np.array([0.9, 0.8]),
        "cut_task": np.array([0, 0, 0, 0, 1]),
        "cut_layer": np.array([-1, -1, 0, 1, -1]),
        "cut_rank": np.array([4, 0, 0, 0, 0]),
        "accuracy": np.array([[0.7, 0.8], [0.1, 0.2], [0.3, 0.4], [0.5, 0.6], [0.9, 0.0]]),
        "changed": np.array([[0.2, 0.1], [0.9, 0.9], [0.7, 0.5], [0.4, 0.3], [0.0, 1.0]]),
    }
    return TruncationTable(**{**values, **changes})


def test_levels_rise_and_end_at_the_chosen_rank():
    table = make_table()
    assert table.levels("Latin") == (0, 4, 8)
    assert table.levels(0, "all layers") == (0, 4, 8)
    assert table.levels(0, "blocks.0.v") == (0, 4)
    assert table.levels("Greek", 1) == (2,)
    assert table.layer_choices == ("all layers", *LAYERS)


@pytest.mark.parametrize(
    ("where", "accuracy", "changed"),
    [
        ((0, None, 4), [0.7, 0.8], [0.2, 0.1]),
        (("Latin", "all layers", 0), [0.1, 0.2], [0.9, 0.9]),
        (("Latin", "blocks.0.q", 0), [0.3, 0.4], [0.7, 0.5]),
        ((0, 1, 0), [0.5, 0.6], [0.4, 0.3]),
        (("Greek", None, 0), [0.9, 0.0], [0.0, 1.0]),
        (("Greek",), [0.9, 0.8], [0, 0]),
        ((0, None, 8), [0.9, 0.8], [0, 0]),
        ((1, "blocks.0.v", 2), [0.9, 0.8], [0, 0]),
    ],
)
def test_every_cut_is_found(where, accuracy, changed):
    table = make_table()
    np.testing.assert_array_equal(table.accuracy_at(*where), accuracy)
    np.testing.assert_array_equal(table.changed_at(*where), changed)


def test_a_cut_that_was_not_measured():
    table = make_table()
    with pytest.raises(ValueError, match=r"rank must be one of \(0, 4, 8\), got 3"):
        table.accuracy_at("Latin", None, 3)
    with pytest.raises(ValueError, match="task must be one of .*, got 'Thai'"):
        table.accuracy_at("Thai")
    with pytest.raises(ValueError, match="layer must be one of .*, got 2"):
        table.levels(0, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"full": np.array([0.9])}, r"full must be \(2,\), got \(1,\)"),
        ({"accuracy": np.zeros((5, 3))}, r"accuracy must be \(5, 2\), got \(5, 3\)"),
        ({"changed": np.full((5, 2), 1.5)}, "changed must be fractions in 0..1"),
        ({"full": np.array([0.9, np.nan])}, "full must be fractions in 0..1"),
        ({"cut_rank": np.array([8, 0, 0, 0, 0])}, "below the chosen rank 8, got 8"),
        ({"cut_task": np.array([2, 0, 0, 0, 1])}, "cut_task must be below 2"),
    ],
)
def test_parts_that_do_not_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(make_table(), **changes)
