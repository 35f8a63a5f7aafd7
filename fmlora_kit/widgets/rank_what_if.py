"""Take rank away from a task, and see at once what that does to all tasks."""

from __future__ import annotations

import ipywidgets

from fmlora_kit.analysis.ranks import ALL_LAYERS, TruncationTable
from fmlora_kit.figures.truncation import what_if
from fmlora_kit.widgets.controls import make_choice
from fmlora_kit.widgets.figure_box import FigureBox


class RankWhatIf(ipywidgets.VBox):
    """Cut one task's update to fewer columns: the accuracy of every task changes at once.

    Everything was measured in advance (`fmlora_kit.probes.truncate_ranks`).

    Args:
        table: of a method whose updates are pairs M_t N_t.

    Attributes:
        task: whose pair is cut, by name.
        layer: "all layers", or the name of one adapted map.
        rank: how many columns are left; the last choice is the chosen rank, nothing cut.
        box: where the figure is.

    Raises:
        ValueError: ``table`` is no `TruncationTable`.
    """

    def __init__(self, table: TruncationTable):
        if not isinstance(table, TruncationTable):
            method = getattr(table, "method", None)
            got = type(table).__name__ + (f" of method {method!r}" if method else "")
            rule = "a TruncationTable, measured for a method with pairs M_t N_t"
            raise ValueError(f"table must be {rule}, got {got}")
        self._table = table
        look = {"width": 300, "style": {"description_width": "48px"}}
        self.task = make_choice("Task", table.task_names, "Whose update is cut", **look)
        layers, where = table.layer_choices, "Cut it in all layers, or in one"
        self.layer = make_choice("Layer", layers, where, value=ALL_LAYERS, **look)
        left = "How many columns of the update are left; the last choice: nothing cut"
        self.rank = make_choice("Rank", [0], left, **look | {"width": 160})
        self.box = FigureBox()
        super().__init__([ipywidgets.HBox([self.task, self.layer, self.rank]), self.box])
        self._offer()
        self.task.observe(self._offer, "value")
        self.layer.observe(self._offer, "value")
        self.rank.observe(self._draw, "value")

    def _offer(self, _: object = None) -> None:
        """Offer the ranks that were measured for the task and layer, and start with nothing cut."""
        levels = self._table.levels(self.task.value, self.layer.value)
        self._offering = True
        try:
            self.rank.options = levels
            self.rank.value = levels[-1]
        finally:
            self._offering = False
        self._draw()

    def _draw(self, _: object = None) -> None:
        if not self._offering:  # while options are exchanged, the controls do not fit together
            self.box.show(what_if(self._table, self.task.value, self.layer.value, self.rank.value))
