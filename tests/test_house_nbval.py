"""A stored figure or printed number that is wrong in its third digit fails; float noise passes."""

import base64
import copy
import math
import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from nbval_tolerance import PLOTLY, as_numbers, differences

ROOT = Path(__file__).parents[1]
CELLS = [
    """import numpy as np
import plotly.graph_objects as go
import plotly.io as pio
pio.renderers.default = "plotly_mimetype" """,
    """go.Figure([
    go.Scatter(x=np.array([0.1234, 45.6, 7e-5, 0.0]), y=[0.8125, 3, None, 1e-4], name="a 0.512"),
    go.Heatmap(z=np.array([[0.25, 0.5], [0.125, 987.0]]), text=[["x", "0.333"], ["y", "z"]]),
])""",
    """print("accuracy 0.8125, forgetting 4.25e-02, classes 10")
np.array([0.25, 1.5, 30.25])""",
]
FIGURE, PRINTED = 1, 2


def third_digit_changed(value):
    """Return the float nearer to zero by one in its third significant digit."""
    return value - math.copysign(10.0 ** (math.floor(math.log10(abs(value))) - 2), value)


def with_noise(value):
    """Return the JSON value with every float in it off by one millionth."""
    array = as_numbers(value)
    if array is not None and array.dtype.kind == "f" and isinstance(value, dict):
        return packed(array * (1 + 1e-6))
    if isinstance(value, dict):
        return {key: with_noise(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [with_noise(entry) for entry in value]
    return value * (1 + 1e-6) if isinstance(value, float) else value


def packed(array):
    """Return an array in plotly's base64 form."""
    data = base64.b64encode(np.ascontiguousarray(array, "<f8").tobytes()).decode()
    return {"dtype": "f8", "bdata": data, "shape": ", ".join(map(str, array.shape))}


def put(figure, trace, axis, index, change):
    """Change one number of one array of a stored figure, in the form it is stored in."""
    stored = figure["data"][trace][axis]
    if isinstance(stored, list):
        stored[index] = change(stored[index])
    else:
        array = as_numbers(stored).copy()
        array[index] = change(array[index])
        figure["data"][trace][axis] = packed(array)


def figure_of(notebook):
    return notebook.cells[FIGURE].outputs[0].data[PLOTLY]


def replace_printed(notebook, old, new):
    text = notebook.cells[PRINTED].outputs[0].text
    assert old in text
    notebook.cells[PRINTED].outputs[0].text = text.replace(old, new)


def replace_shown(notebook, old, new):
    text = notebook.cells[PRINTED].outputs[1].data["text/plain"]
    assert old in text
    notebook.cells[PRINTED].outputs[1].data["text/plain"] = text.replace(old, new)


def add_noise(notebook):
    data = notebook.cells[FIGURE].outputs[0].data
    data[PLOTLY] = with_noise(data[PLOTLY])
    replace_printed(notebook, "0.8125", "0.8125001")


def tag(notebook):
    put(figure_of(notebook), 0, "x", 0, lambda value: value + 0.01)
    notebook.cells[FIGURE].metadata["tags"] = ["tol-0.02"]


# What is done to the stored outputs, and the cell that must then fail (None: all pass).
EDITS = {
    "same": (lambda notebook: None, None),
    "noise": (add_noise, None),
    "tagged": (tag, None),
    "base64": (lambda nb: put(figure_of(nb), 0, "x", 0, third_digit_changed), FIGURE),
    "base64_matrix": (lambda nb: put(figure_of(nb), 1, "z", (1, 0), third_digit_changed), FIGURE),
    "list": (lambda nb: put(figure_of(nb), 0, "y", 0, third_digit_changed), FIGURE),
    "integer": (lambda nb: put(figure_of(nb), 0, "y", 1, lambda value: 4), FIGURE),
    "printed": (lambda nb: replace_printed(nb, "0.8125", "0.8135"), PRINTED),
    "printed_integer": (lambda nb: replace_printed(nb, "10", "11"), PRINTED),
    "shown_array": (lambda nb: replace_shown(nb, "30.25", "30.35"), PRINTED),
}


@pytest.fixture(scope="module")
def executed():
    """Return a small notebook as it is stored after a run."""
    notebook = new_notebook(cells=[new_code_cell(source) for source in CELLS])
    NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    return notebook


@pytest.fixture(scope="module")
def failed_cells(executed, tmp_path_factory):
    """Run nbval as `make test` does over all edits, cell by cell in one kernel: {edit: failed}."""
    folder = tmp_path_factory.mktemp("house")
    (folder / "notebooks").mkdir()
    (folder / "tests").mkdir()
    for name in ("conftest.py", "pyproject.toml", "tests/nbval_tolerance.py"):
        shutil.copy(ROOT / name, folder / name)
    cells = copy.deepcopy(executed.cells[:1])
    for edit, _ in EDITS.values():
        notebook = copy.deepcopy(executed)
        edit(notebook)
        cells += notebook.cells[1:]
    for cell in cells:
        cell["id"] = uuid.uuid4().hex
    nbformat.write(new_notebook(cells=cells), folder / "notebooks" / "edited.ipynb")
    nbval = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=60", "notebooks"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rA", *nbval]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    found = re.findall(r"^(PASSED|FAILED) notebooks/edited\.ipynb::Cell (\d+)", run.stdout, re.M)
    verdicts = {int(cell): verdict for verdict, cell in found}
    assert len(verdicts) == len(cells) and verdicts[0] == "PASSED", run.stdout + run.stderr
    return {
        name: [cell for cell in (FIGURE, PRINTED) if verdicts[2 * k + cell] == "FAILED"]
        for k, name in enumerate(EDITS)
    }


@pytest.mark.parametrize("name", EDITS)
def test_nbval_fails_in_the_changed_cell_only(failed_cells, name):
    wanted = EDITS[name][1]
    assert failed_cells[name] == ([] if wanted is None else [wanted])


@pytest.mark.parametrize("pack", [packed, np.ndarray.tolist], ids=["base64", "list"])
def test_a_third_digit_is_noticed_at_every_place_of_an_array(pack):
    rng = np.random.default_rng(0)
    array = rng.choice([-1, 1], 300) * rng.uniform(1, 10, 300) * 10.0 ** rng.integers(-5, 1, 300)
    array[:4] = 9.99, 1.0, 9.985e-5, 0.999
    for index in range(array.size):
        changed = array.copy()
        changed[index] = third_digit_changed(changed[index])
        [line] = differences(pack(array), pack(changed))
        assert line.startswith(f"[{index}]: stored")


def test_a_third_digit_is_noticed_in_a_number_on_its_own_and_in_text():
    for value in (9.99, -0.00123, 5.55e-7, 12345.0):
        changed = third_digit_changed(value)
        assert list(differences(value, changed))
        assert list(differences(f"a {value!r}, b", f"a {changed!r}, b"))
        assert not list(differences(value, value * (1 + 1e-6)))
        assert not list(differences(f"a {value!r}, b", f"a {value * (1 + 1e-6)!r}, b"))


@pytest.mark.parametrize(
    ("stored", "new"),
    [
        ([1, 2], [1, 3]),
        ([1.0, None], [1.0, 2.0]),
        ([1.0, 2.0], [1.0, 2.0, 3.0]),
        ("rgb(1, 2, 3)", "rgb(1, 2, 4)"),
        ("#7e1200", "#7e1201"),
        ("Greek 0.5", "Latin 0.5"),
        ({"a": 1}, {"b": 1}),
        (True, False),
        (True, 1),
        ([1.0, math.inf], [1.0, -math.inf]),
        (1.0, "1.0"),
    ],
)
def test_what_is_no_float_has_to_be_equal(stored, new):
    assert list(differences(stored, new))
    assert not list(differences(stored, stored))


def test_noise_in_the_place_of_zero_passes():
    assert not list(differences([0.0, 100.0], [3e-8, 100.0]))
    assert list(differences([0.0, 100.0], [3e-4, 100.0]))
    assert not list(differences("[ 0.  1.5]", "[-0.   1.5]"))
