"""Which task or class is taken for which, and which of them took what another one lost.

`task_confusion` and `class_confusion` look at the predictions of one moment, `forgotten_to` and
`class_forgetting` at what was right when it was learned and is wrong now; these two and the classes
need test labels, the tables over tasks a class-incremental run. `after` is how many tasks had been
learned; without it all that are finished.
"""

from __future__ import annotations

from itertools import chain

import numpy as np
import plotly.graph_objects as go

from fmlora_kit import checks
from fmlora_kit.analysis import confusion
from fmlora_kit.analysis.names import run_name
from fmlora_kit.figures import style
from fmlora_kit.figures.curves import single
from fmlora_kit.figures.entry import draws
from fmlora_kit.figures.forgetting import signed
from fmlora_kit.figures.labels import task_label
from fmlora_kit.figures.maps import GREY, add_map, cell_texts, name_axes, task_map
from fmlora_kit.record import Record

_HATCHED = {"pattern": {"shape": "/", "fgcolor": "#bbbbbb", "bgcolor": "#f4f4f4", "size": 6}}
_DOWN = {"autorange": "reversed", "tickangle": 0}
_HOLLOW = {"color": "white", "line": {"color": style.INK, "width": 1}}


@draws()
def task_confusion(record: Record, after: int | None = None) -> go.Figure:
    """Heat map: share in % of each task's test images (rows) taken for each task (columns).

    The diagonal, the right task, is grey; colour is for what is taken for another task, so that the
    takers stand out. Above each column: the share of all other tasks' images that it takes.
    """
    record = single(record)
    percent = 100 * confusion.task_confusion(record, after)
    n = len(percent)
    names = record.task_names[:n]
    figure = style.new_figure(
        f"Which task is taken for which, after {n} tasks: {run_name(record)}",
        "Read along a row: where a task's test images end up (%). Grey: the right task. "
        "<br>Above each column: the share of all other tasks' images that this task takes.",
        height=max(450, 165 + 40 * n),
        margin={"t": 110},
    )
    _add_shares(figure, percent, names)
    for j, taken in enumerate(_taken(percent, record.n_test[:n])):
        figure.add_annotation(x=j, text=f"takes {taken:.0f} %", **style.ABOVE)
    name_axes(figure, (names, names), ("test images of task", "taken for a class of task"))
    return figure


@draws()
def forgotten_to(record: Record, after: int | None = None) -> go.Figure:
    """Who was forgotten most, and by whom: what each task lost, by the task that took it.

    A bar counts images lost, in % of the task's test images: right when it was just learned and
    wrong now, split by the task whose class they are taken for, in that task's colour. Below zero:
    images that were wrong then and are right now. The number is no count but the change of
    accuracy, a[now, i] - a[i, i], and so negative where more were lost.
    """
    record = single(record, least=2)
    table = confusion.lost_images(record, after)
    n = checks.integer("after", len(table.net), 2)
    names = record.task_names[:n]
    figure = style.new_figure(
        f"Who was forgotten, and by whom, after {n} tasks: {run_name(record)}",
        f"{_answer(table, names)}<br>Colour: test images right when learned and wrong now, by the "
        "task they are taken for. Number: change of accuracy (points).",
        height=max(420, 170 + 50 * n),
        barmode="relative",
        margin={"t": 90},
        legend={"title": {"text": "taken for a class of"}, "traceorder": "normal"},
        bargap=0.2,
        uniformtext={"minsize": 11, "mode": "hide"},  # narrow: what does not fit is left out
    )
    fills = style.bar_fills(dict(enumerate(style.task_looks(record.n_tasks))))
    _add_bars(figure, table, names, fills)
    figure.update_xaxes(
        title_text="images lost (% of the task's; below 0: right again)",
        zeroline=True,
        zerolinecolor=style.INK,
    )
    figure.update_yaxes(style.name_axis(names[:-1], "task") | _DOWN)
    return figure


