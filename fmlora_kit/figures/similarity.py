"""What makes tasks similar: matrices over tasks, classes next to each other, and their errors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fmlora_kit.analysis.confusion import ClassConfusion
from fmlora_kit.analysis.similarity import TaskSimilarity, errors_by_closeness
from fmlora_kit.figures.style import (
    FRACTION_SCALE,
    INK,
    RANK_SCALE,
    TEMPLATE,
    method_styles,
    name_axis,
    new_figure,
    short,
)

_GREY = ("#eeeeee", "#eeeeee")
_NEAREST = 10  # of the closest classes are drawn
_REVERSED = tuple((round(1 - place, 3), color) for place, color in reversed(FRACTION_SCALE))


def task_similarity(similarity: TaskSimilarity, remembered: np.ndarray | None = None) -> go.Figure:
    """Matrices over tasks, side by side: subspace affinity and confusion, diagonals greyed out.

    Args:
        similarity: in the feature space before learning.
        remembered: (T, T) the affinity of the subspaces that a record keeps
            (`analysis.feature_similarity`), drawn in the middle.

    Raises:
        ValueError: ``remembered`` is not (T, T).
    """
    n, middle = len(similarity.task_names), ""
    panels = {"subspace affinity before learning": similarity.affinity}
    if remembered is not None:
        if np.shape(remembered) != (n, n):
            raise ValueError(f"remembered must be ({n}, {n}); got {np.shape(remembered)}")
        panels["affinity once each is learned"] = np.asarray(remembered)
        middle = " Middle: in the features right after learning each."
    largest = max(_off_diagonal(values).max() for values in panels.values())
    panels["share taken for a class of"] = similarity.confusion
    figure = make_subplots(
        cols=len(panels), shared_yaxes=True, subplot_titles=list(panels), horizontal_spacing=0.02
    )
    for col, values in enumerate(panels.values(), start=1):
        confusion = col == len(panels)
        top = _off_diagonal(values).max() if confusion else largest
        scale = RANK_SCALE if confusion else FRACTION_SCALE
        _add_matrix(figure, values, scale, float(top), similarity.task_names, col)
    figure.update_xaxes(name_axis(similarity.task_names, ""))
    figure.update_xaxes(tickangle=40)
    figure.update_yaxes(name_axis(similarity.task_names, ""))
    figure.update_yaxes(autorange="reversed", tickangle=0)
    figure.update_layout(
        template=TEMPLATE,
        title={"text": f"How alike are the tasks, as {similarity.label} sees them?"},
        title_subtitle_text=(
            "Affinity: 1 if two tasks' classes differ in the same directions, 0 if in unrelated "
            f"ones.{middle}<br>Right: where each task's test images (row) land before learning, "
            "when an image goes to the nearest class mean."
        ),
        height=260 + 34 * n,
        margin={"t": 120},
    )
    figure.update_annotations(font_size=13)
    return figure


def class_distances(similarity: TaskSimilarity, task: int, other: int) -> go.Figure:
    """Heat map: distance of each class of one task (rows) to each of another; the nearest framed.

    Args:
        similarity: says how far class means are apart.
        task: index of the task in the rows.
        other: index of the task in the columns.

    Raises:
        ValueError: an index is out of range, or both are the same.
    """
    n = len(similarity.task_names)
    for name, value in (("task", task), ("other", other)):
        if not 0 <= value < n:
            raise ValueError(f"{name} must be from 0 to {n - 1}; got {value!r}")
    if task == other:
        raise ValueError(f"task and other must differ; got {task!r} twice")
    values = similarity.between(task, other)
    names = [np.array(similarity.names)[similarity.tasks == t] for t in (task, other)]
    titles = [similarity.task_names[t] for t in (task, other)]
    figure = new_figure(
        f"Which class of {titles[1]} is nearest to each class of {titles[0]}?",
        f"Features of {similarity.label}: distance between class means, in standard deviations "
        "within a class. Framed: nearest in the row.",
        height=190 + 30 * len(values),
    )
    figure.add_heatmap(
        z=values.round(2),
        x=list(range(values.shape[1])),
        y=list(range(len(values))),
        colorscale=_REVERSED,
        text=[[f"{v:.1f}" for v in row] for row in values],
        texttemplate="%{text}",
        textfont={"size": 12, "color": INK},
        customdata=np.stack(np.meshgrid(*names, indexing="ij"), axis=-1),
        hovertemplate=(
            f"{titles[0]} <b>%{{customdata[0]}}</b> to {titles[1]} <b>%{{customdata[1]}}</b>: "
            "%{z}<extra></extra>"
        ),
        xgap=1,
        ygap=1,
        colorbar={"title": {"text": "distance (dark: near)", "side": "right"}, "thickness": 14},
    )
    for row, column in enumerate(values.argmin(axis=1).tolist()):
        figure.add_shape(
            type="rect",
            x0=column - 0.48,
            x1=column + 0.48,
            y0=row - 0.46,
            y1=row + 0.46,
            line={"color": INK, "width": 2.5},
        )
    figure.update_xaxes(name_axis(names[1], f"class of {titles[1]}"), tickfont_size=15)
    figure.update_yaxes(name_axis(names[0], f"class of {titles[0]}"), tickfont_size=15)
    figure.update_yaxes(autorange="reversed", tickangle=0)
    return figure


def errors_to_nearest(
    similarity: TaskSimilarity, confusions: Mapping[str, ClassConfusion]
) -> go.Figure:
    """Bars: which share of each method's errors falls on the k-th nearest class.

    Args:
        similarity: says which class is how near.
        confusions: by label, from records of the same classes.

    Raises:
        ValueError: there is no confusion, or one is of other classes or has no error.
    """
    if not confusions:
        raise ValueError("confusions must hold at least one table; got none")
    shares = {k: 100 * errors_by_closeness(similarity, v) for k, v in confusions.items()}
    even = 100 / (len(similarity.classes) - 1)
    styles, shown = method_styles(shares), min(_NEAREST, len(similarity.classes) - 1)
    figure = new_figure(
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
            name=f"{short(label)}: {share[:shown].sum():.0f} %",
            marker_color=styles[label].color,
            text=[f"{v:.0f}" for v in share[:shown]],
            textposition="outside",
            hovertemplate=f"<b>{label}</b>: %{{y:.1f}} % of its errors<extra></extra>",
        )
    figure.add_hline(y=even, line={"color": INK, "width": 1.5, "dash": "dash"})
    figure.update_xaxes(
        title_text="k: the error fell on the k-th nearest class", tickmode="linear", showgrid=False
    )
    figure.update_yaxes(title_text="share of all errors (%)")
    return figure


def _off_diagonal(values: np.ndarray) -> np.ndarray:
    return values[~np.eye(len(values), dtype=bool)]


def _add_matrix(
    figure: go.Figure,
    values: np.ndarray,
    scale: tuple,
    top: float,
    names: tuple[str, ...],
    col: int,
) -> None:
    """A heat map off the diagonal, coloured up to ``top``; the diagonal in grey."""
    n = len(values)
    own = np.eye(n, dtype=bool)
    for cells, colors in ((own, _GREY), (~own, scale)):
        shown = np.where(cells, values, np.nan)
        figure.add_heatmap(
            z=shown.round(4),
            zmin=0,
            zmax=max(top, 0.01),
            colorscale=colors,
            showscale=False,
            text=[["" if np.isnan(v) else f"{v:.2f}" for v in row] for row in shown],
            texttemplate="%{text}",
            textfont={"size": 12 if n <= 6 else 10, "color": INK},
            customdata=np.stack(np.meshgrid(names, names, indexing="ij"), axis=-1),
            hovertemplate="%{customdata[0]}, %{customdata[1]}: <b>%{z:.3f}</b><extra></extra>",
            hoverongaps=False,
            xgap=1,
            ygap=1,
            row=1,
            col=col,
        )
