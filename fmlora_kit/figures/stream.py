"""Pictures of a stream: what each task looks like before anything is learned."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
import plotly.graph_objects as go

from fmlora_kit import checks
from fmlora_kit.figures.entry import plain
from fmlora_kit.figures.labels import task_words
from fmlora_kit.figures.style import new_figure, short, task_colors

LONGEST_SIDE = 48  # pixels of a picture in the grid; larger ones are thinned out
FEW_COLUMNS = 12  # up to so many pictures in a row, class names find room beside them
# A mark after each name keeps Hebrew or Arabic names in the order of the pictures.
_LEFT_TO_RIGHT = "\u200e  "
_GAP = 2  # white pixels between pictures
_ROW_HEIGHT = 38


def samples(stream: object, per_class: int = 1, *, max_columns: int = 30) -> go.Figure:
    """Training pictures of every task: one row per task, `per_class` of each of its classes.

    Hovering names the class. Colours are kept to 5 bits each, so that the figure stays light.

    Args:
        stream: anything with `name`, `scenario` and `tasks`, each with `name`, `classes`,
            `class_names`, `train_images` (n, H, W, 3) uint8 and `train_labels` (n,).
        per_class: pictures of each class, at least 1.
        max_columns: most pictures in a row, at least 1; further classes are left out.
    """
    for name, value in (("per_class", per_class), ("max_columns", max_columns)):
        checks.integer(name, value, 1)
    if not getattr(stream, "tasks", ()):
        raise checks.fail("stream", "a Stream with its tasks", stream)
    rows = [_row(task, per_class, max_columns) for task in stream.tasks]
    widest = max(len(labels) for _, labels in rows)
    pictures = "one training picture" if per_class == 1 else f"{per_class} training pictures"
    figure = new_figure(
        f"What each task looks like: {plain(stream.name)}, {len(rows)} tasks",
        f"{plain(stream.scenario)}; one row per task, {pictures} of each class",
        height=110 + _ROW_HEIGHT * len(rows),
        margin={"b": 15, "t": 70},
    )
    gap = ((0, _GAP), (0, _GAP), (0, 0))  # white, to the right of each picture and beneath
    for k, (pictures, labels) in enumerate(rows):
        figure.add_layout_image(
            source=_png(np.concatenate([np.pad(p, gap, constant_values=255) for p in pictures], 1)),
            **{"x": 0, "y": k, "xref": "x", "yref": "y", "sizex": len(labels), "sizey": 1},
            sizing="stretch",
            layer="below",
        )
    _add_hover_points(figure, stream, rows)
    _set_axes(figure, stream, widest)
    # Right of each row, where a short row leaves room, the names of the classes.
    for k, task in enumerate(stream.tasks if widest <= FEW_COLUMNS else ()):
        names = _LEFT_TO_RIGHT.join(plain(tuple(task.class_names)))
        figure.add_annotation(
            **{"x": widest + 0.3, "y": k + 0.5, "xref": "x", "yref": "y", "xanchor": "left"},
            text=short(names, 48),
            showarrow=False,
            font={"color": "#555555"},
        )
    return figure


def _row(task, per_class: int, max_columns: int) -> tuple[list[np.ndarray], list[str]]:
    """The pictures of a task's row and the name of each one's class."""
    pictures, labels = [], []
    for c, name in zip(task.classes, task.class_names, strict=True):
        for index in np.flatnonzero(task.train_labels == c)[:per_class]:
            picture = task.train_images[index]
            stride = -(-max(picture.shape[:2]) // LONGEST_SIDE)
            pictures.append(picture[::stride, ::stride])
            labels.append(plain(name))
    return pictures[:max_columns], labels[:max_columns]


def _png(image: np.ndarray) -> str:
    """An (H, W, 3) uint8 image as a PNG data URI, colours rounded to 5 bits.

    Written here rather than by an imaging library, so that the figure's text does not change with
    that library's version: stored notebooks are compared with what they give when run again.
    """
    height, width, _ = image.shape
    coarse = image >> 3
    rows = ((coarse << 3) | (coarse >> 2)).reshape(height, -1)
    filtered = np.pad(rows, ((0, 0), (1, 0)))  # filter type 0: none
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(filtered.tobytes(), 9)),
        (b"IEND", b""),
    )
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")


def _add_hover_points(figure: go.Figure, stream, rows) -> None:
    """Invisible points over the pictures, which carry the hover text."""
    for k, (task, (_, labels)) in enumerate(zip(stream.tasks, rows, strict=True)):
        figure.add_scatter(
            x=np.arange(len(labels)) + 0.5,
            y=np.full(len(labels), k + 0.5),
            mode="markers",
            marker={"size": 30, "symbol": "square", "opacity": 0},
            text=labels,
            hovertemplate=f"<b>%{{text}}</b><br>{task_words(k, plain(task.name))}<extra></extra>",
            showlegend=False,
            name=plain(task.name),
        )


def _set_axes(figure: go.Figure, stream, widest: int) -> None:
    colors = task_colors(len(stream.tasks))
    labels = [
        f'{plain(task.name)} <span style="color:{color}">■</span>'
        for task, color in zip(stream.tasks, colors, strict=True)
    ]
    hidden = {"showgrid": False, "showline": False, "ticks": "", "constrain": "domain"}
    figure.update_xaxes(
        range=[0, 2 * widest if widest <= FEW_COLUMNS else widest],
        showticklabels=False,
        constraintoward="left",
        **hidden,
    )
    figure.update_yaxes(
        range=[len(labels), 0],
        tickvals=[k + 0.5 for k in range(len(labels))],
        ticktext=labels,
        tickfont={"size": 13},
        scaleanchor="x",
        constraintoward="top",
        **hidden,
    )
