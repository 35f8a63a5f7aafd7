"""Which rank each adapted map got for each task."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from fmlora_kit.analysis.names import run_name
from fmlora_kit.figures.tables import single
from fmlora_kit.figures.template import INK, RANK_SCALE, name_axis, new_figure
from fmlora_kit.record import Record


def rank_allocation(record: Record) -> go.Figure:
    """Heat map of the rank r_t chosen per adapted map (rows, input at the top) and task (columns).

    Args:
        record: one run, finished or not, of a method that has ranks.

    Raises:
        ValueError: the record has no finished task, or its method has no ranks.
    """
    record = single(record)
    ranks = record.ranks.T
    if not ranks.size:
        raise ValueError(
            f"rank_allocation needs a method that chooses ranks; {record.method!r} has none"
        )
    n_layers = len(ranks)
    figure = new_figure(
        f"Rank chosen for each layer and task: {run_name(record)}",
        f"Above each task: its mean rank. Mean of all: {ranks.mean():.1f}.",
        height=max(450, 150 + 20 * n_layers),
        margin={"t": 95},
    )
    _add_cells(figure, record, ranks)
    for t, mean in enumerate(ranks.mean(axis=0)):
        figure.add_annotation(
            x=t, y=1, yref="paper", yanchor="bottom", text=f"{mean:.1f}", showarrow=False
        )
    figure.update_xaxes(name_axis(record.task_names, "task"))
    figure.update_yaxes(
        title_text="adapted map (block.map)",
        tickvals=list(range(n_layers)),
        ticktext=[layer.removeprefix("blocks.") for layer in record.layers],
        autorange="reversed",
        showgrid=False,
    )
    return figure


def _add_cells(figure: go.Figure, record: Record, ranks: np.ndarray) -> None:
    """Add the heat map of the (layers, tasks) ranks to a figure under construction."""
    n_layers, n = ranks.shape
    layer_grid, task_grid = np.meshgrid(record.layers, record.task_names, indexing="ij")
    highest = max(int(ranks.max()), 1)
    figure.add_heatmap(
        z=ranks,
        x=list(range(n)),
        y=list(range(n_layers)),
        zmin=0,
        zmax=highest,
        colorscale=RANK_SCALE,
        text=ranks.astype(str),
        texttemplate="%{text}",
        textfont={"size": 12 if n_layers <= 14 else 10, "color": INK},
        customdata=np.stack([layer_grid, task_grid], axis=-1),
        hovertemplate="rank <b>%{z}</b><br>%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
        xgap=1,
        ygap=1,
        colorbar={
            "title": {"text": "rank", "side": "right"},
            "thickness": 14,
            "tick0": 0,
            "dtick": max(1, highest // 4),
        },
    )
