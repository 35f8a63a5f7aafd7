"""Lines of what is stored: on top of the smallest model, and bytes so far."""

import numpy as np
import pytest
from helpers.records import storing_runs

from fmlora_kit.figures import storage_growth


def lines(figure, name):
    return [trace for trace in figure.data if trace.name == name]


def test_numbers_on_top_of_the_smallest_model():
    figure = storage_growth(storing_runs())
    (ours,), (lora,) = lines(figure, "FM-LoRA"), lines(figure, "SD-LoRA")
    assert 10**ours.y == pytest.approx([140, 143, 146])
    assert 10**lora.y == pytest.approx([10, 110, 210])
    assert ours.x.tolist() == [1, 2, 3]


def test_zero_has_a_place_below_the_smallest_power_of_ten():
    figure = storage_growth(storing_runs())
    (frozen,) = lines(figure, "frozen backbone")
    ticks = dict(zip(figure.layout.yaxis.ticktext, figure.layout.yaxis.tickvals, strict=True))
    assert set(frozen.y) == {ticks["0"]}
    assert ticks["0"] < ticks["10"] == 1 < ticks["100"]
    assert figure.layout.yaxis.range[0] < ticks["0"]


def test_bytes_are_those_of_the_record_so_far():
    figure = storage_growth(storing_runs(), measure="bytes")
    assert 10 ** lines(figure, "FM-LoRA")[0].y == pytest.approx([300, 400, 500])
    assert 10 ** lines(figure, "frozen backbone")[0].y == pytest.approx([10, 21, 33])
    assert "0" not in figure.layout.yaxis.ticktext


def test_a_panel_per_kind_with_samples_in_each():
    figure = storage_growth(storing_runs())
    notes = [note.text.rpartition("</span> ")[2] for note in figure.layout.annotations]
    assert notes[:3] == [
        "one model, nothing else",
        "one model and statistics",
        "modules per task",
    ]
    assert [t.xaxis for t in lines(figure, "joint training")] == ["x", "x2", "x3"]
    assert [t.xaxis for t in lines(figure, "SD-LoRA")] == ["x3"]
    assert notes.count("joint training") == 3 and "<b>FM-LoRA</b>" in notes


def test_names_do_not_overlap_and_none_is_outside():
    figure = storage_growth(storing_runs())
    low, high = figure.layout.yaxis.range
    for axis in ("y", "y2", "y3"):
        places = sorted(n.y for n in figure.layout.annotations if n.yref == axis)
        assert all(gap > 0.04 * (high - low) for gap in np.diff(places))
        assert low <= places[0]


def test_an_unknown_measure_is_refused():
    with pytest.raises(ValueError, match="measure must be one of .* got 'images'"):
        storage_growth(storing_runs(), measure="images")
