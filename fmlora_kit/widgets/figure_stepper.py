"""Step a figure through the tasks, by keyboard."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

import ipywidgets
import plotly.graph_objects as go

from fmlora_kit.figures.entry import plain
from fmlora_kit.figures.panel import notice
from fmlora_kit.widgets.controls import make_task_number
from fmlora_kit.widgets.figure_box import FigureBox


class Learned(Protocol):
    """What tasks were learned: a Record is such a thing, and an Embedding."""

    task_names: tuple[str, ...]


class FigureStepper(ipywidgets.VBox):
    """A figure as it is after each task, one at a time.

    Args:
        subject: what is drawn: a record, an embedding.
        draw: a figure that takes it, and as ``after`` how many tasks had been learned: `embedding`,
            `forgotten_to`, `class_confusion` and others.

    Attributes:
        task: the number of tasks learned.
        box: the figure, or why there is none.
    """

    def __init__(self, subject: Learned, draw: Callable[..., go.Figure]):
        self._draw = partial(draw, subject)
        n = len(subject.task_names)
        self.task = make_task_number(n, "How many tasks have been learned")
        self.box = FigureBox()
        self.task.observe(lambda _: self._show(), names="value")
        self._show()
        super().__init__([self.task, self.box])

    def _show(self) -> None:
        try:
            figure = self._draw(after=self.task.value)
        except ValueError as error:  # after too few tasks for it
            figure = notice("Nothing to see yet", plain(str(error)), height=120)
        self.box.show(figure)
