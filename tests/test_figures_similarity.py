"""Similarity of tasks and classes: cells, frames and bars by the numbers they show."""

from dataclasses import replace

import numpy as np
import pytest

from fmlora_kit.analysis.confusion import ClassConfusion
from fmlora_kit.analysis.similarity import TaskSimilarity, errors_by_closeness
from fmlora_kit.figures import class_distances, task_similarity
from fmlora_kit.figures.similarity import errors_to_nearest

AFFINITY = np.array([[1, 0.25], [0.25, 1]])
CONFUSION = np.array([[0.9, 0.1], [0.3, 0.7]])
MEANS = np.array([[0.0], [2.0], [-1.5], [5.0]])  # on a line: C A B D
MADE = TaskSimilarity(
    label="frozen",
    affinity=AFFINITY,
    confusion=CONFUSION,
    means=MEANS,
    classes=np.arange(4),
    names=("A", "B", "C", "D"),
    tasks=np.array([0, 0, 1, 1]),
    task_names=("one", "two"),
    accuracy=0.8,
)


def cells(figure, axis):
    """What a panel's two heat maps, diagonal and rest, show together."""
    grey, coloured = (t for t in figure.data if t.xaxis == axis)
    assert np.isnan(np.array(coloured.z)[np.eye(2, dtype=bool)]).all()
    return np.where(np.eye(2, dtype=bool), np.array(grey.z), np.array(coloured.z)), coloured


def test_matrices_side_by_side():
    remembered = np.array([[1, 0.5], [0.5, 1]])
    figure = task_similarity(MADE, remembered)
    for axis, expected in (("x", AFFINITY), ("x2", remembered), ("x3", CONFUSION)):
        shown, _ = cells(figure, axis)
        np.testing.assert_allclose(shown, expected)
    assert [cells(figure, axis)[1].zmax for axis in ("x", "x2", "x3")] == [0.5, 0.5, 0.3]
    assert cells(figure, "x3")[1].text[1][0] == "0.30"
    assert cells(figure, "x3")[1].customdata[1][0].tolist() == ["two", "one"]
    assert list(figure.layout.xaxis2.ticktext) == ["one", "two"]
    assert figure.layout.yaxis.autorange == "reversed"
    assert "frozen" in figure.layout.title.text
    assert "Middle:" in figure.layout.title.subtitle.text


def test_without_what_a_record_remembers():
    figure = task_similarity(MADE)
    assert {t.xaxis for t in figure.data} == {"x", "x2"}
    np.testing.assert_allclose(cells(figure, "x2")[0], CONFUSION)
    assert "Middle:" not in figure.layout.title.subtitle.text


def test_class_distances_frame_the_nearest_of_each_row():
    figure = class_distances(MADE, 1, 0)
    (heat,) = figure.data
    np.testing.assert_allclose(heat.z, [[1.5, 3.5], [5, 3]])
    assert [list(row) for row in heat.text] == [["1.5", "3.5"], ["5.0", "3.0"]]
    frames = [((s.x0 + s.x1) / 2, (s.y0 + s.y1) / 2) for s in figure.layout.shapes]
    np.testing.assert_allclose(frames, [(0, 0), (1, 1)])
    assert list(figure.layout.yaxis.ticktext) == ["C", "D"]
    assert list(figure.layout.xaxis.ticktext) == ["A", "B"]
    assert figure.layout.title.text == "Which class of one is nearest to each class of two?"


def test_near_is_dark():
    scale = class_distances(MADE, 0, 1).data[0].colorscale
    near, far = (sum(bytes.fromhex(color[1:])) for _, color in (scale[0], scale[-1]))
    assert near < far and [place for place, _ in scale] == sorted(place for place, _ in scale)


def test_errors_on_the_nearest_classes():
    counts = np.array([[5, 1, 2, 0], [0, 5, 0, 1], [0, 0, 5, 0], [0, 4, 0, 5]])
    table = ClassConfusion(counts, np.arange(4), MADE.names, MADE.tasks)
    # nearest first: A: C B D; B: A D C; C: A B D; D: B A C. Nearest: 2 + 4; second: 1 + 1
    figure = errors_to_nearest(MADE, {"ours": table})
    (bars,) = figure.data
    np.testing.assert_array_equal(bars.x, [1, 2, 3])
    np.testing.assert_allclose(bars.y, [75, 25, 0])
    np.testing.assert_allclose(bars.y, 100 * errors_by_closeness(MADE, table))
    assert bars.name == "ours: 100 %"
    (line,) = figure.layout.shapes
    assert line.y0 == pytest.approx(100 / 3)
    assert "33.3 %" in figure.layout.title.subtitle.text


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: task_similarity(MADE, np.eye(3)),
            r"remembered must be \(2, 2\) numbers, got \(3, 3\)",
        ),
        (lambda: class_distances(MADE, 2, 0), "task must be between 0 and 1, got 2"),
        (lambda: class_distances(MADE, 0, -1), "other must be between 0 and 1, got -1"),
        (lambda: class_distances(MADE, 1, 1), "task and other must be different"),
        (lambda: errors_to_nearest(MADE, {}), "confusions must be at least one ClassConfusion"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_of_many_classes_cells_are_colours_in_a_figure_of_a_page():
    n = 80
    many = replace(
        MADE,
        means=np.random.default_rng(0).random((2 * n, 3)),
        names=tuple(f"class {c}" for c in range(2 * n)),
        tasks=np.repeat([0, 1], n),
    )
    figure = class_distances(many, 0, 1)
    assert figure.data[0].text is None and figure.data[0].texttemplate is None
    assert figure.layout.height < 190 + 30 * n
    assert figure.layout.yaxis.ticktext[:2] == ("class 0", "class 2")
    assert len(figure.layout.xaxis.tickvals) == 40
    assert len(figure.layout.shapes) == n and figure.layout.shapes[0].line.width == 1
