"""Figures of explanations, by the numbers that they draw."""

import numpy as np
import pytest
from helpers.records import MAPS, make_explanations

from fmlora_kit.figures import (
    attribution_methods,
    attribution_over_time,
    explanation_at,
    explanation_movement,
)
from fmlora_kit.figures.attribution import POSITIVE_SCALE, SIGNED_SCALE, faded_grey, limit_of
from fmlora_kit.figures.attribution_shift import class_probabilities
from fmlora_kit.figures.style import task_colors


def traces(figure, kind):
    return [trace for trace in figure.data if trace.type == kind]


def texts(figure):
    return [note.text for note in figure.layout.annotations]


def plain(text):
    """A caption without its markup."""
    return text.replace("<br>", " ").replace("<b>", "").replace("</b>", "").split("<span")[0]


def test_each_moment_shows_its_map_in_one_scale():
    e = make_explanations()
    figure = attribution_over_time(e, 0)
    pictures, maps = traces(figure, "image"), traces(figure, "heatmap")
    assert len(pictures) == 4 and len(maps) == 3
    np.testing.assert_array_equal(pictures[0].z, e.images[0])
    limit = np.quantile(MAPS[:, 0], 0.995)
    for t, heat in enumerate(maps):
        np.testing.assert_allclose(heat.z * limit, MAPS[t, 0], atol=1e-3 * limit)
        assert heat.coloraxis == "coloraxis"
    axis = figure.layout.coloraxis
    assert (axis.cmin, axis.cmax) == (-1, 1)
    assert list(axis.colorbar.ticktext) == [f"against<br>-{limit:.2g}", "0", f"for<br>+{limit:.2g}"]
    assert axis.colorbar.title.text == "logits per pixel"
    assert figure.layout.title.text == "Where fmlora looks for B, Latin, after each task"


def test_captions_say_when_and_what_the_model_takes_it_for():
    notes = texts(attribution_over_time(make_explanations(), 0))
    assert [plain(note) for note in notes[:4]] == [
        "the picture",
        "B Latin",
        "after Latin",
        "P(B) = 80 % ",
    ]
    assert "✓ says <b>B</b><br>Latin" in notes[3]
    assert plain(notes[7]) == "P(B) = 30 % " and "✗ says <b>B̲</b><br>Latin, barred" in notes[7]


def test_before_its_class_was_learned_there_is_a_picture_and_no_map():
    figure = attribution_over_time(make_explanations(), 1)
    assert len(traces(figure, "image")) == 4 and len(traces(figure, "heatmap")) == 2
    assert traces(figure, "heatmap")[0].xaxis == "x3"
    notes = texts(figure)
    assert plain(notes[3]) == "not learned yet " and "✗ says <b>A</b>" in notes[3]
    assert plain(notes[5]) == "P(α) = 75 % "


def test_panels_stand_in_order_and_the_map_over_its_picture():
    figure = attribution_over_time(make_explanations("saliency"), 0)
    assert [(t.type, t.xaxis) for t in figure.data] == [
        ("image", "x"),
        ("image", "x2"),
        ("heatmap", "x2"),
        ("image", "x3"),
        ("heatmap", "x3"),
        ("image", "x4"),
        ("heatmap", "x4"),
    ]
    assert [note.xref for note in figure.layout.annotations[:4]] == [
        "x domain",
        "x domain",
        "x2 domain",
        "x2 domain",
    ]


def test_methods_without_a_sign_start_at_zero():
    axis = attribution_over_time(make_explanations("saliency"), 0).layout.coloraxis
    assert (axis.cmin, axis.cmax) == (0, 1) and list(axis.colorbar.ticktext)[0] == "0"
    assert (
        "blue"
        not in attribution_over_time(make_explanations("saliency")).layout.title.subtitle.text
    )


def test_several_records_have_a_row_each_and_a_scale_of_their_own():
    table = {"FM-LoRA": make_explanations(), "LoRA": make_explanations(maps=10 * MAPS, run="b")}
    figure = attribution_over_time(table, 1)
    maps = traces(figure, "heatmap")
    assert [heat.xaxis for heat in maps] == ["x3", "x4", "x7", "x8"]
    limit = limit_of(MAPS[:, 1])
    for heat, scale in zip(maps, (1, 1, 10, 10), strict=True):
        t = 1 if heat.xaxis in ("x3", "x7") else 2
        np.testing.assert_allclose(heat.z * limit * scale, scale * MAPS[t, 1], atol=2e-2)
    assert [plain(note) for note in texts(figure)[::8]] == ["FM-LoRA", "LoRA"]
    bar = figure.layout.coloraxis.colorbar
    assert list(bar.ticktext) == ["against", "0", "for"] and bar.title.text == "own scale"
    assert figure.layout.title.text.startswith("Where FM-LoRA and LoRA look for α, Greek")


