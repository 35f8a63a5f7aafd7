"""Final accuracy against what is stored: a point per method, an arrow for how it grew."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import plotly.graph_objects as go

from fmlora_kit.analysis.comparison import Comparison, compare_records
from fmlora_kit.analysis.formats import parameters, percent
from fmlora_kit.analysis.names import BOUND, OURS, display_name
from fmlora_kit.analysis.storage import KINDS, SAMPLES, MethodStorage, measure_storage
from fmlora_kit.figures.entry import draws
from fmlora_kit.figures.labels import place_beside
from fmlora_kit.figures.storage import KIND_STYLES, OURS_STYLE, style_of
from fmlora_kit.figures.style import INK, new_figure, short
from fmlora_kit.record import Record

_WIDTH, _HEIGHT = 790, 440  # pixels that the axes span on a page of 900
_NEAR = 17  # pixels above or below its point at which a label is still seen to belong to it


@draws(Record, alone=False, forms=(list,))
def accuracy_by_size(records: Iterable[Record]) -> go.Figure:
    """Numbers stored after the last task, beyond the smallest model, against final accuracy.

    An arrow comes from the size after the first task. Colour and shape say what is stored; joint
    training, which keeps all images, is a dashed line: a bound. Up and to the left is better.

    Takes finished runs that compare, one per method and seed.
    """
    records = list(records)
    comparison, found = compare_records(records), measure_storage(records)
    learners = [one for one in found.values() if one.kind != SAMPLES]
    least = min(one.deployed.min() for one in found.values())
    ends = [[one.numbers[k] - least for k in (0, -1)] for one in learners]
    some = [end for pair in ends for end in pair if end > 0]
    zero = 10 ** (math.floor(math.log10(min(some, default=10))) - 0.5)
    spans = [[max(end, zero) for end in pair] for pair in ends]
    heights = [100 * comparison.row(one.method).final_accuracy.mean for one in learners]
    figure = new_figure(
        f"Final accuracy against what is stored: {comparison.stream}",
        "Arrow: growth from the first task to the last. Up and to the left is better. Log scale.",
        height=_HEIGHT + 150,
        margin={"t": 75, "b": 75, "l": 65, "r": 45},
        legend={"orientation": "h", "y": -0.19, "x": 0.5, "xanchor": "center"},
    )
    axes = _axes(spans, heights, comparison, zero)
    for one, (first, last), height in zip(learners, spans, heights, strict=True):
        if math.log10(last / first) > 0.02:
            figure.add_annotation(
                **{"x": math.log10(last), "ax": math.log10(first), "y": height, "ay": height},
                **{"xref": "x", "axref": "x", "yref": "y", "ayref": "y"},
                **{"text": "", "arrowhead": 2, "arrowsize": 1.2, "arrowwidth": 1.5},
                **{"arrowcolor": style_of(one).color, "standoff": 6, "opacity": 0.6},
            )
    _add_points(figure, learners, spans, heights, comparison)
    _add_names(figure, learners, spans, heights, axes)
    for row in comparison.rows:
        if row.method == BOUND:
            figure.add_hline(
                y=100 * row.final_accuracy.mean,
                line={"color": INK, "dash": "dash", "width": 1.5},
                annotation={"text": f"{display_name(BOUND)}, a bound: keeps all images"},
                annotation_position="top right",
                annotation_font_size=11,
            )
    title = "numbers stored besides backbone and head"
    figure.update_xaxes(type="log", title_text=title, **axes[0])
    figure.update_yaxes(title_text="final accuracy (%)", **axes[1])
    return figure


def _axes(
    spans: Sequence[Sequence[float]], heights: Sequence[float], comparison: Comparison, zero: float
) -> tuple[dict, dict]:
    low, high = (math.log10(end(x for span in spans for x in span)) for end in (min, max))
    tens = range(math.ceil(math.log10(zero)), math.floor(high) + 1)
    names = [{3: "{:g}k", 6: "{:g}M"}.get(n // 3 * 3, "{:g}").format(10 ** (n % 3)) for n in tens]
    ticks = [10.0**n for n in tens]
    if low <= math.log10(zero) + 1e-9:
        ticks, names = [zero, *ticks], ["0", *names]
    accuracies = [*heights, *(100 * r.final_accuracy.mean for r in comparison.rows)]
    pad = 0.06 * (max(accuracies) - min(accuracies)) or 1
    return (
        {"range": [low - 0.25, high + 0.4], "tickvals": ticks, "ticktext": names},
        {"range": [min(accuracies) - pad, max(accuracies) + pad]},
    )


def _add_points(figure, learners: Sequence[MethodStorage], spans, heights, comparison) -> None:
    groups = {display_name(OURS): [k for k, one in enumerate(learners) if one.method == OURS]}
    for kind in KINDS:
        others = [k for k, one in enumerate(learners) if one.kind == kind and one.method != OURS]
        groups[f"stores {kind}"] = others
    hover = []
    for one in learners:
        row = comparison.row(one.method)
        accuracy, numbers = percent(row.final_accuracy), parameters(*row.parameters)
        text = f"<b>{display_name(one.method)}</b>: {accuracy} %<br>{numbers} numbers, "
        hover.append(f"{text}backbone and head among them")
    styles = [OURS_STYLE, *KIND_STYLES.values()]
    for (name, some), style in zip(groups.items(), styles, strict=True):
        if some:
            size, edge = 13 if style is OURS_STYLE else 10, {"color": "white", "width": 1}
            figure.add_scatter(
                x=[spans[k][1] for k in some],
                y=[heights[k] for k in some],
                mode="markers",
                marker={"color": style.color, "symbol": style.symbol, "size": size, "line": edge},
                name=name,
                customdata=[hover[k] for k in some],
                hovertemplate="%{customdata}<extra></extra>",
            )


def _add_names(figure, learners: Sequence[MethodStorage], spans, heights, axes) -> None:
    """Write each name beside its point."""
    points = [
        (_pixels(math.log10(last), axes[0], _WIDTH), _pixels(height, axes[1], _HEIGHT))
        for (_, last), height in zip(spans, heights, strict=True)
    ]
    starts = [_pixels(math.log10(first), axes[0], _WIDTH) for first, _ in spans]
    arrows = [(start, y - 2, x, y + 2) for start, (x, y) in zip(starts, points, strict=True)]
    names = [short(display_name(one.method), 20) for one in learners]
    sides = place_beside(points, names, arrows, _WIDTH)
    for k, (one, name, (dx, dy)) in enumerate(zip(learners, names, sides, strict=True)):
        figure.add_annotation(
            x=math.log10(spans[k][1]),
            y=heights[k],
            xanchor=("center", "left", "right")[dx],
            yanchor="middle",
            **_label_offset(10 * dx, dy, style_of(one).color),
            text=f"<b>{name}</b>" if one.method == OURS else name,
            font={"size": 11},
        )


def _label_offset(right: int, up: int, color: str) -> dict:
    """Where a name stands from its point, in pixels; one further away has a thin line to it."""
    if abs(up) <= _NEAR:
        return {"xshift": right, "yshift": up, "showarrow": False}
    line = {"arrowhead": 0, "arrowwidth": 0.8, "arrowcolor": color, "standoff": 6}
    return {"ax": right, "ay": -up, "showarrow": True, **line}


def _pixels(value: float, axis: dict, length: float) -> float:
    low, high = axis["range"]
    return length * (value - low) / (high - low)
