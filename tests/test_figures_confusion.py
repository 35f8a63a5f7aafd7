"""Who is taken for whom, by the values in the traces; the images are counted by hand."""

import numpy as np
import pytest
from helpers.records import confused, make_record

from fmlora_kit.figures import forgotten_to, task_confusion
from fmlora_kit.figures.style import task_colors

NAN = np.nan


def bars(figure):
    return {trace.name: trace for trace in figure.data if trace.type == "bar"}


def test_the_right_task_is_grey_and_the_others_coloured():
    right, wrong = task_confusion(confused()).data
    np.testing.assert_allclose(np.diag(right.z), [50, 50, 75])
    np.testing.assert_allclose(wrong.z, [[NAN, 0, 50], [25, NAN, 25], [25, 0, NAN]])
    assert len({color for _, color in right.colorscale}) == 1
    assert (wrong.zmin, wrong.zmax, wrong.showscale, right.showscale) == (0, 50, True, False)
    assert list(wrong.text[1]) == ["25.0", "", "25.0"]
    assert wrong.customdata[0][2].tolist() == ["task A", "task C"]


def test_each_columns_share_of_all_other_images_stands_above_it():
    figure = task_confusion(confused())
    assert [a.text for a in figure.layout.annotations] == [
        "takes 25 %",  # one image of B and one of C, of eight
        "takes 0 %",
        "takes 38 %",  # two of A and one of B
    ]


def test_confusion_at_an_earlier_time():
    figure = task_confusion(confused(), 2)
    np.testing.assert_allclose(figure.data[1].z, [[NAN, 25], [25, NAN]])
    assert "after 2 tasks" in figure.layout.title.text
    assert list(figure.layout.yaxis.ticktext) == ["task A", "task B"]


def test_confusion_of_a_single_task_is_a_single_grey_cell():
    right, wrong = task_confusion(confused(n_done=1)).data
    assert right.z[0][0] == 100 and np.isnan(wrong.z[0][0])


def test_what_was_lost_in_the_colour_of_the_taker():
    parts = bars(forgotten_to(confused()))
    assert list(parts) == ["task A", "task B", "task C", "its own task", "right again"]
    np.testing.assert_allclose(parts["task A"].x, [0, 0])
    np.testing.assert_allclose(parts["task C"].x, [50, 25])
    np.testing.assert_allclose(parts["its own task"].x, [0, 25])
    np.testing.assert_allclose(parts["right again"].x, [-25, NAN])
    colors = [parts[f"task {name}"].marker.color for name in "ABC"]
    assert colors == list(task_colors(3))


def test_names_and_numbers_stand_in_the_wide_parts():
    parts = bars(forgotten_to(confused()))
    assert list(parts["task C"].text) == ["task C<br>50.0", "task C<br>25.0"]
    assert list(parts["task A"].text) == ["", ""]
    assert parts["task C"].insidetextfont.color == "#000000"  # on green; white on blue
    assert parts["task A"].insidetextfont.color == "#ffffff"


def test_the_fall_in_accuracy_stands_at_the_end_of_the_bar():
    figure = forgotten_to(confused())
    (fall,) = [trace for trace in figure.data if trace.type == "scatter"]
    assert list(fall.text) == ["<b>−25.0</b>", "<b>−50.0</b>"]
    assert figure.layout.xaxis.range[0] < -25 and figure.layout.xaxis.range[1] > 50
    assert list(figure.layout.yaxis.ticktext) == ["task A", "task B"]


def test_the_subtitle_answers_who_and_by_whom():
    subtitle = forgotten_to(confused()).layout.title.subtitle.text
    assert "Forgotten most: task B</b> (−50.0 points)" in subtitle
    assert "Taken most by: task C</b> (25.0 % of its images)" in subtitle


def test_the_answer_changes_with_the_moment():
    subtitle = forgotten_to(confused(), 2).layout.title.subtitle.text
    assert subtitle.startswith("No task was forgotten.")  # one image lost, one right again


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: forgotten_to(confused(n_done=1)),
            "must be of a run with at least 2 finished tasks, got 1",
        ),
        (lambda: forgotten_to(confused(), 1), "after must be at least 2, got 1"),
        (lambda: forgotten_to(confused(labelled=False)), "test_labels for every task"),
        (lambda: forgotten_to(confused(domains=True)), "record must be class-incremental"),
        (lambda: task_confusion(confused(domains=True)), "record must be class-incremental"),
        (lambda: task_confusion(confused(), 4), "between 1 and 3, got 4"),
        (
            lambda: task_confusion(make_record(n_done=0)),
            "must be of a run with a finished task, got 0",
        ),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
