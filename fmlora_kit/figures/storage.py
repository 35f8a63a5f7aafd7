"""What methods keep: growth over the tasks, a table of sizes, and the numbers stored by each.

Where kinds of stores are compared, methods have the shape of theirs (`KIND_STYLES`), in grey, and
FM-LoRA its own style; elsewhere each its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import plotly.graph_objects as go

from fmlora_kit import checks
from fmlora_kit.analysis import storage
from fmlora_kit.analysis.comparison import is_joined
from fmlora_kit.analysis.formats import count, size
from fmlora_kit.analysis.names import BOUND, OURS, display_name
from fmlora_kit.figures import curves
from fmlora_kit.figures.entry import draws
from fmlora_kit.figures.labels import move_apart
from fmlora_kit.figures.style import (
    METHOD_STYLES,
    NEUTRAL,
    LineStyle,
    grid,
    method_styles,
    short,
)
from fmlora_kit.figures.table import Block, Table
from fmlora_kit.record import Record

MEASURES = ("numbers", "bytes")
_PANELS = {
    storage.NOTHING: "one model, nothing else",
    storage.STATISTICS: "one model and statistics",
    storage.MODULES: "modules per task",
}
_HEIGHT, _TOP, _BOTTOM = 520, 105, 60  # pixels
_LABEL = 15  # pixels from one name to the next
_GAP = 0.19  # share of the width between panels: room for names
_SIZES = {1e3: "k", 1e6: "M", 1e9: "G"}
_WORDS = {  # title, subtitle, and the name of the axis
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
}


@draws(Record, alone=False, forms=(list,))
def storage_growth(records: Iterable[Record], *, measure: str = "numbers") -> go.Figure:
    """Lines over the tasks, each with its name, in a panel per kind of store; one log scale.

    "numbers": what the model needs to run and to go on (deployed and training state) beyond the
    smallest model of the comparison, which is backbone and head; 0 stands at the bottom. "bytes":
    the record's array files so far. Joint training's samples, a bound, stand in every panel.
    """
    checks.choice("measure", measure, MEASURES)
    records = list(records)
    found = list(storage.measure_storage(records).values())
    least = min(one.deployed.min() for one in found)
    # What the lines show of each method: (tasks,) each.
    values = [one.numbers - least for one in found]
    if measure == "bytes":
        values = [one.on_disk.cumsum() for one in found]
    panels = [kind for kind in _PANELS if any(one.kind == kind for one in found)]
    stream = next(record.stream for record in records if not is_joined(record))
    n_tasks = len(values[0])
    title, subtitle, unit = _WORDS[measure]
    figure = grid(
        f"{title}: {stream}, {n_tasks} tasks",
        subtitle,
        cols=len(panels),
        panels=[_PANELS[kind] for kind in panels],
        panel_size=13.5,
        spacing=(_GAP, None),
        sharing="y",
        height=_HEIGHT,
        margin={"t": _TOP, "b": _BOTTOM, "l": 70, "r": 145},
    )
    axis = _log_axis(values, measure)
    for col, kind in enumerate(panels, start=1):
        lines = [k for k, one in enumerate(found) if one.kind in (kind, storage.SAMPLES)]
        _add_panel(figure, found, values, lines, axis, col)
    ticks = axis["ticks"]
    figure.update_xaxes({**curves.task_axis(n_tasks, panels=3), "dtick": 1 if n_tasks <= 6 else 5})
    figure.update_yaxes(range=axis["range"], tickvals=list(ticks), ticktext=list(ticks.values()))
    figure.update_yaxes(title_text=unit, col=1)
    return figure


def _log_axis(values: Sequence[np.ndarray], measure: str) -> dict:
    """Powers of ten, and 0 below the smallest of them that is needed."""
    every = np.concatenate(values)
    low = math.floor(math.log10(every[every > 0].min())) if (every > 0).any() else 0
    high = math.log10(max(every.max(), 10 ** (low + 1)))
    ticks = {float(n): _write_power(n, measure) for n in range(low, math.floor(high) + 1)}
    has_zero, zero = (every == 0).any(), low - 0.45
    if has_zero:
        ticks = {zero: "0"} | ticks
    span = [(zero if has_zero else low) - 0.12, high + 0.12]
    return {"zero": zero, "ticks": ticks, "range": span}


def _write_power(n: int, measure: str) -> str:
    """The n-th power of ten, as a tick of the axis says it."""
    value = 10.0**n
    if measure == "bytes":
        return size(value).replace(".0 ", " ")
    unit = max((u for u in _SIZES if u <= value), default=1)
    return f"{value / unit:.0f}{_SIZES.get(unit, '')}"


def _add_panel(figure, found, values: Sequence[np.ndarray], lines, axis: dict, col: int) -> None:
    heights = [
        np.log10(values[k], out=np.full(len(values[k]), axis["zero"]), where=values[k] > 0)
        for k in lines
    ]
    step = _LABEL * (axis["range"][1] - axis["range"][0]) / (_HEIGHT - _TOP - _BOTTOM)
    labels = move_apart([line[-1] for line in heights], step, low=axis["range"][0] + step / 2)
    for k, line, label in zip(lines, heights, labels, strict=True):
        one = found[k]
        style = method_styles([one.method])[one.method]
        width = 3.5 if one.method == OURS else 2
        figure.add_scatter(
            x=np.arange(1, len(line) + 1),
            y=line,
            mode="lines",
            line={"color": style.color, "dash": style.dash, "width": width},
            customdata=[_hover(one, t) for t in range(len(line))],
            hovertemplate="%{customdata}<extra></extra>",
            name=display_name(one.method),
            showlegend=False,
            row=1,
            col=col,
        )
        name = short(display_name(one.method), 19)
        name = f"<b>{name}</b>" if one.method == OURS else name
        number = col if col > 1 else ""
        figure.add_annotation(
            text=f"<span style='color:{style.color}'>■</span> {name}",
            **{"x": 1.02, "xref": f"x{number} domain", "xanchor": "left"},
            **{"y": label, "yref": f"y{number}", "showarrow": False},
            font={"size": 10.5},
        )


def _hover(one: storage.MethodStorage, t: int) -> str:
    """What a method keeps after a task, in words."""
    return (
        f"<b>{display_name(one.method)}</b>, after task {t + 1}"
        f"<br>to run: {count(one.deployed[t])}, to go on: {count(one.training_state[t])} numbers"
        f"<br>record so far: {size(one.on_disk[: t + 1].sum())}"
    )


_HEADS = (
    "method",
    "stores",
    "deployed,<br>after task 1",
    "growth<br>per task",
    "training state,<br>after task 1",
    "growth<br>per task",
    "record,<br>task 1",
    "record, each<br>later task",
)


@draws(Record, alone=False, forms=(list,))
def storage_table(records: Iterable[Record]) -> Table:
    """A row per method, by what is stored: numbers to run, numbers to go on, bytes of the record.

    Growth is the mean from one task to the next.

    Takes finished runs that compare, one per method and seed.
    """
    records = list(records)
    found = list(storage.measure_storage(records).values())
    whole = next(record for record in records if not is_joined(record))
    columns = list(zip(*map(_cells, found), strict=True))
    ours = [k for k, one in enumerate(found) if one.method == OURS]
    return Table(
        f"What is stored: {whole.stream}, {whole.n_tasks} tasks",
        "Numbers to run the model, further ones to go on, and what a record keeps on disk.",
        (Block(_HEADS, columns, words=(0, 1), marked=ours),),
    )


def _cells(one: storage.MethodStorage) -> list[str]:
    sizes = []
    for values in (one.deployed, one.training_state):
        by = storage.growth_per_task(values)
        sizes += [count(values[0]), f"+ {count(by)}" if by else "0"]
    later = size(float(np.mean(one.on_disk[1:]))) if len(one.on_disk) > 1 else "–"
    return [
        display_name(one.method) + (" (a bound)" if one.method == BOUND else ""),
        "all training images" if one.kind == storage.SAMPLES else one.kind,
        *sizes,
        size(one.on_disk[0]),
        later,
    ]


OURS_STYLE = METHOD_STYLES[OURS]
KIND_STYLES = {
    storage.NOTHING: LineStyle(NEUTRAL, "solid", "circle"),
    storage.STATISTICS: LineStyle(NEUTRAL, "solid", "square"),
    storage.MODULES: LineStyle(NEUTRAL, "solid", "triangle-up"),
    storage.SAMPLES: LineStyle(NEUTRAL, "dash", "x"),
}


def style_of(one: storage.MethodStorage) -> LineStyle:
    """FM-LoRA's own style, or that of what a method stores."""
    return OURS_STYLE if one.method == OURS else KIND_STYLES[one.kind]


