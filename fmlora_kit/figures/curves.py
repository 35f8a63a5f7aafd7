"""Drawing of curves with bands, shared by the figures that compare methods."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from fmlora_kit.figures.tables import Curve
from fmlora_kit.figures.template import LineStyle, faded


def add_curve(
    figure: go.Figure,
    curve: Curve,
    style: LineStyle,
    *,
    unit: str = "%",
    scale: float = 100.0,
    width: float = 2.5,
    showlegend: bool = True,
    row: int | None = None,
    col: int | None = None,
) -> None:
    """Add a line with its 95% band (where several seeds give one) to a figure under construction.

    Args:
        figure: the figure, changed in place.
        curve: the numbers.
        style: the method's style.
        unit: written behind the numbers in the hover text.
        scale: what the numbers are multiplied by for the axis.
        width: width of the line in pixels.
        showlegend: False if the label is in the legend already.
        row: row of the subplot, from 1.
        col: column of the subplot, from 1.
    """
    mean, ci95 = scale * curve.mean, scale * curve.ci95
    known = np.isfinite(mean) & np.isfinite(ci95)
    if known.any():
        x, low, high = curve.tasks[known], (mean - ci95)[known], (mean + ci95)[known]
        figure.add_scatter(
            x=np.concatenate([x, x[::-1]]),
            y=np.concatenate([high, low[::-1]]),
            fill="toself",
            fillcolor=faded(style.color),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            legendgroup=curve.label,
            showlegend=False,
            name=f"{curve.label}, 95% interval",
            row=row,
            col=col,
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
        row=row,
        col=col,
    )


def hover_texts(curve: Curve, unit: str, scale: float) -> list[str]:
    """One text per point: label, value with interval, and the task learned last."""
    texts = []
    for n, mean, ci95, name in zip(
        curve.tasks, scale * curve.mean, scale * curve.ci95, curve.task_names, strict=True
    ):
        spread = f" ± {number(ci95)}" if np.isfinite(ci95) else ""
        seeds = f"<br>mean of {curve.n_seeds} seeds, 95% interval" if spread else ""
        texts.append(
            f"<b>{curve.label}</b><br>{number(mean)}{spread} {unit}"
            f"<br>after task {n}, {name}{seeds}"
        )
    return texts


def number(value: float) -> str:
    """A number for a hover text: one decimal below a thousand, grouped digits above."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}"


def task_axis(n_tasks: int, *, panels: int = 1) -> dict:
    """Settings of an x axis that counts tasks: whole numbers, the whole stream in view.

    Args:
        n_tasks: length of the stream.
        panels: number of panels side by side, which leave room for fewer numbers each.
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
