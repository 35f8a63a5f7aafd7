"""Choose two tasks and a layer, and see how much of a subspace they share."""

from __future__ import annotations

import html
from functools import partial

import ipywidgets

from fmlora_kit.analysis.ranks import ALL_LAYERS
from fmlora_kit.analysis.subspaces import ENERGY, task_pair
from fmlora_kit.figures.curves import single
from fmlora_kit.figures.panel import notice
from fmlora_kit.figures.updates import measured_pair, verdict
from fmlora_kit.record import Record
from fmlora_kit.widgets.controls import make_choice, make_row
from fmlora_kit.widgets.figure_box import FigureBox

_ALIKE = "Task and Against name the same one: there is no pair to draw."
_SHARES = (("90 %", 0.9), ("95 %", 0.95), ("99 %", 0.99), ("100 %", 1.0))


class SubspaceExplorer(ipywidgets.VBox):
    """Two tasks and a layer: angles, overlap and singular values of their updates, and a verdict.

    Args:
        record: a run of a method with low-rank updates and at least two finished tasks.

    Attributes:
        task, other: drop-downs of the two tasks (their values are the tasks' names).
        layer: drop-down of the adapted maps, "all layers" first.
        energy: which share of an update's energy its directions must hold.
        status: the verdict in one sentence.
        box: the figure.

    Raises:
        ValueError: the method has no low-rank updates, or there are fewer than two tasks.
    """

    def __init__(self, record: Record):
        self.record = single(record, least=2)
        choose = partial(make_choice, width=230)
        names, layers = record.task_names, (ALL_LAYERS, *record.layers)
        self.task = choose("Task", names, "One of the two tasks that are compared")
        other = "The task it is compared with"
        self.other = choose("Against", names, other, value=names[-1])
        self.layer = choose("Layer", layers, "An adapted map, or the mean over all")
        strong = "Only the strongest directions count: those that hold this share of an update"
        self.energy = choose("Energy", _SHARES, strong, value=ENERGY)
        self.status = ipywidgets.HTML()
        self.box = FigureBox()
        row = make_row((self.task, self.other, self.layer, self.energy), self._show)
        super().__init__([row, self.status, self.box])
        self._show()

    def _show(self, _: object = None) -> None:
        if self.task.value == self.other.value:
            self.status.value = ""
            self.box.show(notice("Choose two different tasks", _ALIKE, height=500))  # no jump
            return
        layer = None if self.layer.value == ALL_LAYERS else self.layer.value
        energy, tasks = self.energy.value, (self.task.value, self.other.value)
        pair = task_pair(self.record, *tasks, layer=layer, energy=energy)
        self.status.value = html.escape(verdict(self.record, pair))
        self.box.show(measured_pair(self.record, pair, energy))
