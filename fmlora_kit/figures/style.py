"""The look of every figure: one plotly template, one colour per task, one style per method.

Colours are told apart by people with any colour vision: the Okabe-Ito palette (Okabe and Ito,
"Color Universal Design", 2008), and viridis where more colours are needed. Black is kept for
averages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from itertools import cycle

import plotly.graph_objects as go
from plotly.colors import hex_to_rgb, sample_colorscale, unlabel_rgb

from fmlora_kit import checks
from fmlora_kit.figures.entry import plain
from fmlora_kit.figures.show import Figure

INK = "#222222"
AVERAGE_COLOR = "#000000"
OKABE_ITO = (
    "#0072B2",  # blue
    "#D55E00",  # vermillion
    "#009E73",  # bluish green
    "#CC79A7",  # reddish purple
    "#E69F00",  # orange
    "#56B4E9",  # sky blue
    "#999999",  # grey, instead of black
    "#F0E442",  # yellow, last: palest on white
)
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "triangle-down", "cross", "star")
# Pale to middling, never dark: numbers in INK have a contrast of at least 4.5 on all of them.
FRACTION_SCALE = ((0.0, "#ffffe5"), (0.35, "#d5eeb9"), (0.7, "#7fcdbb"), (1.0, "#3a9fc9"))
LOSS_SCALE = ((0.0, "#56b4e9"), (0.5, "#ffffff"), (1.0, "#f08a2c"))  # white: no change
GAIN_SCALE = ((0.0, "#f08a2c"), (0.5, "#ffffff"), (1.0, "#56b4e9"))
RANK_SCALE = ((0.0, "#fffdf0"), (0.35, "#fee391"), (0.7, "#fec44f"), (1.0, "#f08a2c"))

# Of a text above a column of a drawing.
ABOVE = {"y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False}
_AXIS = {
    "showgrid": True,
    "gridcolor": "#e6e6e6",
    "gridwidth": 1,
    "zeroline": False,
    "showline": True,
    "linecolor": "#888888",
    "ticks": "outside",
    "tickcolor": "#888888",
    "ticklen": 4,
    "automargin": True,
    "title": {"font": {"size": 14}, "standoff": 8},
    "tickfont": {"size": 12},
}

TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": "DejaVu Sans, Verdana, Arial, sans-serif", "size": 13, "color": INK},
        "title": {
            "font": {"size": 16},
            "subtitle": {"font": {"size": 12.5, "color": "#555555"}},
            "x": 0.01,
            "xanchor": "left",
            # Measured from the top in pixels, so that tall figures do not push it into the drawing.
            "y": 1,
            "yanchor": "top",
            "pad": {"t": 14},
        },
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "margin": {"l": 60, "r": 20, "t": 70, "b": 50},
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "hoverlabel": {"bgcolor": "white", "font": {"size": 13}},
        "legend": {"font": {"size": 12}, "tracegroupgap": 2, "itemwidth": 40},
    }
)


@dataclass(frozen=True)
class LineStyle:
    """How a method is drawn wherever it appears: colour, dash and marker each tell it apart alone.

    The colour is hexadecimal; dash and symbol are plotly's names.
    """

    color: str
    dash: str
    symbol: str


def task_colors(n: int) -> tuple[str, ...]:
    """One colour per task of a stream of `n` tasks; the same task always has the same colour.

    Hexadecimal, in the order of the tasks: Okabe-Ito up to 8 tasks; for longer streams viridis from
    dark (first) to light (last), without its palest end, which is hard to see on white.

    `n` counts the tasks of the whole stream, finished or not.
    """
    checks.integer("n", n, 1)
    if n <= len(OKABE_ITO):
        return OKABE_ITO[:n]
    sampled = sample_colorscale("Viridis", [0.93 * k / (n - 1) for k in range(n)])
    return tuple("#" + "".join(f"{round(c):02x}" for c in unlabel_rgb(rgb)) for rgb in sampled)


def method_styles(labels: Iterable[str]) -> dict[str, LineStyle]:
    """One style per method, by order: figures that compare the same methods agree."""
    looks = map(LineStyle, cycle(OKABE_ITO), cycle(DASHES), cycle(SYMBOLS))
    return dict(zip(labels, looks, strict=False))


def faded(color: str, opacity: float = 0.18) -> str:
    """A hexadecimal colour, see-through, for bands."""
    red, green, blue = hex_to_rgb(color)
    return f"rgba({red},{green},{blue},{opacity:g})"


def new_figure(title: str, subtitle: str = "", *, height: int = 450, **layout: object) -> go.Figure:
    """An empty figure in the project's look; its width follows the page."""
    return _set_look(Figure(), title, subtitle, height, layout)


