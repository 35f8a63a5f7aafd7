"""The offline pages, opened from their folder in a browser that has no network."""

import re
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

# Links that show where corners come to lie in a PDF, whose links have their places beside them.
MARK = """boxes => boxes.forEach((box, k) => {
    box.style.position = "relative";
    for (const [end, place] of [["top", "left: 0; top: 0"], ["bottom", "right: 0; bottom: 0"]]) {
        const mark = box.appendChild(document.createElement("a"));
        mark.href = `https://mark.invalid/${k}-${end}`;
        mark.textContent = ".";
        mark.style = `position: absolute; font-size: 2px; width: 2px; height: 2px; ${place}`;
    }
})"""
PAPER = {"format": "A4", "margin": dict.fromkeys(("top", "right", "bottom", "left"), "12mm")}
MARGIN = 12 / 25.4 * 72  # points
WHOLE = ".svg-container, table, pre, .widget-note"  # what must not be cut
# What takes keys, where a screen reader finds nothing.
HIDDEN = ":is([role=img], [aria-hidden=true]) :is(a[href], button, [tabindex='0'])"
TOO_WIDE = """all => all.filter(e => e.scrollWidth > e.clientWidth + 1)
    .map(e => e.outerHTML.slice(0, 80))"""
# What sticks out of the page's width, unless it scrolls in a box of its own that a key can reach.
STICKS_OUT = """all => all.filter(e => e.getBoundingClientRect().right > innerWidth + 1)
    .filter(e => {
        let box = e;
        while (box && !/auto|scroll/.test(getComputedStyle(box).overflowX)) box = box.parentElement;
        return !box || box.getBoundingClientRect().right > innerWidth + 1
            || !(box.tabIndex >= 0 || box.querySelector("a[href], button, [tabindex='0']"));
    }).map(e => e.outerHTML.slice(0, 80))"""

BOXES = "all => all.map(e => e.getBoundingClientRect()).map(box => [box.width, box.height])"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The site of the stored notebooks, and its folder."""
    folder = tmp_path_factory.mktemp("site")
    return folder, {page.name: page for page in notebooks.build(NOTEBOOKS, folder)}


@pytest.fixture
def visit(browser, pages):
    """Opens a page of the site offline; returns it with all that it asked for and complained of."""
    context = browser.new_context(offline=True)
    asked, errors = [], []

    def open_page(name, width=1300, height=900):
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.on("request", lambda request: asked.append(request.url))
        page.on("requestfailed", lambda request: errors.append(f"failed: {request.url}"))
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto((pages[0] / name).as_uri(), wait_until="load")
        return page, asked, errors

    yield open_page
    context.close()


def wait_for_figures(page, n):
    """Wait until ``n`` figures are drawn."""
    count = "n => document.querySelectorAll('[data-figure] .main-svg:first-child').length >= n"
    page.wait_for_function(count, arg=n, timeout=120_000)


def marks(pdf):
    """{link: (sheet, left, bottom, right, top in points)} of a PDF that Chromium wrote."""
    objects = dict(re.findall(r"(\d+) 0 obj\n(.*?)endobj", pdf.decode("latin-1"), re.DOTALL))
    found = {}
    for sheet, text in objects.items():
        listed = re.search(r"/Type /Page\n.*/Annots \[(.*?)\]", text, re.DOTALL)
        for link in re.findall(r"(\d+) 0 R", listed[1] if listed else ""):
            to = re.search(r"/URI \((.*?)\)", objects[link])
            box = re.search(r"/Rect \[(.*?)\]", objects[link])
            found[to and to[1]] = (sheet, *map(float, box[1].split()))
    return found


@pytest.mark.parametrize("name", ["index.html", *(f"{path.stem}.html" for path in NOTEBOOKS)])
def test_a_page_shows_its_figures_and_asks_for_nothing_outside(name, visit, pages):
    folder, built = pages
    page, asked, errors = visit(name)
    expected = built[name].figures.values() if name in built else []
    wait_for_figures(page, len(expected))
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
    assert page.locator(HIDDEN).count() == 0
    assert not errors
    assert page.evaluate("document.documentElement.scrollWidth") <= 1300


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_page_on_a_phone_and_on_paper(path, visit, pages):
    folder, built = pages
    n = len(built[f"{path.stem}.html"].figures)
    page, _, _ = visit(f"{path.stem}.html", 390, 844)
    wait_for_figures(page, n)
    page.screenshot(path=folder / f"{path.stem}.phone.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.eval_on_selector_all("main *", STICKS_OUT) == []
    for figure in page.eval_on_selector_all("[data-figure]", DRAWN):
        assert figure["width"] >= 900, figure

    page, _, _ = visit(f"{path.stem}.html")
    wait_for_figures(page, n)
    page.eval_on_selector_all(WHOLE, MARK)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 700, "height": 900})
    assert page.eval_on_selector_all("pre, table, math", TOO_WIDE) == []
    found = marks(page.pdf(path=folder / f"{path.stem}.pdf", **PAPER))
    width, cut = 210 / 25.4 * 72, []
    for k in range(page.locator(WHOLE).count()):
        top, bottom = (found.get(f"https://mark.invalid/{k}-{end}") for end in ("top", "bottom"))
        inside = top and bottom and top[1] > MARGIN - 2 and bottom[3] < width - MARGIN + 2
        is_table = page.locator(WHOLE).nth(k).evaluate("e => e.matches('table')")
        if not inside or (top[0] != bottom[0] and not is_table):  # a table has a head on each sheet
            cut.append(page.locator(WHOLE).nth(k).evaluate("e => e.outerHTML.slice(0, 80)"))
    assert cut == []


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
