"""The workshop's slides on a laptop's screen, without a network, by keyboard."""

from pathlib import Path

import pytest
from helpers.workshop import write_notebook

from fmlora_kit.commands.pages.slides import slides

SOLVED = sorted((Path(__file__).parents[2] / "notebooks" / "workshop").glob("w*.ipynb"))
LAPTOP = {"width": 1366, "height": 768}
PLACE = "document.getElementById('place').textContent"
TOP = """number => {
    const screen = document.getElementById(`slide-${number}`).getBoundingClientRect();
    return Math.abs(screen.top) < 2 && Math.abs(screen.height - innerHeight) < 2;
}"""
TOO_LONG = """screens => screens.filter(s => s.scrollHeight > s.clientHeight + 1)
    .map(s => `${s.getAttribute("aria-label")}: ${s.scrollHeight - s.clientHeight}`)"""


@pytest.fixture(scope="module")
def deck(browser, tmp_path_factory):
    """The page of the slides, opened offline; with all that it asked for and complained of."""
    folder = tmp_path_factory.mktemp("slides")
    few = [write_notebook(folder / name) for name in ("w1.ipynb", "w2.ipynb")]
    path = folder / "slides.html"
    path.write_text(slides(SOLVED or few, "An afternoon"), encoding="utf-8")
    context = browser.new_context(offline=True, viewport=LAPTOP)
    page, asked, errors = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(path.as_uri(), wait_until="load")
    yield page, folder, asked, errors
    context.close()


def test_it_asks_for_nothing_and_every_figure_is_drawn(deck):
    page, folder, asked, errors = deck
    page.wait_for_function(
        "document.querySelectorAll('[data-figure]').length"
        " === document.querySelectorAll('[data-figure] .main-svg:first-child').length"
    )
    assert all(url.startswith((folder.as_uri(), "data:", "blob:")) for url in asked), asked
    assert not errors


def test_every_slide_fits_the_screen(deck):
    page, folder, _, _ = deck
    for k in range(page.locator(".screen").count()):
        page.evaluate("k => document.querySelectorAll('.screen')[k].scrollIntoView()", k)
        page.screenshot(path=folder / f"slide-{k + 1:02}.png")
    assert page.eval_on_selector_all(".screen", TOO_LONG) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= LAPTOP["width"]


def test_keys_lead_from_slide_to_slide(deck):
    page, _, _, errors = deck
    n = page.locator(".screen").count()
    assert n > 2
    for key, number in (
        ("Home", 1),
        ("ArrowLeft", 1),
        ("ArrowRight", 2),
        ("PageDown", 3),
        ("PageUp", 2),
        ("Space", 3),
        ("End", n),
        ("ArrowRight", n),
    ):
        page.keyboard.press(key)
        page.wait_for_function(TOP, arg=number)
        page.wait_for_function(f"{PLACE} === '{number} / {n}'")
        focused = page.evaluate("document.activeElement.id")
        assert focused == f"slide-{number}"
    assert page.url.endswith(f"#slide-{n}")
    page.reload()
    page.wait_for_function(f"{PLACE} === '{n} / {n}'")
    assert not errors