def _add_shares(figure: go.Figure, percent: np.ndarray, names: tuple[str, ...]) -> None:
    """The diagonal as grey cells, the rest coloured up to its own largest share."""
    n = len(percent)
    right = np.eye(n, dtype=bool)
    largest = max(percent[~right].max(initial=0.0), 1.0)
    for cells, scale, top in ((right, GREY, 100.0), (~right, style.RANK_SCALE, largest)):
        shown = np.where(cells, percent, np.nan)
        task_map(
            figure,
            shown,
            (names, names),
            limits=(0, top),
            colorscale=scale,
            showscale=scale is not GREY,
            text=cell_texts(shown, digits=1 if n <= 12 else 0),
            size=12 if n <= 12 else 10,
            hover="<b>%{z:.1f} %</b> of the images of %{customdata[0]}"
            "<br>are taken for %{customdata[1]}",
            hoverongaps=False,
            bar="taken for another (%)",
        )


def _add_bars(figure, table: confusion.LostImages, names, fills: dict[int, dict]) -> None:
    """A trace per taker, one for what came back, one for the difference; rows are tasks 0..n-2."""
    lost, back = 100 * table.lost[:-1], 100 * table.regained[:-1]
    ends, net = lost.sum(axis=1), 100 * table.net[:-1]
    span = max(ends.max() + back.max(), 1.0)
    own = np.eye(*lost.shape, dtype=bool)
    for j, name in enumerate(names):
        others = np.where(own, 0.0, lost)[:, j]
        _add_segments(figure, others, name, names, span, fills[j])
    same = np.where(own, lost, 0.0).sum(axis=1)
    _add_segments(figure, same, "its own task", names, span, _HATCHED)
    came = np.where(back > 0, -back, np.nan)  # zero would be drawn as a line
    _add_segments(figure, came, "right again", names, span, _HOLLOW)
    figure.add_scatter(
        x=ends + 0.01 * span,
        y=list(range(len(net))),
        mode="text",
        text=[f"<b>{signed(-value)}</b>" for value in net],
        textposition="middle right",
        textfont={"size": 15, "color": style.INK},
        showlegend=False,
        name="forgetting",
        customdata=np.stack([names[:-1], [signed(-v) for v in net]], axis=-1),
        hovertemplate="%{customdata[0]}: accuracy %{customdata[1]} points<extra></extra>",
    )
    figure.update_xaxes(range=[-1.05 * back.max(), max(ends.max(), 1.0) + 0.17 * span])


def _add_segments(figure, share: np.ndarray, name: str, names, span: float, marker: dict) -> None:
    """One trace of bars that lie end to end; one wide enough bears its name and number."""
    color = "#ffffff" if marker in (_HATCHED, _HOLLOW) else marker["color"]
    cut, numbers = task_label(name), [f"{abs(v):.1f}" for v in share]
    texts = []  # name and number, the number alone, or nothing, as fits
    for value, number in zip(share, numbers, strict=True):
        width = 620 * abs(value) / span  # pixels
        text = f"{cut}<br>{number}" if width >= 7.5 * len(cut) else number
        texts.append(text if width >= 26 else "")
    figure.add_bar(
        x=share,
        y=list(range(len(share))),
        orientation="h",
        name=cut,
        marker=marker,
        text=texts,
        textposition="inside",
        insidetextanchor="middle",
        insidetextfont={"size": 11, "color": style.readable_on(color)},
        textangle=0,
        constraintext="inside",
        customdata=np.stack([names[:-1], numbers], axis=-1),
        hovertemplate="%{customdata[0]}: <b>%{customdata[1]} %</b> of its images: "
        f"{name}<extra></extra>",
    )


