"""Every figure stored in the notebooks, drawn as wide as there: no text lies on another."""

import json
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs

from fmlora_kit.figures.show import PLOTLY, SPOKEN

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").rglob("[0-9w]*.ipynb"))
WIDTHS = (900, 1186)  # pixels: of a cell on a laptop, beside the list of files and without it

DRAW = """async figure => {
  const box = document.getElementById("figure");
  Plotly.purge(box);
  figure.layout.autosize = true;
  await Plotly.newPlot(box, figure.data, figure.layout, {displayModeBar: false, responsive: true});
}"""
# Boxes of all texts that are drawn, in pixels. Letters have room above and beneath them in their
# box, so that a fifth of the height is taken off at either end; turned texts, whose box is mostly
# empty, are shrunk about their middle.
BOXES = """spoken => [...document.querySelectorAll("#figure text")].flatMap(text => {
  const words = text.textContent.trim();
  if (!words || words === spoken) return [];
  const box = text.getBoundingClientRect(), turned = /rotate\\((?!0[,)])/;
  if (!box.width || !box.height || getComputedStyle(text).visibility === "hidden") return [];
  if (box.height < 4) return [];
  if (words.length < 3 && text.closest(".textpoint")) return [];  // a letter that is a point
  const slanted = turned.test(text.getAttribute("transform") || "") &&
    !/rotate\\(-?90/.test(text.getAttribute("transform"));
  if (slanted) return [];
  const lines = Math.max(1, text.querySelectorAll("tspan.line").length);
  const dx = Math.min(1, 0.2 * box.width), dy = 0.2 * box.height / lines;
  return [{words, left: box.left + dx, right: box.right - dx, top: box.top + dy,
           bottom: box.bottom - dy}];
})"""


def figures_of(notebook):
    """(cell number, figure) of each figure that a notebook's outputs hold."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    for k, cell in enumerate(cells):
        for output in cell.get("outputs", ()):
            if PLOTLY in output.get("data", {}):
                yield k, output["data"][PLOTLY]


def overlaps(boxes):
    """Pairs of texts whose boxes share area; a text drawn twice in one place counts as one."""
    found = []
    for k, a in enumerate(boxes):
        for b in boxes[:k]:
            wide = min(a["right"], b["right"]) - max(a["left"], b["left"])
            high = min(a["bottom"], b["bottom"]) - max(a["top"], b["top"])
            same = a["words"] == b["words"] and abs(a["left"] - b["left"]) < 1
            if wide > 0 and high > 0 and not same:
                found.append((b["words"][:40], a["words"][:40]))
    return found


def cut_off(boxes, width):
    """Texts that run out of the figure at its right or left."""
    return [box["words"][:60] for box in boxes if box["right"] > width or box["left"] < 0]


@pytest.fixture(scope="module")
def page(browser):
    opened = browser.new_page()
    opened.set_content("<body style='margin: 0'><div id='figure'></div></body>")
    opened.add_script_tag(content=get_plotlyjs())
    yield opened
    opened.close()


def test_overlapping_texts_are_found(page):
    note = {"text": "one text", "x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper"}
    note["showarrow"] = False
    for other, n in ((note | {"text": "another"}, 1), (note | {"text": "far", "y": 0.9}, 0)):
        page.evaluate(DRAW, {"data": [], "layout": {"annotations": [note, other]}})
        assert len(overlaps(page.evaluate(BOXES, SPOKEN))) == n


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_text_lies_on_another_or_is_cut_off(page, notebook, width):
    page.set_viewport_size({"width": width, "height": 800})
    bad = {}
    for k, figure in figures_of(notebook):
        notes = figure["layout"].get("annotations", [])
        figure["layout"]["annotations"] = [n for n in notes if n.get("name") != SPOKEN]
        page.evaluate(DRAW, figure)
        boxes = page.evaluate(BOXES, SPOKEN)
        found = overlaps(boxes) + [(words, "is cut off") for words in cut_off(boxes, width)]
        if found:
            title = figure["layout"].get("title", {}).get("text", "")
            bad[f"cell {k}: {title}"] = found[:12]
    said = "\n".join(f"{where}\n    {pairs}" for where, pairs in bad.items())
    assert not bad, f"texts on one another in {notebook.name}:\n{said}"
