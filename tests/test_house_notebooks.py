"""Every notebook is stored as it came from a run from top to bottom, and reads the same way."""

import ast
import json
import re
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbval_tolerance import PICTURE, PLOTLY, WIDGET

from fmlora_kit.commands.pages.notebooks import RUN_IT, bare
from fmlora_kit.commands.pages.pictures import fingerprint
from fmlora_kit.figures.describe import strip
from fmlora_kit.figures.show import CONFIG

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
WORKSHOP = sorted((ROOT / "notebooks" / "workshop").glob("*.ipynb"))
MAX_LINES = 15
MAX_PICTURE = 250_000  # letters of base64
MACHINE_PATHS = [str(ROOT), str(Path.home()), sys.prefix, tempfile.gettempdir()]
FOREIGN_PATHS = re.compile(r"/(?:home|Users)/\w|[A-Z]:\\\\")
EMBEDDED = re.compile(r'"(?:bdata|image/png|image/jpeg)": "[^"]*"')
INSTALLS = re.compile(r"sys\.path|\b(?:pip|conda|mamba|apt|uv)\b.*\binstall\b")

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS + WORKSHOP, ids=lambda path: path.name)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    """Return the code cells, empty ones left out."""
    return [cell for cell in read(path).cells if cell.cell_type == "code" and cell.source.strip()]


def statements(cell):
    """Return the cell's statements; magics are turned into Python, `await` is allowed."""
    source = TransformerManager().transform_cell(cell.source)
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    return compile(source, "cell", "exec", flags=flags).body


def tags(cell):
    return cell.metadata.get("tags", [])


def test_notebooks_are_numbered_without_a_gap():
    assert [path.name[:3] for path in NOTEBOOKS] == [
        f"{number:02}_" for number in range(1, len(NOTEBOOKS) + 1)
    ]
    assert NOTEBOOKS
    assert [path.name for path in WORKSHOP] == ["w1.ipynb", "w2.ipynb", "w3.ipynb", "w4.ipynb"]


@every_notebook
def test_starts_with_its_title_and_names_the_plain_kernel(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert notebook.cells[0].cell_type == "markdown" and notebook.cells[0].source.startswith("# ")
    assert notebook.metadata.kernelspec.name == "python3"


@every_notebook
def test_was_run_in_order_without_an_error(path):
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        if "raises-exception" not in tags(cell):
            assert not [out for out in cell.outputs if out.output_type == "error"], cell.source


@every_notebook
def test_stores_neither_widget_state_nor_timings(path):
    notebook = read(path)
    assert "widgets" not in notebook.metadata
    for cell in notebook.cells:
        assert "execution" not in cell.metadata, cell.source


@every_notebook
def test_code_cells_are_short_and_define_nothing(path):
    for cell in code_cells(path):
        assert len(cell.source.splitlines()) <= MAX_LINES, cell.source
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        defined = [node for part in statements(cell) for node in ast.walk(part)]
        if "exercise" not in tags(cell):
            assert not [n for n in defined if isinstance(n, kinds)], cell.source


@every_notebook
def test_code_cells_install_nothing(path):
    for cell in code_cells(path):
        assert not INSTALLS.search(cell.source), cell.source


@every_notebook
def test_every_cell_after_the_imports_ends_in_something_to_see(path):
    for cell in code_cells(path)[1:]:
        if "exercise" not in tags(cell):
            assert isinstance(statements(cell)[-1], ast.Expr) and cell.outputs, cell.source


@every_notebook
def test_every_figure_is_stored_as_data_with_a_picture_of_it_and_its_words(path):
    for cell in code_cells(path):
        for output in cell.outputs:
            data = output.get("data", {})
            assert "Plotly.newPlot" not in str(data.get("text/html", "")), cell.source
            if PLOTLY in data:
                assert data.keys() == {PLOTLY, PICTURE, "text/plain"}, "run make notebooks"
                words = data["text/plain"]
                assert words.startswith(strip(data[PLOTLY]["layout"]["title"]["text"]))
                of = fingerprint([bare(data[PLOTLY])])
                assert output.metadata[PICTURE] == {"of": of}, "make notebooks"
                assert data[PLOTLY]["config"] == CONFIG
            elif WIDGET in data:
                assert "children=(" not in data["text/plain"], "the widget is shown as its code"
                assert (PICTURE in data) == (RUN_IT in data["text/plain"])
            assert len(data.get(PICTURE, "")) < MAX_PICTURE, cell.source


@every_notebook
def test_outputs_name_no_path_of_a_machine(path):
    for cell in code_cells(path):
        text = EMBEDDED.sub("", json.dumps(cell.outputs))
        found = [place for place in MACHINE_PATHS if f"{place}/" in text]
        assert not found and not FOREIGN_PATHS.search(text), cell.source
