"""Run cards side by side: first what differs, label by label, then what is the same in all."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import plotly.graph_objects as go

from fmlora_kit.analysis.names import NAMES
from fmlora_kit.figures.tables import Records, by_label
from fmlora_kit.figures.template import new_figure
from fmlora_kit.record import run_card

_BESIDE = 4  # labels that are legible beside one another
_WIDTH, _PADDING, _LETTER = 965, 18, 6.6  # pixels: a table on a page, inside a cell, a letter
_NAME = 0.19  # share of the width that the names of the lines take
_ROW, _LINE, _GAP = 30, 16, 18  # pixels: a row, each further line in it, between two tables
_SHORT = 24  # letters of a value that may stand beside those of other seeds
_TOP, _BOTTOM = 75, 10


@dataclass(frozen=True)
class _Block:
    """One table: names of lines, and a column of texts under each head.

    Args:
        corner: head of the names.
        heads: (labels,) the other heads, finished.
        lines: names of the lines.
        columns: for each head, a text per line.
        strong: are the names of the lines bold?
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
        rows += [
            (name, [column[k] for column in self.columns]) for k, name in enumerate(self.lines)
        ]
        counts = [
            max(_n_lines(name, name_letters), *(_n_lines(text, letters) for text in texts))
            for name, texts in rows
        ]
        return [_ROW + _LINE * (count - 1) for count in counts]


def run_card_table(records: Records) -> go.Figure:
    """A column per label: in bold the lines in which they differ; then what is the same in all.

    Lines, from weights to versions, are those of `fmlora_kit.record.run_card`. More than four
    labels go into several tables, below one another. Seeds of one label share a column.

    Args:
        records: a record, or records by label.

    Raises:
        ValueError: there is none, or one has no finished task.
    """
    table = by_label(records)
    cards = {label: _merged([run_card(r) for r in runs]) for label, runs in table.items()}
    blocks = _blocks(cards, {label: _head(label, len(runs)) for label, runs in table.items()})
    heights = [sum(block.row_heights) for block in blocks]
    inside = sum(heights) + _GAP * (len(blocks) - 1)
    several = "Bold: what differs between them; then what is the same in all."
    figure = new_figure(
        "Run cards" if len(cards) > 1 else "Run card",
        several if len(cards) > 1 else "What another run must share to be compared with this one.",
        height=math.ceil(inside + _TOP + _BOTTOM),
        margin={"l": 10, "r": 10, "t": _TOP, "b": _BOTTOM},
    )
    top = float(inside)
    for block, height in zip(blocks, heights, strict=True):
        place = [max(0.0, (top - height) / inside), min(1.0, top / inside)]
        figure.add_trace(_drawn(block, place))
        top -= height + _GAP
    return figure


def _blocks(cards: Mapping[str, Mapping[str, str]], heads: Mapping[str, str]) -> list[_Block]:
    lines = list(next(iter(cards.values())))
    if len(cards) == 1:
        return [
            _Block("", list(heads.values()), lines, [[*card.values()] for card in cards.values()])
        ]
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


def _merged(cards: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """One card of several seeds: all short values of a line, or the first of long ones."""
    merged = {}
    for line in cards[0]:
        values = list(dict.fromkeys(card[line] for card in cards))
        more = len(values) - 1
        if max(map(len, values)) <= _SHORT:
            merged[line] = ", ".join(values)
        else:
            others = f" (and {more} other value{'s' * (more > 1)} over the seeds)" if more else ""
            merged[line] = values[0] + others
    return merged


def _head(label: str, n_seeds: int) -> str:
    seeds = f"<br>{n_seeds} seeds" if n_seeds > 1 else ""
    return _strong(escape(NAMES.get(label, label), quote=False)) + seeds


def _drawn(block: _Block, place: list[float]) -> go.Table:
    names = [_strong(name) if block.strong else name for name in block.lines]
    texts = [[escape(text, quote=False) for text in column] for column in block.columns]
    n = len(block.columns)
    look = {"align": "left", "line": {"color": "#dddddd"}, "font": {"size": 12}}
    heights = block.row_heights
    return go.Table(
        domain={"x": [0, 1], "y": place},
        header={
            "values": [_strong(block.corner), *block.heads],
            "fill": {"color": "#f0f0f0"},
            "height": heights[0],
            **look,
        },
        cells={"values": [names, *texts], "height": _ROW, "fill": {"color": "white"}, **look},
        columnwidth=[_NAME, *[(1 - _NAME) / n] * n],
    )


def _letters(share: float) -> int:
    """How many fit side by side in a column of this share of the width."""
    return int((_WIDTH * share - _PADDING) / _LETTER)


def _n_lines(text: str, letters: int) -> int:
    """How many lines a text takes; breaks of its own count."""
    parts = text.split("<br>")
    return sum(max(1, len(textwrap.wrap(part, letters))) for part in parts)


def _strong(text: str) -> str:
    return f"<b>{text}</b>" if text else ""
