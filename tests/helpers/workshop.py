"""A small notebook of the workshop, as its solved sources are written."""

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

PLOTLY = "application/vnd.plotly.v1+json"
SOLVED = '''def square(x):
    """x times x."""
    ### BEGIN SOLUTION
    kept_from_students = x**2
    return kept_from_students
    ### END SOLUTION'''
CHECKED = """try:
    print("right" if square(3) == 9 else "wrong")
except NotImplementedError:
    print("not written yet")"""


def tagged(cell, *tags, id=None):
    """The cell with tags, and with an id if there is one."""
    cell.metadata["tags"] = list(tags)
    cell["id"] = id or cell["id"]
    return cell


def figure_output(title="Squares"):
    """What a cell that shows a figure has stored."""
    figure = {"data": [{"type": "bar", "y": [1, 4, 9]}], "layout": {"title": {"text": title}}}
    return new_output("display_data", {PLOTLY: figure, "text/plain": "Figure()"})


def workshop_notebook():
    """One exercise, with slides, a check, and a cell for the instructor."""
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    printed = [new_output("stream", text="right\n")]
    shown = new_code_cell("figure", outputs=[figure_output()], execution_count=3)
    cells = [
        tagged(new_markdown_cell("# W1 Squares\n\nWhat is $x^2$?"), "slide", id="title"),
        tagged(new_markdown_cell("## E1 Square (10 minutes)\n\n- write it"), "slide", id="task"),
        tagged(new_code_cell(SOLVED, execution_count=1), "solution", id="solved"),
        tagged(new_code_cell(CHECKED, outputs=printed, execution_count=2), "check", id="check"),
        tagged(shown, "slide", id="shown"),
        tagged(new_markdown_cell("They will forget zero."), "instructor", id="teacher"),
        tagged(new_code_cell("1 + 1", execution_count=4), id="last"),
    ]
    return new_notebook(cells=cells, metadata=kernel)


def write_notebook(path, notebook=None):
    """Write it; return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook or workshop_notebook(), path)
    return path
