"""Forgetting and confusion class by class, by the cells."""

import numpy as np
import pytest
from helpers.records import confused

from fmlora_kit.figures import class_confusion, class_forgetting

NAN = np.nan


def test_every_class_with_its_change_and_its_taker():
    figure = class_forgetting(confused())
    (heat,) = figure.data
    np.testing.assert_allclose(heat.z, [[-100, 50], [-50, -50]])
    assert (heat.zmin, heat.zmax) == (-100, 100)
    assert heat.text[0][0] == "<b>class 0</b><br>−100<br>▸ class 4"
    assert heat.text[0][1] == "<b>class 1</b><br>+50"
    assert heat.text[1][1] == "<b>class 3</b><br>−50<br>▸ class 5"
    assert list(figure.layout.yaxis.ticktext) == ["task A", "task B"]


def test_the_hover_text_counts_images():
    (heat,) = class_forgetting(confused()).data
    assert heat.customdata[0][0] == (
        "<b>class 0</b> of task A: 2 of 2 right when learned, 0 now<br>lost to class 4 2"
    )
    assert heat.customdata[0][1] == "<b>class 1</b> of task A: 1 of 2 right when learned, 2 now"


def test_the_subtitle_names_the_class_that_lost_most():
    subtitle = class_forgetting(confused()).layout.title.subtitle.text
    assert "Most: class 0</b> of task A (−100 points)" in subtitle
    assert "A class has 2 test images: one is 50.0 points." in subtitle


def test_domains_share_their_columns():
    figure = class_forgetting(confused(domains=True))
    np.testing.assert_allclose(figure.data[0].z, [[-100, 0], [0, 50]])
    assert list(figure.layout.xaxis.ticktext) == ["class 0", "class 1"]
    assert class_forgetting(confused()).layout.xaxis.showticklabels is False


def test_mistakes_are_coloured_and_the_right_class_is_grey():
    figure = class_confusion(confused(), 2)
    right, wrong = figure.data
    np.testing.assert_allclose(np.diag(right.z), [50, 100, 100, 50])
    expected = np.full((4, 4), NAN)
    expected[0, 2] = expected[3, 0] = 50
    np.testing.assert_allclose(wrong.z, expected)
    assert wrong.zmax == 50
    names = [f"class {c}" for c in range(4)]
    assert list(figure.layout.xaxis.ticktext) == list(figure.layout.yaxis.ticktext) == names
    assert wrong.hovertemplate.startswith("<b>%{y}</b> is taken for <b>%{x}</b>")


def test_lines_part_the_tasks_but_not_the_domains():
    lines = class_confusion(confused()).layout.shapes
    assert [(s.x0, s.x1) for s in lines[:2]] == [(1.5, 1.5), (3.5, 3.5)]
    assert [(s.y0, s.y1) for s in lines[2:]] == [(1.5, 1.5), (3.5, 3.5)]
    assert not class_confusion(confused(domains=True)).layout.shapes


def test_the_commonest_mistake_in_words():
    assert (
        "Commonest mistake: class 0 taken for class 4</b>, 2 of 2 images"
        in class_confusion(confused()).layout.title.subtitle.text
    )
    first = class_confusion(confused(domains=True), 1)
    assert first.layout.title.subtitle.text.startswith("No image is taken for a wrong class.")


def test_one_task_alone_has_its_own_rows():
    figure = class_confusion(confused(), task=1)
    assert list(figure.layout.yaxis.ticktext) == ["class 2", "class 3"]
    assert len(figure.layout.xaxis.ticktext) == 6
    assert "test images of task B" in figure.layout.title.text


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: class_forgetting(confused(n_done=1)),
            "must be of a run with at least 2 finished tasks, got 1",
        ),
        (lambda: class_forgetting(confused(labelled=False)), "test_labels for every task"),
        (
            lambda: class_confusion(confused(n_done=0)),
            "must be of a run with a finished task, got 0",
        ),
        (lambda: class_confusion(confused(), task=3), "task must be between 0 and 2, got 3"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
