"""What `make test` does, where there is no make: ``fmlora test``, in a checkout of the source."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from fmlora_kit.commands.arguments import make_parser, whole

ABOUT = "Lint, run the tests, run every notebook and compare its outputs."
NO_TESTS = (
    "the tests come with the source of fmlora_kit, not with the installed package: fetch it, run "
    'pip install -c requirements.txt -e ".[notebooks,interchange,scale,dev]" and fmlora test there'
)
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "PLOTLY_RENDERER": "plotly_mimetype"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one after the other; return the exit status of the first that fails, or 0."""
    parser = make_parser("test", ABOUT, "fmlora test --jobs 2")
    add = parser.add_argument
    add("--jobs", type=whole(1), default=2, help="test processes; default: %(default)s")
    add("--cell-timeout", type=whole(1), default=600, help="seconds a cell may take; %(default)s")
    asked, root = parser.parse_args(arguments), Path(__file__).parents[2]
    if not (root / "Makefile").is_file():
        raise FileNotFoundError(NO_TESTS)
    environment = {**os.environ, **ENVIRONMENT}
    for step in steps(asked.jobs, asked.cell_timeout):
        print(shlex.join(["python", *step]), flush=True)
        if status := subprocess.call([sys.executable, *step], cwd=root, env=environment):
            return status
    return 0


def steps(jobs: int, cell_timeout: int) -> list[list[str]]:
    """What Python is called with, as in the Makefile."""
    test = f"-m pytest -n {jobs} --dist loadfile"
    lines = (
        "-m ruff check .",
        f"{test} tests",
        f"{test} --nbval --nbval-current-env --nbval-cell-timeout={cell_timeout} notebooks",
    )
    return [line.split() for line in lines]
