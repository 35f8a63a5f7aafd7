"""A run while it trains: the loss of every step so far, and what each task's accuracy is now."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fmlora_kit.figures.template import INK, TEMPLATE, short, task_colors
from fmlora_kit.record import Record


def training_progress(
    record: Record,
    losses: Sequence[float] = (),
    *,
    task_names: Sequence[str] | None = None,
    n_steps: int = 0,
) -> go.Figure:
    """Left: the training loss of every step, task after task. Right: accuracy on each task now.

    The bars are arg-max over all classes seen, after the last finished task; a diamond stands where
    the task was when it was just learned, so the gap between the two is what was forgotten.

    Args:
        record: one run, finished or not; it may have no finished task yet.
        losses: of the task in training, which the record does not have yet.
        task_names: of the whole stream; default: of the finished tasks.
        n_steps: how many steps the task in training has, so that the axis can leave room for them.

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
    figure = make_subplots(
        cols=2,
        column_widths=[0.6, 0.4],
        horizontal_spacing=0.16,
        subplot_titles=("training loss of every step", "accuracy on each task now"),
    )
    colors = task_colors(record.n_tasks)
    end = _add_losses(figure, per_task, names, colors)
    _add_accuracy(figure, record, names, colors)
    _set_axes(figure, names, max(end, end - len(losses) + n_steps))
    figure.update_layout(
        template=TEMPLATE,
        title={"text": f"Learning task by task: {record.method} on {record.stream}"},
        height=max(340, 120 + 20 * len(names)),
        margin={"t": 80},
        showlegend=False,
    )
    figure.update_annotations(font_size=13)
    return figure


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


def _add_accuracy(figure: go.Figure, record: Record, names, colors) -> None:
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
        col=2,
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
        col=2,
    )


def _set_axes(figure: go.Figure, names: list[str], n_steps: int) -> None:
    figure.update_xaxes(title_text="step", range=[0, max(n_steps, 1)], col=1)
    figure.update_yaxes(title_text="loss (nats)", rangemode="tozero", col=1)
    figure.update_xaxes(title_text="accuracy (%), ◇ when just learned", range=[0, 101], col=2)
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=[short(name) for name in names],
        range=[max(len(names), 1) - 0.5, -0.5],
        showgrid=False,
        col=2,
    )