def grid(
    title: str,
    subtitle: str | None = "",
    *,
    rows: int = 1,
    cols: int = 1,
    panels: Iterable[str] | None = None,
    panel_size: float = 13,
    spacing: tuple[float | None, float | None] = (None, None),
    sharing: str = "",
    widths: Sequence[float] | None = None,
    heights: Sequence[float] | None = None,
    height: int = 450,
    **layout: object,
) -> go.Figure:
    """An empty figure of several panels, in the project's look.

    Args:
        title: of the whole figure.
        subtitle: of the whole figure; None leaves its line out.
        rows: of panels.
        cols: panels in a row.
        panels: (rows * cols,) titles of the panels, row by row.
        panel_size: size of their letters.
        spacing: room between columns and between rows, as shares of the figure.
        sharing: "x", "y" or "xy": axes that the panels have in common.
        widths: (cols,) of the columns, relative to each other.
        heights: (rows,) of the rows, relative to each other.
        height: of the figure in pixels.
        layout: further settings of plotly's layout.
    """
    figure = Figure().set_subplots(
        rows=rows,
        cols=cols,
        subplot_titles=None if panels is None else list(panels),
        horizontal_spacing=spacing[0],
        vertical_spacing=spacing[1],
        shared_xaxes="x" in sharing,
        shared_yaxes="y" in sharing,
        column_widths=widths,
        row_heights=heights,
    )
    figure.update_annotations(font_size=panel_size)
    return _set_look(figure, title, subtitle, height, layout)


def cell(k: int, cols: int) -> dict[str, int]:
    """Row and column, from 1, of the k-th panel of a grid with ``cols`` panels in a row."""
    return {"row": k // cols + 1, "col": k % cols + 1}


def _set_look(figure, title: str, subtitle: str | None, height: int, layout: dict) -> go.Figure:
    words = {} if subtitle is None else {"subtitle": {"text": subtitle}}
    figure.update_layout(template=TEMPLATE, title={"text": title, **words}, height=height, **layout)
    return figure


def table_of(
    heads: Sequence[str],
    columns: Sequence[Sequence[str]],
    widths: Sequence[float],
    *,
    size: float,
    height: float,
    fills: object = "white",
    head: Mapping[str, object] | None = None,
    **look: object,
) -> go.Table:
    """A table: heads on grey, thin lines; ``size`` of letters, ``height`` of rows in pixels."""
    look |= {"line": {"color": "#dddddd"}, "font": {"size": size}}
    return go.Table(
        header={"values": heads, "fill": {"color": "#f0f0f0"}, **look, **(head or {})},
        cells={"values": columns, "height": height, "fill": {"color": fills}, **look},
        columnwidth=widths,
    )


def name_axis(names: Iterable[str], title: str) -> dict:
    """Settings of a heat map's axis over named columns; names that would collide are slanted."""
    names = [short(name) for name in names]
    crowded = max(map(len, names)) * len(names) > 85  # letters that fit side by side on a laptop
    return name_ticks(names, title={"text": title}, tickangle=30 if crowded else 0)


def name_ticks(names: Iterable[str], **settings: object) -> dict:
    """Settings of an axis whose ticks 0, 1, ... have names."""
    names = list(names)
    return {"tickvals": [*range(len(names))], "ticktext": names, "showgrid": False, **settings}


def short(name: str, longest: int = 18) -> str:
    """`name`, cut with an ellipsis if it is longer than a label can be; never inside an escape."""
    letters = unescape(name)
    return name if len(letters) <= longest else plain(letters[: longest - 1]) + "…"
