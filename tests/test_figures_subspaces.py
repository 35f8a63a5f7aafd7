"""The maps over task pairs: each cell's number, its chance level, and its colour's sign."""

import numpy as np
import pytest
from helpers.records import flora_record, lora_record, make_record, orthonormal, random_record

from fmlora_kit.analysis.subspaces import pair_table
from fmlora_kit.figures import subspace_map
from fmlora_kit.figures import subspaces as subspaces_module
from fmlora_kit.figures.subspaces import spread_of_mean

NAN = np.nan


def numbers(values):
    """Drawn values, gaps as NaN."""
    return np.asarray(values, dtype=float)


def test_overlaps_and_their_chance_by_hand():
    figure = subspace_map(flora_record(), "overlap", layer="blocks.0.q", within="core")
    output, put_in = figure.data
    output_spread = pair_table(flora_record(), "output", within="core").overlap_spread[0, 2, 1]
    # output: A and B 0.5 (chance 1/4), A and C 1 (2/4), B and C 0.5 (2/4)
    np.testing.assert_allclose(numbers(output.z), [[0.25, NAN], [0.5, 0]], atol=1e-4)
    # input: A and B 0, A and C 1, B and C 1
    np.testing.assert_allclose(numbers(put_in.z), [[-0.25, NAN], [0.5, 0.5]], atol=1e-4)
    assert output.text[0][0].startswith("<b>0.50</b>") and "(0.25±" in output.text[0][0]
    assert output.text[0][1] == ""
    assert output.customdata[1][1] == (
        "<b>task B</b> and <b>task C</b><br>overlap (mean cos²) 0.50<br>by chance 0.50±"
        f"{2 * output_spread:.2f}"
    )
    assert list(figure.layout.xaxis.ticktext) == ["task A", "task B"]
    assert list(figure.layout.yaxis.ticktext) == ["task B", "task C"]
    assert figure.layout.yaxis.autorange == "reversed"


def test_angles_closer_than_chance_are_blue_whichever_way_the_number_runs():
    record = flora_record()
    angle = subspace_map(record, layer=0, within="core").data[0]
    assert [text.split("<br>")[0] for text in angle.text[1]] == ["<b>0°</b>", "<b>45°</b>"]
    assert angle.z[1][0] > 20  # 0 degrees, where a line and a plane in R^4 come to about 45
    far = subspace_map(record, layer=0, within="core").data[1]
    assert far.text[0][0].startswith("<b>90°</b>") and far.z[0][0] < -20
    distance = subspace_map(record, layer=0, within="core", measure="grassmann").data[1]
    assert distance.text[0][0].startswith("<b>1.57</b>") and distance.z[0][0] < -0.3
    low, middle, high = (color for _, color in subspace_map(record).layout.coloraxis.colorscale)
    assert (low, middle, high) == ("#f08a2c", "#ffffff", "#56b4e9")
    axis = subspace_map(record).layout.coloraxis
    assert axis.cmin == -axis.cmax and axis.cmax >= 15


def test_pooled_is_the_mean_over_layers_that_have_a_number():
    output = subspace_map(flora_record(), "overlap", within="core").data[0]
    # A and B: q 0.5, v 0. Task C has nothing at v, so q alone counts.
    texts = [[text.split("</b>")[0] for text in row] for row in output.text]
    assert texts == [["<b>0.25", ""], ["<b>1.00", "<b>0.50"]]


def test_the_spread_of_a_mean_is_smaller_than_that_of_one_layer():
    record = flora_record()
    spread = np.array([3.0, 4.0, np.nan])[:, None]  # three layers, two of them known
    np.testing.assert_allclose(spread_of_mean(spread, record, None), [5 / 2])  # sqrt(9 + 16) / 2
    np.testing.assert_allclose(spread_of_mean(spread, record, 1), [4])


def test_several_records_stand_in_rows_on_one_colour_scale():
    states = [
        {"blocks.0.q.a": orthonormal(6, 1, seed), "blocks.0.q.b": orthonormal(5, 1, seed).T}
        for seed in (0, 1)
    ]
    runs = {"ours": flora_record(), "plain": lora_record(states)}
    figure = subspace_map(runs)
    assert [np.shape(trace.z) for trace in figure.data] == [(2, 2), (2, 2), (1, 1), (1, 1)]
    titles = [a.text for a in figure.layout.annotations]
    assert titles[0].startswith("ours: what updates write")
    assert titles[3].startswith("plain: what updates look at")
    assert {trace.coloraxis for trace in figure.data} == {"coloraxis"}
    largest = max(np.nanmax(np.abs(numbers(trace.z))) for trace in figure.data)
    assert figure.layout.coloraxis.cmax == pytest.approx(max(largest, 15))


def test_the_title_says_which_layer():
    assert "blocks.0.v" in subspace_map(flora_record(), layer=1).layout.title.text
    assert "mean over all layers" in subspace_map(flora_record()).layout.title.text
    said = subspace_map(flora_record(), within="space").layout.title.subtitle.text
    assert "drawn at random from the whole space" in said


def test_a_long_stream_keeps_its_numbers_and_drops_the_small_print():
    figure = subspace_map(random_record(10, 1, width=8, d=16, rank=3))
    assert "Shown on hover, chance" in figure.layout.title.subtitle.text
    texts = figure.data[0].text
    assert "(" not in texts[3][0] and texts[3][0].endswith("°</b>")


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="got 'frozen_backbone'"):
        subspace_map(make_record(method="frozen_backbone"))
    with pytest.raises(ValueError, match="layer must be one of"):
        subspace_map(flora_record(), layer="blocks.9.q")
    with pytest.raises(ValueError, match=r"records\['ours'\] must be one record here, got 2"):
        subspace_map({"ours": [flora_record(), flora_record()]})
    with pytest.raises(ValueError, match="within must be one of"):
        subspace_map(flora_record(), "overlap", within="attic")


def test_more_pairs_than_can_be_drawn_in_time_are_refused_in_a_sentence(monkeypatch):
    monkeypatch.setattr(subspaces_module, "_PAIRS", 5)  # 3 pairs of tasks in 2 layers
    with pytest.raises(ValueError, match="at most 5 pairs of updates .*layer=.*got 6"):
        subspace_map(flora_record())
    assert subspace_map(flora_record(), layer=0).data  # 3 pairs
