"""Step through a run task by task; all views move together."""

from __future__ import annotations

import html
from collections.abc import Callable

import ipywidgets
import plotly.graph_objects as go

from fmlora_kit.figures import confusion
from fmlora_kit.figures.accuracy import accuracy_curves, accuracy_matrix
from fmlora_kit.figures.curves import single
from fmlora_kit.figures.panel import frames
from fmlora_kit.figures.ranks import rank_allocation
from fmlora_kit.record import Record
from fmlora_kit.widgets.controls import make_task_number
from fmlora_kit.widgets.figure_box import FigureBox

View = tuple[str, Callable[[Record], go.Figure]]
_ALL = 12  # tasks: of longer runs only what is looked at is drawn


class TaskStepper(ipywidgets.VBox):
    """Step through a run task by task: accuracies, ranks, confusion, and who was forgotten by whom.

    Each view is a figure of the record cut to its first tasks; axes and colours are those of the
    whole run, so that only the data moves. All is drawn when the widget is built; of more than 12
    tasks only what is looked at, with axes and colours of that moment and the last.

    Args:
        record: a run with at least one finished task. Without test labels the views that need them
            are left out; without ranks, curves stand in their place.

    Attributes:
        task: the number of tasks learned.
        status: which task that was, and what it came to.
        boxes: one per view, by the view's title.

    Raises:
        ValueError: the record has no finished task.
    """

    def __init__(self, record: Record):
        record = single(record)
        n = len(record.tasks)
        self._moments = [record.until(t + 1) for t in range(n)]
        self._views = _views(record)
        self._frames: dict[str, list[go.Figure]] = {}  # of all moments, by view
        self._last: dict[str, go.Figure] = {}  # of a longer run: of the last moment
        self.task = make_task_number(n, "How many tasks have been learned")
        self.status = ipywidgets.HTML()
        self.boxes = {title: FigureBox() for title, _ in self._views}
        columns = {"grid_template_columns": "repeat(2, minmax(0, 1fr))"}
        grid = ipywidgets.GridBox(list(self.boxes.values()), layout=columns)
        self.task.observe(lambda _: self._show(), names="value")
        self._show()
        super().__init__([ipywidgets.HBox([self.task, self.status]), grid])

    def _show(self) -> None:
        moment = self.task.value - 1
        self.status.value = html.escape(self._moments[moment].summary_line())
        for title, draw in self._views:
            self.boxes[title].show(self._figure(title, draw, moment))

    def _figure(self, title: str, draw: Callable[[Record], go.Figure], moment: int) -> go.Figure:
        """A view of a moment; of few tasks all moments are drawn at once."""
        last = len(self._moments) - 1
        if last < _ALL and title not in self._frames:
            self._frames[title] = frames(
                [_try_to_draw(draw, each) for each in self._moments], title
            )
        if last < _ALL:
            return self._frames[title][moment]
        if title not in self._last:
            self._last[title] = draw(self._moments[last])
        now = [_try_to_draw(draw, self._moments[moment])] if moment < last else []
        return frames([*now, self._last[title]], title)[0]


def _try_to_draw(draw: Callable[[Record], go.Figure], record: Record) -> go.Figure | None:
    """The figure, or None after too few tasks for it."""
    try:
        return draw(record)
    except ValueError:
        return None


def _views(record: Record) -> list[View]:
    """Titles and figures of the views that the record has the numbers for."""
    ranks = ("Rank chosen for each layer and task", rank_allocation)
    curves = ("Accuracy as tasks are learned", accuracy_curves)
    views: list[View] = [("Accuracy (%) after each task", accuracy_matrix)]
    views.append(ranks if record.ranks.size else curves)
    by_class = record.scenario == "domain-incremental"
    if not by_class:
        views.append(("Which task is taken for which (%)", confusion.task_confusion))
    if not all(task.test_labels.size for task in record.tasks):
        return views
    if by_class:
        views.append(("Which class is taken for which (%)", confusion.class_confusion))
    if len(record.tasks) > 1:
        lost = ("Images lost (%), and to whom", confusion.forgotten_to)
        changed = ("Change of each class (points), and who took it", confusion.class_forgetting)
        views.append(changed if by_class else lost)
    return views
