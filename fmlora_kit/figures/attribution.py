"""Where a model looks: pictures in grey with their attribution maps over them, pixel by pixel."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from fmlora_kit import checks
from fmlora_kit.analysis.attribution import ATTRIBUTION_METHODS, Explanations
from fmlora_kit.figures.entry import draws
from fmlora_kit.figures.labels import task_label, task_words
from fmlora_kit.figures.style import cell, grid, short

_PER_ROW = 7
_WRONG, _RIGHT = "#a33c00", "#006b4f"  # vermillion and green of the palette, dark enough for text


@draws(Explanations, forms=(Mapping,))
def attribution_over_time(
    explanations: Explanations | Mapping[str, Explanations], image: int = 0
) -> go.Figure:
    """One image and its map by the model as it was after each task, all in the same colours.

    Above each map: the task learned last. Beneath: the probability of the true class, over all
    classes seen by then, and what the model takes the picture for. Several records by label: a row
    each, with a scale of its own, because scores of different heads have different sizes.

    Of one record, or of several by label, by one method and of the same images.
    """
    several = isinstance(explanations, Mapping)
    table = dict(explanations) if several else {explanations.run.split(" on ")[0]: explanations}
    first = _same_question(table)
    n = first.check(image) + 2
    name = class_label(first, int(first.targets[image]))
    extent = "per row" if several else "for all panels"
    reading = "Vermillion: what the score of the class rests on."
    if first.signed:
        reading = "Vermillion pixels speak for the class, blue ones against it."
    elif first.method == "attention_rollout":
        reading = "Vermillion: where attention comes from, whatever the class."
    figure, cells = _picture_grid(
        f"Where {' and '.join(table)} look{'' if several else 's'} for {name}, after each task",
        f"{reading} One scale {extent}.",
        n * len(table),
        per_row=n if several else _PER_ROW,
    )
    limits = [limit_of(e.maps[:, image]) for e in table.values()]
    for k, (label, e) in enumerate(table.items()):
        start, *row = cells[k * n : (k + 1) * n]
        name = class_label(e, int(e.targets[image])).replace(", ", "<br>", 1)
        add_picture(figure, e.images[image], *start)
        add_caption(
            figure, start, f"<b>{_two_lines(label) if several else 'the picture'}</b>", name
        )
        for t, panel in enumerate(row):
            add_explained(figure, e.images[image], e.maps[t, image], limits[k], *panel)
            learned = f"after<br><b>{task_label(e.task_names[t], 16)}</b>"
            add_caption(figure, panel, learned, verdict(e, image, t))
    figure.update_layout(coloraxis=color_axis(first, None if several else limits[0]))
    return figure


def _two_lines(label: str) -> str:
    """A label that is wider than a picture, in two lines, as there are above the maps beside it."""
    if len(label) <= 8:
        return label
    lines = textwrap.wrap(label, max(11, -(-len(label) // 2)))
    return "<br>".join([lines[0], short(" ".join(lines[1:]), 14)] if lines[1:] else lines)


@draws(Explanations, forms=(Mapping, list))
def attribution_methods(
    explanations: Mapping[str, Explanations] | list[Explanations],
    image: int = 0,
    after: int | None = None,
) -> go.Figure:
    """One image at one moment, explained by several methods side by side.

    Each map has a scale of its own: the methods measure different things.

    Of the same record and images, one per method; `after` is the task, from 0, after which the
    model is looked at; default: the last.
    """
    listed = same_images(explanations)
    first = listed[0]
    after = first.check(image, after)
    signed = [e for e in listed if e.signed]
    reading = (
        "Integrated gradients: vermillion speaks for the class, blue against it; the others have "
        "no sign."
        if signed
        else "Darker: matters more."
    )
    figure, cells = _picture_grid(
        f"One picture, several answers: {first.run}, after "
        f"{task_words(after, first.task_names[after])}",
        f"{reading} Each map has a scale of its own.",
        len(listed) + 1,
        per_row=5,
    )
    name = class_label(first, int(first.targets[image]))
    add_picture(figure, first.images[image], *cells[0])
    add_caption(figure, cells[0], "<b>the picture</b>", f"{name}<br>{verdict(first, image, after)}")
    for e, panel in zip(listed, cells[1:], strict=True):
        map_ = e.maps[after, image]
        add_explained(figure, e.images[image], map_, limit_of(map_), *panel)
        add_caption(figure, panel, f"<b>{ATTRIBUTION_METHODS[e.method]}</b>", _MEANING[e.method])
    figure.update_layout(coloraxis=color_axis((signed or listed)[0], None))
    return figure


_MEANING = {
    "integrated_gradients": "what each pixel adds<br>to the score (signed)",
    "saliency": "how much a pixel's<br>change would matter",
    "grad_cam": "patches whose features<br>raise the score",
    "attention_rollout": "where attention flows<br>from, for any class",
}


def same_images(
    explanations: Explanations | Mapping[str, Explanations] | list[Explanations],
) -> list[Explanations]:
    """The explanations as a list; ValueError unless all are of one run, its images and moments."""
    if isinstance(explanations, Explanations):
        explanations = [explanations]
    given = explanations.values() if isinstance(explanations, Mapping) else explanations
    listed = list(checks.listed("explanations", given))
    for each in listed:
        checks.instance("explanations", each, Explanations, "a list of Explanations")
    if not listed:
        raise checks.fail("explanations", "at least one method's", listed)
    for e in listed[1:]:
        if e.run != listed[0].run or not _same_pictures(e, listed[0]):
            rule = "of the same run, images and targets"
            raise checks.fail("explanations", rule, [each.run for each in listed])
    return listed


def _same_question(table: Mapping[str, Explanations]) -> Explanations:
    """The first of several runs' explanations, if all are of the same images by one method."""
    if not table:
        raise checks.fail("explanations", "at least one record's", table)
    first = next(iter(table.values()))
    for label, e in table.items():
        if e.method != first.method or not _same_pictures(e, first):
            rule = "of the method, tasks and images of the others"
            raise checks.fail(
                f"explanations[{checks.shown(label, 40)}]", rule, f"{e.method} of {e.run}"
            )
    return first


