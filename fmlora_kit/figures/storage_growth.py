"""What methods keep against the number of tasks: a panel per kind of store, lines with names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fmlora_kit.analysis.comparable import is_joined
from fmlora_kit.analysis.names import OURS, display_name
from fmlora_kit.analysis.render import size
from fmlora_kit.analysis.stored import MODULES, NOTHING, SAMPLES, STATISTICS, Stored, stored
from fmlora_kit.analysis.summary import count
from fmlora_kit.figures.curves import task_axis
from fmlora_kit.figures.kinds import apart, style_of
from fmlora_kit.figures.template import TEMPLATE, short
from fmlora_kit.record import Record

MEASURES = ("numbers", "bytes")
_PANELS = {
    NOTHING: "one model, nothing else",
    STATISTICS: "one model and statistics",
    MODULES: "modules per task",
}
_HEIGHT, _TOP, _BOTTOM = 520, 105, 60  # pixels
_LABEL = 15  # pixels from one name to the next
_GAP = 0.167  # share of the width between panels: room for names
_SIZES = {1e3: "k", 1e6: "M", 1e9: "G"}


def storage_growth(records: Iterable[Record], *, measure: str = "numbers") -> go.Figure:
    """Lines over the tasks, each with its name, in a panel per kind of store; one log scale.

    "numbers": what the model needs to run and to go on (deployed and training state) beyond the
    smallest model of the comparison, which is backbone and head; 0 has a place of its own at the
    bottom. "bytes": the record's array files so far. The samples of joint training, a bound, stand
    in every panel.

    Args:
        records: finished runs that compare, one per method and seed.
        measure: one of MEASURES.

    Raises:
        ValueError: `measure` is unknown, or the records do not compare.
    """
    if measure not in MEASURES:
        raise ValueError(f"measure must be one of {MEASURES}; got {measure!r}")
    records = list(records)
    kept = list(stored(records).values())
    values = _measured(kept, measure)
    panels = [kind for kind in _PANELS if any(one.kind == kind for one in kept)]
    figure = make_subplots(
        cols=len(panels),
        shared_yaxes=True,
        subplot_titles=[_PANELS[kind] for kind in panels],
        horizontal_spacing=_GAP,
    )
    axis = _log_axis(values, measure)
    for col, kind in enumerate(panels, start=1):
        lines = [k for k, one in enumerate(kept) if one.kind in (kind, SAMPLES)]
        _panel(figure, kept, values, lines, axis, col)
    _finish(figure, records, axis, measure, len(values[0]))
    return figure


def _measured(kept: Sequence[Stored], measure: str) -> list[np.ndarray]:
    if measure == "bytes":
        return [one.on_disk.cumsum() for one in kept]
    least = min(one.deployed.min() for one in kept)
    return [one.numbers - least for one in kept]


def _log_axis(values: Sequence[np.ndarray], measure: str) -> dict:
    """Powers of ten, and the place of 0 below the smallest of them that is needed."""
    every = np.concatenate(values)
    low = math.floor(math.log10(every[every > 0].min())) if (every > 0).any() else 0
    high = math.log10(max(every.max(), 10 ** (low + 1)))
    tens = range(low, math.floor(high) + 1)
    say = _bytes if measure == "bytes" else _numbers
    ticks = {float(n): say(10.0**n) for n in tens}
    has_zero = (every == 0).any()
    zero = low - 0.45
    if has_zero:
        ticks = {zero: "0"} | ticks
    span = [(zero if has_zero else low) - 0.12, high + 0.12]
    return {"zero": zero, "ticks": ticks, "range": span}


def _numbers(value: float) -> str:
    unit = max((u for u in _SIZES if u <= value), default=None)
    return f"{value / unit:.0f}{_SIZES[unit]}" if unit else f"{value:.0f}"


def _bytes(value: float) -> str:
    return size(value).replace(".0 ", " ")


def _panel(
    figure: go.Figure,
    kept: Sequence[Stored],
    values: Sequence[np.ndarray],
    lines: Sequence[int],
    axis: dict,
    col: int,
) -> None:
    heights = [_on_axis(values[k], axis) for k in lines]
    step = _LABEL * (axis["range"][1] - axis["range"][0]) / (_HEIGHT - _TOP - _BOTTOM)
    labels = apart([places[-1] for places in heights], step, low=axis["range"][0] + step / 2)
    for k, places, label in zip(lines, heights, labels, strict=True):
        one, style = kept[k], style_of(kept[k])
        figure.add_scatter(
            x=np.arange(1, len(places) + 1),
            y=places,
            mode="lines",
            line={
                "color": style.color,
                "dash": style.dash,
                "width": 3.5 if one.method == OURS else 2,
            },
            customdata=[_said(one, t) for t in range(len(places))],
            hovertemplate="%{customdata}<extra></extra>",
            name=display_name(one.method),
            showlegend=False,
            row=1,
            col=col,
        )
        name = short(display_name(one.method), 19)
        figure.add_annotation(
            text=f"<b>{name}</b>" if one.method == OURS else name,
            x=1.02,
            xref=f"x{col if col > 1 else ''} domain",
            xanchor="left",
            y=label,
            yref=f"y{col if col > 1 else ''}",
            showarrow=False,
            font={"size": 11, "color": style.color},
        )


def _on_axis(values: np.ndarray, axis: dict) -> np.ndarray:
    return np.log10(values, out=np.full(len(values), axis["zero"]), where=values > 0)


def _said(one: Stored, t: int) -> str:
    return (
        f"<b>{display_name(one.method)}</b>, after task {t + 1}"
        f"<br>to run: {count(one.deployed[t])}, to go on: {count(one.training_state[t])} numbers"
        f"<br>record so far: {size(one.on_disk[: t + 1].sum())}"
    )


def _finish(
    figure: go.Figure, records: Sequence[Record], axis: dict, measure: str, n_tasks: int
) -> None:
    stream = next(record.stream for record in records if not is_joined(record))
    title, subtitle, unit = {
        "numbers": (
            "Numbers stored as tasks are learned",
            "Deployed and training state, beyond the smallest model: backbone and head. Log scale.",
            "numbers stored besides backbone and head",
        ),
        "bytes": (
            "Record on disk as tasks are learned",
            "Array files of all tasks so far; every earlier model is rebuilt from them. Log scale.",
            "bytes on disk",
        ),
    }[measure]
    figure.update_layout(
        template=TEMPLATE,
        title={"text": f"{title}: {stream}, {n_tasks} tasks", "subtitle": {"text": subtitle}},
        height=_HEIGHT,
        margin={"t": _TOP, "b": _BOTTOM, "l": 70, "r": 145},
    )
    for note in figure.layout.annotations:
        if note.text in _PANELS.values():
            note.font.size = 13.5
    figure.update_xaxes({**task_axis(n_tasks, panels=3), "dtick": 1 if n_tasks <= 6 else 5})
    ticks = axis["ticks"]
    figure.update_yaxes(range=axis["range"], tickvals=list(ticks), ticktext=list(ticks.values()))
    figure.update_yaxes(title_text=unit, col=1)
