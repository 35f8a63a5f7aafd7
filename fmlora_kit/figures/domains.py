"""The life of every domain: a small panel each, a line per method."""

from __future__ import annotations

import math

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fmlora_kit.figures.curves import add_curve, seeds_note
from fmlora_kit.figures.tables import Records, by_label, curve
from fmlora_kit.figures.template import TEMPLATE, method_styles, short

_COLUMNS = 5
_PANEL = 190  # pixels


def domain_curves(records: Records) -> go.Figure:
    """Accuracy in % on the test images of each task, after each task, from when it was learned on.

    Args:
        records: a record, or records (or lists of them, one per seed) by label.

    Raises:
        ValueError: a record has no finished task.
    """
    table = by_label(records)
    first = next(iter(table.values()))[0]
    n = min(len(record.tasks) for runs in table.values() for record in runs)
    n_cols = min(_COLUMNS, n)
    n_rows = math.ceil(n / n_cols)
    figure = make_subplots(
        n_rows,
        n_cols,
        shared_xaxes=True,
        shared_yaxes=True,
        subplot_titles=[f"{k + 1} {short(first.task_names[k], 16)}" for k in range(n)],
        horizontal_spacing=0.02,
        vertical_spacing=0.2 / n_rows,
    )
    styles = method_styles(table)
    curves = []
    for k in range(n):
        where = {"row": k // n_cols + 1, "col": k % n_cols + 1}
        for label, runs in table.items():
            one = curve(label, runs, lambda record, k=k: record.accuracy[:, k], skip=k)
            curves.append(one)
            add_curve(figure, one, styles[label], width=2, showlegend=k == 0, **where)
    figure.update_traces(marker_size=5, selector={"mode": "lines+markers"})
    figure.update_annotations(font_size=12.5)
    note = seeds_note(curves)
    figure.update_layout(
        template=TEMPLATE,
        title={"text": f"Accuracy on each task, as further tasks come: {first.stream}"},
        title_subtitle_text="From when it was learned on" + (f"; {note}" if note else ""),
        height=170 + _PANEL * n_rows,
        margin={"t": 105, "b": 90},
        legend={"orientation": "h", "y": 0, "yref": "container", "x": 0.5, "xanchor": "center"},
    )
    figure.update_xaxes(range=[0.5, n + 0.5], dtick=1 if n <= 5 else 3, tick0=1)
    figure.update_xaxes(title_text="tasks learned", row=n_rows)
    figure.update_yaxes(range=_span(figure))
    figure.update_yaxes(title_text="accuracy (%)", col=1)
    return figure


def _span(figure: go.Figure) -> list[float]:
    """Room for all lines; intervals may run out of it."""
    lines = [t.y for t in figure.data if t.mode == "lines+markers"]
    every = np.concatenate([np.asarray(y, dtype=float) for y in lines])
    low, high = np.nanmin(every), np.nanmax(every)
    pad = 0.08 * (high - low) or 1
    return [max(low - pad, 0), min(high + pad, 101)]
