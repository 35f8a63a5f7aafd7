"""One image at one moment: which class the model takes it for, and what that rests on."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fmlora_kit.analysis.explanations import ATTRIBUTION_METHODS, Explanations, top_classes
from fmlora_kit.figures.attribution import add_caption, class_label
from fmlora_kit.figures.overlay import add_explained, add_picture, color_axis, limit_of
from fmlora_kit.figures.template import TEMPLATE, new_figure, task_colors

SHOWN = 8  # most classes with a bar


def class_probabilities(
    explanations: Explanations, image: int = 0, after: int | None = None
) -> go.Figure:
    """Probability in % of the most probable classes, over all seen by then; the true one framed.

    Args:
        explanations: of one record, by any method.
        image: which of its images.
        after: the task, from 0, after which the model is looked at; default: the last.

    Raises:
        ValueError: there is no such image or moment.
    """
    e = explanations
    after = e.check(image, after)
    figure = new_figure(
        f"What the picture is taken for, after learning {e.task_names[after]}: {e.run}",
        f"{_truth(e, image, after)} Colour: the task of the class; black frame: the true class.",
        height=400,
    )
    _add_bars(figure, e, image, after)
    return figure


def explanation_at(
    explanations: Explanations, image: int = 0, after: int | None = None
) -> go.Figure:
    """The picture, its map, and the class probabilities, by the model of one moment.

    The colours of the map have the same scale at every moment of an image.

    Args:
        explanations: of one record, by one method.
        image: which of its images.
        after: the task, from 0, after which the model is looked at; default: the last.

    Raises:
        ValueError: there is no such image or moment.
    """
    e = explanations
    after = e.check(image, after)
    limit = limit_of(e.maps[:, image])
    figure = make_subplots(cols=3, column_widths=[0.28, 0.28, 0.44], horizontal_spacing=0.02)
    add_picture(figure, e.images[image], 1, 1)
    add_explained(figure, e.images[image], e.maps[after, image], limit, 1, 2)
    add_caption(figure, (1, 1), "<b>the picture</b>", class_label(e, int(e.targets[image])))
    known = np.isfinite(e.maps[after, image]).any()
    add_caption(
        figure,
        (1, 2),
        f"<b>{ATTRIBUTION_METHODS[e.method]}</b>",
        "of the score of the true class" if known else "the true class is not learned yet",
    )
    _add_bars(figure, e, image, after, row=1, col=3)
    figure.update_xaxes(domain=[0.7, 1], row=1, col=3)
    figure.update_layout(
        template=TEMPLATE,
        title={
            "text": f"The model after task {after + 1}, {e.task_names[after]}: {e.run}",
            "subtitle": {
                "text": f"{_truth(e, image, after)} Colour of a bar: the task of the class."
            },
        },
        height=450,
        margin={"t": 95, "l": 15, "r": 60, "b": 125},
        coloraxis=color_axis(
            e, limit, orientation="h", x=0.43, xanchor="center", y=-0.12, yanchor="top", len=0.25
        ),
    )
    figure.layout.coloraxis.colorbar.title.side = "bottom"
    return figure


def _add_bars(figure: go.Figure, e: Explanations, image: int, after: int, **place: int) -> None:
    """Add a bar per class, the most probable at the top."""
    ids, p = top_classes(e, image, after, SHOWN)
    colors = task_colors(max(e.n_tasks, len(e.task_names)))
    labels = [class_label(e, int(c)) for c in ids]
    right = ids == e.targets[image]
    figure.add_bar(
        x=np.round(100 * p, 2),
        y=list(range(len(ids))),
        orientation="h",
        marker={
            "color": [colors[e.task_of(int(c))] for c in ids],
            "line": {"color": "#000000", "width": [3 if hit else 0 for hit in right]},
        },
        text=[f"{100 * value:.1f}" for value in p],
        textposition="outside",
        cliponaxis=False,
        customdata=labels,
        hovertemplate="<b>%{x:.1f} %</b> for %{customdata}<extra></extra>",
        showlegend=False,
        **place,
    )
    figure.update_xaxes(title_text="probability (%)", range=[0, 105], **place)
    figure.update_yaxes(
        tickvals=list(range(len(ids))),
        ticktext=[f"<b>{t} ✓</b>" if hit else t for t, hit in zip(labels, right, strict=True)],
        range=[SHOWN - 0.5, -0.5],
        showgrid=False,
        ticks="",
        **place,
    )


def _truth(e: Explanations, image: int, after: int) -> str:
    target = int(e.targets[image])
    p, n = e.target_probability[after, image], len(e.classes[after])
    label = class_label(e, target)
    if np.isnan(p):
        return f"It is {label}, which is not learned yet; {n} classes are."
    return f"It is {label}, to which the model gives {100 * p:.1f} %, among {n} classes seen."
