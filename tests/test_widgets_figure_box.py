"""The box shows exactly the figure it was given, in the form that JupyterLab draws."""

import plotly.graph_objects as go

from fmlora_kit.figures.show import PLOTLY, mime_bundle
from fmlora_kit.widgets.figure_box import FigureBox


def test_holds_the_figure_as_data_and_nothing_else():
    figure = go.Figure(
        go.Scatter(y=[1, 4, 9]), layout={"title": {"text": "Squares"}, "height": 321}
    )
    box = FigureBox(figure)
    (output,) = box.outputs
    assert output["output_type"] == "display_data"
    assert output["data"][PLOTLY] == mime_bundle(figure)[PLOTLY]
    assert output["data"]["text/plain"] == "Squares."
    assert box.layout.min_height == "321px"


def test_the_next_figure_takes_the_place_of_the_first():
    box = FigureBox()
    assert box.outputs == ()
    for heights in ([1, 2], [3]):
        box.show(go.Figure(go.Bar(y=heights)))
    (output,) = box.outputs
    assert output["data"][PLOTLY]["data"][0]["y"] == [3]
    assert output["data"]["text/plain"] == "A figure."
