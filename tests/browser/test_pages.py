"""The offline pages, opened from their folder in a browser that has no network."""

from pathlib import Path

import pytest
from PIL import Image

from fmlora_kit.commands.pages import notebooks

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
# Of each figure: what it was given, and what of it stands on the page.
DRAWN = """places => places.map(place => ({
    traces: place.data?.length, painted: place.querySelectorAll(".main-svg").length,
    title: place.layout?.title?.text, width: place.querySelector(".main-svg")?.clientWidth,
    height: place.querySelector(".main-svg")?.clientHeight, room: place.clientHeight,
    shapes: place.querySelectorAll(".main-svg path, .main-svg image, .main-svg rect").length }))"""

BOXES = "all => all.map(e => e.getBoundingClientRect()).map(box => [box.width, box.height])"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The site of the stored notebooks, and its folder."""
    folder = tmp_path_factory.mktemp("site")
    return folder, {page.name: page for page in notebooks.build(NOTEBOOKS, folder)}


@pytest.fixture
def visit(browser, pages):
    """Opens a page of the site offline; returns it with all that it asked for and complained of."""
    context = browser.new_context(offline=True, viewport={"width": 1300, "height": 900})
    asked, errors = [], []

    def open_page(name):
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("requestfailed", lambda request: errors.append(f"failed: {request.url}"))
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto((pages[0] / name).as_uri(), wait_until="load")
        return page, asked, errors

    yield open_page
    context.close()


@pytest.mark.parametrize("name", ["index.html", *(f"{path.stem}.html" for path in NOTEBOOKS)])
def test_a_page_shows_its_figures_and_asks_for_nothing_outside(name, visit, pages):
    folder, built = pages
    page, asked, errors = visit(name)
    expected = built[name].figures.values() if name in built else []
    count = "n => document.querySelectorAll('[data-figure] .main-svg').length >= n"
    page.wait_for_function(count, arg=len(expected), timeout=120_000)
    drawn = page.eval_on_selector_all("[data-figure]", DRAWN)
    page.screenshot(path=folder / f"{name}.png", full_page=True)
    assert [(d["traces"], d["title"]) for d in drawn] == [
        (len(f["data"]), f["layout"]["title"]["text"]) for f in expected
    ]
    for figure in drawn:
        assert figure["painted"] >= 1 and figure["shapes"] > 5, figure
        assert 600 < figure["width"] <= 1060 and figure["height"] <= figure["room"] + 1, figure
    assert {url.split(":")[0] for url in asked} <= {"file", "data", "blob"}, asked
    assert all(url.startswith((folder.as_uri(), "data:", "blob:")) for url in asked), asked
    for width, height in page.eval_on_selector_all("main math", BOXES):
        assert width > 3 and height > 3
    assert not errors
    assert page.evaluate("document.documentElement.scrollWidth") <= 1300


def test_the_pages_lead_to_each_other(visit):
    page, _, errors = visit("index.html")
    page.locator("ol.series a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{NOTEBOOKS[0].stem}.html")
    page.locator("nav a[rel=next]").first.click()
    page.wait_for_url(f"**/{NOTEBOOKS[1].stem}.html")
    page.locator("nav a[rel=prev]").last.click()
    page.wait_for_url(f"**/{NOTEBOOKS[0].stem}.html")
    page.get_by_text("All notebooks").first.click()
    page.wait_for_url("**/index.html")
    assert not errors


def test_the_gallery_is_drawn_as_pictures(tmp_path, pages, browser):
    figure = next(iter(pages[1].values())).figures["figure-1"]
    (path,) = notebooks.draw_gallery({"samples": figure}, tmp_path, browser)
    with Image.open(path) as picture:
        assert picture.width == notebooks.GALLERY_SCALE * notebooks.GALLERY_WIDTH
        assert picture.height == int(notebooks.GALLERY_SCALE * figure["layout"]["height"])
        assert len(picture.convert("RGB").getcolors(10**6)) > 50
