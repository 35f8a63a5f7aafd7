"""Live training in JupyterLab: the figure grows, Stop stops, and what is left can be used."""

import json
import re
import shutil
from pathlib import Path

import pytest
from lab import NotebookPage
from twin import code_cells, dashboards, differences, figure_data

import fmlora_kit as fk

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
LIVE = [path for path in NOTEBOOKS if "LiveTraining" in dashboards(path).values()][-1]
PANEL = next(k for k, name in dashboards(LIVE).items() if name == "LiveTraining")  # and the loop
MOMENTS = {  # what the status line says, and how many tasks may be finished then
    "In task 2 of": {1},
    "Testing 1 of 2 after task 2": {1, 2},
    "Preparing task 3": {2},
}
# Enough steps to be stopped in: the notebook's eight epochs take longer and show no more.
SHORTEN = "import fmlora_kit as fk; make = fk.Budget; fk.Budget = lambda epochs: make(epochs=3)"
GOING = """import json, numpy as np
going = {k: np.asarray(v).tolist() for k, v in panel._going.items() if v is not None}
print(json.dumps(going))"""
INTERRUPT = "jupyterapp.shell.currentWidget.sessionContext.session.kernel.interrupt()"
# Notes when the button is clicked and when the status line says that it has stopped.
WATCH = """(panel) => {
    window.clicked = window.stopped = undefined;
    const status = panel.querySelector(".widget-html-content");
    panel.querySelector("button.jupyter-button").addEventListener(
        "click", () => { window.clicked = performance.now(); }, { capture: true, once: true });
    new MutationObserver(() => {
        if (/^Stopped/.test(status.textContent)) window.stopped ??= performance.now();
    }).observe(status, { childList: true, subtree: true, characterData: true });
}"""


@pytest.fixture(scope="module")
def notebook(browser, lab):
    """The notebook with live training, run up to where the panel comes."""
    page = NotebookPage(browser, lab, LIVE.name)
    page.ask(SHORTEN)
    page.start(range(PANEL))
    page.wait()
    yield page
    assert not page.requests and not page.errors
    page.close()


def says(panel, pattern):
    """Wait until the status line begins like this; return it."""
    status = panel.locator(".widget-html-content")
    panel.page.wait_for_function(
        "([status, pattern]) => new RegExp('^' + pattern).test(status.textContent)",
        arg=[status.element_handle(), pattern],
        polling=20,
    )
    return status.inner_text()


def n_losses(notebook):
    """How many losses the panel's figure shows; 0 before it is drawn."""
    traces = [trace for figure in notebook.shown(PANEL)["figures"] for trace in figure["data"]]
    return sum(len(trace["y"]) for trace in traces if trace.get("mode") == "lines")


@pytest.mark.parametrize(("moment", "kept"), MOMENTS.items())
def test_stop_stops_at_once_and_keeps_the_finished_tasks(
    moment, kept, notebook, lab, measured, tmp_path
):
    notebook.start([PANEL - 1, PANEL])
    panel = notebook.cell(PANEL).locator(".jp-Cell-outputWrapper")
    says(panel, "In task 1 of")
    panel.locator(".js-plotly-plot").wait_for()
    seen = n_losses(notebook)
    says(panel, moment)
    assert n_losses(notebook) > seen > 0
    panel.evaluate(WATCH)
    panel.get_by_role("button", name="Stop").click()
    status = says(panel, "Stopped")
    took = notebook.page.evaluate("(window.stopped - window.clicked) / 1000")
    measured(f"{LIVE.stem}: Stop, at '{moment}'", took)
    notebook.wait()
    notebook.page.screenshot(path=tmp_path / "stopped.png")

    finished = int(re.search(r"keeps (\d) finished task", status)[1])
    assert finished in kept
    record = record_of(notebook, lab.notebooks / "stopped")
    assert len(record.tasks) == finished
    names = json.loads(notebook.ask("import json; print(json.dumps([t.name for t in stream]))"))
    going = {}
    if "Stopped in" in status:  # what was learned of the task stays in sight
        going = json.loads(notebook.ask(GOING))
        assert going or moment.startswith("Preparing")
    drawn = fk.figures.training_progress(record, task_names=names, **going)
    assert not differences([figure_data(drawn)], notebook.shown(PANEL)["figures"])


def test_an_interrupt_stops_without_an_error_and_the_cell_run_again_goes_on(notebook):
    notebook.start([PANEL - 1, PANEL])
    panel = notebook.cell(PANEL).locator(".jp-Cell-outputWrapper")
    says(panel, "In task 2 of")
    notebook.page.evaluate(INTERRUPT)
    assert "keeps 1 finished task" in says(panel, "Interrupted in task 2")
    notebook.wait()  # no cell ended in an error
    notebook.start([PANEL])
    says(notebook.cell(PANEL).locator(".jp-Cell-outputWrapper"), "In task 3 of")
    panel = notebook.cell(PANEL).locator(".jp-Cell-outputWrapper")
    panel.get_by_role("button", name="Stop").click()
    assert re.search("keeps [23] finished", says(panel, "Stopped"))
    notebook.wait()


def test_the_cells_below_run_on_what_was_kept(notebook, lab):
    assert 1 <= len(record_of(notebook, lab.notebooks / "stopped").tasks) < 4
    notebook.start(range(PANEL + 1, len(code_cells(LIVE))))
    notebook.wait()


def record_of(notebook, folder):
    """The record that the notebook holds, by way of the disk."""
    shutil.rmtree(folder, ignore_errors=True)
    notebook.ask(f"record.save({folder.name!r})")
    return fk.Record.load(folder)