def test_zero_is_see_through_and_the_ends_are_not():
    for scale in (SIGNED_SCALE, POSITIVE_SCALE):
        for place, color in scale:
            alpha = float(color.rstrip(")").split(",")[-1])
            zero = 0.5 if scale is SIGNED_SCALE else 0.0
            assert alpha == 0 if place == zero else alpha >= 0.75


def test_the_scale_ignores_half_a_percent_of_the_pixels():
    maps = np.ones((10, 10, 10))
    maps[0, 0, :4] = 100
    assert limit_of(maps) == 1
    assert limit_of(-maps) == 1
    assert limit_of(np.zeros((2, 2))) == 1 and limit_of(np.full((2, 2), np.nan)) == 1
    single = np.zeros((100, 100))
    single[3, 3] = -5
    assert limit_of(single) == 5  # most is zero: the largest number itself


def test_pictures_under_maps_are_pale_and_keep_their_order():
    picture = np.array([[[0, 0, 0], [255, 255, 255], [90, 120, 150]]], np.uint8)
    assert faded_grey(picture)[0].tolist() == [[165] * 3, [255] * 3, [207] * 3]


def test_a_long_stream_is_wrapped():
    n = 10
    e = make_explanations(
        task_names=tuple(f"task {t}" for t in range(n)),
        maps=np.ones((n, 2, 2, 2)),
        scores=np.zeros((n, 2)),
        baseline_scores=np.zeros((n, 2)),
        classes=((0, 1, 2),) * n,
        probabilities=[np.full((2, 3), 1 / 3)] * n,
    )
    figure = attribution_over_time(e)
    assert len(traces(figure, "heatmap")) == 10
    assert figure.layout.height > 1.6 * attribution_over_time(make_explanations()).layout.height / 2
    assert figure.layout.xaxis8.visible is None and figure.layout.xaxis12.visible is False
    assert figure.layout.xaxis.domain == figure.layout.xaxis8.domain


def test_methods_side_by_side_have_scales_of_their_own():
    names = ["integrated_gradients", "saliency", "grad_cam", "attention_rollout"]
    figure = attribution_methods([make_explanations(name) for name in names], 1, 2)
    maps = traces(figure, "heatmap")
    limits = [limit_of(MAPS[2, 1])] * 4
    np.testing.assert_allclose(maps[0].z * limits[0], MAPS[2, 1], atol=2e-3)
    for heat, limit in zip(maps[1:], limits[1:], strict=True):
        np.testing.assert_allclose(heat.z * limit, np.abs(MAPS[2, 1]), atol=2e-3)
    assert [plain(note) for note in texts(figure)[2::2]] == [
        "integrated gradients",
        "saliency",
        "Grad-CAM",
        "attention rollout",
    ]
    assert figure.layout.title.text.endswith("fmlora on glyphs, after task 3, Latin, barred")
    alone = attribution_methods({"s": make_explanations("saliency")}, 0)
    assert alone.layout.coloraxis.cmin == 0


def test_movement_lines_are_the_numbers():
    e = make_explanations()
    figure = explanation_movement(e)
    first, second, between = figure.data
    np.testing.assert_allclose(first.y, [0, 0.4, 2])
    np.testing.assert_allclose(second.y, [np.nan, 0, 0])
    np.testing.assert_allclose(between.y, [0.8, 0.8])
    assert (first.name, second.name) == ("B, Latin", "α, Greek")
    assert (first.line.color, second.line.color) == task_colors(3)[:2]
    assert between.name == "two different pictures"
    np.testing.assert_allclose(figure.layout.yaxis.range, [-0.1, 2.1])  # 0 to 2, 5% room
    np.testing.assert_allclose(
        explanation_movement(e, since="previous").data[0].y, [np.nan, 0.4, 1.6]
    )


def test_images_of_one_task_differ_in_dash_and_marker():
    maps = np.nan_to_num(MAPS, nan=1.0)  # constant at first, so there is no reference line
    first, second = explanation_movement(make_explanations(targets=(1, 0), maps=maps)).data
    assert first.line.color == second.line.color == task_colors(3)[0]
    assert first.line.dash != second.line.dash and first.marker.symbol != second.marker.symbol


