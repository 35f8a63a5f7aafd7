"""Travel through the tasks: what the model of each moment takes a picture for, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ipywidgets

from fmlora_kit import checks
from fmlora_kit.analysis.attribution import ATTRIBUTION_METHODS, Explanations
from fmlora_kit.figures.attribution import class_label, same_images
from fmlora_kit.figures.attribution_shift import explanation_at
from fmlora_kit.widgets.controls import make_choice, make_row, make_task_number
from fmlora_kit.widgets.figure_box import FigureBox


class TimeMachine(ipywidgets.VBox):
    """Choose a picture, a method of attribution and a task; see the model of that moment.

    Args:
        explanations: of one record and the same images, by one or several methods.

    Attributes:
        image, method: drop-downs of the pictures and of the methods of attribution.
        task: how many tasks the model had learned.
        box: the figure.

    Raises:
        ValueError: there is none, they differ in images, or two are by the same method.
    """

    def __init__(
        self, explanations: Explanations | Sequence[Explanations] | Mapping[str, Explanations]
    ):
        listed = same_images(explanations)
        self._by_method = {e.method: e for e in listed}
        if len(self._by_method) < len(listed):
            names = [e.method for e in listed]
            raise checks.fail("explanations", "by different methods", names)
        first = listed[0]
        # numbers keep pictures of one class apart
        labels = [class_label(first, target) for target in first.targets.tolist()]
        images = [(f"{i + 1}: {label}", i) for i, label in enumerate(labels)]
        which = "Which test picture is explained"
        self.image = make_choice("Image", images, which, width=260)
        methods = [(ATTRIBUTION_METHODS[name], name) for name in self._by_method]
        tooltip = "Which method of attribution says what the score rests on"
        self.method = make_choice("Method", methods, tooltip, width=280)
        self.task = make_task_number(len(first.task_names), "How many tasks the model had learned")
        self.box = FigureBox()
        row = make_row((self.image, self.method, self.task), self._draw)
        super().__init__([row, self.box])
        self._draw()

    def _draw(self, change: object = None) -> None:
        explained = self._by_method[self.method.value]
        self.box.show(explanation_at(explained, self.image.value, self.task.value - 1))
