"""A run while it trains: the loss of every step so far, the ranks, and each task's accuracy now."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fmlora_kit.analysis.names import run_name
from fmlora_kit.figures.template import INK, TEMPLATE, short, task_colors
from fmlora_kit.record import Record


def training_progress(
    record: Record,
    losses: Sequence[float] = (),
    *,
    task_names: Sequence[str] | None = None,
    n_steps: int = 0,
    expected_rank: Sequence[float] | None = None,
) -> go.Figure:
    """Left: the training loss of every step, task after task. Right: accuracy on each task now.

    Between them, for a method with ranks: the rank of each adapted map, expected from the gates
    while it is being chosen, afterwards that of the last finished task.

    The bars are arg-max over all classes seen, after the last finished task; a diamond stands where
    the task was when it was just learned, so the gap between the two is what was forgotten.

    Args:
        record: one run, finished or not; it may have no finished task yet.
        losses: of the task in training, which the record does not have yet.
        task_names: of the whole stream; default: of the finished tasks.
        n_steps: how many steps the task in training has, so that the axis can leave room for them.
        expected_rank: (L,) E[r] of the task in training, per adapted map.

    Raises:
        ValueError: there are more tasks than the record's stream has.
    """
    per_task = [task.losses for task in record.tasks] + ([np.asarray(losses)] if losses else [])
    names = list(record.task_names if task_names is None else task_names)
    names += [f"task {k + 1}" for k in range(len(names), len(per_task))]
    if max(len(names), len(per_task)) > record.n_tasks:
        raise ValueError(
            f"losses and task_names must be of at most {record.n_tasks} tasks, "
            f"got {len(per_task)} and {len(names)}"
        )
    ranked = expected_rank is not None or record.ranks.size > 0
    panels = ["training loss of every step", "accuracy on each task now"]
    if ranked:
        panels.insert(1, _ranks_title(names, len(record.tasks), expected_rank is not None))
    figure = make_subplots(
        cols=len(panels),
        column_widths=[0.44, 0.24, 0.32] if ranked else [0.6, 0.4],
        horizontal_spacing=0.09 if ranked else 0.16,
        subplot_titles=panels,
    )
    colors = task_colors(record.n_tasks)
    end = _add_losses(figure, per_task, names, colors)
    _add_accuracy(figure, record, names, colors, col=len(panels))
    _set_axes(figure, names, max(end, end - len(losses) + n_steps), col=len(panels))
    if ranked:
        done = len(record.tasks) - (expected_rank is None)
        ranks = record.ranks[-1] if expected_rank is None else np.asarray(expected_rank)
        _add_ranks(figure, record, ranks, colors[done])
    figure.update_layout(
        template=TEMPLATE,
        title={"text": f"Learning task by task: {run_name(record)}"},
        height=max(340, 120 + 20 * max(len(names), len(record.layers) if ranked else 0)),
        margin={"t": 80},
        showlegend=False,
    )
    figure.update_annotations(font_size=13)
    return figure


def _ranks_title(names: Sequence[str], n_done: int, choosing: bool) -> str:
    if choosing:
        return f"rank being chosen: {short(names[n_done])}"
    return f"rank chosen: {short(names[n_done - 1])}"


def _add_ranks(figure: go.Figure, record: Record, ranks: np.ndarray, color: str) -> None:
    """Add one bar per adapted map, input at the top, up to the largest rank there can be."""
    options = record.config.get("method", {})
    largest = options.get("flora", options).get("max_rank") or max(ranks)
    figure.add_bar(
        x=ranks,
        y=list(range(len(ranks))),
        orientation="h",
        marker_color=color,
        name="rank",
        text=[f"{rank:.0f}" for rank in ranks],
        textposition="auto",
        customdata=record.layers,
        hovertemplate="rank <b>%{x:.1f}</b> of %{customdata}<extra></extra>",
        row=1,
        col=2,
    )
    figure.update_xaxes(title_text="rank r", range=[0, largest * 1.02], col=2)
    figure.update_yaxes(
        tickvals=list(range(len(ranks))),
        ticktext=[layer.removeprefix("blocks.") for layer in record.layers],
        range=[len(ranks) - 0.5, -0.5],
        showgrid=False,
        col=2,
    )


def _add_losses(figure: go.Figure, per_task, names, colors) -> int:
    """Add one line per task, each beginning where the last ended; return the number of steps."""
    end = 0
    for losses, name, color in zip(per_task, names, colors, strict=False):
        figure.add_scatter(
            x=np.arange(end + 1, end + len(losses) + 1),
            y=losses,
            mode="lines",
            line={"color": color, "width": 1.5},
            name=name,
            hovertemplate=f"loss <b>%{{y:.3f}}</b><br>step %{{x}}, {name}<extra></extra>",
            row=1,
            col=1,
        )
        end += len(losses)
    return end


def _add_accuracy(figure: go.Figure, record: Record, names, colors, *, col: int) -> None:
    done = len(record.tasks)
    now = 100 * record.accuracy[done - 1, :done] if done else np.zeros(0)
    learned = 100 * np.diag(record.accuracy)[:done]
    figure.add_bar(
        x=now,
        y=list(range(done)),
        orientation="h",
        marker_color=colors[:done],
        text=[f"{value:.0f}" for value in now],
        textposition="inside",
        insidetextanchor="start",
        name="now",
        customdata=names[:done],
        hovertemplate="<b>%{x:.1f} %</b> on %{customdata} now<extra></extra>",
        row=1,
        col=col,
    )
    figure.add_scatter(
        x=learned,
        y=list(range(done)),
        mode="markers",
        marker={"symbol": "diamond-open", "size": 9, "color": INK},
        name="when just learned",
        customdata=names[:done],
        hovertemplate="<b>%{x:.1f} %</b> on %{customdata} when just learned<extra></extra>",
        row=1,
        col=col,
    )


def _set_axes(figure: go.Figure, names: list[str], n_steps: int, *, col: int) -> None:
    figure.update_xaxes(title_text="step", range=[0, max(n_steps, 1)], col=1)
    figure.update_yaxes(title_text="loss (nats)", rangemode="tozero", col=1)
    figure.update_xaxes(title_text="accuracy (%), ◇ when just learned", range=[0, 101], col=col)
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=[short(name) for name in names],
        range=[max(len(names), 1) - 0.5, -0.5],
        showgrid=False,
        col=col,
    )
