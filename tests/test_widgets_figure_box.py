"""The box shows exactly the figure it was given, in the form that JupyterLab draws."""

import json

import plotly.graph_objects as go

from fmlora_kit.widgets import FigureBox
from fmlora_kit.widgets.figure_box import PLOTLY


def test_holds_the_figure_as_data_and_nothing_else():
    figure = go.Figure(
        go.Scatter(y=[1, 4, 9]), layout={"title": {"text": "Squares"}, "height": 321}
    )
    box = FigureBox(figure)
    (output,) = box.outputs
    assert output["output_type"] == "display_data"
    assert output["data"][PLOTLY] == json.loads(figure.to_json())
    assert output["data"]["text/plain"] == "Squares"
    assert box.layout.min_height == "321px"


def test_the_next_figure_takes_the_place_of_the_first():
    box = FigureBox()
    assert box.outputs == ()
    for heights in ([1, 2], [3]):
        box.show(go.Figure(go.Bar(y=heights)))
    (output,) = box.outputs
    assert output["data"][PLOTLY]["data"][0]["y"] == [3]
    assert output["data"]["text/plain"] == "a figure"
