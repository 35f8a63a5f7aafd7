"""Controls that the dashboards share: each has a label, a tooltip and a width of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import ipywidgets


def make_choice(
    name: str, options: Sequence, tooltip: str, *, width: int, **settings: object
) -> ipywidgets.Dropdown:
    """A drop-down with its name to the left of it, ``width`` pixels in all."""
    common = {"description": name, "tooltip": tooltip, "layout": {"width": f"{width}px"}}
    return ipywidgets.Dropdown(options=options, **common, **settings)


def make_task_number(n: int, tooltip: str) -> ipywidgets.BoundedIntText:
    """The number of tasks learned, from 1 to ``n``, where it starts: arrow keys move it.

    No slider and no Play: those of ipywidgets have no name that a screen reader could say.
    """
    look = {"description": f"Task (of {n})", "tooltip": tooltip}
    size = {"layout": {"width": "170px"}, "style": {"description_width": "initial"}}
    return ipywidgets.BoundedIntText(value=n, min=1, max=n, **look, **size)


def make_row(
    controls: Iterable[ipywidgets.Widget], draw: Callable[[object], None]
) -> ipywidgets.HBox:
    """The controls side by side, or below each other on a narrow page; each calls ``draw``."""
    row = ipywidgets.HBox(list(controls), layout={"flex_flow": "row wrap"})
    for control in row.children:
        control.observe(draw, names="value")
    return row
