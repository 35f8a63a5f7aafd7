"""`fmlora workshop build`: nothing of a solution, an output or the teacher's cells is left."""

from pathlib import Path

import nbformat
import pytest
from helpers.workshop import CHECKED, tagged, workshop_notebook, write_notebook
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from fmlora_kit.__main__ import main
from fmlora_kit.commands import workshop_build as wb

ROOT = Path(__file__).parents[1]
SOLVED = sorted((ROOT / "notebooks" / "workshop").glob("w*.ipynb"))
every_notebook = pytest.mark.parametrize("path", SOLVED, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def solutions(notebook):
    """The lines between the delimiters, of all cells, that say something of their own."""
    inside, lines = False, []
    for cell in notebook.cells:
        for line in map(str.strip, cell.source.splitlines()):
            inside = (inside or line == wb.BEGIN) and line != wb.END
            if inside and line != wb.BEGIN and len(line) > 6:
                lines.append(line)
    return lines


@pytest.fixture
def built(tmp_path, capsys):
    """The student's notebook of the small one, and what the command said."""
    write_notebook(tmp_path / "solved" / "w1.ipynb")
    out = tmp_path / "students"
    words = ["--notebooks", str(tmp_path / "solved"), "--out", str(out)]
    assert main(["workshop", "build", *words]) == 0
    return read(out / "w1.ipynb"), capsys.readouterr().out


def test_solutions_outputs_and_the_teachers_cells_are_gone(built):
    notebook, said = built
    assert said.startswith("1 notebooks without solutions and outputs: ")
    kept = [cell.id for cell in workshop_notebook().cells if cell.id != "teacher"]
    assert [cell.id for cell in notebook.cells] == kept
    (stub,) = [cell.source for cell in notebook.cells if "solution" in cell.metadata["tags"]]
    assert stub == 'def square(x):\n    """x times x."""\n    raise NotImplementedError'
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert "kept_from_students" not in str(notebook) and "forget zero" not in str(notebook)
    nbformat.validate(notebook)


def test_the_rest_is_the_same(built):
    before = {cell.id: cell for cell in workshop_notebook().cells}
    for cell in built[0].cells:
        if cell.id != "solved":
            assert cell.source == before[cell.id].source
            assert cell.metadata["tags"] == before[cell.id].metadata["tags"]
    assert built[0].metadata.kernelspec.name == "python3"


def test_run_from_a_fresh_kernel_the_check_says_not_written_yet(built):
    NotebookClient(built[0], kernel_name="python3", allow_errors=True).execute()
    (check,) = [cell for cell in built[0].cells if cell.source == CHECKED]
    assert check.outputs[0]["text"] == "not written yet\n"


def test_several_solutions_in_a_cell_are_all_replaced():
    part = "if x:\n    {}\n"
    solved = part.format(f"{wb.BEGIN}\n    y = 1\n\n    {wb.END}")
    cell = tagged(new_code_cell(f"{solved}z = 2\n{solved}"), "solution")
    stub = part.format(wb.STUB)
    assert wb.for_students(new_notebook(cells=[cell])).cells[0].source == f"{stub}z = 2\n{stub}"


def test_a_delimiter_counts_without_the_tag():
    cell = new_code_cell(f"{wb.BEGIN}\ny = 1\n{wb.END}")
    assert wb.for_students(new_notebook(cells=[cell])).cells[0].source == wb.STUB


@pytest.mark.parametrize(
    "source",
    [
        "y = 1",
        f"{wb.BEGIN}\ny = 1",
        f"y = 1\n{wb.END}",
        f"{wb.BEGIN}\ny = 1\n{wb.END}\n{wb.BEGIN}\nz = 1",
        f"y = 1 {wb.BEGIN}\nz = 1\n{wb.END}",
    ],
)
def test_a_solution_that_would_leak_is_refused_and_nothing_written(source, tmp_path, capsys):
    bad = new_notebook(cells=[tagged(new_code_cell(source), "solution", id="e1")])
    write_notebook(tmp_path / "w1.ipynb")
    write_notebook(tmp_path / "w2.ipynb", bad)
    words = ["--notebooks", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main(["workshop", "build", *words]) == 1
    line = capsys.readouterr().err
    assert "w2.ipynb: cell e1 must hold pairs of ### BEGIN SOLUTION" in line
    assert line.count("\n") == 1 and not (tmp_path / "out").exists()


def test_what_somebody_has_written_is_kept(tmp_path, capsys):
    write_notebook(tmp_path / "w1.ipynb")
    words = ["workshop", "build", "--notebooks", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main(words) == main(words) == 0  # what is the same can be built again
    work = write_notebook(tmp_path / "out" / "w1.ipynb")
    before = work.read_text()
    assert main(words) == 1 and work.read_text() == before
    assert "may hold somebody's work" in capsys.readouterr().err
    assert main([*words, "--force"]) == 0 and work.read_text() != before


def test_the_reading_copy_has_all_but_outputs(tmp_path, capsys):
    write_notebook(tmp_path / "solved" / "w1.ipynb")
    words = ["--notebooks", str(tmp_path / "solved"), "--out", str(tmp_path / "out")]
    assert main(["workshop", "build", *words, "--reading", str(tmp_path / "reading")]) == 0
    sources = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    assert f"{len(sources)} notebooks without outputs" in capsys.readouterr().out
    for path in sources:
        before, made = read(path), read(tmp_path / "reading" / path.name)
        assert [(c.id, c.source) for c in made.cells] == [(c.id, c.source) for c in before.cells]
        assert not any(cell.get("outputs") for cell in made.cells)


def test_without_sources_one_line_says_so(tmp_path, capsys):
    for what in ("build", "slides"):
        assert main(["workshop", what, "--notebooks", str(tmp_path), "--out", str(tmp_path)]) == 1
        line = capsys.readouterr().err
        assert line.count("\n") == 1 and "Fetch the source" in line


# --- the workshop's own notebooks ----------------------------------------------------------------
@every_notebook
def test_no_line_of_a_solution_is_in_the_students_notebook(path):
    solved = read(path)
    students, lines = wb.for_students(solved), solutions(solved)
    text = "\n".join(cell.source for cell in students.cells)
    assert lines and [line for line in lines if line in text] == []
    ids = [c.id for c in solved.cells if "instructor" not in c.metadata.get("tags", ())]
    assert [cell.id for cell in students.cells] == ids
    assert not any(cell.get("outputs") for cell in students.cells)


@pytest.mark.skipif(not SOLVED, reason="the workshop has no notebooks")
def test_run_from_a_fresh_kernel_every_check_says_not_written_yet():
    """Imports, stubs and checks of all four, without the training between them."""
    cells, checks = [], []
    for path in SOLVED:
        code = [c for c in wb.for_students(read(path)).cells if c.cell_type == "code"]
        kept = [c for c in code if {"solution", "check"} & set(wb.tags(c))]
        cells += [code[0], *kept]
        checks += [c for c in kept if "check" in wb.tags(c)]
    notebook = new_notebook(cells=cells)
    NotebookClient(notebook, kernel_name="python3", allow_errors=True).execute()
    said = [str(cell.outputs) for cell in checks]
    assert len(said) >= 5 and [text for text in said if "not written yet" not in text] == []
