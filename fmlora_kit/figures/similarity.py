"""What makes tasks similar: matrices over tasks, classes next to each other, and their errors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from fmlora_kit import checks
from fmlora_kit.analysis.confusion import ClassConfusion
from fmlora_kit.analysis.similarity import TaskSimilarity, errors_by_closeness
from fmlora_kit.figures import style
from fmlora_kit.figures.entry import draws
from fmlora_kit.figures.maps import GREY, cell_texts, name_axes, task_map

_NEAREST = 10  # of the closest classes are drawn
_LEGIBLE = 32  # classes of a task, whose distances find room in their cells
_TICKS = 64  # names that find room along an axis
_REVERSED = tuple((round(1 - share, 3), color) for share, color in reversed(style.FRACTION_SCALE))


@draws(TaskSimilarity)
def task_similarity(similarity: TaskSimilarity, remembered: np.ndarray | None = None) -> go.Figure:
    """Matrices over tasks, side by side: subspace affinity and confusion, diagonals greyed out.

    `remembered`, (T, T), is the affinity of the subspaces that a record keeps
    (`analysis.feature_similarity`), drawn in the middle.
    """
    n, middle = len(similarity.task_names), ""
    panels = {"subspace affinity before learning": similarity.affinity}
    if remembered is not None:
        if np.shape(remembered) != (n, n):
            raise checks.fail("remembered", f"({n}, {n}) numbers", np.shape(remembered))
        panels["affinity once each is learned"] = np.asarray(remembered)
        middle = " Middle: in the features right after learning each."
    largest = max(_off_diagonal(values).max() for values in panels.values())
    panels["share taken for a class of"] = similarity.confusion
    figure = style.grid(
        f"How alike are the tasks, as {similarity.label} sees them?",
        "Affinity: 1 if two tasks' classes differ in the same directions, 0 if in unrelated "
        f"ones.{middle}<br>Right: where each task's test images (row) land before learning, "
        "when an image goes to the nearest class mean.",
        cols=len(panels),
        panels=panels,
        spacing=(0.02, None),
        sharing="y",
        height=260 + 34 * n,
        margin={"t": 120},
    )
    for col, values in enumerate(panels.values(), start=1):
        scale, top = style.FRACTION_SCALE, float(largest)
        if col == len(panels):
            scale, top = style.RANK_SCALE, float(_off_diagonal(values).max())
        _add_matrix(figure, values, scale, top, similarity.task_names, col)
    name_axes(figure, (similarity.task_names,) * 2, ("", ""))
    figure.update_xaxes(tickangle=40)
    return figure


@draws(TaskSimilarity)
def class_distances(similarity: TaskSimilarity, task: int, other: int) -> go.Figure:
    """Map: distance of each class of one task (rows) to each of another; the nearest framed."""
    n = len(similarity.task_names)
    checks.integer("task", task, 0, n - 1)
    checks.integer("other", other, 0, n - 1)
    checks.different("task and other", (task, other))
    values = similarity.between(task, other)
    names = [np.array(similarity.names)[similarity.tasks == t] for t in (task, other)]
    titles = [similarity.task_names[t] for t in (task, other)]
    figure = style.new_figure(
        f"Which class of {titles[1]} is nearest to each class of {titles[0]}?",
        f"Features of {similarity.label}: distance between class means, in standard deviations "
        "within a class. Framed: nearest in the row.",
        height=190 + min(30, max(960 // len(values), 4)) * len(values),
    )
    few = max(values.shape) <= _LEGIBLE
    task_map(
        figure,
        values.round(2),
        names,
        (f"class of {titles[0]}", f"class of {titles[1]}"),
        colorscale=_REVERSED,
        text=cell_texts(values, 1) if few else None,
        texttemplate="%{text}" if few else None,
        hover=f"{titles[0]} <b>%{{customdata[0]}}</b> to {titles[1]} <b>%{{customdata[1]}}</b>: "
        "%{z}",
        bar="distance (dark: near)",
    )
    frame = {"type": "rect", "line": {"color": style.INK, "width": 2.5 if few else 1}}
    frames = [  # all at once: each one added costs time for all before it
        frame | {"x0": x - 0.48, "x1": x + 0.48, "y0": y - 0.46, "y1": y + 0.46}
        for y, x in enumerate(values.argmin(axis=1).tolist())
    ]
    figure.update_layout(shapes=frames)
    for axis, n in zip((figure.layout.yaxis, figure.layout.xaxis), values.shape, strict=True):
        step = 1 if few else -(-n // _TICKS)  # hovering names every class
        ticks = {"tickvals": axis.tickvals[::step], "ticktext": axis.ticktext[::step]}
        axis.update(ticks, tickfont_size=15 if few else 9)
    if not few:
        figure.update_xaxes(tickangle=90)
    return figure


@draws(TaskSimilarity)
def errors_to_nearest(
    similarity: TaskSimilarity, confusions: Mapping[str, ClassConfusion]
) -> go.Figure:
    """Bars: which share of each method's errors falls on the k-th nearest class.

    `confusions` are by label, from records of the same classes, each with an error.
    """
    if not confusions:
        raise checks.fail("confusions", "at least one ClassConfusion by label", confusions)
    shares = {k: 100 * errors_by_closeness(similarity, v) for k, v in confusions.items()}
    even = 100 / (len(similarity.classes) - 1)
    fills = style.bar_fills(style.method_styles(shares))
    shown = min(_NEAREST, len(similarity.classes) - 1)
    figure = style.new_figure(
        "Do errors fall on the classes that were near to begin with?",
        f"Nearness in the features of {similarity.label}, before learning. "
        f"Dashed: {even:.1f} %, if errors fell on every class alike.",
        barmode="group",
        legend={"title": {"text": f"share on the {shown} nearest"}},
    )
    for label, share in shares.items():
        figure.add_bar(
            x=np.arange(1, shown + 1),
            y=share[:shown].round(3),
            name=f"{style.short(label)}: {share[:shown].sum():.0f} %",
            marker=fills[label],
            text=[f"{v:.0f}" for v in share[:shown]],
            textposition="outside",
            hovertemplate=f"<b>{label}</b>: %{{y:.1f}} % of its errors<extra></extra>",
        )
    figure.add_hline(y=even, line={"color": style.INK, "width": 1.5, "dash": "dash"})
    figure.update_xaxes(
        title_text="k: the error fell on the k-th nearest class", tickmode="linear", showgrid=False
    )
    figure.update_yaxes(title_text="share of all errors (%)")
    return figure


def _off_diagonal(values: np.ndarray) -> np.ndarray:
    return values[~np.eye(len(values), dtype=bool)]


def _add_matrix(figure, values: np.ndarray, scale: tuple, top: float, names, col: int) -> None:
    """A heat map off the diagonal, coloured up to ``top``; the diagonal in grey."""
    n = len(values)
    own = np.eye(n, dtype=bool)
    for cells, colors in ((own, GREY), (~own, scale)):
        shown = np.where(cells, values, np.nan)
        task_map(
            figure,
            shown.round(4),
            (names, names),
            limits=(0, max(top, 0.01)),
            colorscale=colors,
            showscale=False,
            text=cell_texts(shown, 2),
            size=12 if n <= 6 else 10,
            hover="%{customdata[0]}, %{customdata[1]}: <b>%{z:.3f}</b>",
            hoverongaps=False,
            x=None,
            y=None,
            row=1,
            col=col,
        )
