"""The meta-prompt (DMP): how alike it is over the tasks, how far it moves, and what it does."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from fmlora_kit.analysis import prompts
from fmlora_kit.analysis.names import display_name, run_name
from fmlora_kit.figures import curves, style
from fmlora_kit.figures.entry import draws
from fmlora_kit.figures.maps import add_map, cell_texts, task_map
from fmlora_kit.record import Record

_COSINE_OF = {"flat": "all their numbers", "token mean": "their mean tokens"}


@draws()
def meta_prompt_similarity(record: Record, *, of: str = "prompts", per: str = "flat") -> go.Figure:
    """Are the prompts of two tasks alike if the tasks are? Two matrices of tasks, one colour scale.

    Left: cosine of the meta-prompts as they were after each task, or of what each task changed
    about them. Right: affinity of the tasks' feature subspaces.

    `of` is "prompts" P_t, or "moves" P_t - P_{t-1} from the second task on; `per` is "flat" (cosine
    of all L d numbers) or "token mean" (of the mean token).
    """
    record = curves.single(record)
    ours = prompts.prompt_similarity(record, of=of, per=per)
    left = len(record.tasks) - len(ours)
    panels = (ours, prompts.feature_similarity(record)[left:, left:])
    lowest = -1.0 if ours.min() < -0.1 else 0.0
    what = "prompt after the task" if of == "prompts" else "how the task moved the prompt"
    figure = style.grid(
        f"Are alike tasks alike in their prompts? {run_name(record)}",
        f"1: the same, 0: nothing in common. Cosine of {_COSINE_OF[per]}; affinity |UᵀV|² / k "
        "of the spaces that the class means span.",
        cols=2,
        panels=(f"{what}: cosine", "features of the task: affinity"),
        spacing=(0.14, None),
        height=max(440, 170 + 30 * len(record.tasks)),
        margin={"t": 100},
    )
    names, n = record.task_names[left:], len(ours)
    for col, values in enumerate(panels, start=1):
        task_map(
            figure,
            values,
            (names, names),
            ("", ""),
            limits=(lowest, 1),
            colorscale=style.FRACTION_SCALE,
            text=cell_texts(values, 2),
            texttemplate="%{text}" if n <= 12 else None,
            size=12 if n <= 8 else 9,
            customdata=np.stack(np.meshgrid(names, names), axis=-1),
            hover="<b>%{z:.3f}</b><br>%{customdata[0]} and %{customdata[1]}",
            showscale=col == 2,  # on the right of the second
            bar="similarity",
            row=1,
            col=col,
        )
    figure.update_xaxes(tickangle=30)
    return figure


@draws()
def prompt_movement(records: curves.Records) -> go.Figure:
    """How far each task moved the meta-prompt, and how far it is by then from the first task's."""
    labelled = curves.by_label(records)
    first = next(iter(labelled.values()))
    if len(labelled) == 1 and len(first) == 1:
        return _draw_moves(first[0])
    panels = (
        ("moved by the task, |Pₜ − Pₜ₋₁| / |Pₜ₋₁|", lambda r: prompts.prompt_moves(r).step),
        ("distance from P₁, |Pₜ − P₁| / |P₁|", lambda r: prompts.prompt_moves(r).from_first),
    )
    panel_lines = [
        [curves.curve(label, runs, measure, skip=1) for label, runs in labelled.items()]
        for _, measure in panels
    ]
    figure = style.grid(
        "How far the meta-prompt moves",
        f"From the second task on. {curves.seeds_note(sum(panel_lines, []))}",
        cols=2,
        panels=[name for name, _ in panels],
        spacing=(0.1, None),
        height=430,
        margin={"t": 100},
    )
    for col, lines in enumerate(panel_lines, start=1):
        curves.add_curves(figure, lines, labelled, showlegend=col == 1, row=1, col=col)
    figure.update_xaxes(curves.task_axis(curves.longest(labelled), panels=2))
    figure.update_yaxes(rangemode="tozero")
    figure.update_yaxes(title_text="relative to its length (%)", col=1)
    return figure


