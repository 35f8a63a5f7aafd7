"""How ranks were chosen: gate probabilities, temperature and expected rank over training steps."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fmlora_kit.analysis.names import run_name
from fmlora_kit.analysis.ranks import GateTrace, expected_ranks, gate_trace, place
from fmlora_kit.figures.tables import single
from fmlora_kit.figures.template import (
    FRACTION_SCALE,
    INK,
    OKABE_ITO,
    TEMPLATE,
    new_figure,
    short,
    task_colors,
)
from fmlora_kit.record import Record


def gate_probabilities(
    record: Record, task: int | str, layer: int | str | None = None
) -> go.Figure:
    """How the rank of one task was chosen: probability of each rank over the training steps.

    Top: heat map of the gate probabilities with E[r] as a line. Bottom: the temperature of the
    Gumbel-Softmax that the gates are drawn with.

    Args:
        record: one run of FM-LoRA with DRS.
        task: place from 0, or name.
        layer: place or name of an adapted map; None averages over the maps.

    Raises:
        ValueError: no such task or layer, or the record has no trace of the choice.
    """
    trace = gate_trace(single(record), task, layer)
    name = record.task_names[place(task, record.task_names, "task")]
    layer_name = None if layer is None else record.layers[place(layer, record.layers, "layer")]
    where = f"layer {layer_name}" if layer_name else f"mean of {len(record.layers)} layers"
    taken = f"{trace.chosen:.0f}" if layer_name else f"{trace.chosen:.1f} on average"
    figure = make_subplots(
        rows=2, shared_xaxes=True, row_heights=[0.72, 0.28], vertical_spacing=0.06
    )
    _add_gates(figure, trace)
    figure.update_layout(
        template=TEMPLATE,
        title={"text": f"How {name} got its rank: {where}"},
        title_subtitle_text=(
            f"Dark: likely. Black line: expected rank. Rank taken in the end: {taken}. "
            f"Fixed after step {len(trace.temperature)} of {trace.n_steps}."
        ),
        height=480,
        margin={"t": 80},
        showlegend=False,
    )
    return figure


def expected_rank(record: Record) -> go.Figure:
    """E[r], mean over the adapted maps, over the steps in which ranks are chosen: a line per task.

    The diamond behind each line is the mean rank that was taken.

    Args:
        record: one run of FM-LoRA with DRS.

    Raises:
        ValueError: the record has no finished task, or no trace of the choice.
    """
    record = single(record)
    lines, taken = expected_ranks(record), record.ranks.mean(axis=1)
    figure = new_figure(
        f"Expected rank while ranks are chosen: {run_name(record)}",
        "A line starts where the task's complexity H puts it; training moves it. "
        "Diamond: the rank taken, mean of all layers.",
        legend={"title": {"text": "task, mean rank taken"}},
    )
    end = max(len(line) for line in lines) + 1
    for t, color in zip(range(len(lines)), task_colors(record.n_tasks), strict=False):
        name = record.task_names[t]
        figure.add_scatter(
            x=np.arange(1, len(lines[t]) + 1),
            y=lines[t],
            mode="lines",
            line={"color": color, "width": 2.5},
            name=f"{t + 1} {short(name)}  {taken[t]:.1f}",
            hovertemplate=f"<b>{name}</b><br>E[r] %{{y:.1f}} at step %{{x}}<extra></extra>",
        )
        figure.add_scatter(
            x=[end],
            y=[taken[t]],
            mode="markers",
            marker={"symbol": "diamond", "size": 11, "color": color},
            showlegend=False,
            name=f"{name}: rank taken",
            hovertemplate=f"<b>{name}</b><br>mean rank taken %{{y:.1f}}<extra></extra>",
        )
    figure.update_xaxes(title_text="training step of the task", range=[0, end + 0.6])
    figure.update_yaxes(title_text="expected rank E[r], mean of all layers", rangemode="tozero")
    return figure


def _add_gates(figure: go.Figure, trace: GateTrace) -> None:
    """Heat map of the probabilities with E[r], and the temperature beneath."""
    steps = np.arange(1, len(trace.temperature) + 1)
    figure.add_heatmap(
        x=steps,
        y=trace.candidates,
        z=trace.probabilities.T,
        zmin=0,
        zmax=max(float(trace.probabilities.max()), 1e-9),
        colorscale=FRACTION_SCALE,
        hovertemplate="rank %{y}: <b>%{z:.2f}</b><br>step %{x}<extra></extra>",
        colorbar={
            "title": {"text": "probability", "side": "right"},
            "thickness": 14,
            "len": 0.72,
            "y": 1,
            "yanchor": "top",
        },
        row=1,
        col=1,
    )
    lines = (
        ("expected rank", trace.expected_rank, INK, "solid"),
        ("temperature", trace.temperature, OKABE_ITO[1], "solid"),
    )
    for row, (name, values, color, dash) in enumerate(lines, start=1):
        figure.add_scatter(
            x=steps,
            y=values,
            mode="lines",
            line={"color": color, "width": 3, "dash": dash},
            name=name,
            hovertemplate=f"{name} <b>%{{y:.2f}}</b><br>step %{{x}}<extra></extra>",
            row=row,
            col=1,
        )
    figure.update_yaxes(title_text="rank", tickvals=trace.candidates, showgrid=False, row=1, col=1)
    figure.update_yaxes(title_text="temperature", rangemode="tozero", row=2, col=1)
    figure.update_xaxes(title_text="training step of the task", row=2, col=1)
