"""A run as it trains: losses, ranks and accuracies so far; run cards: what was run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from fmlora_kit import checks
from fmlora_kit.analysis.names import NAMES, run_name
from fmlora_kit.figures.curves import Records, by_label
from fmlora_kit.figures.entry import draws
from fmlora_kit.figures.labels import task_label
from fmlora_kit.figures.style import (
    INK,
    grid,
    name_ticks,
    readable_on,
    task_colors,
)
from fmlora_kit.figures.table import Block, Table, bold
from fmlora_kit.record import Record, run_card


@draws(Record)
def training_progress(
    record: Record,
    losses: Sequence[float] = (),
    *,
    task_names: Sequence[str] | None = None,
    n_steps: checks.Natural = 0,
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
        task_names: of the whole stream, no more; default: of the finished tasks.
        n_steps: how many steps the task in training has, so that the axis can leave room for them.
        expected_rank: (L,) E[r] of the task in training, per adapted map.
    """
    checks.instance("record", record, Record, "a Record")
    now = checks.numbers("losses", losses)
    per_task = [task.losses for task in record.tasks] + ([now] if now.size else [])
    names = list(record.task_names if task_names is None else task_names)
    names += [f"task {k + 1}" for k in range(len(names), len(per_task))]
    if max(len(names), len(per_task)) > record.n_tasks:
        rule = f"of at most {record.n_tasks} tasks"
        raise checks.fail("losses and task_names", rule, (len(per_task), len(names)))
    ranked = expected_rank is not None or record.ranks.size > 0
    done = len(record.tasks) - (expected_rank is None)
    panels = ["training loss of every step", "accuracy on each task now"]
    if ranked:
        when = "chosen" if expected_rank is None else "being chosen"
        panels.insert(1, f"rank {when}: {task_label(names[done])}")
    figure = grid(
        f"Learning task by task: {run_name(record)}",
        None,
        cols=len(panels),
        panels=panels,
        spacing=(0.11 if ranked else 0.16, None),
        widths=[0.44, 0.24, 0.32] if ranked else [0.6, 0.4],
        height=max(340, 120 + 20 * len(names), 120 + _MAP * len(record.layers) * ranked),
        margin={"t": 80},
        showlegend=False,
    )
    colors = task_colors(record.n_tasks)
    end = _add_losses(figure, per_task, names, colors)
    _add_accuracy(figure, record, names, colors, row=1, col=len(panels))
    n_steps = max(end, end - now.size + n_steps, 1)
    figure.update_xaxes(title_text="step", range=[0, n_steps], col=1)
    figure.update_yaxes(title_text="loss (nats)", rangemode="tozero", col=1)
    learned = "accuracy (%), ◇ when just learned"
    figure.update_xaxes(title_text=learned, range=[0, 101], col=len(panels))
    rows = name_ticks(map(task_label, names), range=[max(len(names), 1) - 0.5, -0.5])
    figure.update_yaxes(rows, col=len(panels))
    if ranked:
        ranks = record.ranks[-1] if expected_rank is None else np.asarray(expected_rank)
        _add_ranks(figure, record, ranks, colors[done])
    return figure


_MAP = 15  # pixels of a bar for an adapted map
# Of bars with a number each, which stands upright, beside a bar that is too short for it.
_NUMBERS = {"textposition": "auto", "textangle": 0, "insidetextanchor": "start"}
_NUMBERS |= {"constraintext": "none", "outsidetextfont": {"color": INK}}


def _add_ranks(figure: go.Figure, record: Record, ranks: np.ndarray, color: str) -> None:
    """Add one bar per adapted map, input at the top, up to the largest rank there can be."""
    options = record.config.get("method", {})
    largest = options.get("flora", options).get("max_rank") or max(ranks)
    figure.add_bar(
        x=ranks,
        y=list(range(len(ranks))),
        orientation="h",
        marker_color=color,
        insidetextfont={"color": readable_on(color)},
        name="rank",
        text=[f"{rank:.0f}" for rank in ranks],
        textfont={"size": _MAP - 4},
        **_NUMBERS,
        customdata=record.layers,
        hovertemplate="rank <b>%{x:.1f}</b> of %{customdata}<extra></extra>",
        row=1,
        col=2,
    )
    figure.update_xaxes(title_text="rank r", range=[0, largest * 1.02], col=2)
    layers = (layer.removeprefix("blocks.") for layer in record.layers)
    rows = name_ticks(layers, range=[len(ranks) - 0.5, -0.5], tickfont={"size": _MAP - 4})
    figure.update_yaxes(rows, col=2)


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


def _add_accuracy(figure: go.Figure, record: Record, names, colors, **where: int) -> None:
    done = len(record.tasks)
    now = 100 * record.accuracy[done - 1, :done] if done else np.zeros(0)
    learned = 100 * np.diag(record.accuracy)[:done]
    figure.add_bar(
        x=now,
        y=list(range(done)),
        orientation="h",
        marker_color=colors[:done],
        text=[f"{value:.0f}" for value in now],
        insidetextfont={"color": [readable_on(color) for color in colors[:done]]},
        **_NUMBERS,
        name="now",
        customdata=names[:done],
        hovertemplate="<b>%{x:.1f} %</b> on %{customdata} now<extra></extra>",
        **where,
    )
    figure.add_scatter(
        x=learned,
        y=list(range(done)),
        mode="markers",
        marker={"symbol": "diamond-open", "size": 9, "color": INK},
        name="when just learned",
        customdata=names[:done],
        hovertemplate="<b>%{x:.1f} %</b> on %{customdata} when just learned<extra></extra>",
        **where,
    )


_SHORT = 24  # letters of a value that may stand beside those of other seeds


@draws()
def run_card_table(records: Records) -> Table:
    """A column per label: in bold the lines in which they differ; then what is the same in all.

    Lines, from weights to versions, are those of `fmlora_kit.record.run_card`. Seeds of one label
    share a column.
    """
    table = by_label(records, across=True)
    cards = {label: _merge([run_card(r) for r in runs]) for label, runs in table.items()}
    heads = [
        NAMES.get(label, label) + (f"<br>{len(runs)} seeds" if len(runs) > 1 else "")
        for label, runs in table.items()
    ]
    first = next(iter(cards.values()))
    if len(cards) == 1:
        words = ("Run card", "What another run must share to be compared with this one.")
        return Table(*words, (_block("line", heads, list(first), cards.values()),))
    differing = [line for line in first if len({card[line] for card in cards.values()}) > 1]
    alike = [line for line in first if line not in differing]
    blocks = []
    if differing:
        blocks.append(_block("what differs", heads, differing, cards.values(), bold))
    if alike:
        blocks.append(_block("the same in all", ["of each run"], alike, [first]))
    words = ("Run cards", "Bold: what differs between them; then what is the same in all.")
    return Table(*words, tuple(blocks))


def _block(corner: str, heads: list[str], lines: list[str], cards, name=str) -> Block:
    columns = [[name(line) for line in lines], *([card[line] for line in lines] for card in cards)]
    return Block([corner, *heads], columns, words=range(len(columns)))


def _merge(cards: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """One card of several seeds: all short values of a line, or the first of long ones."""
    merged = {}
    for line in cards[0]:
        first, *more = values = list(dict.fromkeys(card[line] for card in cards))
        others = f"{len(more)} other value{'s' * (len(more) > 1)}"
        merged[line] = f"{first} (and {others} over the seeds)" if more else first
        if max(map(len, values)) <= _SHORT:
            merged[line] = ", ".join(values)
    return merged
