"""The features of the test images: how far they drift as tasks are learned, and a map of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import plotly.graph_objects as go

from fmlora_kit import checks
from fmlora_kit.analysis.drift import MeanDrift
from fmlora_kit.analysis.embedding import Embedding
from fmlora_kit.analysis.features import FeatureHistory, cka_consecutive, cka_since_learned
from fmlora_kit.analysis.names import display_name
from fmlora_kit.figures.curves import task_axis
from fmlora_kit.figures.entry import draws
from fmlora_kit.figures.labels import task_label, task_words
from fmlora_kit.figures.style import AVERAGE_COLOR, SYMBOLS, LineStyle, grid, new_figure, task_looks

MEASURES = {
    "since learned": (cka_since_learned, "when the task was just learned"),
    # what becomes of what was learned, not of tasks to come
    "consecutive": (partial(cka_consecutive, to_come=False), "one task earlier"),
}
_AVERAGE = LineStyle(AVERAGE_COLOR, "solid", "circle")
Histories = FeatureHistory | Mapping[str, FeatureHistory]


@draws(FeatureHistory, forms=(Mapping,))
def feature_drift(
    histories: Histories, *, against: str = "since learned", debiased: bool = True
) -> go.Figure:
    """Linear CKA of each task's test images over time; a panel for each history, scales alike.

    One line per task, in the task's colour, from when it was learned; the mean over the tasks
    learned earlier as a thick black one.

    A history has two moments or more. Against the features "since learned" (right after the task)
    or "consecutive" (one task earlier); `debiased`: see `analysis.linear_cka`.
    """
    checks.choice("against", against, MEASURES)
    if isinstance(histories, FeatureHistory):
        histories = {histories.label: histories}
    if not histories:
        raise checks.fail("histories", "at least one FeatureHistory", histories)
    for label, history in histories.items():
        if len(history.learned) < 2:
            rule = "a FeatureHistory of at least 2 moments"
            raise checks.fail(f"histories[{checks.shown(label, 40)}]", rule, len(history.learned))
    measure, moment = MEASURES[against]
    tables = {label: measure(h, debiased=debiased) for label, h in histories.items()}
    several = len(tables) > 1
    figure = grid(
        "How far the features of each task's test images drift"
        + ("" if several else f": {next(iter(tables))}"),
        f"Features now, against those {moment}: linear CKA.<br>1: the same geometry, up to "
        "rotation and scale; 0: nothing in common.",
        cols=len(tables),
        panels=tables if several else None,
        panel_size=14,
        spacing=(0.03, None),
        sharing="y",
        height=460,
        margin={"t": 115 if several else 95},
    )
    _add_lines(figure, histories, tables)
    lowest = min(np.nanmin(table) for table in tables.values())
    longest = max(len(history.task_names) for history in histories.values())
    figure.update_xaxes(task_axis(longest, panels=min(len(tables), 3)))
    figure.update_yaxes(range=[min(0.9, np.floor(10 * lowest - 0.1) / 10), 1.02])
    figure.update_yaxes(title_text="linear CKA", col=1)
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
        looks = task_looks(len(history.task_names))
        for i, (task, look) in enumerate(zip(history.task_names, looks, strict=True)):
            known = np.isfinite(table[:, i])
            name = task_label(task)
            _add_line(figure, col, history.learned[known], table[known, i], name, look, named)
        pairs = zip(table[1:], _earlier(history)[1:], strict=True)
        means = [np.nanmean(row[mask]) for row, mask in pairs]
        x, name = history.learned[1:], "mean of earlier tasks"
        _add_line(figure, col, x, means, name, _AVERAGE, named, width=4)


def _add_line(figure, col, x, y, name, look: LineStyle, named, width: float = 1.8) -> None:
    """Add one line; its name stands in the legend once."""
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines+markers",
        line={"color": look.color, "dash": look.dash, "width": width},
        marker={"color": look.color, "size": 7, "symbol": look.symbol},
        name=name,
        legendgroup=name,
        showlegend=name not in named,
        hovertemplate=f"<b>{name}</b><br>CKA %{{y:.3f}} after task %{{x}}<extra></extra>",
        row=1,
        col=col,
    )
    named.add(name)


@draws(MeanDrift)
def mean_drift(drift: MeanDrift) -> go.Figure:
    """How far class means move while later tasks are learned, and how far the head is behind.

    Left, the mean over the classes of earlier tasks; right, every class after the last task: below
    the diagonal the head's mean is nearer to the true one than if it had stayed.
    """
    figure = grid(
        f"Where class means go, and where the head expects them: {display_name(drift.label)}",
        "100 %: as far as the nearest other class. No image of an earlier class is kept.",
        cols=2,
        panels=("classes of earlier tasks, on average", "each class, after the last task"),
        height=460,
        margin={"t": 95},
        spacing=(0.12, None),
    )
    after = np.arange(1, len(drift.moved) + 1)
    kinds = (("the true mean moved", "solid", 0), ("the kept mean is off by", "dash", 1))
    for name, dash, k in kinds:
        figure.add_scatter(
            x=after[1:],
            y=(100 * drift.earlier[1:, k]).round(2),
            mode="lines+markers",
            line={"color": AVERAGE_COLOR, "width": 3, "dash": dash},
            marker={"size": 8, "symbol": SYMBOLS[k]},
            name=name,
            hovertemplate=f"{name}: %{{y:.1f}} % after task %{{x}}<extra></extra>",
            row=1,
            col=1,
        )
    moved, left = (100 * each[-1] for each in (drift.moved, drift.left))
    looks, names = task_looks(len(drift.task_names)), np.array(drift.names)
    for i, task in enumerate(drift.task_names[: len(drift.moved) - 1]):
        own = drift.tasks == i
        look = {"color": looks[i].color, "size": 9, "symbol": looks[i].symbol}
        figure.add_scatter(
            x=moved[own].round(2),
            y=left[own].round(2),
            mode="markers",
            marker={**look, "line": {"color": "white", "width": 0.6}},
            name=task_label(task),
            text=names[own],
            hovertemplate=f"<b>%{{text}}</b>, {task}: moved %{{x:.1f}} %, off by %{{y:.1f}} %"
            "<extra></extra>",
            row=1,
            col=2,
        )
    top = 1.08 * float(np.nanmax([moved[drift.tasks < i], left[drift.tasks < i]]))
    corners = {"x0": 0, "y0": 0, "x1": top, "y1": top}
    figure.add_shape(type="line", **corners, line={"color": "#888888", "dash": "dot"}, row=1, col=2)
    figure.update_xaxes(task_axis(len(drift.task_names)), col=1)
    figure.update_yaxes(title_text="share of the nearest distance (%)", rangemode="tozero", col=1)
    figure.update_xaxes(title_text="the true mean moved (%)", range=[0, top], col=2)
    figure.update_yaxes(title_text="the kept mean is off by (%)", range=[0, top], col=2)
    return figure


_LETTER = 2  # names up to so many code points (a letter and a bar) are written instead of a point
_HIDDEN_AXIS = {"showgrid": False, "showline": False, "showticklabels": False, "ticks": ""}


@draws(Embedding)
def embedding(embedding: Embedding, after: int | None = None) -> go.Figure:
    """t-SNE of the test images of the tasks learned, in their task's colour.

    Images are drawn as their class's letter where classes are letters, else as points.

    `after` is how many tasks had been learned; without it all. The axes are the same after each, so
    that what moves from one picture to the next moved in the map.
    """
    learned = embedding.learned.tolist()
    shown = len(learned) - 1
    if after is not None:
        shown = learned.index(checks.choice("after", after, learned))
    figure = new_figure(
        *_words(embedding, shown),
        height=600,
        legend={"title": {"text": "task of the image"}, "itemsizing": "constant"},
        margin={"t": 90, "l": 20, "r": 200, "b": 20},
    )
    figure.add_traces(_traces(embedding, shown))
    # The same square of the plane at every moment, as small as holds all points.
    low, high = (bound(embedding.coordinates, axis=(0, 1)) for bound in (np.nanmin, np.nanmax))
    half = 0.54 * float((high - low).max())
    x, y = ([float(m - half), float(m + half)] for m in (low + high) / 2)
    figure.update_xaxes(range=x, constrain="domain", **_HIDDEN_AXIS)
    figure.update_yaxes(range=y, scaleanchor="x", constrain="domain", **_HIDDEN_AXIS)
    return figure


def _traces(embedding: Embedding, moment: int) -> list[go.Scatter]:
    """One per task; a legend entry stands on its own, since letters have no marker."""
    letters = max(map(len, embedding.names)) <= _LETTER
    looks = task_looks(len(embedding.task_names))
    names, traces = np.array(embedding.names), []
    for i, (task, own) in enumerate(zip(embedding.task_names, looks, strict=True)):
        rows = embedding.tasks == i
        look = {"size": 8, "opacity": 0.85, "line": {"color": "white", "width": 0.6}}
        traces.append(
            go.Scatter(
                **_images_of(embedding, moment, i),
                mode="text" if letters else "markers",
                marker={"color": own.color, "symbol": own.symbol, **look},
                name=task_label(task),
                text=names[rows].tolist(),
                textfont={"color": own.color, "size": 14},
                hoverlabel={"bordercolor": own.color},
            )
        )
    return traces


def _images_of(embedding: Embedding, moment: int, task: int) -> dict:
    """One task's images at a moment, none before it is learned; three digits are light to store."""
    points = embedding.coordinates[moment, embedding.tasks == task]
    x, y = points.round(3).astype(np.float32).T
    hover = f"<b>%{{text}}</b><br>{task_words(task, embedding.task_names[task])}<extra></extra>"
    return {"x": x, "y": y, "hovertemplate": hover}


def _words(embedding: Embedding, moment: int) -> tuple[str, str]:
    """Title and subtitle: when, how to read the map, and how far to trust it."""
    last = embedding.learned[moment] - 1
    trust, moved = embedding.trustworthiness[moment], embedding.moved[moment]
    way = f" Images there before moved by {100 * moved:.0f} % of the map's size."
    return (
        f"Test images in feature space, as t-SNE lays them out: {embedding.label}, "
        f"after {task_words(last, embedding.task_names[last])}",
        "Near in the map: alike for the model. Far says nothing: neither gaps between groups nor "
        f"their sizes have a meaning.<br>Trustworthiness {trust:.2f} (1: neighbours in the map are "
        f"neighbours in feature space).{way if np.isfinite(moved) else ''}",
    )
