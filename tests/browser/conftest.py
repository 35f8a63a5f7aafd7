"""One JupyterLab and one browser for all browser tests; a page for each notebook."""

import statistics
from pathlib import Path

import pytest
from lab import Lab, NotebookPage, copy_notebooks

from fmlora_kit.commands.pages.browser import NO_BROWSER, chromium, find_browser

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium, or a skip that says why there is none."""
    pytest.importorskip("playwright")
    if find_browser() is None:
        pytest.skip(NO_BROWSER)
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def lab(browser, tmp_path_factory):
    """JupyterLab on a copy of the notebooks and their records."""
    folder = tmp_path_factory.mktemp("lab")
    server = Lab(copy_notebooks(NOTEBOOKS, folder / "notebooks"), folder)
    yield server
    server.stop()


@pytest.fixture
def open_notebook(browser, lab, tmp_path):
    """Opens a notebook of the copy by its name; after the test it is pictured and closed."""
    opened = []

    def open_one(name):
        opened.append(NotebookPage(browser, lab, name))
        return opened[-1]

    yield open_one
    for k, notebook in enumerate(opened):
        notebook.page.screenshot(path=tmp_path / f"last-{k}.png")
        notebook.close()


@pytest.fixture
def measured(record_property):
    """Notes a time, which the summary at the end shows; no test fails by it."""
    return lambda name, seconds: record_property("measured", (name, seconds))


def pytest_terminal_summary(terminalreporter):
    """Show what was measured, in whichever process."""
    reports = [r for kind in terminalreporter.stats.values() for r in kind]
    noted = [p for r in reports if getattr(r, "when", "") == "call" for p in r.user_properties]
    if seconds := [value for name, value in noted if name == "measured"]:
        terminalreporter.section("from a key or a click to what it has to show")
        terminalreporter.write_line("\n".join(f"{1000 * s:5.0f} ms  {name}" for name, s in seconds))
        middle = statistics.median(s for _, s in seconds)
        terminalreporter.write_line(f"{1000 * middle:5.0f} ms  the middle one")
