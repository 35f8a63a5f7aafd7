"""One number, four views: what they show is what the record says of that moment."""

import base64

import numpy as np
import plotly.graph_objects as go
import pytest
from helpers.boxes import count_shows
from helpers.records import confused, make_record, plausible_record

from fmlora_kit.figures import forgotten_to, task_confusion
from fmlora_kit.figures.show import PLOTLY
from fmlora_kit.widgets import TaskStepper
from fmlora_kit.widgets import stepper as stepper_module


def shown(stepper, words):
    """The figure whose title has these words."""
    (title,) = [title for title in stepper.boxes if words in title]
    (output,) = stepper.boxes[title].outputs
    return output["data"][PLOTLY]


def numbers(trace, name="z"):
    """A trace's numbers, decoded from plotly's base64 arrays where they come as such."""
    value = trace[name]
    if isinstance(value, dict):
        flat = np.frombuffer(base64.b64decode(value["bdata"]), value["dtype"])
        shape = [int(n) for n in str(value.get("shape", flat.size)).split(",")]
        return flat.reshape(shape)
    return np.array(value, dtype=float)


def test_starts_at_the_end_and_shows_the_whole_run():
    stepper = TaskStepper(confused())
    assert stepper.task.value == stepper.task.max == 3
    assert "task 3/3 task C" in stepper.status.value
    np.testing.assert_allclose(
        numbers(shown(stepper, "Which task")["data"][1]), task_confusion(confused()).data[1].z
    )


def test_all_views_move_with_the_number():
    record = confused()
    stepper = TaskStepper(record)
    stepper.task.value = 2
    assert "task 2/3 task B" in stepper.status.value
    matrix = numbers(shown(stepper, "Accuracy (%)")["data"][0])
    np.testing.assert_allclose(matrix, [[75, np.nan], [75, 75]])
    wrong = numbers(shown(stepper, "Which task")["data"][1])
    np.testing.assert_allclose(wrong, [[np.nan, 25], [25, np.nan]])
    (taker,) = [t for t in shown(stepper, "lost")["data"] if t["name"] == "task B"]
    np.testing.assert_allclose(numbers(taker, "x"), forgotten_to(record, 2).data[1].x)
    curves = shown(stepper, "as tasks are learned")["data"]
    np.testing.assert_allclose(numbers(curves[0], "y"), [75, 75])


def test_after_one_task_nothing_can_be_forgotten():
    stepper = TaskStepper(confused())
    stepper.task.value = 1
    figure = shown(stepper, "lost")
    assert figure["data"] == []
    assert figure["layout"]["annotations"][0]["text"] == "Nothing to see yet"


def test_a_method_with_ranks_shows_them():
    stepper = TaskStepper(make_record(ranks=[[1, 2], [3, 4], [8, 6]]))
    stepper.task.value = 2
    np.testing.assert_array_equal(numbers(shown(stepper, "Rank")["data"][0]), [[1, 3], [2, 4]])
    assert not [title for title in stepper.boxes if "forgotten" in title]  # no test labels


def test_domains_are_shown_by_class():
    stepper = TaskStepper(confused(domains=True))
    stepper.task.value = 2
    lost = numbers(shown(stepper, "Change of each class")["data"][0])
    np.testing.assert_allclose(lost, [[-50, 0]])
    right = numbers(shown(stepper, "Which class")["data"][0])
    np.testing.assert_allclose(np.diag(right), [75, 75])


def test_the_number_of_tasks_is_labelled_and_has_limits():
    stepper = TaskStepper(confused())
    assert stepper.task.description == "Task (of 3)" and stepper.task.tooltip
    assert (stepper.task.min, stepper.task.max) == (1, 3)


def test_a_move_shows_what_was_drawn_when_it_was_built(monkeypatch):
    stepper = TaskStepper(plausible_record(4))
    shown = count_shows(monkeypatch)
    monkeypatch.setattr(go, "Figure", None)  # none is made any more
    for n_moves, task in enumerate((1, 3, 2), 1):
        stepper.task.value = task
        assert len(shown) == n_moves * len(stepper.boxes)


def test_a_record_without_a_task_is_refused():
    with pytest.raises(ValueError, match="must be of a run with a finished task, got 0"):
        TaskStepper(make_record(n_done=0))


def test_of_a_long_run_only_what_is_looked_at_is_drawn(monkeypatch):
    drawn = []
    views = stepper_module._views(plausible_record(3))

    def counted(title, draw):
        return title, lambda record: drawn.append((title, len(record.tasks))) or draw(record)

    monkeypatch.setattr(stepper_module, "_views", lambda record: [counted(*v) for v in views])
    stepper = TaskStepper(plausible_record(40))
    assert drawn == [(title, 40) for title, _ in views]
    drawn.clear()
    stepper.task.value = 7
    assert drawn == [(title, 7) for title, _ in views]
    assert len(numbers(shown(stepper, "Accuracy (%)")["data"][0])) == 7
    assert shown(stepper, "Accuracy (%)")["layout"]["xaxis"]["range"] == [-0.5, 39.5]
