"""Accuracy matrices of several runs side by side, on one colour scale."""

from __future__ import annotations

import math

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fmlora_kit.figures.tables import Records, by_label
from fmlora_kit.figures.template import FRACTION_SCALE, INK, TEMPLATE, short

_COLUMNS = 3
_LONG = 8  # tasks: more leave no room for numbers in cells


def accuracy_matrices(records: Records) -> go.Figure:
    """Heat maps of a[t, i] in %: rows are the tasks learned, columns the test sets, by number.

    Args:
        records: a record, or records by label; several seeds of one label are averaged, as far as
            all of them came.

    Raises:
        ValueError: a record has no finished task.
    """
    table = by_label(records)
    columns = min(_COLUMNS, len(table))
    rows = math.ceil(len(table) / columns)
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=[short(label, 34) for label in table],
        horizontal_spacing=0.13,
        vertical_spacing=0.26 / rows,
    )
    for place, runs in enumerate(table.values()):
        where = {"row": place // columns + 1, "col": place % columns + 1}
        n = min(len(record.tasks) for record in runs)
        percent = 100 * np.mean([record.accuracy[:n, :n] for record in runs], axis=0)
        percent[~np.tri(n, dtype=bool)] = np.nan
        figure.add_trace(_heat_map(percent, runs[0].task_names), **where)
        numbers = list(range(n))
        ticks = {"tickvals": numbers, "showgrid": False}
        figure.update_xaxes(ticks | {"ticktext": [str(k + 1) for k in numbers]}, **where)
        names = [f"{short(runs[0].task_names[k], 11)} {k + 1}" for k in numbers]
        figure.update_yaxes(ticks | {"ticktext": names, "autorange": "reversed"}, **where)
    figure.update_xaxes(title_text="test set of task", row=rows)
    figure.update_annotations(font_size=13)
    figure.update_layout(
        template=TEMPLATE,
        title={"text": "Accuracy on each task (columns) after learning each task (rows)"},
        title_subtitle_text="In %, one colour scale. Down a column: a task's life.",
        height=120 + 300 * rows,
        margin={"t": 95},
        coloraxis={
            "cmin": 0,
            "cmax": 100,
            "colorscale": FRACTION_SCALE,
            "colorbar": {
                "title": {"text": "accuracy (%)", "side": "right"},
                "thickness": 14,
                "len": 250,
                "lenmode": "pixels",
                "y": 1,
                "yanchor": "top",
            },
        },
    )
    return figure


def _heat_map(percent: np.ndarray, names: tuple[str, ...]) -> go.Heatmap:
    n = len(percent)
    learned, tested = np.meshgrid(names[:n], names[:n], indexing="ij")
    return go.Heatmap(
        z=percent.round(2),
        x=list(range(n)),
        y=list(range(n)),
        coloraxis="coloraxis",
        text=[["" if np.isnan(v) else f"{v:.0f}" for v in row] for row in percent],
        texttemplate="%{text}" if n <= _LONG else "",
        textfont={"size": 11, "color": INK},
        customdata=np.stack([learned, tested], axis=-1),
        hovertemplate=(
            "%{z:.1f} % on <b>%{customdata[1]}</b>"
            "<br>after learning %{customdata[0]}<extra></extra>"
        ),
        hoverongaps=False,
        xgap=1,
        ygap=1,
    )
