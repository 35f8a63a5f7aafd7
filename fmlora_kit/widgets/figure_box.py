"""A box that shows a figure and can be given another one."""

from __future__ import annotations

import ipywidgets
import plotly.graph_objects as go

from fmlora_kit.figures.show import mime_bundle
from fmlora_kit.figures.table import Table


class FigureBox(ipywidgets.Output):
    """A place in a notebook for one plotly figure at a time.

    An output area that holds the figure's data: it works in the browser like a `FigureWidget`, but
    stores no copy of plotly.js in the notebook. Empty without a ``figure`` to show first.
    """

    def __init__(self, figure: go.Figure | None = None):
        super().__init__()
        if figure is not None:
            self.show(figure)

    def show(self, figure: go.Figure | Table) -> None:
        """Show a figure or a table in the place of the one before."""
        if isinstance(figure, Table):
            data = figure._repr_mimebundle_()
        else:
            data = mime_bundle(figure)
            if figure.layout.height:  # the page must not jump while the new figure is drawn
                self.layout.min_height = f"{figure.layout.height:g}px"
        self.outputs = ({"output_type": "display_data", "data": data, "metadata": {}},)
