"""Forgetting over the tasks, by every definition the field uses, and step by step.

`forgetting_curves` and `forgetting_definitions` say how much was forgotten, `fall_per_step` what
learning each task did to the earlier ones, and `forward_transfer` what it did to the next one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from fmlora_kit import checks
from fmlora_kit.analysis.accuracy import (
    DEFINITIONS,
    FORGETTING,
    before_learning,
    forgetting_curve,
    metrics,
    step_changes,
)
from fmlora_kit.analysis.intervals import Interval, mean_ci95
from fmlora_kit.analysis.names import run_name
from fmlora_kit.figures.curves import (
    Curve,
    Records,
    add_curve,
    by_label,
    curve,
    join_notes,
    longest,
    seeds_note,
    single,
    stream_names,
    task_axis,
)
from fmlora_kit.figures.maps import task_map
from fmlora_kit.figures.style import (
    AVERAGE_COLOR,
    INK,
    LOSS_SCALE,
    OKABE_ITO,
    LineStyle,
    faded,
    grid,
    method_styles,
    new_figure,
    short,
)
from fmlora_kit.record import Record

FORGETTING_FORMULAS = {
    "max": "mean over earlier tasks of (best accuracy so far − accuracy now)",
    "first": "mean over earlier tasks of (accuracy when just learned − accuracy now)",
    "step": "mean over steps of the fall of earlier tasks within the step",
}
_FORGETTING_STYLE = LineStyle(AVERAGE_COLOR, "solid", "circle")
_DRIFT_STYLE = LineStyle(OKABE_ITO[1], "dash", "square")


def forgetting_curves(records: Records, *, definition: str = "max") -> go.Figure:
    """Forgetting in percentage points as more tasks are learned, and how much of it is by drift.

    Forgetting by drift is measured with task identity given, so that only a loss of features
    counts; the rest is competition, more classes to confuse. One record: both lines, with
    competition as the area between them. Records by label: forgetting on the left, forgetting by
    drift on the right.

    Args:
        records: a record, or records by label.
        definition: "max" (Chaudhry et al.), "first" (minus BWT) or "step" (CODA-Prompt).

    Raises:
        ValueError: `definition` is unknown, or a record has fewer than two finished tasks.
    """
    checks.choice("definition", definition, sorted(FORGETTING))
    table = by_label(records, least=2)
    total = _forgetting(table, "accuracy", definition)
    drift = _forgetting(table, "oracle_accuracy", definition)
    formula = f"Forgetting ({definition}): {FORGETTING_FORMULAS[definition]}"
    subtitle = join_notes(formula, seeds_note(total))
    if len(table) == 1:
        return _forgetting_parts(table, total[0], drift[0], subtitle)
    return _forgetting_compared(table, total, drift, subtitle)


def _forgetting(table, matrix: str, definition: str) -> list[Curve]:
    """A curve per label, from one of the accuracy matrices of its records."""

    def measure(record: Record) -> np.ndarray:
        return forgetting_curve(getattr(record, matrix), definition=definition)

    return [curve(label, runs, measure, skip=1) for label, runs in table.items()]


def _forgetting_parts(table, total: Curve, drift: Curve, subtitle: str) -> go.Figure:
    (record, *_) = next(iter(table.values()))
    figure = new_figure(
        f"Forgetting and what it is made of: {total.label} on {record.stream}", subtitle
    )
    add_curve(figure, drift, _DRIFT_STYLE, unit="points")
    figure.data[-1].update(name="drift (task identity given)", legendrank=3)
    figure.add_scatter(
        x=np.concatenate([total.tasks, total.tasks[::-1]]),
        y=100 * np.concatenate([total.mean, drift.mean[::-1]]),
        fill="toself",
        fillcolor=faded(OKABE_ITO[0]),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        name="competition (the difference)",
        legendrank=2,
    )
    add_curve(figure, total, _FORGETTING_STYLE, unit="points", width=4)
    figure.data[-1].update(name="forgetting", legendrank=1)
    figure.add_hline(y=0, line={"color": INK, "width": 1})
    figure.update_xaxes(task_axis(record.n_tasks))
    figure.update_yaxes(title_text="forgetting (percentage points)", rangemode="tozero")
    return figure


def _forgetting_compared(table, total, drift, subtitle: str) -> go.Figure:
    figure = grid(
        f"Forgetting as more tasks are learned: {stream_names(table)}",
        subtitle,
        cols=2,
        panels=("forgetting = drift + competition", "drift alone (task identity given)"),
        spacing=(0.04, None),
        sharing="y",
        margin={"t": 100},
    )
    styles = method_styles(table)
    for col, curves in enumerate((total, drift), start=1):
        for one in curves:
            add_curve(
                figure, one, styles[one.label], unit="points", showlegend=col == 1, row=1, col=col
            )
        figure.add_hline(y=0, line={"color": INK, "width": 1}, row=1, col=col)
    figure.update_xaxes(task_axis(longest(table), panels=2))
    figure.update_yaxes(rangemode="tozero")
    figure.update_yaxes(title_text="forgetting (percentage points)", col=1)
    return figure


# Metric: what the field calls it, in words.
WORDS = {
    "forgetting": ("max", "from the best accuracy so far to now"),
    "forgetting_first": ("first", "from when just learned to now"),
    "forgetting_step": ("step", "fall within one step, mean over steps"),
    "backward_transfer": ("BWT", "minus “first”: below zero is forgetting"),
    "drift_forgetting": ("drift", "“max” with task identity given"),
    "competition": ("competition", "“max” less “drift”: more classes to confuse"),
}


def forgetting_definitions(records: Records) -> go.Figure:
    """Bars: forgetting in percentage points by each definition, one bar per method.

    The first four take the same accuracy matrix and average it differently; the last two say what
    "max" is made of. The formulas stand in the hover texts.

    Args:
        records: a record, or records by label; with several seeds, mean and 95% interval.

    Raises:
        ValueError: a record has fewer than two finished tasks.
    """
    table = by_label(records, least=2)
    values = {label: _intervals(runs) for label, runs in table.items()}
    figure = new_figure(
        f"Forgetting by every definition: {stream_names(table)}",
        f"Same runs, {len(WORDS)} answers; max = drift + competition{_seeds(table)}.",
        height=125 + len(WORDS) * (24 + 19 * len(table)),
        barmode="overlay",
    )
    styles = method_styles(table)
    thickness = 0.72 / len(values)
    for k, (label, intervals) in enumerate(values.items()):
        places = np.arange(len(WORDS)) + (k - (len(values) - 1) / 2) * thickness
        _add_bars(figure, label, intervals, styles[label].color, places, 0.9 * thickness)
    figure.add_vline(x=0, line={"color": INK, "width": 1})
    figure.add_hline(y=3.5, line={"color": "#888888", "width": 1, "dash": "dot"})
    figure.update_layout(showlegend=True)
    figure.update_xaxes(title_text="percentage points", range=_span(values))
    figure.update_yaxes(
        tickvals=list(range(len(WORDS))),
        ticktext=[f"<b>{name}</b><br>{words}" for name, words in WORDS.values()],
        range=[len(WORDS) - 0.5, -0.5],
        showgrid=False,
    )
    return figure


def _intervals(runs: Sequence[Record]) -> dict[str, Interval]:
    """For each definition mean and interval over seeds, in points."""
    found = [metrics(record) for record in runs]
    return {name: mean_ci95([100 * values[name] for values in found]) for name in WORDS}


def _add_bars(
    figure: go.Figure,
    label: str,
    values: Mapping[str, Interval],
    color: str,
    places: np.ndarray,
    thickness: float,
) -> None:
    means = np.array([value.mean for value in values.values()])
    spread = np.nan_to_num([value.ci95 for value in values.values()])
    shown = [_number(value) for value in values.values()]
    figure.add_bar(
        x=means,
        y=places,
        width=thickness,
        orientation="h",
        name=label,
        marker={"color": color},
        error_x={"array": spread, "color": INK, "thickness": 1.5, "visible": bool(spread.any())},
        customdata=[
            [number, DEFINITIONS[name]] for number, name in zip(shown, values, strict=True)
        ],
        hovertemplate=f"<b>{label}</b>: %{{customdata[0]}} points<br>%{{customdata[1]}}"
        "<extra></extra>",
    )
    below = means < 0  # numbers stand beyond the whisker
    figure.add_scatter(
        x=means + np.where(below, -spread, spread),
        y=places,
        mode="text",
        text=[f" {number} " for number in shown],
        textposition=["middle left" if low else "middle right" for low in below],
        name=label,
        showlegend=False,
        hoverinfo="skip",
    )


def _span(values: Mapping[str, Mapping[str, Interval]]) -> list[float]:
    """Room for the bars, their whiskers and the numbers behind them."""
    every = [interval for by_name in values.values() for interval in by_name.values()]
    means = np.array([interval.mean for interval in every])
    spread = np.nan_to_num([interval.ci95 for interval in every])
    low, high = min((means - spread).min(), 0.0), max((means + spread).max(), 0.0)
    wide = any(np.isfinite(interval.ci95) for interval in every)
    room = (0.25 if wide else 0.12) * max(high - low, 1.0)
    return [low - room if low < 0 else -0.02, high + room]


def _number(value: Interval) -> str:
    spread = "" if np.isnan(value.ci95) else f" ± {value.ci95:.1f}"
    return f"{round(value.mean, 1) + 0.0:.1f}{spread}".replace("-", "−")


def _seeds(table: Mapping[str, Sequence[Record]]) -> str:
    if (most := max(map(len, table.values()))) == 1:
        return ""
    return f"; mean of {most} seeds, whiskers: 95% interval"


def fall_per_step(record: Record) -> go.Figure:
    """Heat map: change in points of each task's accuracy (rows) by learning each one (columns).

    Right of a row: its sum, the task's whole change since it was learned.

    Args:
        record: one run of either scenario, finished or not, with two finished tasks.

    Raises:
        ValueError: the record has fewer than two finished tasks.
    """
    record = single(record, least=2)
    n = len(record.tasks)
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
    task_map(
        figure,
        -changes,
        (rows, columns),
        ("accuracy on task", "while learning task"),
        limits=(-largest, largest),
        colorscale=LOSS_SCALE,
        text=[["" if np.isnan(v) else signed(v) for v in row] for row in changes],
        size=12 if n <= 12 else 9,
        hover="<b>%{text} points</b> on %{customdata[0]}<br>while learning %{customdata[1]}",
        hoverongaps=False,
        bar="accuracy lost (points)",
    )
    for row, total in enumerate(np.nansum(changes, axis=1)):
        figure.add_annotation(
            x=n - 1.45, y=row, text=f"<b>{signed(total)}</b>", showarrow=False, xanchor="left"
        )
    figure.update_xaxes(range=[-0.5, n - 0.9])
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
