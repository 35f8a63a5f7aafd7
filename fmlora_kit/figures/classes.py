"""Forgetting and confusion class by class."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from fmlora_kit.analysis.confusion import ClassConfusion, ClassHistory, class_history
from fmlora_kit.analysis.confusion import class_confusion as confusion_table
from fmlora_kit.analysis.names import run_name
from fmlora_kit.figures.tables import single
from fmlora_kit.figures.template import INK, LOSS_SCALE, RANK_SCALE, name_axis, new_figure, short
from fmlora_kit.record import Record

_MANY = 20  # classes of a task side by side: more have no room for letters and numbers


def class_forgetting(record: Record, after: int | None = None) -> go.Figure:
    """Heat map: what every class lost since it was learned, and which class took most of it.

    A row is a task, a cell one of its classes: its name, the change of its accuracy in points, and
    the class that most of its lost images are taken for now. The last task has lost nothing yet and
    is left out.

    Args:
        record: a run of either scenario, with test labels and two finished tasks.
        after: how many tasks had been learned; all that are finished without it.

    Raises:
        ValueError: the record has no test labels or fewer than two finished tasks, or `after` is
            out of range.
    """
    record = single(record)
    history = class_history(record, after)
    n = len(history.accuracy)
    if n < 2:
        raise ValueError(f"forgetting needs at least 2 tasks learned; got {n}")
    rows = [np.flatnonzero(history.tasks == i) for i in range(n - 1)]
    fallen = 100 * history.forgetting
    worst = int(np.nanargmax(fallen))
    figure = new_figure(
        f"What each class lost since it was learned, after {n} tasks: {run_name(record)}",
        f"<b>Most: {history.names[worst]}</b> of {record.task_names[history.tasks[worst]]} "
        f"({_points(fallen[worst])} points). {_images(history)}"
        "<br>In a cell: the class, the change of its accuracy in points, and the class (▸) that "
        "most of the lost images are taken for.",
        height=max(400, 170 + 62 * (n - 1)),
        margin={"t": 90},
    )
    _add_changes(figure, record, history, rows)
    figure.update_yaxes(name_axis(record.task_names[: n - 1], "task"))
    figure.update_yaxes(autorange="reversed", tickangle=0)
    figure.update_xaxes(_columns(record, history, rows))
    return figure


def class_confusion(
    record: Record, after: int | None = None, *, task: int | None = None
) -> go.Figure:
    """Heat map: share in % of each class's test images (rows) taken for each class (columns).

    The diagonal, the right class, is grey, so that mistakes stand out; grey lines part the tasks.

    Args:
        record: a run of either scenario, with test labels.
        after: how many tasks had been learned; all that are finished without it.
        task: the test images of this task alone, from 0.

    Raises:
        ValueError: the record has no test labels, or `after` or `task` is out of range.
    """
    record = single(record)
    table = confusion_table(record, after, task=task)
    rows = np.flatnonzero(table.counts.sum(axis=1))
    n = len(record.tasks) if after is None else after
    whose = "" if task is None else f", test images of {record.task_names[task]}"
    figure = new_figure(
        f"Which class is taken for which, after {n} tasks{whose}: {run_name(record)}",
        f"{_most(table)}<br>Rows: what an image shows; columns: what it is taken for. "
        "Grey: right. White: never.",
        height=max(450, 170 + min(28, 640 // rows.size) * rows.size),
        margin={"t": 90},
    )
    _add_mistakes(figure, table, rows)
    figure.update_xaxes(_class_axis(table, np.arange(table.classes.size), "taken for"))
    figure.update_yaxes(_class_axis(table, rows, "test images of"), autorange="reversed")
    if record.scenario == "class-incremental":
        _add_borders(figure, table, rows)
    return figure


def _add_changes(figure: go.Figure, record: Record, history: ClassHistory, rows: list) -> None:
    width = max(row.size for row in rows)
    z = np.full((len(rows), width), np.nan)
    cells, hover = np.full((2, *z.shape), "", dtype=object)
    seen = _seen_names(record, len(history.accuracy))
    for i, row in enumerate(rows):
        for k, p in enumerate(row):
            z[i, k] = 100 * history.forgetting[p]
            lost = history.lost[p]
            taker = f"▸ {short(seen[lost.argmax()], 8)}" if lost.any() else ""
            parts = (f"<b>{short(history.names[p], 8)}</b>", _points(z[i, k]), taker)
            cells[i, k] = "<br>".join(part for part in parts if part) if width <= _MANY else ""
            hover[i, k] = _hover(history, p, seen, record.task_names[i])
    largest = max(np.nanmax(np.abs(z)), 1.0)
    figure.add_heatmap(
        z=z,
        x=list(range(width)),
        y=list(range(len(rows))),
        zmin=-largest,
        zmax=largest,
        colorscale=LOSS_SCALE,
        text=cells,
        texttemplate="%{text}",
        textfont={"size": 12, "color": INK},
        customdata=hover,
        hovertemplate="%{customdata}<extra></extra>",
        hoverongaps=False,
        xgap=1,
        ygap=1,
        colorbar={"title": {"text": "accuracy lost (points)", "side": "right"}, "thickness": 14},
    )


def _hover(history: ClassHistory, p: int, seen: tuple[str, ...], task: str) -> str:
    learned, now = history.accuracy[history.tasks[p], p], history.accuracy[-1, p]
    n = history.n_images[p]
    takers = np.argsort(-history.lost[p], kind="stable")[:3]
    taken = [f"{seen[c]} {history.lost[p, c] * n:.0f}" for c in takers if history.lost[p, c]]
    return (
        f"<b>{history.names[p]}</b> of {task}: {learned * n:.0f} of {n} right when learned, "
        f"{now * n:.0f} now" + (f"<br>lost to {', '.join(taken)}" if taken else "")
    )


def _add_mistakes(figure: go.Figure, table: ClassConfusion, rows: np.ndarray) -> None:
    percent = 100 * table.shares[rows]
    right = rows[:, None] == np.arange(table.classes.size)
    few = table.classes.size <= _MANY
    shown = np.where(right | (percent == 0), np.nan, percent)
    for z, scale, top in (
        (np.where(right, percent, np.nan), ((0, "#dddddd"), (1, "#dddddd")), 100.0),
        (shown, RANK_SCALE, max(np.nanmax(shown, initial=0.0), 1.0)),
    ):
        figure.add_heatmap(
            z=z.round(1),
            x=list(range(table.classes.size)),
            y=list(range(rows.size)),
            zmin=0,
            zmax=top,
            colorscale=scale,
            showscale=scale is RANK_SCALE,
            texttemplate="%{z:.0f}" if few else "",
            textfont={"size": 12, "color": INK},
            hovertemplate="<b>%{y}</b> is taken for <b>%{x}</b>: %{z:.0f} %<extra></extra>",
            hoverongaps=False,
            colorbar={
                "title": {"text": "share of the class (%)", "side": "right"},
                "thickness": 14,
            },
        )


def _add_borders(figure: go.Figure, table: ClassConfusion, rows: np.ndarray) -> None:
    """Lines between the tasks."""
    line = {"color": "#888888", "width": 1}
    for place in np.flatnonzero(np.diff(table.tasks)) + 0.5:
        figure.add_vline(x=place, line=line)
    for place in np.flatnonzero(np.diff(table.tasks[rows])) + 0.5:
        figure.add_hline(y=place, line=line)


def _class_axis(table: ClassConfusion, which: np.ndarray, title: str) -> dict:
    return {
        "title": {"text": title},
        "tickvals": list(range(which.size)),
        "ticktext": [short(table.names[k], 8) for k in which],
        "tickfont": {"size": 13 if which.size <= _MANY else 11 if which.size <= 2 * _MANY else 9},
        "tickangle": 0,
        "showgrid": False,
    }


def _columns(record: Record, history: ClassHistory, rows: list) -> dict:
    """The x axis: class names where all tasks share them, else only their order in the task."""
    axis = {"showgrid": False, "title": {"text": "classes of the task, in order"}}
    if record.scenario == "domain-incremental":
        names = [short(history.names[p], 8) for p in rows[0]]
        return (
            axis
            | {"title": {"text": "class"}, "tickvals": [*range(len(names))]}
            | {"ticktext": names}
        )
    return axis | {"showticklabels": False, "ticks": ""}


def _seen_names(record: Record, n: int) -> tuple[str, ...]:
    """Names in the order of the columns of `ClassHistory.lost`."""
    return tuple(
        {
            c: name
            for t in record.tasks[:n]
            for c, name in zip(t.classes, t.class_names, strict=True)
        }.values()
    )


def _images(history: ClassHistory) -> str:
    if len(sizes := set(history.n_images.tolist())) > 1:
        return ""
    (n,) = sizes
    return f"A class has {n} test images: one is {100 / n:.1f} points."


def _most(table: ClassConfusion) -> str:
    """The commonest mistake in words."""
    wrong = table.counts.copy()
    np.fill_diagonal(wrong, 0)
    if not wrong.any():
        return "No image is taken for a wrong class."
    truth, guess = np.unravel_index(wrong.argmax(), wrong.shape)
    return (
        f"<b>Commonest mistake: {table.names[truth]} taken for {table.names[guess]}</b>, "
        f"{wrong[truth, guess]} of {table.counts[truth].sum()} images."
    )


def _points(fall: float) -> str:
    """A fall in accuracy as a signed change, never minus zero; a dash if it is unknown."""
    if np.isnan(fall):
        return "–"
    return f"{-round(fall) + 0:+d}".replace("-", "−").replace("+0", "0")