@draws(prompts.PromptEffect)
def prompt_effect(effect: prompts.PromptEffect) -> go.Figure:
    """What other prompts (rows) change about one model's accuracy on each task (columns).

    The row of the model's own prompt has accuracies in %, the others points gained or lost.

    Measured by `fmlora_kit.probes.swap_prompts`.
    """
    pooled = np.average(effect.accuracy, axis=1, weights=effect.n_images)
    percent = 100 * np.column_stack([effect.accuracy, pooled])
    points = percent - percent[effect.own]
    columns = (*effect.task_names, "all images")
    rows = list(effect.prompts)
    rows[effect.own] = f"<b>{rows[effect.own]} (its own)</b>"
    text = [[signed_change(value) for value in row] for row in points]
    text[effect.own] = [f"<b>{value:.1f} %</b>" for value in percent[effect.own]]
    most = max(float(np.abs(points).max()), 1.0)
    figure = style.new_figure(
        "What the prompt does: the last model with other prompts in its place, "
        f"{display_name(effect.method)}",
        "Points of accuracy gained (blue) or lost (orange) against its own prompt, whose row has "
        f"the accuracies. {image_counts(effect.n_images)}.",
        height=160 + 32 * len(rows),
    )
    add_map(
        figure,
        points,
        limits=(-most, most),
        colorscale=style.GAIN_SCALE,
        text=text,
        customdata=np.dstack([*np.meshgrid(columns, effect.prompts), percent.round(1).astype(str)]),
        hover="%{customdata[0]}: <b>%{customdata[2]} %</b>, %{z:+.1f} points"
        "<br>prompt: %{customdata[1]}",
        bar="points",
    )
    figure.add_vline(x=len(columns) - 1.5, line={"color": style.INK, "width": 2})
    figure.update_xaxes(style.name_axis(columns, "test images of task"))
    ticks = style.name_ticks(rows, autorange="reversed")
    figure.update_yaxes(ticks, title_text="prompt put in: as after task")
    return figure


def _draw_moves(record: Record) -> go.Figure:
    moves = prompts.prompt_moves(record)
    figure = style.new_figure(
        f"How far each task moved the meta-prompt: {run_name(record)}",
        "100 %: as far as the prompt is long. The first task starts from a small random prompt.",
        legend={"orientation": "h", "y": -0.2, "x": 0},
        height=450,
    )
    percent = 100 * moves.step
    colors = style.task_colors(record.n_tasks)[: len(percent)]
    figure.add_bar(
        x=np.arange(len(percent)),
        y=percent,
        marker={"color": list(colors)},
        width=0.55,
        text=["" if np.isnan(value) else f"{value:.0f} %" for value in percent],
        textposition="inside",
        insidetextanchor="middle",
        textangle=0,
        insidetextfont={"size": 13, "color": list(map(style.readable_on, colors))},
        name="bar: moved by the task",
        customdata=np.stack([np.array(moves.task_names, dtype=object), moves.novelty], axis=-1),
        hovertemplate="<b>%{customdata[0]}</b> moved it by %{y:.0f} %"
        "<br>novelty %{customdata[1]:.2f}<extra></extra>",
    )
    figure.add_scatter(
        x=np.arange(len(moves.step)),
        y=100 * moves.from_first,
        mode="lines+markers",
        line={"color": style.INK, "width": 2.5, "dash": "dot"},
        marker={"size": 9, "symbol": "diamond"},
        name="line: distance from the first task's prompt by then",
        customdata=moves.task_names,
        hovertemplate="%{y:.0f} % away from P₁<br>after %{customdata}<extra></extra>",
    )
    figure.update_xaxes(style.name_axis(moves.task_names, "task"))
    figure.update_yaxes(title_text="relative to the prompt's length (%)", rangemode="tozero")
    return figure


def image_counts(n_images: np.ndarray) -> str:
    """How many test images a task has, in words."""
    counts = sorted({int(n) for n in n_images})
    return f"{' to '.join(map(str, counts[:: len(counts) - 1 or 1]))} test images per task"


def signed_change(points: float) -> str:
    """Points gained or lost, with a sign and one decimal."""
    return "±0" if abs(points) < 0.05 else f"{points:+.1f}".replace("-", "−")
