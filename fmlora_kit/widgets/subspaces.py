"""Choose two tasks and a layer, and see how much of a subspace they share."""

from __future__ import annotations

import html

import ipywidgets

from fmlora_kit.analysis.ranks import ALL_LAYERS
from fmlora_kit.analysis.subspaces import ENERGY, task_pair
from fmlora_kit.figures.curves import single
from fmlora_kit.figures.updates import subspace_pair, verdict
from fmlora_kit.record import Record
from fmlora_kit.widgets.figure_box import FigureBox

_SHARES = {"90 %": 0.9, "95 %": 0.95, "99 %": 0.99, "100 %": 1.0}


class SubspaceExplorer(ipywidgets.VBox):
    """Two tasks and a layer: angles, overlap and singular values of their updates, and a verdict.

    Args:
        record: a run of a method with low-rank updates and at least two finished tasks.

    Attributes:
        task: drop-down of one task (its value is the task's name).
        other: drop-down of the task it is held against.
        layer: drop-down of the adapted maps, "all layers" first.
        energy: which share of an update's energy its directions must hold.
        status: the verdict in one sentence.
        box: the figure.

    Raises:
        ValueError: the method has no low-rank updates, or there are fewer than two tasks.
    """

    def __init__(self, record: Record):
        self.record = single(record)
        names = record.task_names
        if len(names) < 2:
            raise ValueError(f"record must have at least 2 finished tasks; got {len(names)}")
        self.task = _choice("Task", names, names[0], "One of the two tasks that are compared")
        self.other = _choice("Against", names, names[-1], "The task it is compared with")
        layers = (ALL_LAYERS, *record.layers)
        self.layer = _choice("Layer", layers, ALL_LAYERS, "An adapted map, or the mean over all")
        self.energy = _choice(
            "Energy",
            tuple(_SHARES.items()),
            ENERGY,
            "Only the strongest directions count: those that hold this share of an update",
        )
        self.status = ipywidgets.HTML()
        self.box = FigureBox()
        controls = (self.task, self.other, self.layer, self.energy)
        for control in controls:
            control.observe(self._show, names="value")
        row = ipywidgets.HBox(controls, layout={"flex_flow": "row wrap"})
        super().__init__([row, self.status, self.box])
        self._show()

    def _show(self, _: object = None) -> None:
        if self.task.value == self.other.value:
            self.status.value = html.escape("Choose two different tasks.")
            return
        layer = None if self.layer.value == ALL_LAYERS else self.layer.value
        chosen = (self.record, self.task.value, self.other.value)
        options = {"layer": layer, "energy": self.energy.value}
        self.status.value = html.escape(verdict(self.record, task_pair(*chosen, **options)))
        self.box.show(subspace_pair(*chosen, **options))


def _choice(name: str, options: tuple, value: object, tooltip: str) -> ipywidgets.Dropdown:
    return ipywidgets.Dropdown(
        description=name,
        options=options,
        value=value,
        tooltip=tooltip,
        layout={"width": "230px"},
    )
