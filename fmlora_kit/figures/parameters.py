"""How many numbers a method keeps as tasks arrive: to run, to go on training, and in the record."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fmlora_kit.figures.curves import add_curve, seeds_note, task_axis
from fmlora_kit.figures.tables import Records, by_label, curve
from fmlora_kit.figures.template import TEMPLATE, method_styles
from fmlora_kit.record import Record

PANELS: dict[str, Callable[[Record], np.ndarray]] = {
    "deployed: to run the model": lambda record: np.array([t.n_deployed for t in record.tasks]),
    "training state: kept to go on": lambda record: np.array(
        [t.n_training_state for t in record.tasks]
    ),
    "record on disk: snapshots": lambda record: np.cumsum(
        [sum(array.size for array in t.state.values()) for t in record.tasks]
    ),
}


def parameters_stored(records: Records) -> go.Figure:
    """Numbers stored after each task, in three panels, each with its own scale from zero.

    Deployed: backbone, adapters, prompt and head. Training state: what is kept between tasks for
        training
    only. Record: the sum of all snapshots so far, from which earlier models are rebuilt; on disk
    only.

    Args:
        records: a record, or records (or lists of them, one per seed) by label.

    Raises:
        ValueError: a record has no finished task.
    """
    table = by_label(records)
    figure = make_subplots(cols=3, subplot_titles=tuple(PANELS), horizontal_spacing=0.075)
    styles = method_styles(table)
    notes = []
    for col, measure in enumerate(PANELS.values(), start=1):
        for label, runs in table.items():
            one = curve(label, runs, measure)
            notes.append(one)
            add_curve(
                figure,
                one,
                styles[label],
                unit="numbers",
                scale=1,
                showlegend=col == 1 and len(table) > 1,
                row=1,
                col=col,
            )
    n_tasks = max(record.n_tasks for runs in table.values() for record in runs)
    figure.update_xaxes(task_axis(n_tasks, panels=3))
    figure.update_annotations(font_size=13)
    figure.update_yaxes(rangemode="tozero", tickformat="~s")
    figure.update_yaxes(title_text="parameters (numbers stored)", col=1)
    first = next(iter(table.values()))[0]
    who = next(iter(table)) + " on " if len(table) == 1 else ""
    figure.update_layout(
        template=TEMPLATE,
        title={"text": f"Parameters stored as tasks are learned: {who}{first.stream}"},
        title_subtitle_text=_growth(table) + (f"; {note}" if (note := seeds_note(notes)) else ""),
        height=450,
        margin={"t": 100},
        legend={"orientation": "h", "y": -0.2, "x": 0.5, "xanchor": "center"},
    )
    return figure


def _growth(table) -> str:
    """How the deployed size changes from the first task to the last, per label."""
    if all(len(runs[0].tasks) == 1 for runs in table.values()):
        return "One task finished"
    changes = {}
    for label, runs in table.items():
        first, last = runs[0].tasks[0].n_deployed, runs[0].tasks[-1].n_deployed
        if first != last:
            changes[label] = f"{label} {100 * (last - first) / max(first, 1):+.1f} %"
    parts = list(changes.values())
    parts = parts[:3] + ["…"] * (len(parts) > 3)
    if len(changes) < len(table):
        parts.append("others constant" if changes else "constant")
    return "Deployed size, first to last task: " + ", ".join(parts)
