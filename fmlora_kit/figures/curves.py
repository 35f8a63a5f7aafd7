"""Drawing of curves with bands, shared by the figures that compare methods.

The numbers that curves are drawn from: per label and task, a mean and a 95% interval.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from fmlora_kit import checks
from fmlora_kit.analysis.comparison import stream_name
from fmlora_kit.analysis.intervals import mean_ci95
from fmlora_kit.analysis.names import display_name
from fmlora_kit.figures.labels import task_words
from fmlora_kit.figures.style import LineStyle, faded, method_styles
from fmlora_kit.record import Record
from fmlora_kit.record.names import NAMES


def add_curve(
    figure: go.Figure,
    curve: Curve,
    style: LineStyle,
    *,
    unit: str = "%",
    scale: float = 100.0,
    width: float = 2.5,
    showlegend: bool = True,
    **where: int,
) -> None:
    """Add a line with its 95% band (where several seeds give one) to a figure under construction.

    The numbers are multiplied by ``scale``; ``unit`` stands behind them in the hover text. Without
    ``showlegend`` the label is in the legend already. ``where``: row and col of the subplot.
    """
    mean, ci95 = scale * curve.mean, scale * curve.ci95
    known = np.isfinite(mean) & np.isfinite(ci95)
    if known.any():
        add_band(
            figure,
            *(curve.tasks[known], (mean - ci95)[known], (mean + ci95)[known], style.color),
            name=f"{curve.label}, 95% interval",
            legendgroup=curve.label,
            showlegend=False,
            **where,
        )
    figure.add_scatter(
        x=curve.tasks,
        y=mean,
        mode="lines+markers",
        line={"color": style.color, "dash": style.dash, "width": width},
        marker={"symbol": style.symbol, "size": 8, "color": style.color},
        name=curve.label,
        legendgroup=curve.label,
        showlegend=showlegend,
        text=hover_texts(curve, unit, scale),
        hovertemplate="%{text}<extra></extra>",
        **where,
    )


def add_curves(
    figure: go.Figure,
    curves: Sequence[Curve],
    table: Mapping[str, Sequence[Record]],
    **settings: object,
) -> None:
    """Add a curve for each label, in its method's style; ``settings``: those of `add_curve`."""
    styles = styles_of(table)
    for one in curves:
        add_curve(figure, one, styles[one.label], **settings)


def styles_of(table: Mapping[str, Sequence[Record]]) -> dict[str, LineStyle]:
    """A style per label: that of its method, unless two labels are runs of one method."""
    methods = {label: runs[0].method for label, runs in table.items()}
    if len(set(methods.values())) < len(methods):
        return method_styles(table)
    styles = method_styles(methods.values())
    return {label: styles[method] for label, method in methods.items()}


def add_band(figure: go.Figure, x, low, high, color: str, **settings: object) -> None:
    """Fill the area between two lines with a pale colour; it has no hover text."""
    figure.add_scatter(
        x=np.concatenate([x, x[::-1]]),
        y=np.concatenate([high, low[::-1]]),
        fill="toself",
        fillcolor=faded(color),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        **settings,
    )


def hover_texts(curve: Curve, unit: str, scale: float) -> list[str]:
    """One text per point: label, value with interval, and the task learned last."""
    texts = []
    values = (curve.tasks, scale * curve.mean, scale * curve.ci95, curve.task_names)
    for n, mean, ci95, name in zip(*values, strict=True):
        spread = f" ± {number(ci95)}" if np.isfinite(ci95) else ""
        seeds = f"<br>mean of {curve.n_seeds} seeds, 95% interval" if spread else ""
        texts.append(
            f"<b>{curve.label}</b><br>{number(mean)}{spread} {unit}"
            f"<br>after {task_words(n - 1, name)}{seeds}"
        )
    return texts


