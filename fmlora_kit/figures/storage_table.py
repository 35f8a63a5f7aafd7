"""What methods keep, as a table: sizes after the first task, and growth with every further one."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import plotly.graph_objects as go

from fmlora_kit.analysis.comparable import is_joined
from fmlora_kit.analysis.names import BOUND, OURS, display_name
from fmlora_kit.analysis.render import size
from fmlora_kit.analysis.stored import SAMPLES, Stored, per_task, stored
from fmlora_kit.analysis.summary import count
from fmlora_kit.figures.template import new_figure
from fmlora_kit.record import Record

_COLUMNS = (
    ("method", 130),
    ("stores", 115),
    ("deployed,<br>after task 1", 95),
    ("growth<br>per task", 80),
    ("training state,<br>after task 1", 105),
    ("growth<br>per task", 80),
    ("record,<br>task 1", 75),
    ("record, each<br>later task", 90),
)
_ROW, _HEAD, _TOP = 24, 46, 75  # pixels


def storage_table(records: Iterable[Record]) -> go.Figure:
    """A row per method, by what is stored: numbers to run, numbers to go on, bytes of the record.

    Growth is the mean from one task to the next.

    Args:
        records: finished runs that compare, one per method and seed.

    Raises:
        ValueError: the records do not compare.
    """
    records = list(records)
    kept = list(stored(records).values())
    whole = next(record for record in records if not is_joined(record))
    figure = new_figure(
        f"What is stored: {whole.stream}, {whole.n_tasks} tasks",
        "Numbers to run the model, further ones to go on, and what a record keeps on disk.",
        height=_TOP + _HEAD + 14 + _ROW * len(kept),
        margin={"l": 10, "r": 10, "t": _TOP, "b": 10},
    )
    heads = [f"<b>{head}</b>" for head, _ in _COLUMNS]
    rows = [_cells(one) for one in kept]
    fills = {OURS: "#e3eef7", BOUND: "#f2f2f2"}
    look = {"align": ["left", "left", *["right"] * 6], "line": {"color": "#dddddd"}}
    figure.add_table(
        header={"values": heads, "fill": {"color": "#f0f0f0"}, "height": _HEAD, **look},
        cells={
            "values": list(map(list, zip(*rows, strict=True))),
            "height": _ROW,
            "fill": {"color": [[fills.get(one.method, "white") for one in kept]] * len(heads)},
            "font": {"size": 11.5},
            **look,
        },
        columnwidth=[width for _, width in _COLUMNS],
    )
    return figure


def _cells(one: Stored) -> list[str]:
    later = size(float(np.mean(one.on_disk[1:]))) if len(one.on_disk) > 1 else "–"
    return [
        display_name(one.method) + (" (a bound)" if one.method == BOUND else ""),
        "all training images" if one.kind == SAMPLES else one.kind,
        count(one.deployed[0]),
        _growth(one.deployed),
        count(one.training_state[0]),
        _growth(one.training_state),
        size(one.on_disk[0]),
        later,
    ]


def _growth(values: np.ndarray) -> str:
    by = per_task(values)
    return f"+ {count(by)}" if by else "0"