PANELS: dict[str, Callable[[Record], np.ndarray]] = {
    "deployed: to run the model": lambda run: np.array([t.n_deployed for t in run.tasks]),
    "training state: kept to go on": lambda run: np.array([t.n_training_state for t in run.tasks]),
    "record on disk: snapshots": lambda run: np.cumsum(
        [sum(array.size for array in t.state.values()) for t in run.tasks]
    ),
}


@draws()
def parameters_stored(records: curves.Records) -> go.Figure:
    """Numbers stored after each task, in three panels, each with its own scale from zero.

    Deployed: backbone, adapters, prompt and head. Training state: what is kept between tasks for
    training only. Record: the sum of all snapshots so far, from which earlier models are rebuilt;
    on disk only.
    """
    table = curves.by_label(records)
    lines = [
        [curves.curve(label, runs, measure) for label, runs in table.items()]
        for measure in PANELS.values()
    ]
    first = next(iter(table.values()))[0]
    who = next(iter(table)) + " on " if len(table) == 1 else ""
    figure = grid(
        f"Parameters stored as tasks are learned: {who}{first.stream}",
        curves.join_notes(_growth(table), curves.seeds_note(lines[0])),
        cols=3,
        panels=PANELS,
        spacing=(0.075, None),
        margin={"t": 100},
        legend={"orientation": "h", "y": -0.2, "x": 0.5, "xanchor": "center"},
    )
    for col, panel_lines in enumerate(lines, start=1):
        settings = {"unit": "numbers", "scale": 1, "showlegend": col == 1 and len(table) > 1}
        curves.add_curves(figure, panel_lines, table, **settings, row=1, col=col)
    figure.update_xaxes(curves.task_axis(curves.longest(table), panels=3))
    figure.update_yaxes(rangemode="tozero", tickformat="~s")
    figure.update_yaxes(title_text="parameters (numbers stored)", col=1)
    return figure


def _growth(table) -> str:
    """How the deployed size changes from the first task to the last, per label."""
    if all(len(runs[0].tasks) == 1 for runs in table.values()):
        return "One task finished"
    changes = {}
    for label, runs in table.items():
        first, last = runs[0].tasks[0].n_deployed, runs[0].tasks[-1].n_deployed
        if first != last:
            changes[label] = f"{label} {100 * (last - first) / max(first, 1):+.1f} %"
    words = [*changes.values()][:3] + ["…"] * (len(changes) > 3)
    if len(changes) < len(table):
        words.append("others constant" if changes else "constant")
    return "Deployed size, first to last task: " + ", ".join(words)