def number(value: float) -> str:
    """A number for a hover text: one decimal below a thousand, grouped digits above."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}"


def task_axis(n_tasks: int, *, panels: int = 1) -> dict:
    """Settings of an x axis that counts tasks: whole numbers, the whole stream in view.

    `panels` side by side leave room for fewer numbers each.
    """
    return {
        "title": {"text": "tasks learned"},
        "range": [0.6, n_tasks + 0.4],
        "tickmode": "linear",
        "tick0": 0,
        "dtick": 1 if n_tasks <= (24, 12, 10)[panels - 1] else 5 if n_tasks <= 50 else 10,
    }


def seeds_note(curves: list[Curve]) -> str:
    """What the bands are, for a subtitle; empty if every curve is of one seed."""
    if all(curve.n_seeds == 1 for curve in curves):
        return ""
    counts = sorted({curve.n_seeds for curve in curves})
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"mean of {seeds} seeds, band: 95% interval"


Records = Record | Sequence[Record] | Mapping[str, Record | Sequence[Record]]


@dataclass(frozen=True)
class Curve:
    """One line over the tasks, over one or several seeds.

    Args:
        label: what it is called in the legend.
        tasks: (n,) number of tasks learned, from 1.
        mean: (n,) mean over seeds.
        ci95: (n,) half-width of the 95% interval; NaN for one seed.
        task_names: (n,) name of the task learned last.
        n_seeds: number of seeds.
    """

    label: str
    tasks: np.ndarray
    mean: np.ndarray
    ci95: np.ndarray
    task_names: tuple[str, ...]
    n_seeds: int


def by_label(
    records: Records,
    *,
    least: int = 1,
    per_label: int | None = None,
    across: bool = False,
) -> dict[str, tuple[Record, ...]]:
    """Records by label; a method's key, a lone record or a list goes by the method's name.

    This is the check of everything that figures take as records.

    Args:
        records: a record, a list of them (seeds of one method), or either of these by label.
        least: how many tasks each record must have finished.
        per_label: how many records a label may have, in figures that cannot average over seeds.
        across: whether records of different streams may stand beside each other.

    Raises:
        ValueError: there is nothing to draw, something is no record, a record has too few finished
            tasks or no accuracy at all, a label too many records, or streams differ.
    """
    if isinstance(records, Record):
        records = {display_name(records.method): records}
    elif not isinstance(records, Mapping):
        checks.instance("records", records, (list, tuple), "a Record, or records by label")
        for each in records:
            checks.instance("records", each, Record, "a list of Records")
        records = {display_name(records[0].method): records} if records else {}
    if not records:
        raise checks.fail("records", "at least one record", records)
    table = {
        _label(label, records): _check_runs(
            f"records[{checks.shown(label, 40)}]", runs, least, per_label
        )
        for label, runs in records.items()
    }
    streams = {(stream_name(r), r.scenario) for runs in table.values() for r in runs}
    if len(streams) > 1 and not across:
        raise checks.fail("records", "of one stream", sorted(streams))
    return table


def _label(label: object, labels: Collection) -> object:
    """What people call a method that goes by its key, unless another label is called so."""
    name = NAMES.get(label, label)
    return label if name in labels else name


def _check_runs(name: str, runs: object, least: int, most: int | None) -> tuple[Record, ...]:
    """The records of one label as a tuple, if figures can show them."""
    if isinstance(runs, Record):
        runs = (runs,)
    checks.instance(name, runs, (list, tuple), "a Record or a list of them")
    if not runs:
        raise checks.fail(name, "at least one record", runs)
    if most is not None and len(runs) > most:
        raise checks.fail(name, "one record here" if most == 1 else f"at most {most}", len(runs))
    for record in runs:
        checks.instance(name, record, Record, "a Record or a list of them")
        if len(record.tasks) < least:
            tasks = "a finished task" if least == 1 else f"at least {least} finished tasks"
            raise checks.fail(name, f"of a run with {tasks}", len(record.tasks))
        if record.tasks and np.isnan(record.accuracy).all():
            raise checks.fail(name, "of a run with an accuracy", "NaN alone")
    return tuple(runs)


def single(record: Record, *, least: int = 1) -> Record:
    """`record`, if it is one with at least ``least`` finished tasks."""
    checks.instance("record", record, Record, "a Record")
    return _check_runs("record", record, least, 1)[0]


def curve(
    label: str, runs: Sequence[Record], measure: Callable[[Record], np.ndarray], *, skip: int = 0
) -> Curve:
    """Mean over seeds of a measure taken after each task.

    Records of one label are cut to the shortest; `measure` gives (tasks finished,) numbers of a
    record, of which the first `skip` are left out, where it is not defined.
    """
    n = min(len(record.tasks) for record in runs)
    values = np.array([np.asarray(measure(record), dtype=float)[:n] for record in runs])
    intervals = [mean_ci95(values[:, t]) for t in range(skip, n)]
    return Curve(
        label=label,
        tasks=np.arange(skip + 1, n + 1),
        mean=np.array([interval.mean for interval in intervals]),
        ci95=np.array([interval.ci95 for interval in intervals]),
        task_names=runs[0].task_names[skip:n],
        n_seeds=len(runs),
    )


def join_notes(*notes: str) -> str:
    """The notes that say something, with semicolons between."""
    return "; ".join(note for note in notes if note)


def stream_names(table) -> str:
    """The streams of records by label, each once."""
    return ", ".join(dict.fromkeys(record.stream for runs in table.values() for record in runs))


def longest(table) -> int:
    """The largest number of tasks of records by label."""
    return max(record.n_tasks for runs in table.values() for record in runs)
