"""What if a task had got less rank? Accuracy of every task when one task's update is cut."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from fmlora_kit import checks
from fmlora_kit.analysis.arguments import index_of
from fmlora_kit.analysis.ranks import ALL_LAYERS, TruncationTable
from fmlora_kit.figures.entry import draws
from fmlora_kit.figures.labels import task_label
from fmlora_kit.figures.prompts import image_counts, signed_change
from fmlora_kit.figures.style import (
    INK,
    LineStyle,
    grid,
    name_axis,
    new_figure,
    task_colors,
    task_looks,
)


@draws(TruncationTable)
def what_if(
    table: TruncationTable,
    task: int | str | None = None,
    layer: int | str | None = None,
    rank: int | None = None,
) -> go.Figure:
    """What if a task had got less rank? Its pair is cut to its first columns.

    A task and a rank: the accuracy of every task, full ranks against the cut. No task: accuracy
    against the rank left, a line per task that is cut; on the left the mean accuracy over all
    tasks, on the right the share of all predictions that the cut changed.

    Args:
        table: measured by `fmlora_kit.probes.truncate_ranks`.
        task: whose pair is cut, by index from 0 or name; None draws the curves of all tasks.
        layer: index or name of an adapted map; None or "all layers" for all at once.
        rank: how many columns are left, one of ``table.levels(task, layer)``; None cuts nothing.
    """
    if task is None:
        if rank is not None:
            raise checks.fail("rank", "None without a task", rank)
        return _draw_curves(table, layer)
    accuracy = table.accuracy_at(task, layer, rank)
    changed = table.changed_at(task, layer, rank) * table.n_images
    t = index_of(task, table.task_names, "task")
    figure = new_figure(
        f"{_title(table, task, layer, rank)}: {changed.sum():.0f} of {table.n_images.sum()} "
        "predictions change",
        "Frame: ranks as chosen; colour: after the cut, with the points gained or lost. "
        f"{image_counts(table.n_images)}; nothing is trained again.",
        height=400,
        barmode="overlay",
        showlegend=False,
    )
    _add_accuracies(figure, table, accuracy, changed)
    if rank not in (None, table.levels(task, layer)[-1]):
        look = {"showarrow": False, "yshift": 2, "bgcolor": "white", "borderpad": 1}
        figure.add_annotation(x=t, y=0, yref="paper", yanchor="bottom", text="✂ cut", **look)
    figure.update_xaxes(name_axis(table.task_names, "accuracy on the test images of task"))
    figure.update_yaxes(title_text="accuracy (%)", range=[0, 105])
    return figure


def _draw_curves(table: TruncationTable, layer: int | str | None) -> go.Figure:
    """How much rank does a task need? Accuracy, and predictions changed, against the rank left."""
    figure = grid(
        f"How much rank does each task need? Cut in {_where(table, layer)}",
        "Each line cuts one task's update and leaves the others; it ends at the rank that was "
        f"chosen. {image_counts(table.n_images)}.",
        cols=2,
        panels=("accuracy, all tasks together", "predictions changed by the cut"),
        spacing=(0.1, None),
        height=430,
        margin={"t": 100},
        legend={"title": {"text": "task that is cut"}},
    )
    looks = task_looks(len(table.task_names))
    levels = sorted({r for t in range(len(looks)) for r in table.levels(t, layer)})
    for t, look in enumerate(looks):
        ranks = table.levels(t, layer)
        for col, measure in enumerate((table.accuracy_at, table.changed_at), start=1):
            values = [np.average(measure(t, layer, r), weights=table.n_images) for r in ranks]
            _add_line(figure, table, t, look, [levels.index(r) for r in ranks], values, col)
    ticks = {"tickvals": list(range(len(levels))), "ticktext": list(map(str, levels))}
    figure.update_xaxes(ticks, title_text="rank left to the task that is cut")
    figure.update_yaxes(rangemode="tozero")
    figure.update_yaxes(title_text="share of the test images (%)", col=1)
    return figure


def _add_accuracies(
    figure: go.Figure, table: TruncationTable, accuracy: np.ndarray, changed: np.ndarray
) -> None:
    """Grey frames for the chosen ranks, coloured bars inside for the cut ones."""
    x = np.arange(len(table.task_names))
    figure.add_bar(
        x=x,
        y=100 * table.full,
        width=0.74,
        marker={"color": "rgba(0,0,0,0)", "line": {"color": INK, "width": 1.8}},
        name="frame: chosen ranks",
        hovertemplate="chosen ranks: <b>%{y:.1f} %</b><extra></extra>",
    )
    figure.add_bar(
        x=x,
        y=100 * accuracy,
        width=0.56,
        marker={"color": list(task_colors(len(x)))},
        name="colour: after the cut (points gained or lost)",
        customdata=np.stack([changed, table.n_images], axis=-1),
        hovertemplate="after the cut: <b>%{y:.1f} %</b><br>%{customdata[0]:.0f} of "
        "%{customdata[1]} predictions changed<extra></extra>",
    )
    figure.add_scatter(
        x=x,
        y=100 * np.maximum(accuracy, table.full),  # clear of the frame
        mode="text",
        text=[signed_change(100 * (a - b)) for a, b in zip(accuracy, table.full, strict=True)],
        textposition="top center",
        textfont={"color": INK, "size": 13},
        showlegend=False,
        hoverinfo="skip",
    )


def _add_line(figure, table, t: int, look: LineStyle, x: list[int], values: list[float], col: int):
    name = table.task_names[t]
    figure.add_scatter(
        x=x,
        y=[100 * float(value) for value in values],
        mode="lines+markers",
        line={"color": look.color, "dash": look.dash, "width": 2.5},
        marker={"size": 8, "symbol": look.symbol},
        name=task_label(name),
        legendgroup=name,
        showlegend=col == 1,
        hovertemplate=f"<b>{name}</b> cut<br>%{{y:.1f}} %<extra></extra>",
        row=1,
        col=col,
    )


def _title(table: TruncationTable, task: int | str, layer: int | str | None, rank) -> str:
    name = table.task_names[index_of(task, table.task_names, "task")]
    chosen = table.levels(task, layer)[-1]
    before = f"up to {chosen}" if layer in (None, ALL_LAYERS) else f"{chosen}"
    if rank in (None, chosen):
        return f"Nothing cut: {name} has rank {before} in {_where(table, layer)}"
    return f"{name} cut from rank {before} to {rank} in {_where(table, layer)}"


def _where(table: TruncationTable, layer: int | str | None) -> str:
    if layer in (None, ALL_LAYERS):
        return f"all {len(table.layers)} layers"
    return f"layer {table.layers[index_of(layer, table.layers, 'layer')]}"
