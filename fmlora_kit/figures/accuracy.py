"""Accuracy and forgetting: the matrix, the curves, and what forgetting is made of.

Accuracy matrices of several runs side by side, on one colour scale.

The life of every domain: a small panel each, a line per method.

Where accuracy goes: just learned, at the end with the task given, at the end without it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fmlora_kit.analysis.accuracy import (
    END,
    GIVEN,
    LEARNED,
    average_accuracy,
)
from fmlora_kit.analysis.accuracy import accuracy_parts as accuracy_parts_of
from fmlora_kit.analysis.names import NAMES, OURS, run_name
from fmlora_kit.figures.curves import (
    Curve,
    Records,
    add_curve,
    by_label,
    curve,
    joined,
    longest,
    seeds_note,
    single,
    stream_names,
    task_axis,
)
from fmlora_kit.figures.style import (
    AVERAGE_COLOR,
    FRACTION_SCALE,
    INK,
    OKABE_ITO,
    TEMPLATE,
    LineStyle,
    method_styles,
    name_axis,
    new_figure,
    short,
    task_colors,
)
from fmlora_kit.record import Record

_AVERAGE_STYLE = LineStyle(AVERAGE_COLOR, "solid", "circle")


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
    streams = stream_names(table)
    figure = new_figure(
        f"Average accuracy on the tasks seen so far: {streams}",
        joined(f"{average} average over the tasks seen", seeds_note(curves)),
    )
    styles = method_styles(table)
    for one in curves:
        add_curve(figure, one, styles[one.label])
    figure.update_xaxes(task_axis(longest(table)))
    figure.update_yaxes(title_text="average accuracy (%)", rangemode="tozero")
    return figure


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


def _cell_texts(percent: np.ndarray, digits: int) -> list[list[str]]:
    return [["" if np.isnan(v) else f"{v:.{digits}f}" for v in row] for row in percent]


def _names_grid(names: tuple[str, ...]) -> np.ndarray:
    """(n, n, 2) for each cell the names of the task learned and of the task tested."""
    learned, tested = np.meshgrid(names, names, indexing="ij")
    return np.stack([learned, tested], axis=-1)


def _done(record: Record) -> str:
    done = len(record.tasks)
    return "" if done == record.n_tasks else f"{done} of {record.n_tasks} tasks finished. "


_MATRIX_COLUMNS = 3
_LONG = 8  # tasks: more leave no room for numbers in cells


def accuracy_matrices(records: Records) -> go.Figure:
    """Heat maps of a[t, i] in %: rows are the tasks learned, columns the test sets, by number.

    Args:
        records: a record, or records by label; several seeds of one label are averaged, as far as
            all of them came.

    Raises:
        ValueError: a record has no finished task.
    """
    table = by_label(records)
    columns = min(_MATRIX_COLUMNS, len(table))
    rows = math.ceil(len(table) / columns)
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=[short(label, 34) for label in table],
        horizontal_spacing=0.13,
        vertical_spacing=0.26 / rows,
    )
    for place, runs in enumerate(table.values()):
        where = {"row": place // columns + 1, "col": place % columns + 1}
        n = min(len(record.tasks) for record in runs)
        percent = 100 * np.mean([record.accuracy[:n, :n] for record in runs], axis=0)
        percent[~np.tri(n, dtype=bool)] = np.nan
        figure.add_trace(_heat_map(percent, runs[0].task_names), **where)
        numbers = list(range(n))
        ticks = {"tickvals": numbers, "showgrid": False}
        figure.update_xaxes(ticks | {"ticktext": [str(k + 1) for k in numbers]}, **where)
        names = [f"{short(runs[0].task_names[k], 11)} {k + 1}" for k in numbers]
        figure.update_yaxes(ticks | {"ticktext": names, "autorange": "reversed"}, **where)
    figure.update_xaxes(title_text="test set of task", row=rows)
    figure.update_annotations(font_size=13)
    figure.update_layout(
        template=TEMPLATE,
        title={"text": "Accuracy on each task (columns) after learning each task (rows)"},
        title_subtitle_text="In %, one colour scale. Down a column: a task's life.",
        height=120 + 300 * rows,
        margin={"t": 95},
        coloraxis={
            "cmin": 0,
            "cmax": 100,
            "colorscale": FRACTION_SCALE,
            "colorbar": {
                "title": {"text": "accuracy (%)", "side": "right"},
                "thickness": 14,
                "len": 250,
                "lenmode": "pixels",
                "y": 1,
                "yanchor": "top",
            },
        },
    )
    return figure


def _heat_map(percent: np.ndarray, names: tuple[str, ...]) -> go.Heatmap:
    n = len(percent)
    learned, tested = np.meshgrid(names[:n], names[:n], indexing="ij")
    return go.Heatmap(
        z=percent.round(2),
        x=list(range(n)),
        y=list(range(n)),
        coloraxis="coloraxis",
        text=[["" if np.isnan(v) else f"{v:.0f}" for v in row] for row in percent],
        texttemplate="%{text}" if n <= _LONG else "",
        textfont={"size": 11, "color": INK},
        customdata=np.stack([learned, tested], axis=-1),
        hovertemplate=(
            "%{z:.1f} % on <b>%{customdata[1]}</b>"
            "<br>after learning %{customdata[0]}<extra></extra>"
        ),
        hoverongaps=False,
        xgap=1,
        ygap=1,
    )


_DOMAIN_COLUMNS = 5
_PANEL = 190  # pixels


def domain_curves(records: Records) -> go.Figure:
    """Accuracy in % on the test images of each task, after each task, from when it was learned on.

    Args:
        records: a record, or records (or lists of them, one per seed) by label.

    Raises:
        ValueError: a record has no finished task.
    """
    table = by_label(records)
    first = next(iter(table.values()))[0]
    n = min(len(record.tasks) for runs in table.values() for record in runs)
    n_cols = min(_DOMAIN_COLUMNS, n)
    n_rows = math.ceil(n / n_cols)
    figure = make_subplots(
        n_rows,
        n_cols,
        shared_xaxes=True,
        shared_yaxes=True,
        subplot_titles=[f"{k + 1} {short(first.task_names[k], 16)}" for k in range(n)],
        horizontal_spacing=0.02,
        vertical_spacing=0.2 / n_rows,
    )
    styles = method_styles(table)
    curves = []
    for k in range(n):
        where = {"row": k // n_cols + 1, "col": k % n_cols + 1}
        for label, runs in table.items():
            one = curve(label, runs, lambda record, k=k: record.accuracy[:, k], skip=k)
            curves.append(one)
            add_curve(figure, one, styles[label], width=2, showlegend=k == 0, **where)
    figure.update_traces(marker_size=5, selector={"mode": "lines+markers"})
    figure.update_annotations(font_size=12.5)
    note = seeds_note(curves)
    figure.update_layout(
        template=TEMPLATE,
        title={"text": f"Accuracy on each task, as further tasks come: {first.stream}"},
        title_subtitle_text="From when it was learned on" + (f"; {note}" if note else ""),
        height=170 + _PANEL * n_rows,
        margin={"t": 105, "b": 90},
        legend={"orientation": "h", "y": 0, "yref": "container", "x": 0.5, "xanchor": "center"},
    )
    figure.update_xaxes(range=[0.5, n + 0.5], dtick=1 if n <= 5 else 3, tick0=1)
    figure.update_xaxes(title_text="tasks learned", row=n_rows)
    figure.update_yaxes(range=_span(figure))
    figure.update_yaxes(title_text="accuracy (%)", col=1)
    return figure


def _span(figure: go.Figure) -> list[float]:
    """Room for all lines; intervals may run out of it."""
    lines = [t.y for t in figure.data if t.mode == "lines+markers"]
    every = np.concatenate([np.asarray(y, dtype=float) for y in lines])
    low, high = np.nanmin(every), np.nanmax(every)
    pad = 0.08 * (high - low) or 1
    return [max(low - pad, 0), min(high + pad, 101)]


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
