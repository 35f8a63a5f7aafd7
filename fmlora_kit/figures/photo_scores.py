"""Photos, and which classes a model takes them for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from scipy.special import softmax

from fmlora_kit.figures.overlay import add_picture
from fmlora_kit.figures.template import OKABE_ITO, TEMPLATE, short

_PANEL = 190  # pixels


def photo_scores(
    images: np.ndarray,
    logits: np.ndarray,
    class_names: Sequence[str],
    labels: Sequence[str],
    *,
    shown: int = 5,
) -> go.Figure:
    """Each photo as the model gets it, beside the classes of its highest scores.

    A bar is the class's share of the softmax over all classes, in %. It says how far the best class
    is ahead of the others, not whether the photo is of any of them.

    Args:
        images: uint8 (n, H, W, 3).
        logits: (n, classes).
        class_names: (classes,), in the order of the logits.
        labels: (n,) what the photos are called.
        shown: most classes with a bar.

    Raises:
        ValueError: lengths that do not fit together, or ``shown`` below 1.
    """
    _check(images, logits, class_names, labels, shown)
    n, k = len(images), min(shown, len(class_names))
    figure = make_subplots(
        n, 2, column_widths=[0.25, 0.75], vertical_spacing=0.25 / n, horizontal_spacing=0.12
    )
    for row, (image, scores) in enumerate(zip(images, logits, strict=True), start=1):
        add_picture(figure, image, row, 1)
        best = np.argsort(-scores, kind="stable")[:k]
        percent = 100 * softmax(np.asarray(scores, dtype=float))[best]
        _add_bars(figure, [class_names[c] for c in best], percent, row)
        figure.update_xaxes(title={"text": short(labels[row - 1], 24)}, row=row, col=1)
    figure.update_xaxes(title_text="share of the softmax (%)", row=n, col=2)
    figure.update_layout(
        template=TEMPLATE,
        title={"text": "What each photo is taken for"},
        title_subtitle_text=f"The {k} highest scores among {len(class_names)} classes seen",
        height=130 + _PANEL * n,
        margin={"t": 75, "r": 50},
    )
    return figure


def _add_bars(figure: go.Figure, names: list[str], percent: np.ndarray, row: int) -> None:
    figure.add_bar(
        x=np.round(percent, 2),
        y=list(range(len(names))),
        orientation="h",
        marker={"color": OKABE_ITO[0]},
        text=[f"{value:.1f}" for value in percent],
        textposition="outside",
        cliponaxis=False,
        customdata=names,
        hovertemplate="<b>%{x:.1f} %</b> for %{customdata}<extra></extra>",
        showlegend=False,
        row=row,
        col=2,
    )
    figure.update_xaxes(range=[0, 105], row=row, col=2)
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=[short(name, 28) for name in names],
        range=[len(names) - 0.5, -0.5],
        showgrid=False,
        ticks="",
        row=row,
        col=2,
    )


def _check(images, logits, class_names, labels, shown: int) -> None:
    if np.shape(logits) != (len(images), len(class_names)) or not len(images):
        raise ValueError(
            f"logits must be (images, classes), ({len(images)}, {len(class_names)}) and not empty; "
            f"got {np.shape(logits)}"
        )
    if len(labels) != len(images):
        raise ValueError(f"labels must be one per image ({len(images)}), got {len(labels)}")
    if shown < 1:
        raise ValueError(f"shown must be at least 1, got {shown}")
