"""Accuracy and forgetting: the matrix, the curves, and what forgetting is made of."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fmlora_kit.analysis.metrics import FORGETTING, average_accuracy, forgetting_curve
from fmlora_kit.analysis.names import run_name
from fmlora_kit.figures.curves import add_curve, seeds_note, task_axis
from fmlora_kit.figures.tables import Curve, Records, by_label, curve, single
from fmlora_kit.figures.template import (
    AVERAGE_COLOR,
    FRACTION_SCALE,
    INK,
    OKABE_ITO,
    TEMPLATE,
    LineStyle,
    faded,
    method_styles,
    name_axis,
    new_figure,
    short,
    task_colors,
)
from fmlora_kit.record import Record

FORGETTING_FORMULAS = {
    "max": "mean over earlier tasks of (best accuracy so far − accuracy now)",
    "first": "mean over earlier tasks of (accuracy when just learned − accuracy now)",
    "step": "mean over steps of the fall of earlier tasks within the step",
}
_AVERAGE_STYLE = LineStyle(AVERAGE_COLOR, "solid", "circle")
_FORGETTING_STYLE = LineStyle(AVERAGE_COLOR, "solid", "circle")
_DRIFT_STYLE = LineStyle(OKABE_ITO[1], "dash", "square")


def accuracy_matrix(record: Record, *, oracle: bool = False) -> go.Figure:
    """Heat map of a[t, i]: accuracy in % on each task (columns) after learning each task (rows).

    Args:
        record: one run, finished or not.
        oracle: show the accuracy with task identity given (arg-max over the task's own classes
            only).

    Raises:
        ValueError: the record has no finished task.
    """
    record = single(record)
    n = len(record.tasks)
    matrix = record.oracle_accuracy if oracle else record.accuracy
    percent = 100 * np.where(np.tri(n, dtype=bool), matrix[:n, :n], np.nan)
    what = "with task identity given" if oracle else "over all classes seen"
    figure = new_figure(
        f"Accuracy on each task, after each task: {run_name(record)}",
        f"{_done(record)}Read down a column to see a task being forgotten; arg-max {what}.",
        height=max(450, 140 + 26 * n),
    )
    figure.add_heatmap(
        z=percent,
        x=list(range(n)),
        y=list(range(n)),
        zmin=0,
        zmax=100,
        colorscale=FRACTION_SCALE,
        text=_cell_texts(percent, digits=1 if n <= 12 else 0),
        texttemplate="%{text}",
        textfont={"size": 12 if n <= 12 else 10, "color": INK},
        customdata=_names_grid(record.task_names),
        hovertemplate=(
            "%{z:.1f} % on <b>%{customdata[1]}</b>"
            "<br>after learning %{customdata[0]}<extra></extra>"
        ),
        hoverongaps=False,
        xgap=1,
        ygap=1,
        colorbar={"title": {"text": "accuracy (%)", "side": "right"}, "thickness": 14},
    )
    figure.update_xaxes(name_axis(record.task_names, "test set of task"))
    figure.update_yaxes(name_axis(record.task_names, "after learning task"))
    figure.update_yaxes(autorange="reversed", tickangle=0)
    return figure


def accuracy_curves(records: Records, *, average: str = "micro") -> go.Figure:
    """Accuracy in % as more tasks are learned.

    One record: a line per task, in the task's colour, and the average over the tasks seen as a
    thick black one. A dict of records (or of lists of records, one per seed): the average of each
    method, with a 95% band where there are several seeds.

    Args:
        records: a record, or records by label.
        average: "micro" (all test images count alike) or "macro" (all tasks count alike).

    Raises:
        ValueError: a record has no finished task.
    """

    def measure(record: Record) -> np.ndarray:
        return average_accuracy(record.accuracy, record.n_test, average=average)

    if isinstance(records, Record):
        record = single(records)
        mean = curve("average of tasks seen", [record], measure)
        return _task_curves(record, mean, average)
    table = by_label(records)
    curves = [curve(label, runs, measure) for label, runs in table.items()]
    streams = _streams(table)
    figure = new_figure(
        f"Average accuracy on the tasks seen so far: {streams}",
        _joined(f"{average} average over the tasks seen", seeds_note(curves)),
    )
    styles = method_styles(table)
    for one in curves:
        add_curve(figure, one, styles[one.label])
    figure.update_xaxes(task_axis(_length(table)))
    figure.update_yaxes(title_text="average accuracy (%)", rangemode="tozero")
    return figure


def forgetting_curves(records: Records, *, definition: str = "max") -> go.Figure:
    """Forgetting in percentage points as more tasks are learned, and how much of it is drift.

    Drift forgetting is measured with task identity given, so only a loss of features counts; the
    rest is competition, more classes to confuse. One record: both lines, with competition as the
    area between them. Records by label: forgetting on the left, drift forgetting on the right.

    Args:
        records: a record, or records by label.
        definition: "max" (Chaudhry et al.), "first" (minus BWT) or "step" (CODA-Prompt).

    Raises:
        ValueError: `definition` is unknown, or a record has fewer than two finished tasks.
    """
    if definition not in FORGETTING:
        raise ValueError(f"definition must be one of {sorted(FORGETTING)}; got {definition!r}")
    table = by_label(records)
    for label, runs in table.items():
        if (fewest := min(len(record.tasks) for record in runs)) < 2:
            raise ValueError(f"forgetting needs at least 2 finished tasks; {label!r} has {fewest}")
    total = [
        curve(label, runs, lambda r: forgetting_curve(r.accuracy, definition=definition), skip=1)
        for label, runs in table.items()
    ]
    drift = [
        curve(
            label,
            runs,
            lambda r: forgetting_curve(r.oracle_accuracy, definition=definition),
            skip=1,
        )
        for label, runs in table.items()
    ]
    formula = f"Forgetting ({definition}): {FORGETTING_FORMULAS[definition]}"
    subtitle = _joined(formula, seeds_note(total))
    if len(table) == 1:
        return _forgetting_parts(table, total[0], drift[0], subtitle)
    return _forgetting_compared(table, total, drift, subtitle)


def _task_curves(record: Record, mean: Curve, average: str) -> go.Figure:
    n = len(record.tasks)
    figure = new_figure(
        f"Accuracy as more tasks are learned: {run_name(record)}",
        f"{_done(record)}Each line starts when its task is learned; arg-max over all classes seen.",
    )
    accuracy = 100 * record.accuracy
    for i, color in zip(range(n), task_colors(record.n_tasks), strict=False):
        name = record.task_names[i]
        figure.add_scatter(
            x=np.arange(i + 1, n + 1),
            y=accuracy[i:n, i],
            mode="lines+markers",
            line={"color": color, "width": 1.6},
            marker={"size": 6, "color": color},
            name=f"{i + 1} {short(name)}",
            text=record.task_names[i:n],
            hovertemplate=(
                f"<b>{name}</b> %{{y:.1f}} %<br>after task %{{x}}, %{{text}}<extra></extra>"
            ),
        )
    add_curve(figure, mean, _AVERAGE_STYLE, width=4)
    figure.data[-1].name = f"average ({average})"
    figure.update_xaxes(task_axis(record.n_tasks))
    figure.update_yaxes(title_text="accuracy (%)", range=[0, 101])
    if n > 12:  # a legend of one column would be taller than the figure
        figure.update_layout(legend_font_size=10, height=min(170 + 20 * (n + 1), 660))
    return figure


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
    panels = ("forgetting = drift + competition", "drift alone (task identity given)")
    figure = make_subplots(
        cols=2, shared_yaxes=True, subplot_titles=panels, horizontal_spacing=0.04
    )
    styles = method_styles(table)
    for col, curves in enumerate((total, drift), start=1):
        for one in curves:
            add_curve(
                figure, one, styles[one.label], unit="points", showlegend=col == 1, row=1, col=col
            )
        figure.add_hline(y=0, line={"color": INK, "width": 1}, row=1, col=col)
    figure.update_xaxes(task_axis(_length(table), panels=2))
    figure.update_yaxes(rangemode="tozero")
    figure.update_annotations(font_size=13)
    figure.update_yaxes(title_text="forgetting (percentage points)", col=1)
    figure.update_layout(
        template=TEMPLATE,
        title={"text": f"Forgetting as more tasks are learned: {_streams(table)}"},
        title_subtitle_text=subtitle,
        height=450,
        margin={"t": 100},
    )
    return figure


def _cell_texts(percent: np.ndarray, digits: int) -> list[list[str]]:
    return [["" if np.isnan(v) else f"{v:.{digits}f}" for v in row] for row in percent]


def _names_grid(names: tuple[str, ...]) -> np.ndarray:
    """(n, n, 2) for each cell the names of the task learned and of the task tested."""
    learned, tested = np.meshgrid(names, names, indexing="ij")
    return np.stack([learned, tested], axis=-1)


def _done(record: Record) -> str:
    done = len(record.tasks)
    return "" if done == record.n_tasks else f"{done} of {record.n_tasks} tasks finished. "


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _streams(table) -> str:
    return ", ".join(dict.fromkeys(record.stream for runs in table.values() for record in runs))


def _length(table) -> int:
    return max(record.n_tasks for runs in table.values() for record in runs)
