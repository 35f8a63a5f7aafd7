"""How a stream and a task look in a notebook: a small card with a strip of pictures per task."""

from __future__ import annotations

import base64
import io
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from fmlora_kit.streams.task import Stream, Task

MAX_TASKS = 10  # shown one by one; the others are counted
MAX_PICTURES = 6  # of a task, each of another class as far as there are classes
SIDE = 40  # pixels that a picture has at most
COLOURS = 64  # of a strip: a third of the bytes, and no difference to the eye at this size
TABLE = 'style="border-collapse:collapse;margin:4px 0;color:inherit;font:inherit"'
CELL = '<td style="text-align:left;padding:2px 8px;background:none;color:inherit">'


def stream_card(stream: Stream) -> str:
    """HTML: what the stream is, and a row for each of its first tasks. Colours are inherited."""
    height, width = stream.image_size
    facts = (
        stream.scenario,
        _count(len(stream), "task"),
        _count(stream.n_classes, "class", "classes"),
        f"{height} × {width} pixels",
        f"seed {stream.seed}",
        *(f"{key}: {value}" for key, value in stream.about.items() if value),
    )
    left = len(stream) - MAX_TASKS
    more = f"and {_count(left, 'task')} more" if left > 0 else ""
    return _card(stream.name, facts, [_row(task) for task in stream[:MAX_TASKS]], more)


def task_card(task: Task) -> str:
    """HTML: what the task is, with a strip of its training pictures."""
    names = ", ".join(task.class_names[:10]) + ", …" * (len(task.class_names) > 10)
    height, width = task.train_images.shape[1:3]
    facts = (_count(len(task.classes), "class", "classes"), names, f"{height} × {width} pixels")
    return _card(task.name, facts, [_row(task)])


def strip(task: Task) -> str:
    """A few training pictures side by side, as a PNG in a data URI; no other image is read."""
    labels, firsts = np.unique(task.train_labels, return_index=True)
    spread = np.linspace(0, len(labels) - 1, min(MAX_PICTURES, len(labels))).round().astype(int)
    pictures = [Image.fromarray(np.array(task.train_images[i])) for i in firsts[spread]]
    for picture in pictures:
        picture.thumbnail((SIDE, SIDE))
    width, height = pictures[0].size
    row = Image.new("RGB", (len(pictures) * (width + 1) - 1, height), "grey")
    for k, picture in enumerate(pictures):
        row.paste(picture, (k * (width + 1), 0))
    file = io.BytesIO()
    row.quantize(COLOURS).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _row(task: Task) -> str:
    words = f"{len(task.train_labels):,} training, {len(task.test_labels):,} test images"
    name = escape(task.name)
    image = f'<img src="{strip(task)}" alt="pictures of {name}" style="max-width:none">'
    cells = (f"{CELL}{content}</td>" for content in (name, image, words))
    return f'<tr style="background:none">{"".join(cells)}</tr>'


def _card(title: str, facts: tuple[str, ...], rows: list[str], more: str = "") -> str:
    lines = f"<b>{escape(title)}</b><br>{escape(' · '.join(facts))}"
    table = f"<table {TABLE}>{''.join(rows)}</table>"
    return f'<div style="color:inherit">{lines}{table}{escape(more)}</div>'


def _count(n: int, one: str, many: str | None = None) -> str:
    return f"{n} {one if n == 1 else many or one + 's'}"
