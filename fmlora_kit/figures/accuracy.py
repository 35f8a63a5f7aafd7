"""Accuracy as tasks are learned: the matrix, curves, and what is lost between learning and the end.

`accuracy_matrix` shows a[t, i] of one run or of several, `accuracy_curves` the average, or every
task in a panel of its own, and `accuracy_parts` splits what is lost into forgetting by drift and
competition.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from fmlora_kit import checks
from fmlora_kit.analysis import accuracy
from fmlora_kit.analysis.names import NAMES, OURS, run_name
from fmlora_kit.figures import curves, style
from fmlora_kit.figures.entry import draws
from fmlora_kit.figures.labels import task_label
from fmlora_kit.figures.maps import cell_texts, color_bar, task_map
from fmlora_kit.record import Record

_AVERAGE_STYLE = style.LineStyle(style.AVERAGE_COLOR, "solid", "circle")
_LEGEND_BELOW = {"orientation": "h", "y": 0, "yref": "container", "x": 0.5, "xanchor": "center"}
_MATRIX_HOVER = "%{z:.1f} % on <b>%{customdata[1]}</b><br>after learning %{customdata[0]}"


@draws()
def accuracy_matrix(records: curves.Records, *, oracle: bool = False) -> go.Figure:
    """Heat map of a[t, i]: accuracy in % on each task (columns) after learning each task (rows).

    Records by label: a map each, side by side on one colour scale; several seeds of one label are
    averaged, over the tasks that all of them finished.

    `oracle` shows the accuracy with task identity given (arg-max over the task's own classes only).
    """
    if not isinstance(records, Record):
        return _matrices(curves.by_label(records), oracle)
    record = curves.single(records)
    n = len(record.tasks)
    percent, names = _percent([record], oracle), record.task_names
    what = "with task identity given" if oracle else "over all classes seen"
    figure = style.new_figure(
        f"Accuracy on each task, after each task: {run_name(record)}",
        f"{_progress(record)}Read down a column to see a task being forgotten; arg-max {what}.",
        height=max(450, 140 + 26 * n),
    )
    task_map(
        figure,
        percent,
        (names, names),
        ("after learning task", "test set of task"),
        limits=(0, 100),
        colorscale=style.FRACTION_SCALE,
        text=cell_texts(percent, digits=1 if n <= 12 else 0),
        size=12 if n <= 12 else 10,
        hover=_MATRIX_HOVER,
        hoverongaps=False,
        bar="accuracy (%)",
    )
    return figure


@draws()
def accuracy_curves(
    records: curves.Records, *, average: str = "micro", by_task: bool = False
) -> go.Figure:
    """Accuracy in % as more tasks are learned.

    One record: a line per task, in the task's colour, and the average over the tasks seen as a
    thick black one. A dict of records (or of lists of records, one per seed): the average of each
    method, with a 95% band where there are several seeds. By task: a small panel for each task,
    with its accuracy from when it was learned on, a line per method.

    Args:
        records: a record, or records by label, with a finished task each.
        average: "micro" (all test images count alike) or "macro" (all tasks count alike).
        by_task: draw every task on its own, no average.
    """
    checks.choice("average", average, ("micro", "macro"))
    if checks.flag("by_task", by_task):
        return _draw_each_task(curves.by_label(records))

    def measure(record: Record) -> np.ndarray:
        return accuracy.average_accuracy(record.accuracy, record.n_test, average=average)

    if isinstance(records, Record):
        mean = curves.curve("average of tasks seen", [curves.single(records)], measure)
        return _task_curves(records, mean, average)
    table = curves.by_label(records)
    lines = [curves.curve(label, runs, measure) for label, runs in table.items()]
    figure = style.new_figure(
        f"Average accuracy on the tasks seen so far: {curves.stream_names(table)}",
        curves.join_notes(f"{average} average over the tasks seen", curves.seeds_note(lines)),
    )
    curves.add_curves(figure, lines, table)
    figure.update_xaxes(curves.task_axis(curves.longest(table)))
    figure.update_yaxes(title_text="average accuracy (%)", range=[0, 101])
    return figure


def _task_curves(record: Record, mean: curves.Curve, average: str) -> go.Figure:
    n = len(record.tasks)
    figure = style.new_figure(
        f"Accuracy as more tasks are learned: {run_name(record)}",
        f"{_progress(record)}Each line starts when its task is learned; "
        "arg-max over all classes seen.",
    )
    percent = 100 * record.accuracy
    for i, look in zip(range(n), style.task_looks(record.n_tasks), strict=False):
        name = record.task_names[i]
        figure.add_scatter(
            x=np.arange(i + 1, n + 1),
            y=percent[i:n, i],
            mode="lines+markers",
            line={"color": look.color, "dash": look.dash, "width": 1.6},
            marker={"size": 6, "color": look.color, "symbol": look.symbol},
            name=task_label(name),
            text=record.task_names[i:n],
            hovertemplate=f"<b>{name}</b> %{{y:.1f}} %<br>after task %{{x}}, %{{text}}"
            "<extra></extra>",
        )
    curves.add_curve(figure, mean, _AVERAGE_STYLE, width=4)
    figure.data[-1].name = f"average ({average})"
    figure.update_xaxes(curves.task_axis(record.n_tasks))
    figure.update_yaxes(title_text="accuracy (%)", range=[0, 101])
    if n > 12:  # a legend of one column would be taller than the figure
        figure.update_layout(legend_font_size=10, height=min(170 + 20 * (n + 1), 660))
    return figure


def _progress(record: Record) -> str:
    """How far an unfinished run is."""
    done = len(record.tasks)
    return "" if done == record.n_tasks else f"{done} of {record.n_tasks} tasks finished. "


_MATRIX_COLUMNS = 3
_LONG = 8  # tasks: more leave no room for numbers in cells
_NAMED = 20  # most names beside one another


def _matrices(table: Mapping[str, Sequence[Record]], oracle: bool) -> go.Figure:
    """A map for each label; one colour scale."""
    rows = math.ceil(len(table) / _MATRIX_COLUMNS)
    columns = math.ceil(len(table) / rows)
    longest, gap = (11, 0.13) if columns == _MATRIX_COLUMNS else (18, 0.16)  # letters of a name
    given = " With task identity given." if oracle else ""
    bar = color_bar("accuracy (%)", len=250, lenmode="pixels", y=1, yanchor="top")
    figure = style.grid(
        "Accuracy on each task (columns) after learning each task (rows)",
        f"In %, one colour scale. Down a column: a task's life.{given}",
        rows=rows,
        cols=columns,
        panels=[style.short(label, 34) for label in table],
        spacing=(gap, 0.2 / rows),
        height=150 + rows * min(300, max(200, 490 // rows)),
        margin={"t": 95},
        coloraxis={"cmin": 0, "cmax": 100, "colorscale": style.FRACTION_SCALE, "colorbar": bar},
    )
    for k, runs in enumerate(table.values()):
        where = style.cell(k, columns)
        percent = _percent(runs, oracle)
        n = len(percent)
        task_map(
            figure,
            percent.round(2),
            (runs[0].task_names[:n],) * 2,
            coloraxis="coloraxis",
            text=cell_texts(percent, 0),
            texttemplate="%{text}" if n <= _LONG else "",
            size=11,
            hover=_MATRIX_HOVER,
            hoverongaps=False,
            **where,
        )
        names = [task_label(name, longest) for name in runs[0].task_names[:n]]
        step = -(-n // _NAMED)
        ticks = style.name_ticks(names) | {"tickvals": [*range(0, n, step)]}
        ticks["ticktext"] = names[::step]
        lowest = k + columns >= len(table)  # the same tasks stand in all panels of a column
        figure.update_xaxes(ticks, tickangle=-90, showticklabels=lowest, **where)
        figure.update_yaxes(ticks, autorange="reversed", **where)
    figure.update_xaxes(title_text="test set of task", row=rows)
    return figure


def _percent(runs: Sequence[Record], oracle: bool) -> np.ndarray:
    """(n, n) mean accuracy in % of the n tasks that all runs finished; NaN above the diagonal."""
    n = min(len(record.tasks) for record in runs)
    matrices = [record.oracle_accuracy if oracle else record.accuracy for record in runs]
    percent = 100 * np.mean([matrix[:n, :n] for matrix in matrices], axis=0)
    return np.where(np.tri(n, dtype=bool), percent, np.nan)


_DOMAIN_COLUMNS = 5
_PANEL = 190  # pixels


def _draw_each_task(table: Mapping[str, Sequence[Record]]) -> go.Figure:
    """A small panel for each task: its accuracy in % from when it was learned on."""
    first = next(iter(table.values()))[0]
    n = min(len(record.tasks) for runs in table.values() for record in runs)
    n_cols = min(_DOMAIN_COLUMNS, n)
    n_rows = math.ceil(n / n_cols)
    lives = [
        [
            curves.curve(label, runs, lambda r, k=k: r.accuracy[:, k], skip=k)
            for label, runs in table.items()
        ]
        for k in range(n)
    ]
    note = curves.seeds_note([one for lines in lives for one in lines])
    figure = style.grid(
        f"Accuracy on each task, as further tasks come: {first.stream}",
        curves.join_notes("From when it was learned on", note),
        rows=n_rows,
        cols=n_cols,
        panels=[task_label(name, 16) for name in first.task_names[:n]],
        panel_size=12.5,
        spacing=(0.02, 0.2 / n_rows),
        sharing="xy",
        height=170 + _PANEL * n_rows,
        margin={"t": 105, "b": 90},
        legend=_LEGEND_BELOW,
    )
    for k, lines in enumerate(lives):
        settings = {"width": 2, "showlegend": k == 0, **style.cell(k, n_cols)}
        curves.add_curves(figure, lines, table, **settings)
    figure.update_traces(marker_size=5, selector={"mode": "lines+markers"})
    figure.update_xaxes(range=[0.5, n + 0.5], dtick=1 if n <= 5 else 3, tick0=1)
    figure.update_xaxes(title_text="tasks learned", row=n_rows)
    every = np.concatenate([trace.y for trace in figure.data]).astype(float)  # lines and bands
    low, high = np.nanmin(every), np.nanmax(every)
    pad = 0.08 * (high - low) or 1
    figure.update_yaxes(range=[max(low - pad, 0), min(high + pad, 101)])
    figure.update_yaxes(title_text="accuracy (%)", col=1)
    return figure


_DOTS = {  # colour and shape of the three accuracies
    accuracy.LEARNED: (style.PALETTE[5], "circle-open"),
    accuracy.GIVEN: (style.PALETTE[0], "square"),
    accuracy.END: (style.PALETTE[1], "diamond"),
}
_ROW = 24  # pixels


@draws()
def accuracy_parts(records: curves.Records) -> go.Figure:
    """A row per method, the best at the end on top: three accuracies and what lies between them.

    From the first dot to the second: forgetting by drift, what a task's own classes lost by later
    training. From the second to the third: competition, images of a task that are given to other
    tasks' classes. Means over tasks, and over seeds.

    Of domain-incremental streams the last two are the same.
    """
    table = curves.by_label(records)
    means = {}
    for label, runs in table.items():
        found = [accuracy.accuracy_parts(record) for record in runs]
        means[label] = [float(np.mean([one[name] for one in found])) for name in _DOTS]
    labels = sorted(means, key=lambda label: -means[label][-1])
    percent = 100 * np.array([means[label] for label in labels])  # (methods, 3)
    hover = [
        f"<b>{label}</b><br>just learned, task given: {before:.1f} %"
        f"<br>at the end, task given: {given:.1f} %<br>at the end: {end:.1f} %"
        for label, (before, given, end) in zip(labels, percent, strict=True)
    ]
    first = next(iter(table.values()))[0]
    figure = style.new_figure(
        f"Where accuracy goes: {first.stream}, {first.n_tasks} tasks",
        "First dot to second: drift. Second to third: competition between tasks.",
        height=165 + _ROW * len(labels),
        margin={"t": 75, "b": 85, "l": 140},
        legend=_LEGEND_BELOW,
        barmode="overlay",
    )
    heights = np.arange(len(labels))
    # Where a task got better later, high is lower.
    for k, name, color in ((1, "competition", "#f3d2bd"), (0, "drift", "#bcdff3")):
        high, low = percent[:, k], percent[:, k + 1]
        figure.add_bar(
            x=high - low,
            base=low,
            y=heights,
            orientation="h",
            width=0.5,
            marker={"color": color, "line": {"color": style.INK, "width": 0}},
            name=name,
            hoverinfo="skip",
        )
    for k, (name, (color, symbol)) in enumerate(_DOTS.items()):
        figure.add_scatter(
            x=percent[:, k],
            y=heights,
            mode="markers",
            marker={"color": color, "symbol": symbol, "size": 10, "line": {"width": 2}},
            name=name,
            customdata=hover,
            hovertemplate="%{customdata}<extra></extra>",
        )
    figure.update_xaxes(title_text="accuracy, mean over tasks (%)", rangemode="tozero")
    names = [style.short(label, 20) for label in labels]
    names = [f"<b>{name}</b>" if name == NAMES[OURS] else name for name in names]
    limits = [len(labels) - 0.4, -0.6]
    figure.update_yaxes(tickvals=heights, ticktext=names, range=limits, tickfont_size=11.5)
    return figure
