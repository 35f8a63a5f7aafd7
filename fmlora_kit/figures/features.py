"""How far the features of each task's test images move while later tasks are learned."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fmlora_kit.analysis.features import FeatureHistory, cka_consecutive, cka_since_learned
from fmlora_kit.figures.curves import task_axis
from fmlora_kit.figures.template import (
    AVERAGE_COLOR,
    SYMBOLS,
    TEMPLATE,
    short,
    task_colors,
)

MEASURES = {
    "since learned": (
        cka_since_learned,
        "Features now, against those when the task was just learned",
    ),
    "consecutive": (cka_consecutive, "Features now, against those one task earlier"),
}
Histories = FeatureHistory | Mapping[str, FeatureHistory]


def feature_drift(
    histories: Histories, *, against: str = "since learned", debiased: bool = True
) -> go.Figure:
    """Linear CKA of each task's test images over time; a panel for each history, scales alike.

    One line per task, in the task's colour, from when it was learned; the mean over the tasks
    learned earlier as a thick black one.

    Args:
        histories: features over time, or several by label.
        against: "since learned" (the features right after the task) or "consecutive" (the features
            one task earlier).
        debiased: see `analysis.linear_cka`.

    Raises:
        ValueError: ``against`` is unknown, or a history has fewer than two moments.
    """
    if against not in MEASURES:
        raise ValueError(f"against must be one of {tuple(MEASURES)}; got {against!r}")
    if isinstance(histories, FeatureHistory):
        histories = {histories.label: histories}
    if not histories:
        raise ValueError("histories must hold at least one feature history; got none")
    for label, history in histories.items():
        if len(history.learned) < 2:
            raise ValueError(
                f"drift needs at least 2 moments; {label!r} has {len(history.learned)}"
            )
    measure, sentence = MEASURES[against]
    tables = {label: measure(h, debiased=debiased) for label, h in histories.items()}
    if against == "consecutive":  # what becomes of what was learned, not of tasks to come
        tables = {k: np.where(_earlier(histories[k]), v, np.nan) for k, v in tables.items()}
    figure = make_subplots(
        cols=len(tables),
        shared_yaxes=True,
        subplot_titles=list(tables) if len(tables) > 1 else None,
        horizontal_spacing=0.03,
    )
    _add_lines(figure, histories, tables)
    lowest = min(np.nanmin(table) for table in tables.values())
    floor = min(0.9, np.floor(10 * lowest - 0.1) / 10)
    _set_layout(figure, tables, histories, sentence, floor)
    return figure


def _earlier(history: FeatureHistory) -> np.ndarray:
    """(m, T) True for the tasks that had been learned by the moment before."""
    before = np.append(0, history.learned[:-1])
    return np.arange(len(history.task_names)) < before[:, None]


def _add_lines(
    figure: go.Figure, histories: Mapping[str, FeatureHistory], tables: dict[str, np.ndarray]
) -> None:
    """One line per task and panel, and the mean of the tasks that could have moved."""
    named: set[str] = set()
    for col, (label, table) in enumerate(tables.items(), start=1):
        history = histories[label]
        colors = task_colors(len(history.task_names))
        for i, (task, color) in enumerate(zip(history.task_names, colors, strict=True)):
            known = np.isfinite(table[:, i])
            name = f"{i + 1} {short(task)}"
            _add_line(figure, col, history.learned[known], table[known, i], name, color, i, named)
        pairs = zip(table[1:], _earlier(history)[1:], strict=True)
        means = [np.nanmean(row[mask]) for row, mask in pairs]
        x, name = history.learned[1:], "mean of earlier tasks"
        _add_line(figure, col, x, means, name, AVERAGE_COLOR, -1, named)


def _add_line(figure, col, x, y, name, color, place, named) -> None:
    """Add one line; its name stands in the legend once. Place -1 is the mean."""
    average = place < 0
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines+markers",
        line={"color": color, "width": 4 if average else 1.8},
        marker={"color": color, "size": 7, "symbol": "circle" if average else SYMBOLS[place % 8]},
        name=name,
        legendgroup=name,
        showlegend=name not in named,
        hovertemplate=f"<b>{name}</b><br>CKA %{{y:.3f}} after task %{{x}}<extra></extra>",
        row=1,
        col=col,
    )
    named.add(name)


def _set_layout(figure, tables, histories, sentence: str, floor: float) -> None:
    several = len(tables) > 1
    who = "" if several else f": {next(iter(tables))}"
    figure.update_layout(
        template=TEMPLATE,
        title={"text": f"How far the features of each task's test images drift{who}"},
        title_subtitle_text=(
            f"{sentence}: linear CKA.<br>1: the same geometry, up to rotation and scale; "
            "0: nothing in common."
        ),
        height=460,
        margin={"t": 115 if several else 95},
    )
    longest = max(len(history.task_names) for history in histories.values())
    figure.update_xaxes(task_axis(longest, panels=min(len(tables), 3)))
    figure.update_yaxes(range=[floor, 1.02])
    figure.update_yaxes(title_text="linear CKA", col=1)
    figure.update_annotations(font_size=14)
