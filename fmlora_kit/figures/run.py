"""A run as it trains: losses, ranks and accuracies so far; run cards: what was run."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from fmlora_kit import checks
from fmlora_kit.analysis.names import NAMES, run_name
from fmlora_kit.figures import style
from fmlora_kit.figures.curves import Records, by_label
from fmlora_kit.figures.entry import draws
from fmlora_kit.figures.style import (
    INK,
    grid,
    name_ticks,
    new_figure,
    readable_on,
    short,
    task_colors,
)
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
        panels.insert(1, f"rank {when}: {short(names[done])}")
    figure = grid(
        f"Learning task by task: {run_name(record)}",
        None,
        cols=len(panels),
        panels=panels,
        spacing=(0.09 if ranked else 0.16, None),
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
    rows = name_ticks(map(short, names), range=[max(len(names), 1) - 0.5, -0.5])
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


_BESIDE = 4  # labels that are legible beside one another
_WIDTH, _PADDING, _LETTER = 965, 18, 6.6  # pixels: a table on a page, inside a cell, a letter
_NAME = 0.19  # share of the width that the names of the lines take
_ROW, _LINE, _GAP = 30, 16, 18  # pixels: a row, each further line in it, between two tables
_SHORT = 24  # letters of a value that may stand beside those of other seeds
_TOP, _BOTTOM = 75, 10


@dataclass(frozen=True)
class _Block:
    """One table: names of lines, and a column of texts under each head.

    The corner is the head of the names; `columns` has a text per line for each head; the names of
    the lines are bold if `strong`.
    """

    corner: str
    heads: list[str]
    lines: list[str]
    columns: list[list[str]]
    strong: bool = False

    @property
    def row_heights(self) -> list[float]:
        """In pixels: the head, then every line, as many as its longest text needs."""
        letters = _letters((1 - _NAME) / len(self.columns))
        name_letters = int(_letters(_NAME) * (0.85 if self.strong else 1))
        rows = [(self.corner, self.heads)]
        rows += zip(self.lines, zip(*self.columns, strict=True), strict=True)
        counts = [
            max(_n_lines(name, name_letters), *(_n_lines(text, letters) for text in texts))
            for name, texts in rows
        ]
        return [_ROW + _LINE * (count - 1) for count in counts]


@draws()
def run_card_table(records: Records) -> go.Figure:
    """A column per label: in bold the lines in which they differ; then what is the same in all.

    Lines, from weights to versions, are those of `fmlora_kit.record.run_card`. More than four
    labels go into several tables, below one another. Seeds of one label share a column.
    """
    table = by_label(records, across=True)
    cards = {label: _merge([run_card(r) for r in runs]) for label, runs in table.items()}
    heads = {label: _strong(NAMES.get(label, label)) for label in table}
    for label, runs in table.items():
        heads[label] += f"<br>{len(runs)} seeds" if len(runs) > 1 else ""
    blocks = _blocks(cards, heads)
    heights = [sum(block.row_heights) for block in blocks]
    inside = sum(heights) + _GAP * (len(blocks) - 1)
    words = ("Run card", "What another run must share to be compared with this one.")
    if len(cards) > 1:
        words = ("Run cards", "Bold: what differs between them; then what is the same in all.")
    figure = new_figure(
        *words,
        height=math.ceil(inside + _TOP + _BOTTOM),
        margin={"l": 10, "r": 10, "t": _TOP, "b": _BOTTOM},
    )
    top = float(inside)
    for block, height in zip(blocks, heights, strict=True):
        share = [max(0.0, (top - height) / inside), min(1.0, top / inside)]
        figure.add_trace(_make_table(block, share))
        top -= height + _GAP
    return figure


def _blocks(cards: Mapping[str, Mapping[str, str]], heads: Mapping[str, str]) -> list[_Block]:
    lines = list(next(iter(cards.values())))
    if len(cards) == 1:
        columns = [[*card.values()] for card in cards.values()]
        return [_Block("", [*heads.values()], lines, columns)]
    differing = [line for line in lines if len({card[line] for card in cards.values()}) > 1]
    blocks, labels = [], list(cards)
    for k in range(0, len(labels) if differing else 0, _BESIDE):
        some = labels[k : k + _BESIDE]
        columns = [[cards[label][line] for line in differing] for label in some]
        chosen = [heads[label] for label in some]
        blocks.append(_Block("what differs", chosen, differing, columns, strong=True))
    alike = [line for line in lines if line not in differing]
    if alike:
        column = [cards[labels[0]][line] for line in alike]
        blocks.append(_Block("the same in all", [""], alike, [column]))
    return blocks


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


def _make_table(block: _Block, share: list[float]) -> go.Table:
    names = [_strong(name) if block.strong else name for name in block.lines]
    n = len(block.columns)
    heads, widths = [_strong(block.corner), *block.heads], [_NAME, *[(1 - _NAME) / n] * n]
    look = {"align": "left", "size": 12, "height": _ROW, "head": {"height": block.row_heights[0]}}
    table = style.table_of(heads, [names, *block.columns], widths, **look)
    return table.update(domain={"x": [0, 1], "y": share})


def _letters(share: float) -> int:
    """How many fit side by side in a column of this share of the width."""
    return int((_WIDTH * share - _PADDING) / _LETTER)


def _n_lines(text: str, letters: int) -> int:
    """How many lines a text takes; breaks of its own count."""
    return sum(max(1, len(textwrap.wrap(line, letters))) for line in text.split("<br>"))


def _strong(text: str) -> str:
    return f"<b>{text}</b>" if text else ""
