"""One word, many definitions: forgetting measured in every way the field does, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from fmlora_kit.analysis.intervals import Interval, mean_ci95
from fmlora_kit.analysis.metrics import DEFINITIONS, metrics
from fmlora_kit.figures.tables import Records, by_label
from fmlora_kit.figures.template import INK, method_styles, new_figure
from fmlora_kit.record import Record

# Metric: what the field calls it, in words.
WORDS = {
    "forgetting": ("max", "from the best accuracy so far to now"),
    "forgetting_first": ("first", "from when just learned to now"),
    "forgetting_step": ("step", "fall within one step, mean over steps"),
    "backward_transfer": ("BWT", "minus “first”: below zero is forgetting"),
    "drift_forgetting": ("drift", "“max” with task identity given"),
    "competition": ("competition", "“max” less “drift”: more classes to confuse"),
}


def forgetting_definitions(records: Records) -> go.Figure:
    """Bars: forgetting in percentage points by each definition, one bar per method.

    The first four take the same accuracy matrix and average it differently; the last two say what
    "max" is made of. The formulas stand in the hover texts.

    Args:
        records: a record, or records by label; with several seeds, mean and 95% interval.

    Raises:
        ValueError: a record has fewer than two finished tasks.
    """
    table = by_label(records)
    for label, runs in table.items():
        if (fewest := min(len(record.tasks) for record in runs)) < 2:
            raise ValueError(f"forgetting needs at least 2 finished tasks; {label!r} has {fewest}")
    values = {label: _measured(runs) for label, runs in table.items()}
    streams = ", ".join(dict.fromkeys(r.stream for runs in table.values() for r in runs))
    figure = new_figure(
        f"Forgetting by every definition: {streams}",
        f"Same runs, {len(WORDS)} answers; max = drift + competition{_seeds(table)}.",
        height=125 + len(WORDS) * (24 + 19 * len(table)),
        barmode="overlay",
    )
    styles = method_styles(table)
    thickness = 0.72 / len(values)
    for k, (label, intervals) in enumerate(values.items()):
        places = np.arange(len(WORDS)) + (k - (len(values) - 1) / 2) * thickness
        _add_bars(figure, label, intervals, styles[label].color, places, 0.9 * thickness)
    figure.add_vline(x=0, line={"color": INK, "width": 1})
    figure.add_hline(y=3.5, line={"color": "#888888", "width": 1, "dash": "dot"})
    figure.update_layout(showlegend=True)
    figure.update_xaxes(title_text="percentage points", range=_span(values))
    figure.update_yaxes(
        tickvals=list(range(len(WORDS))),
        ticktext=[f"<b>{name}</b><br>{words}" for name, words in WORDS.values()],
        range=[len(WORDS) - 0.5, -0.5],
        showgrid=False,
    )
    return figure


def _measured(runs: Sequence[Record]) -> dict[str, Interval]:
    """For each definition mean and interval over seeds, in points."""
    found = [metrics(record) for record in runs]
    return {name: mean_ci95([100 * values[name] for values in found]) for name in WORDS}


def _add_bars(
    figure: go.Figure,
    label: str,
    values: Mapping[str, Interval],
    color: str,
    places: np.ndarray,
    thickness: float,
) -> None:
    means = np.array([value.mean for value in values.values()])
    spread = np.nan_to_num([value.ci95 for value in values.values()])
    shown = [_number(value) for value in values.values()]
    figure.add_bar(
        x=means,
        y=places,
        width=thickness,
        orientation="h",
        name=label,
        marker={"color": color},
        error_x={"array": spread, "color": INK, "thickness": 1.5, "visible": bool(spread.any())},
        customdata=[
            [number, DEFINITIONS[name]] for number, name in zip(shown, values, strict=True)
        ],
        hovertemplate=f"<b>{label}</b>: %{{customdata[0]}} points<br>%{{customdata[1]}}"
        "<extra></extra>",
    )
    below = means < 0  # numbers stand beyond the whisker
    figure.add_scatter(
        x=means + np.where(below, -spread, spread),
        y=places,
        mode="text",
        text=[f" {number} " for number in shown],
        textposition=["middle left" if low else "middle right" for low in below],
        name=label,
        showlegend=False,
        hoverinfo="skip",
    )


def _span(values: Mapping[str, Mapping[str, Interval]]) -> list[float]:
    """Room for the bars, their whiskers and the numbers behind them."""
    every = [interval for by_name in values.values() for interval in by_name.values()]
    means = np.array([interval.mean for interval in every])
    spread = np.nan_to_num([interval.ci95 for interval in every])
    low, high = min((means - spread).min(), 0.0), max((means + spread).max(), 0.0)
    wide = any(np.isfinite(interval.ci95) for interval in every)
    room = (0.25 if wide else 0.12) * max(high - low, 1.0)
    return [low - room if low < 0 else -0.02, high + room]


def _number(value: Interval) -> str:
    spread = "" if np.isnan(value.ci95) else f" ± {value.ci95:.1f}"
    return f"{round(value.mean, 1) + 0.0:.1f}{spread}".replace("-", "−")


def _seeds(table: Mapping[str, Sequence[Record]]) -> str:
    if (most := max(map(len, table.values()))) == 1:
        return ""
    return f"; mean of {most} seeds, whiskers: 95% interval"
