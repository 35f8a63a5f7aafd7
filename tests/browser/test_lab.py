"""The harness itself notices what the other tests rely on it to notice."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from nbval_tolerance import PLOTLY

# Of each figure: its width, that of the box that it scrolls in, and how far that scrolls.
WIDTHS = """all => all.map(figure => {
    const box = figure.closest(".jp-OutputArea-child");
    return [figure.querySelector(".main-svg").clientWidth, box.clientWidth, box.scrollWidth];
})"""


def test_requests_outside_errors_and_failing_cells_are_noticed(open_notebook, lab):
    cells = [new_code_cell("print('fine')"), new_code_cell("1 / 0")]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    notebook = new_notebook(cells=cells, metadata=kernel)
    nbformat.write(notebook, lab.notebooks / "harness.ipynb")
    notebook = open_notebook("harness.ipynb")
    assert not notebook.requests and not notebook.errors
    notebook.start([0])
    notebook.wait()
    assert notebook.ask("print(6 * 7)").strip() == "42"
    with pytest.raises(AssertionError, match="NameError"):
        notebook.ask("unknown")
    notebook.start()
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        notebook.wait()

    notebook.page.evaluate("fetch('http://localhost:9/a').catch(() => {})")
    notebook.page.evaluate(
        "document.body.append(new Image(1, 1)); new Image().src = 'https://b.c/d'"
    )
    notebook.page.evaluate("new WebSocket('ws://127.0.0.2:9/e')")
    notebook.page.evaluate("setTimeout(() => { throw new Error('nobody catches me'); })")
    for _ in range(600):  # a minute, against a hang only
        if len(notebook.requests) > 2 and any("nobody catches me" in e for e in notebook.errors):
            break
        notebook.page.wait_for_timeout(100)
    assert {"http://localhost:9/a", "https://b.c/d"} <= set(notebook.requests)
    assert any(url.startswith("ws://127.0.0.2:9/e") for url in notebook.requests)
    assert any("nobody catches me" in error for error in notebook.errors)
    assert lab.token not in lab.log.read_text()


def test_figures_keep_their_width_when_the_window_is_half_as_wide_and_scroll(open_notebook):
    page = open_notebook("08_forgetting.ipynb").page
    page.locator(".jp-RenderedPlotly .plot-container").first.wait_for()
    page.set_viewport_size({"width": 683, "height": 384})  # 1366 x 768 at a zoom of 200 %
    page.wait_for_timeout(1000)
    widths = page.locator(".jp-RenderedPlotly").evaluate_all(WIDTHS)
    assert widths and all(own >= 860 and box < 600 and reach >= own for own, box, reach in widths)


def test_stored_figures_are_live_on_opening_and_lead_nowhere(open_notebook, lab):
    path = lab.notebooks / "02_task_similarity.ipynb"
    outputs = [
        o for cell in nbformat.read(path, as_version=4).cells for o in cell.get("outputs", ())
    ]
    n = sum(PLOTLY in output.get("data", {}) for output in outputs)
    notebook = open_notebook(path.name)
    plots = notebook.page.locator(".jp-RenderedPlotly .plot-container")
    plots.nth(n - 1).wait_for()  # a stored PNG would be shown in their place
    assert plots.count() == n > 1
    titles = notebook.page.locator(".modebar-btn").evaluate_all(
        "buttons => buttons.map(button => button.dataset.title)"
    )
    assert titles and not [title for title in titles if "hare" in title or "Plotly" in title]
    assert not notebook.requests