def test_records_are_compared_by_the_mean_over_images_learned_before():
    still = make_explanations(maps=np.where(np.isnan(MAPS), np.nan, MAPS[1]))
    figure = explanation_movement({"moves": make_explanations(), "stays": still})
    means = {trace.name: trace.y for trace in figure.data if trace.mode == "lines+markers"}
    np.testing.assert_allclose(means["moves"], [np.nan, 0.4, 1])  # last: mean of 2 and 0
    np.testing.assert_allclose(means["stays"], [np.nan, 0, 0], atol=1e-12)
    band = next(t for t in figure.data if t.name == "moves, 95% interval")
    half = 12.706205  # t_{0.975, 1} s / sqrt(2) with s = sqrt(2)
    np.testing.assert_allclose(band.y, [1 + half, 1 - half], rtol=1e-4)
    np.testing.assert_array_equal(band.x, [2, 2])  # one image alone has no band
    # The mean of 0.8 and of 1 - (1 - 6 * 12 / 60) for the ranks 2143 and 3214.
    np.testing.assert_allclose(figure.data[-1].y, [1, 1])


def test_probabilities_are_the_bars():
    figure = class_probabilities(make_explanations(), 0)
    (bars,) = figure.data
    np.testing.assert_allclose(bars.x, [40, 30, 10, 10, 5, 5])
    assert list(bars.customdata[:3]) == ["B̲, Latin, barred", "B, Latin", "A, Latin"]
    colors = task_colors(3)
    assert list(bars.marker.color[:3]) == [colors[2], colors[0], colors[0]]
    assert list(bars.marker.line.width) == [0, 3, 0, 0, 0, 0]
    assert figure.layout.yaxis.ticktext[1] == "<b>B, Latin ✓</b>"
    assert "gives 30.0 %, among 6 classes seen" in figure.layout.title.subtitle.text


def test_at_most_eight_bars():
    p = np.full((2, 12), 1 / 12)
    e = make_explanations(
        classes=((0, 1), (0, 1, 2, 3), tuple(range(12))),
        probabilities=[np.full((2, 2), 0.5), np.full((2, 4), 0.25), p],
        class_names={c: f"c{c}" for c in range(12)},
    )
    assert len(class_probabilities(e).data[0].x) == 8
    assert "gives 8.3 %, among 12 classes" in class_probabilities(e).layout.title.subtitle.text


def test_one_moment_is_the_picture_the_map_and_the_bars():
    e = make_explanations()
    figure = explanation_at(e, 0, 1)
    picture, pale = traces(figure, "image")
    np.testing.assert_array_equal(picture.z, e.images[0])
    np.testing.assert_array_equal(pale.z, faded_grey(e.images[0]))
    (heat,) = traces(figure, "heatmap")
    limit = limit_of(MAPS[:, 0])  # over all moments, so that they can be compared
    np.testing.assert_allclose(heat.z * limit, MAPS[1, 0], atol=2e-3 * limit)
    (bars,) = traces(figure, "bar")
    np.testing.assert_allclose(bars.x, [60, 20, 10, 10])
    assert figure.layout.title.text == "The model after task 2, Greek: fmlora on glyphs"
    assert (
        "It is B, Latin, to which the model gives 60.0 %, among 4 classes seen."
        in figure.layout.title.subtitle.text
    )


def test_a_moment_before_the_class_was_learned():
    figure = explanation_at(make_explanations(), 1, 0)
    assert not traces(figure, "heatmap")
    assert "α, Greek, which is not learned yet; 2 classes are." in figure.layout.title.subtitle.text
    assert "the true class is not learned yet" in texts(figure)
    assert list(traces(figure, "bar")[0].marker.line.width) == [0, 0]


def test_the_same_numbers_give_the_same_figure():
    for draw in (attribution_over_time, explanation_movement, explanation_at):
        assert draw(make_explanations()).to_json() == draw(make_explanations()).to_json()


def test_bad_arguments_are_named():
    e = make_explanations()
    with pytest.raises(ValueError, match="image must be between 0 and 1, got 5"):
        attribution_over_time(e, 5)
    with pytest.raises(ValueError, match="after must be between 0 and 2"):
        explanation_at(e, 0, 7)
    with pytest.raises(ValueError, match="since must be one of"):
        explanation_movement(e, since="ever")
    with pytest.raises(ValueError, match="explanations must be at least one"):
        attribution_methods([])
    with pytest.raises(ValueError, match="explanations must be at least one"):
        explanation_movement({})
    with pytest.raises(ValueError, match="explanations must be at least one record's, got {}"):
        attribution_over_time({})
    with pytest.raises(
        ValueError, match=r"explanations\['b'\] must be of the method, tasks and im"
    ):
        attribution_over_time({"a": e, "b": make_explanations("saliency")})
    with pytest.raises(ValueError, match="same run, images and targets"):
        attribution_methods([e, make_explanations("saliency", targets=(1, 3))])
    with pytest.raises(ValueError, match="of the same tasks to be compared"):
        explanation_movement({"a": e, "b": make_explanations(task_names=("a", "b", "c"))})
