"""A figure stepped through the tasks: each number shows what the figure draws of it."""

import numpy as np
from helpers.boxes import count_shows
from helpers.records import confused, make_history
from nbval_tolerance import as_numbers

from fmlora_kit.analysis import embed
from fmlora_kit.figures import embedding, forgotten_to
from fmlora_kit.figures.show import PLOTLY
from fmlora_kit.widgets import FigureStepper


def shown(stepper):
    return stepper.box.outputs[0]["data"][PLOTLY]


def test_it_opens_on_the_last_task_and_follows_the_number():
    made = embed(make_history(3, per_class=10, drift=0.1), perplexity=8, n_neighbours=5)
    stepper = FigureStepper(made, embedding)
    assert stepper.task.value == stepper.task.max == 3
    for after in (3, 1, 2):
        stepper.task.value = after
        drawn = as_numbers(shown(stepper)["data"][0]["x"])
        np.testing.assert_array_equal(drawn, embedding(made, after=after).data[0].x)


def test_where_there_is_nothing_to_see_it_says_why():
    stepper = FigureStepper(confused(), forgotten_to)
    title = shown(stepper)["layout"]["title"]["text"]
    assert title.startswith("Who was forgotten, and by whom, after 3 tasks")
    stepper.task.value = 1
    (said, *_) = shown(stepper)["layout"]["annotations"]
    assert "after must be at least 2, got 1" in said["text"]


def test_each_move_draws_once(monkeypatch):
    stepper = FigureStepper(confused(), forgotten_to)
    drawn = count_shows(monkeypatch)
    stepper.task.value = 2
    assert len(drawn) == 1
