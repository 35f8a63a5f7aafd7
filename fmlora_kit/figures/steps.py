"""Who did it: what learning each task did to the earlier ones, and to the next one."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from fmlora_kit.analysis.names import run_name
from fmlora_kit.analysis.steps import before_learning, step_changes
from fmlora_kit.figures.curves import add_curve, seeds_note
from fmlora_kit.figures.tables import Records, by_label, curve, single
from fmlora_kit.figures.template import INK, LOSS_SCALE, method_styles, name_axis, new_figure, short
from fmlora_kit.record import Record


def fall_per_step(record: Record) -> go.Figure:
    """Heat map: change in points of each task's accuracy (rows) by learning each one (columns).

    Right of a row: its sum, the task's whole change since it was learned.

    Args:
        record: one run of either scenario, finished or not, with two finished tasks.

    Raises:
        ValueError: the record has fewer than two finished tasks.
    """
    record = single(record)
    n = len(record.tasks)
    if n < 2:
        raise ValueError(f"forgetting needs at least 2 tasks learned; got {n}")
    changes = 100 * step_changes(record.accuracy[:n, :n]).T[:-1, 1:]  # rows: tested, columns: steps
    rows, columns = record.task_names[:-1], record.task_names[1:]
    figure = new_figure(
        f"What learning each task did to the earlier ones: {run_name(record)}",
        f"{_answer(changes, rows, columns)}<br>Change of accuracy in points, step by step along a "
        "row. Right: the sum, since the task was learned.",
        height=max(400, 190 + 40 * n),
        margin={"t": 90},
    )
    largest = max(np.nanmax(np.abs(changes), initial=0.0), 1.0)
    learned, tested = np.meshgrid(columns, rows)
    figure.add_heatmap(
        z=-changes,
        x=list(range(n - 1)),
        y=list(range(n - 1)),
        zmin=-largest,
        zmax=largest,
        colorscale=LOSS_SCALE,
        text=[["" if np.isnan(v) else signed(v) for v in row] for row in changes],
        texttemplate="%{text}",
        textfont={"size": 12 if n <= 12 else 9, "color": INK},
        customdata=np.stack([tested, learned], axis=-1),
        hovertemplate="<b>%{text} points</b> on %{customdata[0]}<br>while learning %{customdata[1]}"
        "<extra></extra>",
        hoverongaps=False,
        xgap=1,
        ygap=1,
        colorbar={"title": {"text": "accuracy lost (points)", "side": "right"}, "thickness": 14},
    )
    for row, total in enumerate(np.nansum(changes, axis=1)):
        figure.add_annotation(
            x=n - 1.45, y=row, text=f"<b>{signed(total)}</b>", showarrow=False, xanchor="left"
        )
    figure.update_xaxes(name_axis(columns, "while learning task"), range=[-0.5, n - 0.9])
    figure.update_yaxes(name_axis(rows, "accuracy on task"))
    figure.update_yaxes(autorange="reversed", tickangle=0)
    return figure


def forward_transfer(records: Records) -> go.Figure:
    """Accuracy in % on each task just before it is learned, against chance.

    Args:
        records: a record, or records (or lists of them, one per seed) by label, that were tested on
            the next task: domain-incremental ones are.

    Raises:
        ValueError: a record was never tested on a task before learning it.
    """
    table = by_label(records)
    for label, runs in table.items():
        if any(np.isnan(before_learning(record)).all() for record in runs):
            raise ValueError(
                f"records must be tested on the next task before it is learned; {label!r} was not "
                "(class-incremental records are not: the next classes are unknown)"
            )
    curves = [curve(label, runs, before_learning, skip=1) for label, runs in table.items()]
    first = next(iter(table.values()))[0]
    note = seeds_note(curves)
    figure = new_figure(
        f"Forward transfer, each task before it is learned: {first.stream}",
        "Above the dotted line (chance): the tasks before it helped."
        + (f" {note}." if note else ""),
    )
    styles = method_styles(table)
    for one in curves:
        add_curve(figure, one, styles[one.label])
    figure.add_scatter(
        x=[1.6, first.n_tasks + 0.4],
        y=[100 / len(first.tasks[0].classes)] * 2,
        mode="lines",
        line={"color": INK, "dash": "dot", "width": 1.5},
        name="chance",
        hoverinfo="skip",
    )
    names = max((runs[0].task_names for runs in table.values()), key=len)
    figure.update_xaxes(
        title_text="next task",
        tickvals=list(range(2, len(names) + 1)),
        ticktext=[short(name) for name in names[1:]],
        range=[1.6, first.n_tasks + 0.4],
    )
    figure.update_yaxes(title_text="accuracy before learning (%)", range=[0, 101])
    return figure


def signed(points: float) -> str:
    """Points with a sign and one decimal, never minus zero."""
    value = round(points, 1) + 0.0
    return f"{value:+.1f}".replace("-", "−") if value else "0.0"


def _answer(changes: np.ndarray, rows: tuple[str, ...], columns: tuple[str, ...]) -> str:
    """The largest fall of a single step, in words."""
    known = np.nan_to_num(changes, nan=np.inf)
    row, column = np.unravel_index(known.argmin(), known.shape)
    if not known[row, column] < 0:
        return "No step cost an earlier task anything."
    return (
        f"<b>Largest fall: {rows[row]}</b> ({signed(known[row, column])} points) "
        f"<b>while learning {columns[column]}</b>."
    )