def _same_pictures(e: Explanations, other: Explanations) -> bool:
    """Whether both explain the same images over the same classes."""
    return (
        e.classes == other.classes
        and np.array_equal(e.images, other.images)
        and np.array_equal(e.targets, other.targets)
    )


def _picture_grid(title: str, subtitle: str, n: int, per_row: int) -> tuple[go.Figure, list]:
    """A figure with room for ``n`` square panels with captions, and their (row, col)."""
    cols = min(n, per_row)
    rows = -(-n // cols)
    # Pixels: on the widest page a picture is as high as its row, and captions have the gap alone.
    side, gap, top, bottom = 840 / cols, 95, 100, 65
    inside = rows * side + (rows - 1) * gap
    figure = grid(
        title,
        subtitle,
        rows=rows,
        cols=cols,
        spacing=(0.012, gap / inside if rows > 1 else 0),
        height=round(top + inside + bottom),
        margin={"l": 15, "t": top, "b": bottom, "r": 20},
    )
    for k in range(n, rows * cols):
        figure.update_xaxes(visible=False, **cell(k, cols))
        figure.update_yaxes(visible=False, **cell(k, cols))
    return figure, [tuple(cell(k, cols).values()) for k in range(n)]


def add_caption(figure: go.Figure, panel: tuple[int, int], above: str, beneath: str) -> None:
    """Add text above and beneath a panel; it stays with the panel whatever its size."""
    subplot = figure.get_subplot(*panel)
    x, y = (axis.plotly_name.replace("axis", "") for axis in (subplot.xaxis, subplot.yaxis))
    for text, height, anchor in ((above, 1, "bottom"), (beneath, 0, "top")):
        figure.add_annotation(
            text=text,
            xref=f"{x} domain",
            yref=f"{y} domain",
            x=0.5,
            y=height,
            yanchor=anchor,
            showarrow=False,
            font={"size": 12},
        )


def class_label(explanations: Explanations, class_id: int) -> str:
    """The class and its task, e.g. "A, Latin": letters of two tasks can look alike."""
    name = explanations.class_names.get(class_id, str(class_id))
    return f"{name}, {explanations.task_names[explanations.task_of(class_id)]}"


def verdict(explanations: Explanations, image: int, after: int) -> str:
    """Probability of the true class; beneath it the prediction, and the prediction's task."""
    e = explanations
    target, guess = int(e.targets[image]), int(e.predictions[after, image])
    p = e.target_probability[after, image]
    own = short(e.class_names.get(target, str(target)), 8)
    first = "not learned yet" if np.isnan(p) else f"P({own}) = {100 * p:.0f} %"
    color, mark = (_RIGHT, "✓") if guess == target else (_WRONG, "✗")
    letter, task = class_label(e, guess).split(", ", 1)
    says = (
        f"<span style='color:{color}'>{mark} says <b>{letter}</b><br>{task_label(task, 16)}</span>"
    )
    return f"{first}<br>{says}"


# Blue and vermillion of Okabe and Ito, told apart with any colour vision; zero is see-through.
_BLUES = ("rgba(0,70,130,1)", "rgba(0,114,178,0.75)", "rgba(0,114,178,0)")
_REDS = ("rgba(213,94,0,0)", "rgba(213,94,0,0.75)", "rgba(150,50,0,1)")
SIGNED_SCALE = tuple(zip((0.0, 0.25, 0.5, 0.5, 0.75, 1.0), _BLUES + _REDS, strict=True))
POSITIVE_SCALE = tuple(zip((0.0, 0.5, 1.0), _REDS, strict=True))
UNITS = {
    "integrated_gradients": "logits per pixel",
    "saliency": "logits per unit of pixel",
    "grad_cam": "Grad-CAM",
    "attention_rollout": "share of attention",
}
_FADE = 0.35  # how much of a picture's contrast is left under a map
_HIDDEN = {"showticklabels": False, "showgrid": False, "showline": False, "ticks": ""}


def add_picture(figure: go.Figure, picture: np.ndarray, row: int, col: int) -> None:
    """Add a picture as it is: uint8 (H, W, 3), crisp pixels, no axes."""
    figure.add_trace(go.Image(z=picture, hoverinfo="skip"), row=row, col=col)
    figure.update_xaxes(**_HIDDEN, constrain="domain", row=row, col=col)
    figure.update_yaxes(**_HIDDEN, constrain="domain", row=row, col=col)


def add_explained(
    figure: go.Figure, picture: np.ndarray, map_: np.ndarray, limit: float, row: int, col: int
) -> None:
    """Add a picture, uint8 (H, W, 3), in pale grey and its map (H, W) over it, unless that is NaN.

    The colours end at ``limit``, of both signs where the map has both.
    """
    add_picture(figure, faded_grey(picture), row, col)
    if not np.isfinite(map_).any():
        return
    figure.add_heatmap(
        z=np.float32(np.round(map_ / limit, 3)),
        coloraxis="coloraxis",
        hovertemplate="%{z:.2f} of the scale's end<extra></extra>",
        row=row,
        col=col,
    )


def faded_grey(picture: np.ndarray) -> np.ndarray:
    """A picture in grey with little contrast, on the pale side: uint8 (H, W, 3)."""
    grey = picture.mean(axis=2, keepdims=True)
    return np.repeat((255 - _FADE * (255 - grey)).astype(np.uint8), 3, axis=2)


def limit_of(maps: np.ndarray) -> float:
    """Where the colours end: 99.5% of the pixels are within; 1 if all of them are zero."""
    known = np.abs(maps[np.isfinite(maps)])
    limit = float(np.quantile(known, 0.995)) if known.size else 0.0
    return limit or float(known.max(initial=0.0)) or 1.0


def color_axis(explanations: Explanations, limit: float | None, **bar: object) -> dict:
    """Settings of the colours of maps that were divided by ``limit``; None: each by its own.

    ``bar`` says where the colour bar stands.
    """
    signed = explanations.signed
    title = "own scale" if limit is None else UNITS[explanations.method]
    ticks = (-1, 0, 1) if signed else (0, 1)
    texts = ["against", "0", "for"] if signed else ["0", "most"]
    if limit is not None:
        ends = [f"<br>{tick * limit:{'+' if signed else ''}.2g}" if tick else "" for tick in ticks]
        texts = [text + end for text, end in zip(texts, ends, strict=True)]
    return {
        "colorscale": SIGNED_SCALE if signed else POSITIVE_SCALE,
        "cmin": -1 if signed else 0,
        "cmax": 1,
        "colorbar": {
            "title": {"text": title, "side": "right", "font": {"size": 12}},
            "tickfont": {"size": 11},
            "tickvals": ticks,
            "ticktext": texts,
            **{"thickness": 14, "outlinewidth": 1, "outlinecolor": "#888888", **bar},
        },
    }
