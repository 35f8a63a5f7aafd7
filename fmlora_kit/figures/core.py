"""What lies inside the shared core of one layer: a picture of every task's share of it."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fmlora_kit.analysis.names import run_name
from fmlora_kit.analysis.ranks import place
from fmlora_kit.analysis.updates import core_changes
from fmlora_kit.figures.tables import single
from fmlora_kit.figures.template import TEMPLATE, short
from fmlora_kit.record import Record

_COLUMNS = 3
_PANEL = 250  # pixels
# Orange: negative; white: zero; blue: positive, darker than elsewhere since nothing stands on it.
_SIGNED = ((0.0, "#b35806"), (0.5, "#ffffff"), (1.0, "#0b5a8f"))


def core_contents(record: Record, layer: int | str = 0) -> go.Figure:
    """What each task added to the core of one layer, M_t N_t; a panel per task, sharp where large.

    Every panel has its own colour scale, since the first task's numbers are much larger; above it
    stands its largest number. The core is the sum of all panels.

    Args:
        record: a run of FM-LoRA.
        layer: an adapted map, by name or place.

    Raises:
        ValueError: the method has no core, or there is no such layer.
    """
    record = single(record)
    changes = core_changes(record, layer)
    largest = np.abs(changes).max(axis=(1, 2))
    n_rows = -(-len(changes) // _COLUMNS)
    figure = make_subplots(
        rows=n_rows,
        cols=_COLUMNS,
        horizontal_spacing=0.06,
        vertical_spacing=0.3 / n_rows,
        subplot_titles=[
            f"<b>{short(name)}</b>, largest {top:.2g}"
            for name, top in zip(record.task_names, largest, strict=True)
        ],
    )
    for t, (change, top) in enumerate(zip(changes, largest, strict=True)):
        row, col = t // _COLUMNS + 1, t % _COLUMNS + 1
        figure.add_heatmap(
            x=np.arange(1, len(change) + 1),
            y=np.arange(1, len(change) + 1),
            z=change / (top or 1),
            zmin=-1,
            zmax=1,
            colorscale=_SIGNED,
            showscale=t == 0,
            colorbar={
                "title": {"text": "share of the panel's largest number", "side": "right"},
                "thickness": 14,
            },
            name=record.task_names[t],
            hovertemplate="output %{y}, input %{x}: %{z:.2f} of the largest<extra></extra>",
            row=row,
            col=col,
        )
        figure.update_yaxes(autorange="reversed", showgrid=False, row=row, col=col)
        figure.update_xaxes(showgrid=False, row=row, col=col)
    figure.update_yaxes(title_text="output direction", col=1)
    figure.update_xaxes(title_text="input direction", row=n_rows)
    figure.update_annotations(font_size=13)
    name = record.layers[place(layer, record.layers, "layer")]
    figure.update_layout(
        template=TEMPLATE,
        title={"text": f"What each task put into the core of {name}: {run_name(record)}"},
        title_subtitle_text=(
            "Rows: directions of A, which the layer can write; columns: directions of B, which it "
            "can look at.<br>White: nothing. The core is the sum of all panels."
        ),
        height=130 + _PANEL * n_rows,
        margin={"t": 115},
    )
    return figure
