"""How far explanations moved while other tasks were learned."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from fmlora_kit.analysis.explanations import (
    ATTRIBUTION_METHODS,
    Explanations,
    attribution_movement,
    movement_between_images,
)
from fmlora_kit.analysis.intervals import mean_ci95
from fmlora_kit.figures.attribution import class_label
from fmlora_kit.figures.template import (
    DASHES,
    INK,
    SYMBOLS,
    faded,
    method_styles,
    name_axis,
    new_figure,
    task_colors,
)

_SINCE = {
    "learned": "against the map when its class was just learned",
    "previous": "against the map one task before",
}


def explanation_movement(
    explanations: Explanations | Mapping[str, Explanations], *, since: str = "learned"
) -> go.Figure:
    """1 - rank correlation between each image's map now and an earlier one, after each task.

    One record: a line per image, in the colour of the task of its class. Several by label: the mean
    over the images that had been learned before, with a 95% band over images. Dotted: how far maps
    of two different images are apart, on average.

    Args:
        explanations: of one record, or of several by label, by one method each.
        since: "learned" or "previous": see `analysis.attribution_movement`.

    Raises:
        ValueError: ``since`` is unknown, there is none, or they are of different tasks.
    """
    several = isinstance(explanations, Mapping)
    table = dict(explanations) if several else {explanations.run: explanations}
    if not table:
        raise ValueError("explanations must hold at least one record's; got none")
    first = next(iter(table.values()))
    if any(e.task_names != first.task_names for e in table.values()):
        raise ValueError("explanations must be of the same tasks to be compared")
    methods = " / ".join(dict.fromkeys(ATTRIBUTION_METHODS[e.method] for e in table.values()))
    moved = {label: attribution_movement(e, since=since) for label, e in table.items()}
    figure = new_figure(
        f"How far explanations moved ({methods})" + ("" if several else f": {first.run}"),
        f"1 − rank correlation of a picture's map {_SINCE[since]}."
        "<br>0: the same pixels matter. Dotted: what maps of two different pictures come to.",
        height=470,
        margin={"t": 105},
    )
    if several:
        _add_means(figure, table, moved)
    else:
        _add_images(figure, first, moved[first.run])
    _set_axes(figure, first)
    return figure


def _add_images(figure: go.Figure, e: Explanations, moved: np.ndarray) -> None:
    """Add a line per image; images of one task share its colour and differ in dash and marker."""
    colors, used = task_colors(max(e.n_tasks, len(e.task_names))), {}
    for i, target in enumerate(e.targets.tolist()):
        task = e.task_of(target)
        k = used[task] = used.get(task, -1) + 1
        label = class_label(e, target)
        figure.add_scatter(
            x=np.arange(len(moved)),
            y=np.round(moved[:, i], 4),
            mode="lines+markers",
            line={"color": colors[task], "dash": DASHES[k % len(DASHES)], "width": 2},
            marker={"symbol": SYMBOLS[k % len(SYMBOLS)], "size": 8},
            name=label,
            customdata=list(e.task_names),
            hovertemplate=(
                f"<b>%{{y:.2f}}</b>, {label}<br>after learning %{{customdata}}<extra></extra>"
            ),
        )
    _add_reference(figure, movement_between_images(e))


def _add_means(
    figure: go.Figure, table: Mapping[str, Explanations], moved: Mapping[str, np.ndarray]
) -> None:
    """Add, per label, the mean over images learned earlier and its 95% band."""
    for label, style in method_styles(table).items():
        e = table[label]
        mean, half = np.full((2, len(e.task_names)), np.nan)
        for t in range(len(mean)):
            known = moved[label][t, e.learned < t]
            known = known[np.isfinite(known)]
            if known.size:
                interval = mean_ci95(known)
                mean[t], half[t] = interval.mean, interval.ci95
        x = np.arange(len(mean))
        wide = np.isfinite(half)
        figure.add_scatter(
            x=np.concatenate([x[wide], x[wide][::-1]]),
            y=np.round(np.concatenate([(mean + half)[wide], (mean - half)[wide][::-1]]), 4),
            fill="toself",
            fillcolor=faded(style.color),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
            name=f"{label}, 95% interval",
        )
        figure.add_scatter(
            x=x,
            y=np.round(mean, 4),
            mode="lines+markers",
            line={"color": style.color, "dash": style.dash, "width": 2.5},
            marker={"symbol": style.symbol, "size": 9},
            name=label,
            customdata=list(e.task_names),
            hovertemplate=(
                f"<b>%{{y:.2f}}</b>, {label}<br>after learning %{{customdata}}<extra></extra>"
            ),
        )
    between = float(np.mean([movement_between_images(e) for e in table.values()]))
    _add_reference(figure, between)


def _add_reference(figure: go.Figure, value: float) -> None:
    if np.isfinite(value):
        n = figure.data[-1].x[-1]
        figure.add_scatter(
            x=[-0.2, n + 0.2],
            y=np.round([value, value], 4),
            mode="lines",
            line={"color": INK, "dash": "dot", "width": 1.5},
            name="two different pictures",
            hovertemplate="<b>%{y:.2f}</b>, two different pictures<extra></extra>",
        )


def _set_axes(figure: go.Figure, e: Explanations) -> None:
    """Name the axes; zero is always in sight, and so are all lines."""
    drawn = np.concatenate([np.zeros(1), *(np.asarray(trace.y, float) for trace in figure.data)])
    low, high = np.nanmin(drawn), np.nanmax(drawn)
    room = 0.05 * (high - low) or 0.1
    figure.update_xaxes(name_axis(e.task_names, "after learning task"))
    figure.update_xaxes(range=[-0.2, len(e.task_names) - 0.8])
    figure.update_yaxes(
        title_text="movement (0 none, 1 unrelated)", range=[low - room, high + room]
    )
