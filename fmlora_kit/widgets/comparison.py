"""Compare the runs that lie in a folder."""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Mapping

import ipywidgets
import plotly.graph_objects as go

from fmlora_kit.figures.accuracy import accuracy_curves, accuracy_matrix
from fmlora_kit.figures.comparison import metrics_table
from fmlora_kit.figures.entry import plain
from fmlora_kit.figures.forgetting import forgetting_curves
from fmlora_kit.figures.panel import notice
from fmlora_kit.record import Record, load_records
from fmlora_kit.widgets.figure_box import FigureBox

_VIEWS: dict[str, Callable[[Mapping[str, Record]], go.Figure]] = {
    "accuracy": accuracy_curves,
    "forgetting": forgetting_curves,
    "matrices": accuracy_matrix,
    "metrics": metrics_table,
}


class RunComparison(ipywidgets.VBox):
    """Choose records of a folder, and what to see of them: curves, matrices, a table of metrics.

    All records are read when the widget is built. What cannot be read is listed with the reason.

    Args:
        folder: records are looked for in it and in all folders below.
        stream: the records of this stream are shown first; without it, those of the stream that
            most records share.

    Attributes:
        records: the list to choose from, by the records' places below the folder.
        view: "accuracy", "forgetting", "matrices" or "metrics".
        status: what could not be read, or what is missing.
        box: where the view is.

    Raises:
        RecordError: `folder` does not exist.
    """

    def __init__(self, folder: str | os.PathLike, *, stream: str | None = None):
        shelf = load_records(folder)
        self._records = {name: record for name, record in shelf.records.items() if record.tasks}
        empty = {name: "no finished task" for name in shelf.records.keys() - self._records.keys()}
        self._problems = dict(sorted({**shelf.unreadable, **empty}.items()))
        self.records = ipywidgets.SelectMultiple(
            options=tuple(self._records),
            value=self._comparable(stream),
            rows=min(max(len(self._records), 2), 8),
            description="Records",
            tooltip="Choose several with Ctrl or Shift",
            layout={"width": "420px"},
        )
        self.status = ipywidgets.HTML(layout={"width": "540px"})
        self.view = ipywidgets.ToggleButtons(
            options=[(name.capitalize(), name) for name in _VIEWS],
            description="View",
            tooltips=["What is shown of the chosen records"] * len(_VIEWS),
            style={"button_width": "auto"},
        )
        self.box = FigureBox()
        for control in (self.records, self.view):
            control.observe(lambda _: self._show(), names="value")
        self._show()
        row = ipywidgets.HBox([self.records, self.status], layout={"flex_flow": "row wrap"})
        super().__init__([row, self.view, self.box])

    def _show(self) -> None:
        chosen = {name: self._records[name] for name in self.records.value}
        try:
            figure = _VIEWS[self.view.value](chosen)
        except ValueError as error:  # nothing chosen, or a run too short for this view
            figure = notice(self.view.label, plain(str(error)), height=120)
        self.box.show(figure)
        shown = f"{len(chosen)} of {len(self._records)} records shown."
        lines = [f"{shown} Ctrl or Shift chooses several."]
        for name, reason in self._problems.items():
            lines.append(f"Not readable: <b>{html.escape(name)}</b>: {html.escape(reason)}")
        self.status.value = "<br>".join(lines)

    def _comparable(self, stream: str | None) -> tuple[str, ...]:
        """The records of one stream: the named one, or the commonest (the longest of several)."""
        streams = [(record.stream, record.n_tasks) for record in self._records.values()]
        if stream is None and streams:
            stream = max(streams, key=lambda each: (streams.count(each), each[1]))[0]
        return tuple(name for name, record in self._records.items() if record.stream == stream)
