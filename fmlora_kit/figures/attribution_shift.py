"""What pictures are taken for and why, moment by moment, and how far the explanations moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from fmlora_kit import checks
from fmlora_kit.analysis.attribution import (
    ATTRIBUTION_METHODS,
    Explanations,
    attribution_movement,
    movement_between_images,
    top_classes,
)
from fmlora_kit.analysis.intervals import mean_ci95
from fmlora_kit.figures import attribution, style
from fmlora_kit.figures.curves import add_band
from fmlora_kit.figures.entry import draws
from fmlora_kit.figures.labels import task_words

_HOVER = "<b>%{{y:.2f}}</b>, {}<br>after learning %{{customdata}}<extra></extra>"
_SINCE = {
    "learned": "against the map when its class was just learned",
    "previous": "against the map one task before",
}


@draws(Explanations, forms=(Mapping,))
def explanation_movement(
    explanations: Explanations | Mapping[str, Explanations], *, since: str = "learned"
) -> go.Figure:
    """1 - rank correlation between each image's map now and an earlier one, after each task.

    One record: a line per image, in the colour of the task of its class. Several by label, each by
    one method: the mean over the images that had been learned before, with a 95% band over images.
    Dotted: how far maps of two different images are apart, on average. `since` is "learned" or
    "previous": see `analysis.attribution_movement`.
    """
    several = isinstance(explanations, Mapping)
    table = dict(explanations) if several else {explanations.run: explanations}
    if not table:
        raise checks.fail("explanations", "at least one record's", table)
    first = next(iter(table.values()))
    if any(e.task_names != first.task_names for e in table.values()):
        names = [e.task_names for e in table.values()]
        raise checks.fail("explanations", "of the same tasks to be compared", names)
    methods = " / ".join(dict.fromkeys(ATTRIBUTION_METHODS[e.method] for e in table.values()))
    moved = {label: attribution_movement(e, since=since) for label, e in table.items()}
    figure = style.new_figure(
        f"How far explanations moved ({methods})" + ("" if several else f": {first.run}"),
        f"1 − rank correlation of a picture's map {_SINCE[since]}."
        "<br>0: the same pixels matter. Dotted: what maps of two different pictures come to.",
        height=470,
        margin={"t": 105},
    )
    if several:
        _add_means(figure, table, moved)
    else:
        _add_images(figure, first, moved[first.run])
    _set_axes(figure, first)
    return figure


def _add_images(figure: go.Figure, e: Explanations, moved: np.ndarray) -> None:
    """Add a line per image; images of one task share its colour and differ in dash and marker."""
    colors, used = style.task_colors(max(e.n_tasks, len(e.task_names))), {}
    for i, target in enumerate(e.targets.tolist()):
        task = e.task_of(target)
        k = used[task] = used.get(task, -1) + 1
        look = (style.DASHES[k % len(style.DASHES)], style.SYMBOLS[k % len(style.SYMBOLS)])
        line_style = style.LineStyle(colors[task], *look)
        _add_line(figure, e, moved[:, i], attribution.class_label(e, target), line_style, 2, 8)
    _add_reference(figure, movement_between_images(e))


def _add_line(figure, e, moved: np.ndarray, label: str, look: style.LineStyle, width, size) -> None:
    figure.add_scatter(
        x=np.arange(len(moved)),
        y=np.round(moved, 4),
        mode="lines+markers",
        line={"color": look.color, "dash": look.dash, "width": width},
        marker={"symbol": look.symbol, "size": size},
        name=label,
        customdata=list(e.task_names),
        hovertemplate=_HOVER.format(label),
    )


def _add_means(figure, table: Mapping[str, Explanations], moved: Mapping[str, np.ndarray]) -> None:
    """Add, per label, the mean over images learned earlier and its 95% band."""
    for label, line_style in style.method_styles(table).items():
        e = table[label]
        mean, half = np.full((2, len(e.task_names)), np.nan)
        for t in range(len(mean)):
            known = moved[label][t, e.learned < t]
            known = known[np.isfinite(known)]
            if known.size:
                interval = mean_ci95(known)
                mean[t], half[t] = interval.mean, interval.ci95
        x = np.arange(len(mean))
        wide = np.isfinite(half)
        band = (x[wide], *np.round([mean - half, mean + half], 4)[:, wide], line_style.color)
        add_band(figure, *band, name=f"{label}, 95% interval", showlegend=False)
        _add_line(figure, e, mean, label, line_style, 2.5, 9)
    _add_reference(figure, float(np.mean([movement_between_images(e) for e in table.values()])))


def _add_reference(figure: go.Figure, value: float) -> None:
    if np.isfinite(value):
        figure.add_scatter(
            x=[-0.2, figure.data[-1].x[-1] + 0.2],
            y=np.round([value, value], 4),
            mode="lines",
            line={"color": style.INK, "dash": "dot", "width": 1.5},
            name="two different pictures",
            hovertemplate="<b>%{y:.2f}</b>, two different pictures<extra></extra>",
        )


def _set_axes(figure: go.Figure, e: Explanations) -> None:
    """Name the axes; zero is always in sight, and so are all lines."""
    drawn = np.concatenate([np.zeros(1), *(np.asarray(trace.y, float) for trace in figure.data)])
    low, high = np.nanmin(drawn), np.nanmax(drawn)
    room = 0.05 * (high - low) or 0.1
    figure.update_xaxes(style.name_axis(e.task_names, "after learning task"))
    figure.update_xaxes(range=[-0.2, len(e.task_names) - 0.8])
    limits = [low - room, high + room]
    figure.update_yaxes(title_text="movement (0 none, 1 unrelated)", range=limits)


SHOWN = 8  # most classes with a bar


def class_probabilities(
    explanations: Explanations, image: int = 0, after: int | None = None
) -> go.Figure:
    """Probability in % of the most probable classes, over all seen by then; the true one framed.

    Arguments as of `explanation_at`.
    """
    e, after = explanations, explanations.check(image, after)
    figure = style.new_figure(
        f"What the picture is taken for, after {task_words(after, e.task_names[after])}: {e.run}",
        f"{_truth(e, image, after)} Colour: the task of the class; black frame: the true class.",
        height=400,
    )
    _add_bars(figure, e, image, after)
    return figure


@draws(Explanations)
def explanation_at(
    explanations: Explanations, image: int = 0, after: int | None = None
) -> go.Figure:
    """The picture, its map, and the class probabilities, by the model of one moment.

    The colours of the map have the same scale at every moment of an image.

    Of one record, by one method; `after` is the task, from 0, after which the model is looked at;
    default: the last.
    """
    e, after = explanations, explanations.check(image, after)
    limit = attribution.limit_of(e.maps[:, image])
    bar = {"orientation": "h", "x": 0.43, "xanchor": "center", "y": -0.12, "yanchor": "top"}
    figure = style.grid(
        f"The model after {task_words(after, e.task_names[after])}: {e.run}",
        f"{_truth(e, image, after)} Colour of a bar: the task of the class.",
        cols=3,
        spacing=(0.02, None),
        widths=[0.28, 0.28, 0.44],
        height=450,
        margin={"t": 95, "l": 15, "r": 60, "b": 125},
        coloraxis=attribution.color_axis(e, limit, **bar, len=0.25),
    )
    attribution.add_picture(figure, e.images[image], 1, 1)
    attribution.add_explained(figure, e.images[image], e.maps[after, image], limit, 1, 2)
    target = attribution.class_label(e, int(e.targets[image]))
    attribution.add_caption(figure, (1, 1), "<b>the picture</b>", target)
    known = np.isfinite(e.maps[after, image]).any()
    words = "of the score of the true class" if known else "the true class is not learned yet"
    attribution.add_caption(figure, (1, 2), f"<b>{ATTRIBUTION_METHODS[e.method]}</b>", words)
    _add_bars(figure, e, image, after, row=1, col=3)
    figure.update_xaxes(domain=[0.7, 1], row=1, col=3)
    figure.layout.coloraxis.colorbar.title.side = "bottom"
    return figure


def _add_bars(figure: go.Figure, e: Explanations, image: int, after: int, **where: int) -> None:
    """Add a bar per class, the most probable at the top; the true class is framed."""
    ids, p = top_classes(e, image, after, SHOWN)
    colors = style.task_colors(max(e.n_tasks, len(e.task_names)))
    labels = [attribution.class_label(e, int(c)) for c in ids]
    right = ids == e.targets[image]
    frame = {"color": "#000000", "width": [3 if hit else 0 for hit in right]}
    marker = {"color": [colors[e.task_of(int(c))] for c in ids], "line": frame}
    names = [f"<b>{t} ✓</b>" if hit else t for t, hit in zip(labels, right, strict=True)]
    _add_percent_bars(figure, 100 * p, labels, names, marker, SHOWN, **where)
    figure.update_xaxes(title_text="probability (%)", **where)


def _add_percent_bars(figure, percent: np.ndarray, labels, names, marker: dict, room: int, **where):
    """Add horizontal bars with their numbers from the top down, with room for so many of them."""
    figure.add_bar(
        x=np.round(percent, 2),
        y=list(range(len(percent))),
        orientation="h",
        marker=marker,
        text=[f"{value:.1f}" for value in percent],
        textposition="outside",
        cliponaxis=False,
        customdata=labels,
        hovertemplate="<b>%{x:.1f} %</b> for %{customdata}<extra></extra>",
        showlegend=False,
        **where,
    )
    figure.update_xaxes(range=[0, 105], **where)
    ticks = style.name_ticks(names, range=[room - 0.5, -0.5], ticks="")
    figure.update_yaxes(ticks, **where)


def _truth(e: Explanations, image: int, after: int) -> str:
    target = int(e.targets[image])
    p, n = e.target_probability[after, image], len(e.classes[after])
    label = attribution.class_label(e, target)
    if np.isnan(p):
        return f"It is {label}, which is not learned yet; {n} classes are."
    return f"It is {label}, to which the model gives {100 * p:.1f} %, among {n} classes seen."


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
    """
    from scipy.special import softmax

    n = len(images)
    if np.shape(logits) != (n, len(class_names)) or not n:
        rule = f"(images, classes), ({n}, {len(class_names)}) and not empty"
        raise checks.fail("logits", rule, np.shape(logits))
    if len(labels) != n:
        raise checks.fail("labels", f"one per image ({n})", len(labels))
    k = min(checks.integer("shown", shown, 1), len(class_names))
    figure = style.grid(
        "What each photo is taken for",
        f"The {k} highest scores among {len(class_names)} classes seen",
        rows=n,
        cols=2,
        spacing=(0.12, 0.25 / n),
        widths=[0.25, 0.75],
        height=130 + _PANEL * n,
        margin={"t": 75, "r": 50},
    )
    for row, (image, scores) in enumerate(zip(images, logits, strict=True), start=1):
        attribution.add_picture(figure, image, row, 1)
        best = np.argsort(-scores, kind="stable")[:k]
        percent = 100 * softmax(np.asarray(scores, dtype=float))[best]
        names = [class_names[c] for c in best]
        cut = [style.short(name, 28) for name in names]
        marker = {"color": style.PALETTE[0]}
        _add_percent_bars(figure, percent, names, cut, marker, k, row=row, col=2)
        figure.update_xaxes(title={"text": style.short(labels[row - 1], 24)}, row=row, col=1)
    figure.update_xaxes(title_text="share of the softmax (%)", row=n, col=2)
    return figure