def _taken(percent: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(n,) share in % of all other tasks' test images that each task takes; NaN for one task."""
    images = percent * sizes[:, None] / 100
    others = images.sum(axis=0) - np.diag(images)
    rest = sizes.sum() - sizes
    return 100 * np.divide(others, rest, out=np.zeros(len(sizes)), where=rest > 0)


def _answer(table: confusion.LostImages, names: tuple[str, ...]) -> str:
    """One sentence: the task that fell most, and the other task that took most of it."""
    net = table.net[:-1]
    worst = int(net.argmax())
    if net[worst] <= 0:
        return "No task was forgotten."
    fall = f"<b>Forgotten most: {names[worst]}</b> ({signed(-100 * net[worst])} points)."
    taken = np.where(np.arange(len(names)) == worst, 0.0, table.lost[worst])
    if not taken.any():
        return fall
    by = " and ".join(names[j] for j in np.flatnonzero(np.isclose(taken, taken.max())))
    return f"{fall} <b>Taken most by: {by}</b> ({100 * taken.max():.1f} % of its images)."


_CLASSES = 400  # that can be told apart in a matrix, and that a browser can draw
_TALL = 460  # pixels of all rows of a matrix: in view on a laptop, with its titles
_MANY = 20  # classes of a task side by side: more have no room for letters and numbers


@draws()
def class_forgetting(record: Record, after: int | None = None) -> go.Figure:
    """Heat map: how every class changed since it was learned, and which class took most of it.

    A row is a task, a cell one of its classes: its name, the change of its accuracy in points, and
    the class that most of its lost images are taken for now. The last task has lost nothing yet and
    is left out.
    """
    record = single(record, least=2)
    history = confusion.class_history(record, after)
    n = checks.integer("after", len(history.accuracy), 2)
    rows = [np.flatnonzero(history.tasks == i) for i in range(n - 1)]
    fallen = 100 * history.forgetting
    worst = int(np.nanargmax(fallen))
    size, *others = set(history.n_images.tolist())
    images = "" if others else f"A class has {size} test images: one is {100 / size:.1f} points."
    figure = style.new_figure(
        f"Change of each class since it was learned, after {n} tasks: {run_name(record)}",
        f"<b>Most: {history.names[worst]}</b> of {record.task_names[history.tasks[worst]]} "
        f"({_points(fallen[worst])} points). {images}"
        "<br>In a cell: the class, the change of its accuracy in points, and the class (▸) that "
        "most of the lost images are taken for.",
        height=max(400, 170 + 62 * (n - 1)),
        margin={"t": 90},
    )
    _add_changes(figure, record, history, rows)
    figure.update_yaxes(style.name_axis(record.task_names[: n - 1], "task") | _DOWN)
    if record.scenario == "domain-incremental":  # all tasks share the classes
        shared = [style.short(history.names[p], 8) for p in rows[0]]
        axis = style.name_ticks(shared, title={"text": "class"})
    else:
        title = {"text": "classes of the task, in order"}
        axis = {"showgrid": False, "title": title, "showticklabels": False, "ticks": ""}
    figure.update_xaxes(axis)
    return figure


@draws()
def class_confusion(
    record: Record, after: int | None = None, *, task: int | None = None
) -> go.Figure:
    """Heat map: share in % of each class's test images (rows) taken for each class (columns).

    The diagonal, the right class, is grey, so that mistakes stand out; grey lines part the tasks.
    With a task, from 0: its test images alone; of a run of more than 400 classes every other task
    is one column then, and without a task ValueError.
    """
    record = single(record)
    table = confusion.class_confusion(record, after, task=task, most=_CLASSES)
    rows = np.flatnonzero(table.counts.sum(axis=1))
    n = len(record.tasks) if after is None else after
    whose = "" if task is None else f", test images of {record.task_names[task]}"
    figure = style.new_figure(
        f"Which class is taken for which, after {n} tasks{whose}: {run_name(record)}",
        f"{_most(table)}<br>Rows: what an image shows; columns: what it is taken for. "
        "Grey: right. White: never.",
        height=max(450, 170 + min(28, _TALL // rows.size) * rows.size),
        margin={"t": 90},
    )
    _add_mistakes(figure, table, rows)
    figure.update_xaxes(_class_axis(table, np.arange(table.classes.size), "taken for"))
    figure.update_yaxes(_class_axis(table, rows, "test images of"), autorange="reversed")
    if record.scenario == "class-incremental":
        line = {"color": "#888888", "width": 1}  # between the tasks
        shapes = []  # all at once: each one added costs time for all before it
        for along, across, tasks in (("x", "y", table.tasks), ("y", "x", table.tasks[rows])):
            for border in np.flatnonzero(np.diff(tasks)) + 0.5:
                ends = {f"{along}0": border, f"{along}1": border, f"{across}0": 0, f"{across}1": 1}
                where = {f"{along}ref": along, f"{across}ref": f"{across} domain"}
                shapes.append({"type": "line", "line": line, **ends, **where})
        figure.update_layout(shapes=shapes)
    return figure


def _add_changes(figure, record: Record, history: confusion.ClassHistory, rows: list) -> None:
    width = max(row.size for row in rows)
    z = np.full((len(rows), width), np.nan)
    cells, hover = np.full((2, *z.shape), "", dtype=object)
    # Names in the order of the columns of `ClassHistory.lost`.
    learned = record.tasks[: len(history.accuracy)]
    pairs = (zip(t.classes, t.class_names, strict=True) for t in learned)
    seen = tuple(dict(chain.from_iterable(pairs)).values())
    fallen = 100 * history.forgetting
    for i, row in enumerate(rows):
        for k, p in enumerate(row):
            z[i, k] = 0.0 - fallen[p]
            most = history.takers(p)[0][:1]
            taker = f"▸ {style.short(seen[most[0]], 8)}" if most.size else ""
            words = (f"<b>{style.short(history.names[p], 8)}</b>", _points(fallen[p]), taker)
            cells[i, k] = "<br>".join(filter(None, words)) if width <= _MANY else ""
            hover[i, k] = _hover(history, p, seen, learned[i].name)
    largest = max(np.nanmax(np.abs(z)), 1.0)
    add_map(
        figure,
        z,
        limits=(-largest, largest),
        colorscale=style.GAIN_SCALE,
        text=cells,
        customdata=hover,
        hover="%{customdata}",
        hoverongaps=False,
        bar="change of accuracy (points)",
    )


def _hover(history: confusion.ClassHistory, p: int, seen: tuple[str, ...], task: str) -> str:
    learned, now = history.accuracy[history.tasks[p], p], history.accuracy[-1, p]
    n = history.n_images[p]
    takers = zip(*history.takers(p), strict=True)
    taken = [f"{seen[c]} {share * n:.0f}" for c, share in list(takers)[:3]]
    return (
        f"<b>{history.names[p]}</b> of {task}: {learned * n:.0f} of {n} right when learned, "
        f"{now * n:.0f} now" + (f"<br>lost to {', '.join(taken)}" if taken else "")
    )


def _add_mistakes(figure: go.Figure, table: confusion.ClassConfusion, rows: np.ndarray) -> None:
    percent = 100 * table.shares[rows]
    right = rows[:, None] == np.arange(table.classes.size)
    few = table.classes.size <= _MANY
    shown = np.where(right | (percent == 0), np.nan, percent)
    for z, scale, top in (
        (np.where(right, percent, np.nan), ((0, "#dddddd"), (1, "#dddddd")), 100.0),
        (shown, style.RANK_SCALE, max(np.nanmax(shown, initial=0.0), 1.0)),
    ):
        add_map(
            figure,
            z.round(1),
            limits=(0, top),
            colorscale=scale,
            showscale=scale is style.RANK_SCALE,
            texttemplate="%{z:.0f}" if few else "",
            hover="<b>%{y}</b> is taken for <b>%{x}</b>: %{z:.0f} %",
            hoverongaps=False,
            bar="share of the class (%)",
            xgap=None,
            ygap=None,
        )


def _class_axis(table: confusion.ClassConfusion, which: np.ndarray, title: str) -> dict:
    names = [style.short(table.names[k], 8) for k in which]
    size = 13 if which.size <= _MANY else 11 if which.size <= 2 * _MANY else 9
    axis = {"title": {"text": title}, "tickfont": {"size": size}, "tickangle": 0}
    step = -(-which.size // (_TALL // 10))  # names that stand beneath one another, 10 pixels each
    ticks = {"tickvals": [*range(0, which.size, step)], "ticktext": names[::step]}
    return style.name_ticks(names, **axis) | ticks


def _most(table: confusion.ClassConfusion) -> str:
    """The commonest mistake in words."""
    wrong = table.counts.copy()
    np.fill_diagonal(wrong, 0)
    if not wrong.any():
        return "No image is taken for a wrong class."
    truth, guess = np.unravel_index(wrong.argmax(), wrong.shape)
    alike = (wrong == wrong.max()).sum() - 1
    also = f"; {alike} more as often" if alike else ""
    return (
        f"<b>Commonest mistake: {table.names[truth]} taken for {table.names[guess]}</b>, "
        f"{wrong[truth, guess]} of {table.counts[truth].sum()} images{also}."
    )


def _points(fall: float) -> str:
    """A fall in accuracy as a signed change, never minus zero; a dash if it is unknown."""
    if np.isnan(fall):
        return "–"
    return f"{-round(fall) + 0:+d}".replace("-", "−").replace("+0", "0")
