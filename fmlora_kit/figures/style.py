"""The look of every figure: one plotly template, one colour per task, one style per method.

Figures are white cards in a dark theme too, on purpose: no text has a contrast of 4.5 : 1 on white
and on JupyterLab's #111 alike, and an untrusted notebook has no script to change it.

Colours stand out from white by 3 : 1 at least and are told apart without red, green or blue cones:
the dark half of the Okabe-Ito palette (Okabe and Ito, "Color Universal Design", 2008), brown, and
three that a search put farthest from these, from one another and from black, which averages have.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from itertools import cycle, islice, pairwise

import plotly.graph_objects as go
from plotly.colors import hex_to_rgb

from fmlora_kit import checks
from fmlora_kit.figures.entry import plain
from fmlora_kit.figures.show import Figure
from fmlora_kit.record.names import NAMES

INK = "#222222"
AVERAGE_COLOR = "#000000"
PALETTE = (
    "#0072B2",  # blue
    "#D55E00",  # vermillion
    "#009E73",  # bluish green
    "#CC79A7",  # reddish purple
    "#765408",  # brown, instead of orange
    "#2200DD",  # ultramarine, instead of sky blue
    "#443366",  # dusk, instead of black
    "#9966FF",  # violet, instead of yellow
)
NEUTRAL = "#767676"  # of what has no colour of its own
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "triangle-down", "cross", "star")
# Pale to middling, never dark: numbers in INK have a contrast of at least 4.5 on all of them.
FRACTION_SCALE = ((0.0, "#ffffe5"), (0.35, "#d5eeb9"), (0.7, "#7fcdbb"), (1.0, "#3a9fc9"))
GAIN_SCALE = ((0.0, "#f08a2c"), (0.5, "#ffffff"), (1.0, "#56b4e9"))  # white: no change
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


def task_looks(n: int) -> tuple[LineStyle, ...]:
    """How each task of a stream of `n` is drawn, finished or not; the same task always alike.

    The colours of the palette in the order of the tasks; from the ninth task on they come again
    with another dash and another marker.
    """
    checks.integer("n", n, 1)
    rounds = (divmod(k, len(PALETTE)) for k in range(n))
    return tuple(
        LineStyle(PALETTE[k], DASHES[turn % len(DASHES)], SYMBOLS[(k + turn) % len(SYMBOLS)])
        for turn, k in rounds
    )


def task_colors(n: int) -> tuple[str, ...]:
    """The colours of `task_looks`, hexadecimal; from the ninth task on they come again."""
    return tuple(look.color for look in task_looks(n))


_VERMILLION, _BLUE, _GREEN, _PURPLE = PALETTE[1], PALETTE[0], PALETTE[2], PALETTE[3]
_BROWN, _ULTRAMARINE, _DUSK, _VIOLET = PALETTE[4:]
METHOD_STYLES = {
    "fmlora": LineStyle(_VERMILLION, "solid", "diamond"),
    "sequential_lora": LineStyle(_BLUE, "dash", "circle"),
    "first_task_lora": LineStyle(_BLUE, "dot", "circle-open"),
    "ewc_lora": LineStyle(_PURPLE, "dashdot", "triangle-up"),
    "inflora": LineStyle(_GREEN, "longdash", "square"),
    "sd_lora": LineStyle(_BROWN, "dot", "x"),
    "sd_lora_rr": LineStyle(_BROWN, "dashdot", "x-open"),
    "task_lora": LineStyle(_ULTRAMARINE, "longdashdot", "star"),
    "l2p": LineStyle(_VIOLET, "dash", "triangle-down"),
    "dualprompt": LineStyle(_VIOLET, "longdash", "triangle-down-open"),
    "coda_prompt": LineStyle(_PURPLE, "dot", "triangle-up-open"),
    "hide_prompt": LineStyle(_GREEN, "dot", "square-open"),
    "full_finetuning": LineStyle(_DUSK, "solid", "cross"),
    "frozen_backbone": LineStyle(_DUSK, "dot", "cross-open"),
    "nearest_class_mean": LineStyle(_ULTRAMARINE, "dash", "star-open"),
    "streaming_lda": LineStyle(_PURPLE, "longdashdot", "pentagon"),
    "ranpac": LineStyle(_GREEN, "solid", "hexagon"),
    "joint": LineStyle(_DUSK, "dash", "hourglass"),
}


def method_styles(labels: Iterable[str]) -> dict[str, LineStyle]:
    """One style per label: a method of the kit, by either of its names, has its own everywhere.

    Other labels get what is left, in order: first the colours that no known method among the
    labels has.
    """
    labels = list(dict.fromkeys(labels))
    known = {name: METHOD_STYLES[key] for key in METHOD_STYLES for name in (key, NAMES[key])}
    styles = {label: known[label] for label in labels if label in known}
    taken, colors = set(styles.values()), {look.color for look in styles.values()}
    period = math.lcm(len(PALETTE), len(DASHES), len(SYMBOLS))
    looks = list(islice(map(LineStyle, cycle(PALETTE), cycle(DASHES), cycle(SYMBOLS)), period))
    looks = sorted((one for one in looks if one not in taken), key=lambda one: one.color in colors)
    rest = (label for label in labels if label not in known)
    styles |= dict(zip(rest, cycle(looks), strict=False))
    return {label: styles[label] for label in labels}


def bar_fills(styles: Mapping[str, LineStyle]) -> dict[str, dict]:
    """Fills of bars, which have neither dash nor symbol: stripes where a colour comes again."""
    seen: Counter[str] = Counter()
    fills = {}
    for label, look in styles.items():
        shape = ("", "/", "x", ".", "-")[seen[look.color] % 5]
        seen[look.color] += 1
        fills[label] = {"color": look.color, "pattern": {"shape": shape, "size": 6}}
    return fills


def faded(color: str, opacity: float = 0.18) -> str:
    """A hexadecimal colour, see-through, for bands."""
    red, green, blue = hex_to_rgb(color)
    return f"rgba({red},{green},{blue},{opacity:g})"


def readable_on(color: str) -> str:
    """Black or white, whichever has the higher contrast on a colour: 4.58 : 1 or more (WCAG 2)."""
    rgb = (part / 255 for part in hex_to_rgb(color))
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in rgb]
    red, green, blue = linear
    return "#000000" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "#ffffff"


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


def name_axis(names: Iterable[str], title: str) -> dict:
    """Settings of a heat map's axis over named columns; names that would collide are slanted."""
    names = [short(name) for name in names]
    widest = max((len(a) + len(b) for a, b in pairwise(names)), default=0) / 2
    crowded = widest * len(names) > 85  # letters that fit side by side on a laptop
    return name_ticks(names, title={"text": title}, tickangle=30 if crowded else 0)


def name_ticks(names: Iterable[str], **settings: object) -> dict:
    """Settings of an axis whose ticks 0, 1, ... have names."""
    names = list(names)
    return {"tickvals": [*range(len(names))], "ticktext": names, "showgrid": False, **settings}


def short(name: str, longest: int = 18) -> str:
    """`name`, cut with an ellipsis if it is longer than a label can be; never inside an escape."""
    letters = unescape(name)
    return name if len(letters) <= longest else plain(letters[: longest - 1]) + "…"
