"""Where accuracy goes: just learned, at the end with the task given, at the end without it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from fmlora_kit.analysis.names import NAMES, OURS
from fmlora_kit.analysis.parts import END, GIVEN, LEARNED
from fmlora_kit.analysis.parts import accuracy_parts as accuracy_parts_of
from fmlora_kit.figures.tables import Records, by_label
from fmlora_kit.figures.template import INK, OKABE_ITO, new_figure, short
from fmlora_kit.record import Record

_DOTS = {  # colour and shape of the three accuracies
    LEARNED: (OKABE_ITO[5], "circle-open"),
    GIVEN: (OKABE_ITO[0], "square"),
    END: (OKABE_ITO[1], "diamond"),
}
_ROW = 24  # pixels


def accuracy_parts(records: Records) -> go.Figure:
    """A row per method, the best at the end on top: three accuracies and what lies between them.

    From the first dot to the second: drift, what a task's own classes lost by later training. From
    the second to the third: competition, images of a task that are given to other tasks' classes.
    Means over tasks, and over seeds.

    Args:
        records: a record, or records (or lists of them, one per seed) by label. Of
            domain-incremental streams the last two are the same.

    Raises:
        ValueError: there is none, or one has no finished task.
    """
    table = by_label(records)
    means = {label: _means(runs) for label, runs in table.items()}
    labels = sorted(means, key=lambda label: -means[label][-1])
    percent = 100 * np.array([means[label] for label in labels])  # (methods, 3)
    first = next(iter(table.values()))[0]
    figure = new_figure(
        f"Where accuracy goes: {first.stream}, {first.n_tasks} tasks",
        "First dot to second: drift. Second to third: competition between tasks.",
        height=165 + _ROW * len(labels),
        margin={"t": 75, "b": 85, "l": 140},
        legend={"orientation": "h", "y": 0, "yref": "container", "x": 0.5, "xanchor": "center"},
    )
    places = np.arange(len(labels))
    _bars(figure, percent[:, 2], percent[:, 1], "competition", "#f3d2bd")
    _bars(figure, percent[:, 1], percent[:, 0], "drift", "#bcdff3")
    for k, (name, (color, symbol)) in enumerate(_DOTS.items()):
        figure.add_scatter(
            x=percent[:, k],
            y=places,
            mode="markers",
            marker={"color": color, "symbol": symbol, "size": 10, "line": {"width": 2}},
            name=name,
            customdata=[_said(label, row) for label, row in zip(labels, percent, strict=True)],
            hovertemplate="%{customdata}<extra></extra>",
        )
    figure.update_xaxes(title_text="accuracy, mean over tasks (%)", rangemode="tozero")
    figure.update_yaxes(
        tickvals=places,
        ticktext=[_bold(short(label, 20)) for label in labels],
        range=[len(labels) - 0.4, -0.6],
        tickfont={"size": 11.5},
    )
    return figure


def _means(runs: Sequence[Record]) -> list[float]:
    parts = [accuracy_parts_of(record) for record in runs]
    return [float(np.mean([part[name] for part in parts])) for name in _DOTS]


def _bars(figure: go.Figure, low: np.ndarray, high: np.ndarray, name: str, color: str) -> None:
    """From low to high in every row; where a task was better later on, high is lower."""
    figure.add_bar(
        x=high - low,
        base=low,
        y=np.arange(len(low)),
        orientation="h",
        width=0.5,
        marker={"color": color, "line": {"color": INK, "width": 0}},
        name=name,
        hoverinfo="skip",
    )
    figure.update_layout(barmode="overlay")


def _said(label: str, row: Sequence[float]) -> str:
    before, given, end = row
    return (
        f"<b>{label}</b><br>just learned, task given: {before:.1f} %"
        f"<br>at the end, task given: {given:.1f} %<br>at the end: {end:.1f} %"
    )


def _bold(label: str) -> str:
    return f"<b>{label}</b>" if label == NAMES[OURS] else label
