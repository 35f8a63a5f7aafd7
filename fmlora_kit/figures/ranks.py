"""Which rank each task got, why, and how it was chosen (the rank selector, DRS).

`rank_allocation` shows the ranks, `complexity_and_rank` what they follow from, and
`gate_probabilities` how they were found over the steps of training.
"""

from __future__ import annotations

from itertools import cycle

import numpy as np
import plotly.graph_objects as go

from fmlora_kit import checks
from fmlora_kit.analysis.arguments import index_of
from fmlora_kit.analysis.names import run_name
from fmlora_kit.analysis.ranks import GateTrace, RankTable, expected_ranks, gate_trace, rank_table
from fmlora_kit.figures import style
from fmlora_kit.figures.curves import Records, by_label, single
from fmlora_kit.figures.entry import draws
from fmlora_kit.figures.labels import task_label
from fmlora_kit.figures.maps import color_bar, task_map
from fmlora_kit.record import Record
from fmlora_kit.record.card import full_core


@draws()
def rank_allocation(record: Record) -> go.Figure:
    """Heat map of the rank r_t chosen per adapted map (rows, input on top) and task (columns)."""
    record = single(record)
    ranks = record.ranks.T
    if not ranks.size:
        raise checks.fail("record", "of a method that chooses ranks", record.method)
    figure = style.new_figure(
        f"Rank chosen for each layer and task: {run_name(record)}",
        f"Above each task: its mean rank. Mean of all: {ranks.mean():.1f}.{_core(record)}",
        height=max(450, 145 + 14 * len(ranks)),
        margin={"t": 95},
    )
    highest = max(int(ranks.max()), 1)
    task_map(
        figure,
        ranks,
        (record.layers, record.task_names),
        limits=(0, highest),
        colorscale=style.RANK_SCALE,
        text=ranks.astype(str),
        size=12 if len(ranks) <= 20 else 11,
        hover="rank <b>%{z}</b><br>%{customdata[0]}<br>%{customdata[1]}",
        colorbar=color_bar("rank", tick0=0, dtick=max(1, highest // 4)),
    )
    for t, mean in enumerate(ranks.mean(axis=0)):
        figure.add_annotation(x=t, text=f"{mean:.1f}", **style.ABOVE)
    figure.update_xaxes(style.name_axis(record.task_names, "task"))
    layers = style.name_ticks(layer.removeprefix("blocks.") for layer in record.layers)
    figure.update_yaxes(layers, title_text="adapted map (block.map)", autorange="reversed")
    figure.update_yaxes(tickfont_size=12 if len(ranks) <= 20 else 11)
    return figure


def _core(record: Record) -> str:
    """That a core was full, where a rank is no measure of what was added."""
    full = full_core(record)
    return f"<br><b>The core is {full}, whatever their rank.</b>" if full else ""


_DIFFICULTY, _NOVELTY = style.PALETTE[0], style.PALETTE[4]
_FEW = 8  # tasks: with more, bars are too narrow for words


@draws()
def complexity_and_rank(records: Records) -> go.Figure:
    """Complexity H of each task, split into difficulty and novelty, and the rank that it got.

    One record: a bar per task, of height H = difficulty / 2 + novelty / 2; the rank axis on the
    right is R times the left one, so that a diamond as high as its bar is the rank that H
    alone asks for. Records by label: mean rank against H, one point per task and record.
    """
    if isinstance(records, Record):
        return _bars(single(records))
    labelled = by_label(records, across=True)
    first, *more = (run for runs in labelled.values() for run in runs)
    return _points(labelled) if more else _bars(first)


def _bars(record: Record) -> go.Figure:
    """One record: halves of difficulty and novelty on top of each other, rank on a second axis."""
    table = rank_table(record)
    x = np.arange(len(table.task_names))
    bars, diamonds = x - 0.12, x + 0.24  # side by side: none covers another's number
    most = int(table.mean.argmax())
    figure = style.new_figure(
        f"Complexity of each task, and the rank it got: {run_name(record)}",
        f"Most rank: {table.task_names[most]}, {table.mean[most]:.1f} of {table.max_rank}. "
        "A diamond as high as its bar: complexity alone set the rank; lower: training saved some."
        f"{_core(record)}",
        height=470,
        barmode="stack",
        legend={"orientation": "h", "y": -0.16, "x": 0, "traceorder": "normal"},
        margin={"r": 70, **({"t": 100} if _core(record) else {})},
    )
    halves = (("difficulty", table.difficulty, _DIFFICULTY), ("novelty", table.novelty, _NOVELTY))
    for name, values, color in halves:
        figure.add_bar(
            x=bars,
            y=values / 2,
            name=f"{name} / 2",
            marker={"color": color, "line": {"color": "white", "width": 1}},
            width=0.5,
            text=[f"{name}<br>{value:.2f}" for value in values],
            textposition="inside" if len(x) <= _FEW else "none",
            insidetextanchor="middle",
            textangle=0,
            textfont={"color": style.readable_on(color), "size": 12},
            customdata=table.task_names,
            hovertemplate=f"<b>%{{customdata}}</b><br>{name} / 2 = %{{y:.3f}}<extra></extra>",
        )
    _add_ranks(figure, table, diamonds)
    return figure


def _add_ranks(figure: go.Figure, table: RankTable, x: np.ndarray) -> None:
    """Mean chosen rank as a diamond, with a whisker from the smallest to the largest.

    H from 0 to 1 on the left, rank from 0 to R on the right: the same heights.
    """
    figure.add_scatter(
        x=x,
        y=table.mean,
        yaxis="y2",
        mode="markers+text" if len(x) <= 2 * _FEW else "markers",
        marker={"symbol": "diamond", "size": 12, "color": style.INK},
        error_y={
            "array": table.highest - table.mean,
            "arrayminus": table.mean - table.lowest,
            "symmetric": False,
            "color": style.INK,
            "thickness": 1.5,
            "width": 5,
        },
        name="chosen rank, mean of all layers (whisker: smallest and largest)",
        text=[f"<b>{mean:.1f}</b>" for mean in table.mean],
        textposition="middle right",
        textfont={"size": 13},
        customdata=np.c_[table.complexity, table.expected, table.lowest, table.highest],
        hovertemplate="mean rank <b>%{y:.1f}</b>, %{customdata[2]:.0f} to %{customdata[3]:.0f}"
        "<br>H = %{customdata[0]:.2f} asks for %{customdata[1]:.1f}<extra></extra>",
    )
    figure.update_xaxes(style.name_axis(table.task_names, "task"))
    figure.update_layout(
        yaxis={"title": {"text": "complexity H"}, "range": [0, 1.02], "dtick": 0.25},
        yaxis2={
            "title": {"text": f"rank (R = {table.max_rank})"},
            "overlaying": "y",
            "side": "right",
            "range": [0, 1.02 * table.max_rank],
            "dtick": table.max_rank / 4,
            "showgrid": False,
            "zeroline": False,
        },
    )


def _points(labelled: dict[str, tuple[Record, ...]]) -> go.Figure:
    """Several records: mean rank against complexity."""
    tables = {label: [rank_table(run) for run in runs] for label, runs in labelled.items()}
    every = [table for runs in tables.values() for table in runs]
    top = max(table.max_rank for table in every)
    figure = style.new_figure(
        "Complexity of each task, and the rank it got",
        "A point per task and run, in the task's colour. On the dashed line: complexity alone "
        "sets the rank, r = R H.",
        height=480,
    )
    for r in sorted({table.max_rank for table in every}):
        figure.add_scatter(
            x=[0, 1],
            y=[0, r],
            mode="lines",
            line={"color": "#888888", "dash": "dash", "width": 1.5},
            name=f"r = {r} H",
            hoverinfo="skip",
        )
    for (label, runs), symbol in zip(tables.items(), cycle(style.SYMBOLS), strict=False):
        _add_points(figure, label, runs, labelled[label], symbol)
    every_run = [run for runs in labelled.values() for run in runs]
    longest = max(every_run, key=lambda run: len(run.tasks))
    names = longest.task_names
    if all(run.task_names == names[: len(run.tasks)] for run in every_run):
        for name, color in zip(names, style.task_colors(longest.n_tasks), strict=False):
            _add_key(figure, task_label(name), color, "circle")
    figure.update_xaxes(title_text="complexity H of the task", range=[0, 1.02])
    figure.update_yaxes(title_text="chosen rank, mean of all layers", range=[0, 1.04 * top])
    return figure


def _add_points(
    figure: go.Figure, label: str, tables: list[RankTable], runs: tuple[Record, ...], symbol: str
) -> None:
    colors = [style.task_colors(run.n_tasks)[: len(run.tasks)] for run in runs]
    marker = {"color": sum(colors, ()), "line": {"color": style.INK, "width": 0.8}}
    figure.add_scatter(
        x=np.concatenate([table.complexity for table in tables]),
        y=np.concatenate([table.mean for table in tables]),
        mode="markers",
        marker={"symbol": symbol, "size": 11, **marker},
        name=label,
        showlegend=False,
        text=[name for table in tables for name in table.task_names],
        hovertemplate=f"<b>%{{text}}</b>, {label}<br>H %{{x:.2f}}, mean rank %{{y:.1f}}"
        "<extra></extra>",
    )
    _add_key(figure, label, style.INK, symbol)


def _add_key(figure: go.Figure, name: str, color: str, symbol: str) -> None:
    """An entry of the legend without a point."""
    figure.add_scatter(
        x=[None],
        y=[None],
        mode="markers",
        marker={"symbol": symbol, "size": 11, "color": color},
        name=name,
        hoverinfo="skip",
    )


@draws()
def gate_probabilities(
    record: Record, task: int | str | None = None, layer: int | str | None = None
) -> go.Figure:
    """How ranks were chosen, step by step: of one task its gates, of all tasks the expected rank.

    A task: a heat map of the probability of each rank with E[r] as a line; beneath it the
    temperature of the Gumbel-Softmax that the gates are drawn with. No task: E[r] of every task,
    mean over the adapted maps; the diamond behind each line is the mean rank that was taken.

    Of a run of FM-LoRA with DRS that has the traces of the choice. A layer goes with a task;
    without one the mean over the adapted maps.
    """
    record = single(record)
    if task is None:
        if layer is not None:
            raise checks.fail("layer", "None without a task", layer)
        return _draw_expected_ranks(record)
    trace = gate_trace(record, task, layer)
    name = record.task_names[index_of(task, record.task_names, "task")]
    layer_name = None if layer is None else record.layers[index_of(layer, record.layers, "layer")]
    where = f"layer {layer_name}" if layer_name else f"mean of {len(record.layers)} layers"
    taken = f"{trace.chosen:.0f}" if layer_name else f"{trace.chosen:.1f} on average"
    figure = style.grid(
        f"How {name} got its rank: {where}",
        f"Dark: likely. Black line: expected rank. Rank taken in the end: {taken}. "
        f"Fixed after step {len(trace.temperature)} of {trace.n_steps}.",
        rows=2,
        spacing=(None, 0.06),
        sharing="x",
        heights=[0.72, 0.28],
        height=480,
        margin={"t": 80},
        showlegend=False,
    )
    _add_gates(figure, trace)
    return figure


def _draw_expected_ranks(record: Record) -> go.Figure:
    """A line per task: E[r], mean over the adapted maps."""
    lines, taken = expected_ranks(record), record.ranks.mean(axis=1)
    figure = style.new_figure(
        f"Expected rank while ranks are chosen: {run_name(record)}",
        "A line starts where the task's complexity H puts it; training moves it. "
        "Diamond: the rank taken, mean of all layers.",
        legend={"title": {"text": "task, mean rank taken"}},
    )
    end = max(len(line) for line in lines) + 1
    for t, look in zip(range(len(lines)), style.task_looks(record.n_tasks), strict=False):
        name = record.task_names[t]
        figure.add_scatter(
            x=np.arange(1, len(lines[t]) + 1),
            y=lines[t],
            mode="lines",
            line={"color": look.color, "dash": look.dash, "width": 2.5},
            name=f"{task_label(name)}  {taken[t]:.1f}",
            hovertemplate=f"<b>{name}</b><br>E[r] %{{y:.1f}} at step %{{x}}<extra></extra>",
        )
        figure.add_scatter(
            x=[end],
            y=[taken[t]],
            mode="markers",
            marker={"symbol": "diamond", "size": 11, "color": look.color},
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
        colorscale=style.FRACTION_SCALE,
        hovertemplate="rank %{y}: <b>%{z:.2f}</b><br>step %{x}<extra></extra>",
        colorbar=color_bar("probability", len=0.72, y=1, yanchor="top"),
        row=1,
        col=1,
    )
    lines = (
        ("expected rank", trace.expected_rank, style.INK),
        ("temperature", trace.temperature, style.PALETTE[1]),
    )
    for row, (name, values, color) in enumerate(lines, start=1):
        figure.add_scatter(
            x=steps,
            y=values,
            mode="lines",
            line={"color": color, "width": 3, "dash": "solid"},
            name=name,
            hovertemplate=f"{name} <b>%{{y:.2f}}</b><br>step %{{x}}<extra></extra>",
            row=row,
            col=1,
        )
    figure.update_yaxes(title_text="rank", tickvals=trace.candidates, showgrid=False, row=1, col=1)
    figure.update_yaxes(title_text="temperature", rangemode="tozero", row=2, col=1)
    figure.update_xaxes(title_text="training step of the task", row=2, col=1)
