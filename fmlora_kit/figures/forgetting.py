"""Forgetting over the tasks, by every definition the field uses, and step by step.

`forgetting_curves` and `forgetting_definitions` say how much was forgotten, `fall_per_step` what
learning each task did to the earlier ones, and `forward_transfer` what it did to the next one.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from fmlora_kit import checks
from fmlora_kit.analysis import accuracy
from fmlora_kit.analysis.formats import formula
from fmlora_kit.analysis.intervals import Interval, mean_ci95
from fmlora_kit.analysis.names import run_name
from fmlora_kit.figures import curves, style
from fmlora_kit.figures.entry import draws
from fmlora_kit.figures.labels import task_label
from fmlora_kit.figures.maps import task_map
from fmlora_kit.record import Record

FORGETTING_FORMULAS = {
    "max": "mean over earlier tasks of (best accuracy so far − accuracy now)",
    "first": "mean over earlier tasks of (accuracy when just learned − accuracy now)",
    "step": "mean over steps of the fall of earlier tasks within the step",
}
_FORGETTING_STYLE = style.LineStyle(style.AVERAGE_COLOR, "solid", "circle")
_DRIFT_STYLE = style.LineStyle(style.PALETTE[1], "dash", "square")


@draws()
def forgetting_curves(records: curves.Records, *, definition: str = "max") -> go.Figure:
    """Forgetting in percentage points as more tasks are learned, and how much of it is by drift.

    Forgetting by drift is measured with task identity given, so that only a loss of features
    counts; the rest is competition, more classes to confuse. One record: both lines, with
    competition as the area between them. Records by label: forgetting on the left, forgetting by
    drift on the right.

    `definition` is "max" (Chaudhry et al.), "first" (minus BWT) or "step" (CODA-Prompt).
    """
    checks.choice("definition", definition, sorted(accuracy.FORGETTING))
    table = curves.by_label(records, least=2)
    total = _forgetting(table, "accuracy", definition)
    drift = _forgetting(table, "oracle_accuracy", definition)
    formula = f"Forgetting ({definition}): {FORGETTING_FORMULAS[definition]}"
    subtitle = curves.join_notes(formula, curves.seeds_note(total))
    if len(table) == 1:
        return _forgetting_alone(table, total[0], drift[0], subtitle)
    return _forgetting_compared(table, total, drift, subtitle)


def _forgetting(table, matrix: str, definition: str) -> list[curves.Curve]:
    """A curve per label, from one of the accuracy matrices of its records."""

    def measure(record: Record) -> np.ndarray:
        return accuracy.forgetting_curve(getattr(record, matrix), definition=definition)

    return [curves.curve(label, runs, measure, skip=1) for label, runs in table.items()]


def _forgetting_alone(table, total: curves.Curve, drift: curves.Curve, subtitle: str) -> go.Figure:
    (record, *_) = next(iter(table.values()))
    title = f"Forgetting and what it is made of: {total.label} on {record.stream}"
    figure = style.new_figure(title, subtitle)
    curves.add_curve(figure, drift, _DRIFT_STYLE, unit="points")
    figure.data[-1].update(name="drift (task identity given)", legendrank=3)
    band = (total.tasks, 100 * drift.mean, 100 * total.mean, style.PALETTE[0])
    curves.add_band(figure, *band, name="competition (the difference)", legendrank=2)
    curves.add_curve(figure, total, _FORGETTING_STYLE, unit="points", width=4)
    figure.data[-1].update(name="forgetting", legendrank=1)
    figure.add_hline(y=0, line={"color": style.INK, "width": 1})
    figure.update_xaxes(curves.task_axis(record.n_tasks))
    figure.update_yaxes(title_text="forgetting (percentage points)", rangemode="tozero")
    return figure


def _forgetting_compared(table, total, drift, subtitle: str) -> go.Figure:
    figure = style.grid(
        f"Forgetting as more tasks are learned: {curves.stream_names(table)}",
        subtitle,
        cols=2,
        panels=("forgetting = drift + competition", "drift alone (task identity given)"),
        spacing=(0.04, None),
        sharing="y",
        margin={"t": 100},
    )
    for col, lines in enumerate((total, drift), start=1):
        settings = {"unit": "points", "showlegend": col == 1, "row": 1, "col": col}
        curves.add_curves(figure, lines, table, **settings)
        figure.add_hline(y=0, line={"color": style.INK, "width": 1}, row=1, col=col)
    figure.update_xaxes(curves.task_axis(curves.longest(table), panels=2))
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


@draws()
def forgetting_definitions(records: curves.Records) -> go.Figure:
    """Bars: forgetting in percentage points by each definition, one bar per method.

    The first four take the same accuracy matrix and average it differently; the last two say what
    "max" is made of. The formulas stand in the hover texts.
    """
    table = curves.by_label(records, least=2)
    values = {}  # of each label, for each definition mean and interval over seeds, in points
    for label, runs in table.items():
        found = [accuracy.metrics(record) for record in runs]
        values[label] = {name: mean_ci95([100 * one[name] for one in found]) for name in WORDS}
    most = max(map(len, table.values()))
    seeds = f"; mean of {most} seeds, whiskers: 95% interval" if most > 1 else ""
    figure = style.new_figure(
        f"Forgetting by every definition: {curves.stream_names(table)}",
        f"Same runs, {len(WORDS)} answers; max = drift + competition{seeds}.",
        height=125 + len(WORDS) * (24 + 19 * len(table)),
        barmode="overlay",
        showlegend=True,
    )
    fills = style.bar_fills(curves.styles_of(table))
    thickness = 0.72 / len(values)
    for k, (label, intervals) in enumerate(values.items()):
        heights = np.arange(len(WORDS)) + (k - (len(values) - 1) / 2) * thickness
        _add_bars(figure, label, intervals, fills[label], heights, 0.9 * thickness)
    figure.add_vline(x=0, line={"color": style.INK, "width": 1})
    figure.add_hline(y=3.5, line={"color": "#888888", "width": 1, "dash": "dot"})
    figure.update_xaxes(title_text="percentage points", range=_span(values))
    names = (f"<b>{name}</b><br>{words}" for name, words in WORDS.values())
    figure.update_yaxes(style.name_ticks(names, range=[len(WORDS) - 0.5, -0.5]))
    return figure


def _add_bars(figure, label, values: Mapping[str, Interval], fill, heights, width: float) -> None:
    means = np.array([value.mean for value in values.values()])
    spread = np.nan_to_num([value.ci95 for value in values.values()])
    whisker = {"array": spread, "color": style.INK, "thickness": 1.5}
    shown = []
    for value in values.values():
        half = "" if np.isnan(value.ci95) else f" ± {value.ci95:.1f}"
        shown.append(f"{round(value.mean, 1) + 0.0:.1f}{half}".replace("-", "−"))
    figure.add_bar(
        x=means,
        y=heights,
        width=width,
        orientation="h",
        name=label,
        marker=fill,
        error_x={**whisker, "visible": bool(spread.any())},
        customdata=[
            (text, formula(accuracy.DEFINITIONS[name]))
            for text, name in zip(shown, values, strict=True)
        ],
        hovertemplate=f"<b>{label}</b>: %{{customdata[0]}} points<br>%{{customdata[1]}}"
        "<extra></extra>",
    )
    below = means < 0  # numbers stand beyond the whisker
    figure.add_scatter(
        x=means + np.where(below, -spread, spread),
        y=heights,
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
    room = (0.32 if wide else 0.2) * max(high - low, 1.0)
    return [low - room if low < 0 else -0.02, high + room]


@draws()
def fall_per_step(record: Record) -> go.Figure:
    """Heat map: change in points of each task's accuracy (rows) by learning each one (columns).

    Right of a row: its sum, the task's whole change since it was learned.
    """
    record = curves.single(record, least=2)
    n = len(record.tasks)
    changes = 100 * accuracy.step_changes(record.accuracy[:n, :n]).T[:-1, 1:]  # (tested, steps)
    rows, columns = record.task_names[:-1], record.task_names[1:]
    figure = style.new_figure(
        f"What learning each task did to the earlier ones: {run_name(record)}",
        f"{_answer(changes, rows, columns)}<br>Change of accuracy in points, step by step along a "
        "row. Right: the sum, since the task was learned.",
        height=max(400, 190 + 40 * n),
        margin={"t": 90},
    )
    largest = max(np.nanmax(np.abs(changes), initial=0.0), 1.0)
    task_map(
        figure,
        changes,
        (rows, columns),
        ("accuracy on task", "while learning task"),
        limits=(-largest, largest),
        colorscale=style.GAIN_SCALE,
        text=[["" if np.isnan(v) else signed(v) for v in row] for row in changes],
        size=12 if n <= 12 else 9,
        hover="<b>%{text} points</b> on %{customdata[0]}<br>while learning %{customdata[1]}",
        hoverongaps=False,
        bar="change of accuracy (points)",
    )
    for row, total in enumerate(np.nansum(changes, axis=1)):
        figure.add_annotation(
            x=n - 1.45, y=row, text=f"<b>{signed(total)}</b>", showarrow=False, xanchor="left"
        )
    figure.update_xaxes(range=[-0.5, n - 0.9])
    return figure


@draws()
def forward_transfer(records: curves.Records) -> go.Figure:
    """Accuracy in % on each task just before it is learned, against chance.

    The records must be tested on the next task: domain-incremental ones are.
    """
    table = curves.by_label(records)
    measure = accuracy.before_learning
    for label, runs in table.items():
        if any(np.isnan(measure(record)).all() for record in runs):
            rule = "tested on the next task before it is learned (class-incremental ones are not)"
            raise checks.fail(f"records[{checks.shown(label, 40)}]", rule, "NaN alone")
    lines = [curves.curve(label, runs, measure, skip=1) for label, runs in table.items()]
    first = next(iter(table.values()))[0]
    note = curves.seeds_note(lines)
    figure = style.new_figure(
        f"Forward transfer, each task before it is learned: {first.stream}",
        f"Above the dotted line (chance): the tasks before it helped.{f' {note}.' if note else ''}",
    )
    curves.add_curves(figure, lines, table)
    figure.add_scatter(
        x=[1.6, first.n_tasks + 0.4],
        y=[100 / len(first.tasks[0].classes)] * 2,
        mode="lines",
        line={"color": style.INK, "dash": "dot", "width": 1.5},
        name="chance",
        hoverinfo="skip",
    )
    names = max((runs[0].task_names for runs in table.values()), key=len)
    figure.update_xaxes(
        title_text="next task",
        tickvals=list(range(2, len(names) + 1)),
        ticktext=[task_label(name) for name in names[1:]],
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
