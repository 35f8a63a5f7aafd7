"""Accuracy and forgetting figures, by the values in their traces."""

import numpy as np
import pytest
from helpers.records import THREE_TASKS, THREE_TASKS_ORACLE, make_record, plausible_record

from fmlora_kit.analysis import mean_ci95, metrics
from fmlora_kit.analysis.accuracy import average_accuracy, forgetting_curve
from fmlora_kit.figures import accuracy_curves, accuracy_matrix, forgetting_curves
from fmlora_kit.figures.style import method_styles, task_colors

NAN = np.nan


def line(figure, name):
    """The one line of that name that is no band."""
    (trace,) = [t for t in figure.data if t.name == name and t.fill is None]
    return trace


def seeds(method="fmlora", n=3, **kwargs):
    return [plausible_record(4, method=method, seed=s, **kwargs) for s in range(n)]


def test_matrix_shows_percent_in_the_lower_triangle():
    figure = accuracy_matrix(make_record())
    (heat,) = figure.data
    np.testing.assert_allclose(heat.z, 100 * THREE_TASKS)
    assert [list(row) for row in heat.text] == [
        ["90.0", "", ""],
        ["70.0", "80.0", ""],
        ["50.0", "90.0", "60.0"],
    ]
    assert (heat.zmin, heat.zmax) == (0, 100)
    assert list(figure.layout.xaxis.ticktext) == ["task A", "task B", "task C"]
    assert figure.layout.yaxis.autorange == "reversed"
    assert heat.customdata[1][0].tolist() == ["task B", "task A"]
    assert "FM-LoRA on" in figure.layout.title.text
    assert "accuracy (%)" in heat.colorbar.title.text


def test_matrix_leaves_out_what_was_tested_before_it_was_learned():
    accuracy = THREE_TASKS.copy()
    accuracy[0, 2] = 0.3
    (heat,) = accuracy_matrix(make_record(accuracy)).data
    assert np.isnan(heat.z[0][2])


def test_matrix_with_task_identity_given():
    figure = accuracy_matrix(make_record(), oracle=True)
    np.testing.assert_allclose(figure.data[0].z, 100 * THREE_TASKS_ORACLE)
    assert "task identity given" in figure.layout.title.subtitle.text


def test_matrix_of_an_unfinished_run_says_so():
    figure = accuracy_matrix(make_record(n_done=2))
    assert np.asarray(figure.data[0].z).shape == (2, 2)
    assert figure.layout.title.subtitle.text.startswith("2 of 3 tasks finished. ")


def test_matrix_of_twenty_tasks_has_room_for_its_numbers():
    figure = accuracy_matrix(plausible_record(20))
    assert figure.layout.height == 660
    assert all("." not in cell for row in figure.data[0].text for cell in row)
    assert figure.layout.xaxis.tickangle == 30


def test_a_line_per_task_and_the_average():
    record = make_record()
    figure = accuracy_curves(record)
    assert [trace.name for trace in figure.data] == [
        "task A",
        "task B",
        "task C",
        "average (micro)",
    ]
    np.testing.assert_allclose(figure.data[1].x, [2, 3])
    np.testing.assert_allclose(figure.data[1].y, [80, 90])
    np.testing.assert_allclose(line(figure, "average (micro)").y, [90, 100 * 23 / 30, 72.5])
    assert [trace.line.color for trace in figure.data[:3]] == list(task_colors(3))
    assert line(figure, "average (micro)").line.width > 2 * figure.data[0].line.width


def test_macro_average():
    figure = accuracy_curves(make_record(), average="macro")
    np.testing.assert_allclose(line(figure, "average (macro)").y, [90, 75, 200 / 3])


def test_tasks_keep_their_colours_in_an_unfinished_run():
    whole, part = plausible_record(10), make_record(n_done=2)
    assert accuracy_curves(part).data[1].line.color == task_colors(3)[1]
    assert accuracy_curves(whole).data[9].line.color == task_colors(10)[9]


def test_long_streams_get_a_higher_figure_for_their_legend():
    assert accuracy_curves(plausible_record(20)).layout.height == 590


def test_methods_are_compared_by_their_average():
    records = {"ours": make_record(), "theirs": make_record(THREE_TASKS / 2)}
    figure = accuracy_curves(records)
    assert [trace.name for trace in figure.data] == ["ours", "theirs"]
    np.testing.assert_allclose(line(figure, "theirs").y, [45, 50 * 23 / 30, 36.25])
    styles = method_styles(records)
    assert line(figure, "theirs").line.dash == styles["theirs"].dash
    assert line(figure, "theirs").marker.symbol == styles["theirs"].symbol
    assert "band" not in figure.layout.title.subtitle.text
    assert "after task 3, task C" in line(figure, "ours").text[2]


