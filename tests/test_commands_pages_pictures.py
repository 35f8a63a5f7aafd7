"""Stored notebooks get a picture and words beside each figure, and keep all else."""

import json
from base64 import b64decode
from io import BytesIO

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from nbval_tolerance import PICTURE, WIDGET
from PIL import Image

from fmlora_kit.commands.pages import pictures
from fmlora_kit.commands.pages.browser import chromium, find_browser
from fmlora_kit.commands.pages.notebooks import RUN_IT, bare
from fmlora_kit.figures.show import PLOTLY

CELLS = (
    """from fmlora_kit.figures.style import new_figure
from fmlora_kit.widgets.figure_box import FigureBox
from fmlora_kit.widgets.quiz import Quiz
from ipywidgets import HTML, VBox
figure = new_figure("Squares", height=200)
_ = figure.add_scatter(x=[1, 2, 3], y=[1, 4, 9], name="square")""",
    "figure",
    "VBox([HTML('<b>Two</b> at once'), VBox([FigureBox(figure), FigureBox(figure)])])",
    "Quiz('Which?', {'this': 'Yes.', 'that': 'No.'}, 'this')",
    "1 + 1",
)
needs_browser = pytest.mark.skipif(not find_browser(), reason="no Chromium")


class Page:
    """Stands for a browser's page: notes what it is asked to draw."""

    def __init__(self):
        self.drawn = []

    def evaluate(self, _, arguments):
        self.drawn.append(arguments)

    def screenshot(self, **_):
        return b"picture"

    def __getattr__(self, name):
        return lambda *_, **__: None


@pytest.fixture(scope="module")
def executed():
    """A notebook as it is after a run, with the state of its widgets."""
    notebook = new_notebook(cells=[new_code_cell(source) for source in CELLS])
    client = NotebookClient(notebook, kernel_name="python3", timeout=120)
    client.execute()
    return json.dumps(notebook)


@pytest.fixture
def stored(executed, tmp_path):
    (tmp_path / "n.ipynb").write_text(executed)
    return tmp_path / "n.ipynb"


def test_each_figure_and_dashboard_gets_its_picture_and_words(stored):
    page = Page()
    browser = type("Browser", (), {"new_page": lambda self, offline: page})()
    before = nbformat.read(stored, as_version=4)
    assert pictures.add_pictures([stored], browser) == 2
    _, figure, box, quiz, number = nbformat.read(stored, as_version=4).cells
    [output] = figure.outputs
    assert b64decode(output.data[PICTURE]) == b"picture"
    words = output.data["text/plain"]
    assert words == "Squares. Lines, first to last value: square: 1 to 9."
    of = pictures.fingerprint([bare(output.data[PLOTLY])])
    assert output.metadata[PICTURE] == {"of": of}
    [output] = box.outputs
    assert PICTURE in output.data and WIDGET in output.data
    assert output.data["text/plain"] == f"VBox{RUN_IT} Two at once {words} {words}"
    assert quiz.outputs[0].data["text/plain"] == "Quiz. Which? [this] [that]"
    assert PICTURE not in quiz.outputs[0].data
    assert number.outputs == before.cells[4].outputs
    (one, columns), (two, two_columns) = page.drawn
    assert (len(one), columns, len(two), two_columns) == (1, 1, 2, 2)
    assert one[0]["config"]["staticPlot"] and "annotations" not in one[0]["layout"]


def test_another_figure_has_another_fingerprint():
    one, other = ([{"data": [{"y": [y]}], "layout": {}}] for y in (1, 2))
    assert pictures.fingerprint(one) == pictures.fingerprint(json.loads(json.dumps(one)))
    assert pictures.fingerprint(one) != pictures.fingerprint(other)


@needs_browser
def test_the_picture_is_as_large_as_the_figure_and_not_blank(stored):
    with chromium() as browser:
        assert pictures.add_pictures([stored], browser) == 2
    cells = nbformat.read(stored, as_version=4).cells
    data = [cell.outputs[0].data[PICTURE] for cell in cells[1:3]]
    drawn = [Image.open(BytesIO(b64decode(each))) for each in data]
    assert [each.size for each in drawn] == [(width, 200) for width in pictures.WIDTHS]
    assert all(len(each.getcolors(1 << 20)) > 20 for each in drawn)
