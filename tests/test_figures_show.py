"""Figures come into a notebook as data and words, and lead nowhere outside of the machine."""

import copy
import pickle

import plotly.graph_objects as go
import plotly.io as pio
import pytest

from fmlora_kit.figures.show import CONFIG, PLOTLY, SPOKEN, Figure, mime_bundle
from fmlora_kit.figures.style import grid, new_figure


@pytest.fixture(autouse=True)
def in_a_notebook(monkeypatch):
    monkeypatch.setattr(pio.renderers, "default", "plotly_mimetype+notebook")


@pytest.mark.parametrize("make", [new_figure, grid])
def test_every_figure_of_the_kit_shows_itself_as_data_and_words(make, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    figure = make("A &lt;title&gt;", "and more")
    assert isinstance(figure, Figure)
    again = pickle.loads(pickle.dumps(figure))
    for alike in (figure, Figure(figure), copy.deepcopy(figure), again):
        alike._ipython_display_()
        assert shown.pop() == mime_bundle(figure) == alike._repr_mimebundle_()
    assert mime_bundle(figure).keys() == {PLOTLY, "text/plain"}
    assert mime_bundle(figure)["text/plain"] == "A <title>. and more."


def test_nothing_leads_out_of_the_machine():
    config = mime_bundle(go.Figure())[PLOTLY]["config"]
    assert config == CONFIG
    assert not config["showSendToCloud"] and not config["displaylogo"]
    assert config["plotlyServerURL"] == ""


def test_the_words_stand_in_the_drawing_unseen_and_the_figure_itself_stays_as_it_is():
    figure = new_figure("2 < 3")
    figure.add_annotation(text="seen")
    data = mime_bundle(figure)[PLOTLY]
    seen, spoken = data["layout"]["annotations"]
    assert seen["text"] == "seen" and spoken["name"] == SPOKEN
    assert spoken["text"] == "2 &lt; 3." and spoken["font"]["color"] == "rgba(0,0,0,0)"
    assert len(figure.layout.annotations) == 1
    go.Figure({"data": data["data"], "layout": data["layout"]})  # plotly takes it


def test_another_renderer_shows_figures_in_its_own_way(monkeypatch):
    monkeypatch.setattr(pio.renderers, "default", "json")
    assert new_figure("t")._repr_mimebundle_().keys() == {"application/json"}
    shown = []
    monkeypatch.setattr(pio, "show", shown.append)
    figure = new_figure("t")
    figure._ipython_display_()
    assert shown == [figure]