def test_several_seeds_give_mean_and_band():
    runs = seeds()
    figure = accuracy_curves({"fmlora": runs, "one": runs[0]})  # a key goes by its name
    last = [100 * average_accuracy(r.accuracy, r.n_test)[-1] for r in runs]
    expected = mean_ci95(last)
    assert line(figure, "FM-LoRA").y[-1] == pytest.approx(expected.mean)
    (band,) = [trace for trace in figure.data if trace.fill == "toself"]
    assert (band.x[3], band.x[4]) == (4, 4)
    assert band.y[3] == pytest.approx(expected.high)
    assert band.y[4] == pytest.approx(expected.low)
    assert "mean of 1 to 3 seeds, band: 95% interval" in figure.layout.title.subtitle.text
    assert "mean of 3 seeds" in line(figure, "FM-LoRA").text[0]
    assert band.fillcolor.startswith("rgba(213,94,0")


def test_a_methods_key_goes_by_its_name_unless_another_label_does():
    one = seeds(n=1)[0]
    assert line(accuracy_curves({"sequential_lora": one}), "sequential LoRA")
    both = accuracy_curves({"fmlora": one, "FM-LoRA": one})
    assert line(both, "fmlora") and line(both, "FM-LoRA")


def test_bands_are_whole_where_each_task_has_a_panel():
    figure = accuracy_curves({"one": seeds(n=3), "other": seeds("inflora")}, by_task=True)
    low, high = figure.layout.yaxis.range
    ends = np.concatenate([trace.y for trace in figure.data if trace.fill == "toself"])
    assert low <= max(ends.min(), 0) and high >= min(ends.max(), 101)


def test_seeds_that_came_less_far_cut_the_mean():
    runs = [make_record(), make_record(THREE_TASKS - 0.1, seed=1, n_done=2)]
    trace = line(accuracy_curves({"a": runs}), "a")
    np.testing.assert_allclose(trace.y, [85, 100 * 23 / 30 - 5])


def test_a_list_of_records_goes_by_its_method():
    assert line(accuracy_curves(seeds()), "FM-LoRA").y.shape == (4,)


def test_forgetting_of_one_record_is_drift_and_competition():
    figure = forgetting_curves(make_record())
    np.testing.assert_allclose(line(figure, "forgetting").x, [2, 3])
    np.testing.assert_allclose(line(figure, "forgetting").y, [20, 15])
    np.testing.assert_allclose(line(figure, "drift (task identity given)").y, [10, 5])
    (area,) = [t for t in figure.data if t.name == "competition (the difference)"]
    np.testing.assert_allclose(area.y, [20, 15, 5, 10])
    assert "best accuracy so far − accuracy now" in figure.layout.title.subtitle.text


@pytest.mark.parametrize("definition", ["max", "first", "step"])
def test_the_definition_is_stated(definition):
    record = plausible_record(5)
    figure = forgetting_curves(record, definition=definition)
    expected = 100 * forgetting_curve(record.accuracy, definition=definition)[1:]
    np.testing.assert_allclose(line(figure, "forgetting").y, expected)
    assert f"Forgetting ({definition})" in figure.layout.title.subtitle.text


def test_forgetting_compared_in_two_panels():
    records = {"ours": seeds(), "theirs": seeds("sequential_lora", drift=0.05)}
    figure = forgetting_curves(records)
    lines = [t for t in figure.data if t.fill is None and t.name == "theirs"]
    assert [t.xaxis for t in lines] == ["x", "x2"]
    values = [metrics(record) for record in records["theirs"]]
    total = 100 * np.mean([v["forgetting"] for v in values])
    drift = 100 * np.mean([v["drift_forgetting"] for v in values])
    assert lines[0].y[-1] == pytest.approx(total)
    assert lines[1].y[-1] == pytest.approx(drift)
    assert [t.showlegend for t in lines] == [True, False]
    assert len([t for t in figure.data if t.fill == "toself"]) == 4
    assert figure.layout.yaxis2.matches == "y"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: accuracy_matrix(make_record(n_done=0)),
            "record must be of a run with a finished task, got 0",
        ),
        (
            lambda: accuracy_matrix({"a": "b.npz"}),
            r"records\['a'\] must be a Record or a list of them, got 'b.npz'",
        ),
        (lambda: accuracy_matrix(None), "records must be a Record, or records by label, got None"),
        (lambda: accuracy_matrix([1]), "records must be a list of Records, got 1"),
        (lambda: accuracy_matrix(make_record(THREE_TASKS * NAN)), "of a run with an accuracy"),
        (lambda: accuracy_curves({}, average="mean"), "average must be one of"),
        (
            lambda: accuracy_curves(make_record(n_done=0)),
            "must be of a run with a finished task, got 0",
        ),
        (lambda: accuracy_curves({}), "records must be at least one record, got"),
        (lambda: accuracy_curves([]), "records must be at least one record, got"),
        (lambda: accuracy_curves({"a": []}), "records\\['a'\\] must be at least one record"),
        (
            lambda: forgetting_curves(make_record(n_done=1)),
            "must be of a run with at least 2 finished tasks, got 1",
        ),
        (lambda: forgetting_curves(make_record(), definition="x"), "definition must be one of"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
