"""A map of the test images in feature space, after each task."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from fmlora_kit.analysis.embedding import Embedding
from fmlora_kit.figures.template import SYMBOLS, new_figure, short, task_colors

_LETTER = 2  # names up to so many code points (a letter and a bar) are written in place of a point
_MILLISECONDS = 900  # a move the eye can follow
_PAUSE = 700
_HIDDEN_AXIS = {"showgrid": False, "showline": False, "showticklabels": False, "ticks": ""}


def embedding(embedding: Embedding, after: int | None = None) -> go.Figure:
    """t-SNE of the test images of the tasks learned, in their task's colour.

    Images are drawn as their class's letter where classes are letters, else as points.

    Args:
        embedding: from `analysis.embed`.
        after: show the map after so many tasks; without it a slider and a button step through all,
            with fixed axes, so that what moves in the picture moved in the map.

    Raises:
        ValueError: there is no map after ``after`` tasks.
    """
    learned = embedding.learned.tolist()
    if after is not None and after not in learned:
        raise ValueError(f"after must be one of {learned}, the tasks learned; got {after!r}")
    shown = len(learned) - 1 if after is None else learned.index(after)
    animated = after is None and len(learned) > 1
    figure = new_figure(
        *_words(embedding, shown),
        height=740 if animated else 640,
        legend={"title": {"text": "task of the image"}, "itemsizing": "constant"},
        margin={"t": 90, "l": 20, "r": 200, "b": 100 if animated else 20},
    )
    figure.add_traces(_traces(embedding, shown))
    _set_axes(figure, embedding)
    if animated:
        _animate(figure, embedding, shown)
    return figure


def _traces(embedding: Embedding, moment: int) -> list[go.Scatter]:
    """One per task; a legend entry stands on its own, since letters have no marker."""
    letters = max(map(len, embedding.names)) <= _LETTER
    colors = task_colors(len(embedding.task_names))
    names, traces = np.array(embedding.names), []
    for i, (task, color) in enumerate(zip(embedding.task_names, colors, strict=True)):
        rows = embedding.tasks == i
        marker = {
            "color": color,
            "symbol": SYMBOLS[i % len(SYMBOLS)],
            "size": 8,
            "line": {"color": "white", "width": 0.6},
        }
        traces.append(
            go.Scatter(
                **_places(embedding, moment, i),
                mode="text" if letters else "markers",
                marker={**marker, "opacity": 0.85},
                name=f"{i + 1} {short(task)}",
                text=names[rows].tolist(),
                textfont={"color": color, "size": 14},
                hoverlabel={"bordercolor": color},
            )
        )
    return traces


def _places(embedding: Embedding, moment: int, task: int) -> dict:
    """One task's images at a moment; invisible, where they will be at first, before it is learned.

    So they come into view where they belong instead of flying in; three digits are light to store.
    """
    places = embedding.coordinates[:, embedding.tasks == task]
    first = int(np.isfinite(places[..., 0]).all(axis=1).argmax())
    x, y = places[max(moment, first)].round(3).astype(np.float32).T
    if moment < first:
        return {"x": x, "y": y, "opacity": 0, "hoverinfo": "skip", "hovertemplate": ""}
    hover = f"<b>%{{text}}</b><br>task {task + 1}, {embedding.task_names[task]}<extra></extra>"
    return {"x": x, "y": y, "opacity": 1, "hoverinfo": "all", "hovertemplate": hover}


def _animate(figure: go.Figure, embedding: Embedding, shown: int) -> None:
    """Frames by number of tasks learned, a slider over them and a button that plays them."""
    move = {
        "mode": "immediate",
        "frame": {"duration": _MILLISECONDS + _PAUSE, "redraw": True},
        "transition": {"duration": _MILLISECONDS, "easing": "cubic-in-out"},
    }
    tasks = list(range(len(embedding.task_names)))
    frames, steps = [], []
    for k, learned in enumerate(embedding.learned.tolist()):
        data = [go.Scatter(**_places(embedding, k, i)) for i in tasks]
        title, subtitle = _words(embedding, k)
        words = {"title": {"text": title, "subtitle": {"text": subtitle}}}
        frames.append(go.Frame(name=str(learned), data=data, traces=tasks, layout=words))
        label = short(embedding.task_names[learned - 1], 14)
        steps.append({"label": label, "method": "animate", "args": [[str(learned)], move]})
    figure.frames = frames
    note = {"prefix": "learned last: ", "font": {"size": 14}}
    figure.update_layout(
        sliders=[
            {
                "active": shown,
                "steps": steps,
                "x": 0.1,
                "len": 0.9,
                "y": 0,
                "pad": {"t": 12},
                "currentvalue": note,
            }
        ],
        updatemenus=[
            {
                "type": "buttons",
                "showactive": False,
                "x": 0,
                "xanchor": "left",
                "y": 0,
                "yanchor": "top",
                "pad": {"t": 34},
                "buttons": [{"label": "▶ Play", "method": "animate", "args": [None, move]}],
            }
        ],
    )


def _words(embedding: Embedding, moment: int) -> tuple[str, str]:
    """Title and subtitle: when, how to read the map, and how far to trust it."""
    last = embedding.task_names[embedding.learned[moment] - 1]
    trust, moved = embedding.trustworthiness[moment], embedding.moved[moment]
    way = f" Images there before moved by {100 * moved:.0f} % of the map's size."
    return (
        f"Test images in feature space, as t-SNE lays them out: {embedding.label}, after {last}",
        "Near in the map: alike for the model. Far says nothing: neither gaps between groups nor "
        f"their sizes have a meaning.<br>Trustworthiness {trust:.2f} (1: neighbours in the map are "
        f"neighbours in feature space).{way if np.isfinite(moved) else ''}",
    )


def _set_axes(figure: go.Figure, embedding: Embedding) -> None:
    """The same square of the plane at every moment, as small as holds all points."""
    low, high = (bound(embedding.coordinates, axis=(0, 1)) for bound in (np.nanmin, np.nanmax))
    half = 0.54 * float((high - low).max())
    x, y = ([float(m - half), float(m + half)] for m in (low + high) / 2)
    figure.update_xaxes(range=x, constrain="domain", **_HIDDEN_AXIS)
    figure.update_yaxes(range=y, scaleanchor="x", constrain="domain", **_HIDDEN_AXIS)
