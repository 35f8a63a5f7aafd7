"""Every dashboard of the notebooks, in JupyterLab: each control, by keyboard, and what it shows."""

import os
import statistics
import time
from functools import partial
from pathlib import Path

import ipywidgets
import pytest
from lab import PATIENCE
from said import CHECKS
from short_lessons import shorten
from twin import CONTROLS, dashboards, differences, make, needed, next_move, parts, shown

from fmlora_kit.record import load_records

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
LIVE = "LiveTraining"  # has a test of its own
STILL = {p: {k: name for k, name in dashboards(p).items() if name != LIVE} for p in NOTEBOOKS}
SHORTEN = f"""import sys
sys.path.append({str(Path(__file__).parent)!r})
import short_lessons
short_lessons.shorten()"""
MOVES = int(os.environ.get("FMLORA_MOVES", "1"))  # of each control: times are their median
PLACE = {  # where the keys go
    ipywidgets.Checkbox: "input[type=checkbox]",
    ipywidgets.Dropdown: "select",
    ipywidgets.SelectMultiple: "select",
    ipywidgets.BoundedIntText: "input[type=number]",
}
# Notes when a key or a choice came, and when the output last changed.
WATCH = """output => {
    window.drawn = 0;
    for (const event of ["keydown", "change"]) document.addEventListener(
        event, () => { window.pressed = performance.now(); }, { capture: true });
    new MutationObserver(() => { window.drawn = performance.now(); }).observe(
        output, { childList: true, subtree: true });
}"""
# Controls that a screen reader could not name.
NAMELESS = """output => [...output.querySelectorAll("button, input, select")]
    .filter(e => !(e.tagName === "BUTTON" && e.innerText.trim() || e.ariaLabel || e.title
                   || e.labels.length)).map(e => e.outerHTML)"""


def focus(place):
    """Give an element the focus; Tab has to be able to do the same."""
    place.focus()
    assert place.evaluate("e => e === document.activeElement && e.tabIndex >= 0")


def element(area, twin, control):
    """The element of the page that takes the keys meant for a control of the twin."""
    name = control.description
    alike = [other for other in parts(twin, CONTROLS) if other.description == name]
    label = area.page.locator(f"xpath=./label[normalize-space(.)='{name}']")
    if isinstance(control, ipywidgets.Checkbox):
        label = area.page.get_by_text(name, exact=True)
    if isinstance(control, ipywidgets.ToggleButtons):  # each button has the name of its value
        values = [value for _, value in control._options_full]
        to = control._options_labels[values.index(next_move(control)[1])]
        return area.get_by_role("button", name=to, exact=True).first
    found = area.locator(".widget-inline-hbox").filter(has=label).nth(alike.index(control))
    return found.locator(PLACE[type(control)]).first


def wait_for(expected, read):
    """Wait until the page shows what is expected."""
    end = time.perf_counter() + PATIENCE
    while wrong := differences(expected, read()):
        assert time.perf_counter() < end, f"the page shows {wrong[:5]}"


def move(area, twin, control, read):
    """Move a control by keys; return the seconds until the page had drawn what it then has to."""
    place, before = element(area, twin, control), shown(twin)["figures"]
    keys, control.value = next_move(control)
    expected = shown(twin)
    assert differences(expected["figures"], before), f"{control.description} changes no figure"
    focus(place)
    for key in keys:
        area.page.keyboard.press(key)
    wait_for(expected, read)
    return area.page.evaluate("(window.drawn - window.pressed) / 1000")


def draws(twin):
    """Whether a figure is shown, and not only why there is none, which takes no time."""
    return any(figure["data"] for figure in shown(twin)["figures"])


@pytest.mark.parametrize(
    "path", [path for path in NOTEBOOKS if STILL[path]], ids=lambda path: path.stem
)
def test_each_control_shows_what_the_record_says(
    path, open_notebook, lab, monkeypatch, tmp_path, measured
):
    monkeypatch.chdir(lab.notebooks)
    shorten(monkeypatch.setattr)
    notebook = open_notebook(path.name)
    notebook.ask(SHORTEN)
    notebook.start(needed(path, STILL[path]))
    notebook.wait()
    records = load_records("records").records
    for k, name in STILL[path].items():
        area = notebook.cell(k).locator(".jp-Cell-outputWrapper")
        twin, given = make(notebook, path, k, name)
        read = partial(notebook.shown, k)
        area.scroll_into_view_if_needed()
        wait_for(shown(twin), read)
        started = time.perf_counter()
        notebook.start([k])
        notebook.wait()
        wait_for(shown(twin), read)
        measured(f"{path.stem}: {name} opens", time.perf_counter() - started)
        assert area.evaluate(NAMELESS) == []
        area.evaluate(WATCH)
        CHECKS[name](twin, given, read()["figures"], records)
        for control in parts(twin, CONTROLS):
            moves = [(move(area, twin, control, read), draws(twin)) for _ in range(MOVES)]
            seconds = statistics.median(took for took, drawn in moves if drawn)
            CHECKS[name](twin, given, read()["figures"], records)
            assert seconds > 0
            measured(f"{path.stem}: {name}, {control.description}", seconds)
        notebook.page.screenshot(path=tmp_path / f"{path.stem}-{k}.png")
    assert not notebook.requests and not notebook.errors
