"""The afternoon adds up; every exercise has minutes, hints, a check, and pays off."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

from fmlora_kit.workshop.checks import ALL, PROBES

FOLDER = Path(__file__).parents[1] / "notebooks" / "workshop"
CELLS = [c for p in sorted(FOLDER.glob("w*.ipynb")) for c in nbformat.read(p, as_version=4).cells]
HEADING = re.compile(r"^## (.+?) \((\d+) minutes\)$", re.MULTILINE)
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
AFTERNOON = [
    ("Self-test", 15),
    ("Live training", 20),
    ("E1", 20),
    ("Quiz", 10),
    ("E2", 20),
    ("Break", 15),
    ("E3", 20),
    ("E4", 10),
    ("E5", 20),
    ("Change one thing", 20),
    ("Exit quiz", 10),
]


def tags(cell):
    return cell.metadata.get("tags", [])


def parts():
    """Return the afternoon's parts: {heading: its cells}, in order."""
    found = {}
    for cell in CELLS:
        if title := HEADING.search(cell.source):
            found[title[0]] = []
        elif cell.source.startswith("# "):
            continue
        if found:
            found[list(found)[-1]].append(cell)
    return found


PARTS = parts()
EXERCISES = {heading[3:5]: cells for heading, cells in PARTS.items() if heading[3:5] in PROBES}
every_exercise = pytest.mark.parametrize("name", PROBES)


def solved(cells):
    return [cell for cell in cells if "solution" in tags(cell)]


def defined(cell):
    return [node.name for node in ast.parse(cell.source).body if isinstance(node, ast.FunctionDef)]


def test_the_minutes_are_those_of_the_afternoon():
    found = [HEADING.search(heading).groups() for heading in PARTS]
    assert len(found) == len(AFTERNOON)
    for (title, minutes), (begins, asked) in zip(found, AFTERNOON, strict=True):
        assert title.startswith(begins) and int(minutes) == asked
    assert sum(int(minutes) for _, minutes in found) == 180


def test_every_second_heading_has_its_minutes():
    headings = [line for c in CELLS for line in c.source.splitlines() if line.startswith("## ")]
    assert headings == list(PARTS)


@every_exercise
def test_an_exercise_asks_for_its_functions_and_checks_each(name):
    cells = EXERCISES[name]
    assert [defined(cell) for cell in solved(cells)] == [[f] for f in PROBES[name]]
    for cell in solved(cells):
        (function,) = defined(cell)
        following = cells[cells.index(cell) + 1]
        assert tags(following) == ["check"]
        assert following.source == f"checks.{function}({function})"
        assert f"{function}: right. It passes all" in str(following.outputs)


@every_exercise
def test_an_exercise_has_three_folded_hints_before_the_first_solution(name):
    cells = EXERCISES[name]
    before = "".join(cell.source for cell in cells[: cells.index(solved(cells)[0])])
    hints = re.findall(
        r"<details><summary>Hint (\d)</summary>\n\n(.+?)\n\n</details>", before, re.S
    )
    assert [number for number, _ in hints] == ["1", "2", "3"]
    assert "<details open" not in before


@every_exercise
def test_an_exercise_pays_off_and_tells_the_teacher_more(name):
    cells = EXERCISES[name]
    after = cells[cells.index(solved(cells)[-1]) + 2 :]
    paid = [c for c in after if c.cell_type == "code" and c.source.startswith("payoffs.")]
    assert paid and all(f in paid[0].source for f in PROBES[name])
    assert "With your functions: equal to the kit's." in str(paid[0].outputs)
    assert [c for c in after if "instructor" in tags(c)]


def test_solutions_stand_between_their_marks_and_nowhere_else():
    for cell in CELLS:
        lines = cell.source.splitlines()
        if "solution" in tags(cell):
            marks = [line.strip() for line in lines if line.strip() in (BEGIN, END)]
            assert marks == [BEGIN, END] and lines[-1].strip() == END
            assert ast.get_docstring(ast.parse(cell.source).body[0])
            inner = lines[lines.index(f"    {BEGIN}") + 1 : -1]
            assert inner and len(lines) - len(inner) == 4  # def, docstring, and the two marks
        else:
            assert "SOLUTION" not in cell.source


def test_no_line_of_a_solution_is_said_before_it_is_written():
    lines = {
        line.strip().removeprefix("return ").removeprefix("-")
        for cell in solved(CELLS)
        for line in cell.source.splitlines()[3:-1]
    }
    shown = "\n".join(c.source for c in CELLS if "solution" not in tags(c))
    assert len(lines) > 15
    assert [line for line in lines if line in shown] == []


def test_every_function_that_is_checked_is_asked_for_once():
    asked = [function for cell in solved(CELLS) for function in defined(cell)]
    assert asked == list(ALL)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("w*.ipynb")), ids=lambda path: path.stem)
def test_every_notebook_has_slides_and_notes_and_no_other_tags(path):
    cells = nbformat.read(path, as_version=4).cells
    found = [tuple(tags(cell)) for cell in cells]
    assert found.count(("slide",)) >= 4 and found.count(("instructor",)) >= 1
    known = {"slide", "instructor", "hints", "exercise", "solution", "check"}
    assert {tag for each in found for tag in each} <= known
    assert len({cell.id for cell in cells}) == len(cells)
    for cell in cells:
        if "instructor" in tags(cell):
            assert cell.cell_type == "markdown" and cell.source.startswith("**For the teacher.**")
