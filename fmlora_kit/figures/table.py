"""Tables: HTML, to be selected and copied, in a box that scrolls under a head that stays in sight.

Colours follow the theme of JupyterLab or VS Code; a page without one is light. Texts are HTML in
which names are escaped, as `entry.draws` leaves them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from fmlora_kit.figures.describe import LONGEST, listed, strip

HEIGHT = 480  # pixels of the box: with its title in view on a laptop
_PAGE = "var(--jp-layout-color0, var(--vscode-editor-background, #ffffff))"
_TEXT = "var(--jp-ui-font-color0, var(--vscode-editor-foreground, #222222))"
_LINE = "border:0;border-bottom:1px solid rgba(128,128,128,0.4)"
_CELL = f"{_LINE};padding:4px 9px;vertical-align:top;max-width:none"
_HEAD = f"{_CELL};position:sticky;top:0;background:{_PAGE};color:{_TEXT};vertical-align:bottom"
_BOX = f"max-height:{HEIGHT}px;overflow:auto;{_LINE};margin:6px 0"
_TABLE = f"border-collapse:collapse;table-layout:auto;margin:0 0 12px;font-size:13px;color:{_TEXT}"
_SENTENCE = "17em"  # on a phone a narrower column would make rows of many lines
_MARKED = ' style="background:rgba(0,114,178,0.14)"'


@dataclass(frozen=True)
class Block:
    """Rows under one head.

    Attributes:
        heads: (columns,) texts.
        columns: (columns, rows) texts; those of the first head the rows.
        words: which columns hold words, from 0, and so begin on the left; the others are numbers.
        marked: rows, from 0, to be found at a glance.
    """

    heads: Sequence[str]
    columns: Sequence[Sequence[str]]
    words: Collection[int] = (0,)
    marked: Collection[int] = ()


@dataclass(frozen=True)
class Table:
    """A title, what it means, and blocks of rows one below the other; the last line of a cell.

    It shows itself as HTML, and in words where there is no HTML.
    """

    title: str
    subtitle: str
    blocks: tuple[Block, ...]

    def _repr_mimebundle_(self, *args: object, **settings: object) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": self.words()}

    def html(self) -> str:
        """The table as a piece of a page."""
        tables = "".join(map(_html, self.blocks))
        region = f'role="region" tabindex="0" aria-label="{strip(self.title).replace(chr(34), "")}"'
        return (
            f'<div><div style="font-size:16px">{self.title}</div>'
            f'<div style="font-size:13px">{self.subtitle}</div>'
            f'<div class="fmlora-table" {region} style="{_BOX}">{tables}</div></div>'
        )

    def words(self) -> str:
        """The table in plain text: title, subtitle, heads and rows."""
        rows = [listed(block.heads, block.columns) for block in self.blocks]
        ends = (strip(text).rstrip(".") for text in (self.title, self.subtitle, *rows))
        text = ". ".join(end for end in ends if end)
        return f"{text[:LONGEST].rstrip()} …" if len(text) > LONGEST else f"{text}."


def bold(text: str) -> str:
    """The text in bold, if there is any."""
    return f"<b>{text}</b>" if text else ""


def _html(block: Block) -> str:
    sides = ["left" if k in block.words else "right" for k in range(len(block.heads))]
    heads = (
        f'<th scope="col" style="{_HEAD};text-align:{side}">{head}</th>'
        for head, side in zip(block.heads, sides, strict=True)
    )
    rows = []
    for k, texts in enumerate(zip(*block.columns, strict=True)):
        cells = "".join(map(_cell, texts, sides))
        rows.append(f"<tr{_MARKED if k in block.marked else ''}>{cells}</tr>")
    head = f"<thead><tr>{''.join(heads)}</tr></thead>"
    return f'<table style="{_TABLE}">{head}<tbody>{"".join(rows)}</tbody></table>'


def _cell(text: str, side: str) -> str:
    wrap = "normal" if side == "left" else "nowrap"
    least = f";min-width:{_SENTENCE}" if side == "left" and len(text) > 60 else ""
    return f'<td style="{_CELL};text-align:{side};white-space:{wrap}{least}">{text}</td>'
