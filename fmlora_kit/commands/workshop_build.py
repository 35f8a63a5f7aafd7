"""Student notebooks from the solved ones, by the tags of their cells.

| cell | in the student's notebook |
|---|---|
| with nbgrader's delimiters, as every cell tagged `solution` | what is between them is an error |
| tagged `instructor` | left out |
| every other | the same, with the same id |

Stored outputs are cleared, so that a result can be predicted before it is seen.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import nbformat
from nbconvert.preprocessors import (
    ClearMetadataPreprocessor,
    ClearOutputPreprocessor,
    Preprocessor,
    TagRemovePreprocessor,
)
from nbformat import NotebookNode

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
STUB = "raise NotImplementedError"
_SOLUTION = re.compile(rf"^([ \t]*){BEGIN}[ \t]*\n.*?^[ \t]*{END}[ \t]*$", re.DOTALL | re.MULTILINE)


class ReplaceSolutions(Preprocessor):
    """What stands between the delimiters becomes ``raise NotImplementedError``.

    Raises:
        ValueError: a cell tagged `solution` has no delimiters, or those of a cell are no pairs.
    """

    def preprocess_cell(self, cell, resources, index):
        """One cell without its solution."""
        source, n = _SOLUTION.subn(rf"\1{STUB}", cell.source)
        if BEGIN in source or END in source or (not n and "solution" in tags(cell)):
            rule = f"hold pairs of {BEGIN} and {END}, each alone in its line"
            raise ValueError(f"cell {cell.get('id', index)} must {rule}, got {cell.source[:60]!r}")
        cell.source = source
        return cell, resources


def tags(cell: NotebookNode) -> Sequence[str]:
    """The tags of a cell."""
    return cell.metadata.get("tags", ())


def for_students(notebook: NotebookNode) -> NotebookNode:
    """The notebook without solutions, cells of the instructor, and outputs."""
    steps = (ReplaceSolutions(), TagRemovePreprocessor(remove_cell_tags={"instructor"}))
    return _processed(for_reading(notebook), steps)


def for_reading(notebook: NotebookNode) -> NotebookNode:
    """The notebook as it is before it is run."""
    of_widgets = ClearMetadataPreprocessor(
        clear_cell_metadata=False, preserve_nb_metadata_mask={"kernelspec", "language_info"}
    )
    return _processed(notebook, (ClearOutputPreprocessor(), of_widgets))


def written(path: Path, make=for_students) -> str:
    """``make(notebook)`` of the notebook at ``path``, as a file holds it; ValueError as `build`."""
    try:
        return nbformat.writes(make(nbformat.read(path, as_version=4))) + "\n"
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None


def build(sources: Iterable[Path], folder: Path, make=for_students, *, force=False) -> list[Path]:
    """Write ``make(notebook)`` of every notebook into ``folder``; return the files.

    Raises:
        ValueError: a solution is not marked as it must be; nothing has been written then.
        FileExistsError: a notebook of that name and other content is there, and no ``force``.
    """
    made = {}
    for path in sources:
        made[folder / path.name] = written(path, make)
    changed = [p for p, text in made.items() if p.exists() and p.read_text("utf-8") != text]
    if changed and not force:
        raise FileExistsError(
            f"{changed[0]} may hold somebody's work: remove or rename it, or build with --force"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in made.items():
        path.write_text(text, encoding="utf-8")
    return list(made)


def _processed(notebook: NotebookNode, steps: Iterable[Preprocessor]) -> NotebookNode:
    notebook, resources = copy.deepcopy(notebook), {}  # preprocessors change what they are given
    for step in steps:
        notebook, resources = step.preprocess(notebook, resources)
    return notebook
