"""Maps: matrices as coloured cells with their numbers, rows and columns named."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from fmlora_kit.figures.style import INK, name_axis

GREY = ("#eeeeee", "#eeeeee")  # of cells that are set apart, as a diagonal is


def add_map(
    figure: go.Figure,
    values: np.ndarray,
    *,
    hover: str,
    limits: tuple[float, float] | None = None,
    size: float = 12,
    bar: str = "",
    **changes: object,
) -> None:
    """Add (rows, columns) values as a heat map: a text per cell, and gaps between the cells.

    Args:
        figure: changed in place.
        values: what is coloured; NaN leaves a cell empty.
        hover: template of the hover text.
        limits: lowest and highest value of the colours; without them those of the values, or those
            of a ``coloraxis``.
        size: of the texts' letters.
        bar: title of the colour bar; without it the trace has no settings for one.
        changes: further settings of the trace, or others: ``text``, ``colorscale``, ``row``, ...
    """
    n_rows, n_columns = values.shape
    settings = {"zmin": limits[0], "zmax": limits[1]} if limits else {}
    settings |= {"colorbar": color_bar(bar)} if bar else {}
    settings |= {"x": list(range(n_columns)), "y": list(range(n_rows)), "xgap": 1, "ygap": 1}
    figure.add_heatmap(
        z=values,
        textfont={"size": size, "color": INK},
        hovertemplate=f"{hover}<extra></extra>",
        **(settings | {"texttemplate": "%{text}"} | changes),
    )


def task_map(
    figure: go.Figure,
    values: np.ndarray,
    names: tuple[Sequence[str], Sequence[str]],
    titles: tuple[str, str] | None = None,
    **settings: object,
) -> None:
    """Add a map whose rows and columns have names, most often those of tasks, the first row on top.

    The names, and titles of the axes, are those of rows and of columns; both names are in the hover
    text's ``customdata``. Without titles the axes stay as they are. ``settings``: see `add_map`.
    """
    add_map(figure, values, **({"customdata": cell_names(*names)} | settings))
    if titles is not None:
        where = {key: settings[key] for key in ("row", "col") if key in settings}
        name_axes(figure, names, titles, **where)


def name_axes(
    figure: go.Figure,
    names: tuple[Sequence[str], Sequence[str]],
    titles: tuple[str, str],
    **where: int,
) -> None:
    """Name rows, from the top down, and columns of a map; ``where``: row and col of its panel."""
    figure.update_xaxes(name_axis(names[1], titles[1]), **where)
    figure.update_yaxes(name_axis(names[0], titles[0]), **where)
    figure.update_yaxes(autorange="reversed", tickangle=0, **where)


def cell_names(rows: Sequence[str], columns: Sequence[str]) -> np.ndarray:
    """(rows, columns, 2): the names of each cell's row and column."""
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)


def cell_texts(values: np.ndarray, digits: int) -> list[list[str]]:
    """The numbers of a map as texts; none where the value is NaN."""
    return [["" if np.isnan(v) else f"{v:.{digits}f}" for v in row] for row in values]


def color_bar(title: str, **changes: object) -> dict:
    """Settings of a thin colour bar with its title beside it."""
    return {"title": {"text": title, "side": "right"}, "thickness": 14, **changes}
