"""Two tasks' updates side by side: angles, overlap and singular values."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fmlora_kit.analysis.chance import SIDES
from fmlora_kit.analysis.names import run_name
from fmlora_kit.analysis.subspaces import ENERGY
from fmlora_kit.analysis.task_pair import TaskPair, task_pair
from fmlora_kit.figures.tables import single
from fmlora_kit.figures.template import INK, TEMPLATE, short
from fmlora_kit.figures.updates import add_singular_values
from fmlora_kit.record import Record

# Other colours than the tasks have, which stand in the same figure.
SIDE_STYLES = {"output": ("#17534a", "circle"), "input": ("#8e44ad", "square")}
_LEVELS = {
    "open": "chance, room left",
    "core": "chance, shared core",
    "space": "chance, whole space",
}


def subspace_pair(
    record: Record,
    first: int | str,
    second: int | str,
    *,
    layer: int | str | None = None,
    energy: float = ENERGY,
) -> go.Figure:
    """Three panels on two tasks: principal angles, overlap against chance, singular values.

    Args:
        record: a run of a method with low-rank updates.
        first: one task, by name or place from 0.
        second: another task.
        layer: an adapted map, by name or place; None: the mean over all layers.
        energy: share of an update's energy that the compared directions hold.

    Raises:
        ValueError: the method has no low-rank updates, a task or layer is unknown, or both tasks
            are the same.
    """
    record = single(record)
    pair = task_pair(record, first, second, layer=layer, energy=energy)
    figure = make_subplots(
        cols=3,
        subplot_titles=["principal angles", "overlap (mean cos²)", "singular values"],
    )
    for side in SIDES:
        _add_angles(figure, pair, side)
    _add_overlaps(figure, pair)
    add_singular_values(figure, record, (pair.earlier, pair.later), layer, row=1, col=3)
    _finish(figure, record, pair, energy)
    return figure


def verdict(record: Record, pair: TaskPair) -> str:
    """One plain sentence on a pair: its overlaps and what chance gives, output side first."""
    names = [record.task_names[t] for t in (pair.earlier, pair.later)]
    where = "all layers" if pair.layer is None else pair.layer
    if not pair.sizes.all():
        nothing = [name for name, size in zip(names, pair.sizes, strict=True) if not size]
        return f"{' and '.join(nothing)} changed nothing at {where}: there are no angles."
    parts = [
        f"{side} {pair.overlap[side]:.2f} (chance {_tightest(pair, side):.2f})" for side in SIDES
    ]
    return (
        f"{names[0]} and {names[1]}, {where}: overlap of {parts[0]} and {parts[1]}; "
        f"cosine between the updates {pair.cosine:.2f}."
    )


def _tightest(pair: TaskPair, side: str) -> float:
    levels = pair.overlap_chance[side]
    return levels.get("open", levels["space"])


def _add_angles(figure: go.Figure, pair: TaskPair, side: str) -> None:
    color, symbol = SIDE_STYLES[side]
    for values, name, dash in (
        (pair.angles[side], side, "solid"),
        (pair.angles_chance[side], f"{side}, by chance", "dash"),
    ):
        measured = dash == "solid"
        figure.add_scatter(
            x=np.arange(1, len(values) + 1),
            y=values,
            mode="lines+markers" if measured else "lines",
            line={"color": color, "dash": dash, "width": 2.5 if measured else 1.8},
            marker={"color": color, "symbol": symbol, "size": 8},
            name=name,
            legend="legend",
            hovertemplate=f"<b>{name}</b><br>angle %{{x}}: %{{y:.1f}}°<extra></extra>",
            row=1,
            col=1,
        )


def _add_overlaps(figure: go.Figure, pair: TaskPair) -> None:
    """Bars from the top down: the pair and its chance levels, first output, then input."""
    places, labels = [], []
    for first, side in zip((0, 4.5), SIDES, strict=True):
        levels = pair.overlap_chance[side]
        kept = [name for name in _LEVELS if name in levels]
        values = [pair.overlap[side], *(levels[name] for name in kept)]
        own_places = [first + k for k in range(len(values))]
        own_labels = [f"<b>{side}</b>, this pair", *(_LEVELS[name] for name in kept)]
        places, labels = places + own_places, labels + own_labels
        figure.add_bar(
            x=values,
            y=own_places,
            orientation="h",
            marker={"color": [SIDE_STYLES[side][0], *["#c8c8c8"] * len(kept)]},
            text=["" if np.isnan(v) else f"{v:.2f}" for v in values],
            textposition="outside",
            textfont={"color": INK, "size": 12},
            cliponaxis=False,
            name=f"overlap, {side}",
            showlegend=False,
            hovertext=own_labels,
            hovertemplate="%{hovertext}: %{x:.3f}<extra></extra>",
            row=1,
            col=2,
        )
    figure.update_yaxes(tickvals=places, ticktext=labels, showgrid=False, row=1, col=2)


def _finish(figure: go.Figure, record: Record, pair: TaskPair, energy: float) -> None:
    names = [short(record.task_names[t]) for t in (pair.earlier, pair.later)]
    where = "mean over layers" if pair.layer is None else pair.layer
    domains = ((0, 0.27), (0.46, 0.66), (0.75, 1))  # the middle panel has long labels
    for col, (domain, title) in enumerate(zip(domains, figure.layout.annotations, strict=True), 1):
        figure.update_xaxes(domain=domain, col=col)
        title.update(x=sum(domain) / 2, font_size=13)
    figure.update_layout(
        template=TEMPLATE,
        title={"text": f"{names[0]} and {names[1]}, {where}: {run_name(record)}"},
        title_subtitle_text=(
            f"Directions holding {100 * energy:g} % of each update's energy: "
            f"{pair.sizes[0]:.1f} of {names[0]}, {pair.sizes[1]:.1f} of {names[1]}. A solid line "
            "on its dashed one: no more shared than by chance."
        ),
        height=470,
        margin={"t": 105, "b": 90},
        legend={"orientation": "h", "x": 0, "y": -0.2, "yanchor": "top"},
        bargap=0.25,
    )
    figure.update_xaxes(title_text="which angle", rangemode="tozero", col=1)
    figure.update_yaxes(title_text="angle (degrees)", range=[0, 92], dtick=15, col=1)
    figure.update_xaxes(range=[0, 1.15], dtick=0.5, title_text="1: one holds the other", col=2)
    figure.update_yaxes(autorange="reversed", ticks="", tickfont_size=11, col=2)
    figure.update_xaxes(title_text="direction", rangemode="tozero", col=3)
    figure.update_yaxes(type="log", exponentformat="power", dtick=1, col=3)
