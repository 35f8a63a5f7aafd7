"""How a figure gets into a notebook: as plotly's data, and in words beside it.

All that the kit draws is a `Figure`, which shows itself so, whatever plotly's renderer is. Nothing
in it leads out of the machine: plotly's own button to upload a figure and the link of its logo are
left out, and the web address they need.
"""

from __future__ import annotations

import json

import plotly.graph_objects as go
import plotly.io as pio

from fmlora_kit.figures.describe import describe

PLOTLY = "application/vnd.plotly.v1+json"
# Also of the offline pages.
CONFIG = {
    "displaylogo": False,
    # Each button is a stop of the Tab key: what a drag or a double click does needs none.
    "modeBarButtonsToRemove": [
        *("zoom2d", "pan2d", "select2d", "lasso2d"),
        *("zoomIn2d", "zoomOut2d", "autoScale2d"),
    ],
    "plotlyServerURL": "",
    "responsive": True,
    "showSendToCloud": False,
}
SPOKEN = "in words"  # name of the text that is there to be read aloud


class Figure(go.Figure):
    """A plotly figure that shows itself in a notebook as `mime_bundle` says.

    Where plotly's renderer is none for notebooks (a browser, a PNG, Colab), that one shows it.
    """

    def _ipython_display_(self) -> None:
        if not _by_mime_type():
            super()._ipython_display_()
            return
        from IPython.display import display

        display(mime_bundle(self), raw=True)

    def _repr_mimebundle_(self, *args: object, **settings: object) -> dict:
        if _by_mime_type():
            return mime_bundle(self)
        return super()._repr_mimebundle_(*args, **settings)


def _by_mime_type() -> bool:
    return "plotly_mimetype" in str(pio.renderers.default)


def mime_bundle(figure: go.Figure) -> dict[str, object]:
    """A figure by MIME types: data for plotly, and what it shows in words as plain text.

    The words stand in the drawing too, too small and pale to be seen: a screen reader finds them
    there, in JupyterLab and on every page, where plotly has no place for a text alternative.
    """
    words = describe(figure)
    value = json.loads(figure.to_json())
    value["config"] = CONFIG
    value["layout"].setdefault("annotations", []).append(
        {
            "name": SPOKEN,
            "text": words.replace("<", "&lt;"),
            "font": {"size": 1, "color": "rgba(0,0,0,0)"},
            "showarrow": False,
            "xref": "paper",
            "yref": "paper",
            "x": 0,
            "y": 0,
            "xanchor": "left",
            "yanchor": "bottom",
        }
    )
    return {PLOTLY: value, "text/plain": words}
