"""The cells tagged `slide` as slides: one HTML file, everything inside, one screen a section.

A screen begins with a slide cell that begins with a heading; those after it, until the next heading
of a slide cell or the end of the notebook, stand below it on the same screen. A code cell with
outputs begins a screen of its own, under the same heading: its outputs are shown. Of another one it
is the code; solutions are not shown. Arrows, Page Up and Down, Space, Home and End lead on.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from html import escape
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell
from pygments.formatters import HtmlFormatter

from fmlora_kit.commands.pages.frame import document
from fmlora_kit.commands.pages.notebooks import SITE_CSS, Exporter, take_figures

TAG, SOLUTION = "slide", "solution"
FIGURE_HEIGHT = 470  # pixels, at most: with a heading and two lines a laptop's screen is full
CSS = """
html { scroll-snap-type: y mandatory; }
body { font-size: 22px; }
main { max-width: none; padding: 0; }
.screen { height: 100vh; overflow: auto; padding: 20px 60px 44px; scroll-snap-align: start;
          break-after: page; }
.screen:focus { outline: none; }
.screen h1 { font-size: 42px; } .screen h2 { font-size: 34px; border: 0; margin: 10px 0 8px; }
.screen h1, .screen h2 { padding: 0; } .screen h3 { font-size: 27px; }
.screen code, .screen pre { font-size: 19px; } .screen table { font-size: 20px; }
#place { position: fixed; right: 22px; bottom: 12px; font-size: 16px; color: var(--soft); }
@media print { #place { display: none; } .screen { height: auto; } }
"""
SCRIPT = """
const screens = [...document.querySelectorAll(".screen")];
const place = document.getElementById("place");
const steps = { ArrowRight: 1, PageDown: 1, " ": 1, ArrowLeft: -1, PageUp: -1,
                Home: -Infinity, End: Infinity };
let now = 0;
function arrive(k) {
  now = k;
  place.textContent = `${k + 1} / ${screens.length}`;
}
addEventListener("keydown", event => {
  const onControl = event.target.closest("a, button, summary") && event.key === " ";
  if (!(event.key in steps) || event.ctrlKey || event.altKey || event.metaKey || onControl) return;
  event.preventDefault();
  const k = Math.max(0, Math.min(screens.length - 1, now + steps[event.key]));
  location.hash = screens[k].id;
  screens[k].focus({ preventScroll: true });
  arrive(k);
});
const eye = new IntersectionObserver(seen => {
  for (const each of seen) if (each.isIntersecting) arrive(screens.indexOf(each.target));
}, { threshold: 0.6 });
for (const screen of screens) eye.observe(screen);
arrive(Math.max(0, screens.findIndex(screen => `#${screen.id}` === location.hash)));
"""


def slides(paths: Sequence[Path], title: str) -> str:
    """The slides of stored notebooks, in their order, as an HTML document.

    Raises:
        ValueError: no cell is tagged `slide`, or the first one of a notebook has no heading.
    """
    screens: list[list[NotebookNode]] = []
    for path in paths:
        try:
            screens += screens_of(nbformat.read(path, as_version=4))
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from None
    if not screens:
        raise ValueError(f"notebooks must have a cell tagged {TAG}, got none")
    figures = take_figures(NotebookNode(cells=[cell for screen in screens for cell in screen]))
    for figure in figures.values():
        layout = figure["layout"] = {**figure.get("layout", {})}
        layout["height"] = min(layout.get("height", FIGURE_HEIGHT), FIGURE_HEIGHT)
    sections = [_section(k, screens) for k in range(len(screens))]
    body = f'<main>{"".join(sections)}</main><div id="place" role="status"></div>'
    css = HtmlFormatter(style="default").get_style_defs(".highlight") + SITE_CSS + CSS
    return document(title, f"{body}\n<script>{SCRIPT}</script>", figures, css=css)


def screens_of(notebook: NotebookNode) -> list[list[NotebookNode]]:
    """Copies of the cells of each screen; ValueError if the first has no heading."""
    screens: list[list[NotebookNode]] = []
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", ())
        if TAG not in tags:
            continue
        cell = copy.deepcopy(cell)
        if cell.cell_type == "code" and (cell.outputs or SOLUTION in tags):
            cell.source = ""
        if cell.cell_type == "markdown" and cell.source.startswith("#"):
            screens.append([])
        elif screens and cell.get("outputs"):
            heading = screens[-1][0].source.splitlines()[0]
            screens.append([new_markdown_cell(heading)])
        if not screens:
            raise ValueError(f"slides must begin with a heading, got {cell.source[:60]!r}")
        screens[-1].append(cell)
    return screens


def _section(k: int, screens: Sequence[list[NotebookNode]]) -> str:
    notebook = NotebookNode(cells=screens[k], metadata={}, nbformat=4, nbformat_minor=5)
    html, _ = Exporter().from_notebook_node(notebook)
    page = BeautifulSoup(html, "html.parser")
    for box in page.find_all(class_="input"):
        if not box.get_text().strip():
            box.decompose()
    for link in page.find_all("a", href=lambda to: to and not to.startswith(("http", "#"))):
        link.unwrap()  # what lies beside the notebook does not lie beside the slides
    heading = page.find(["h1", "h2", "h3", "h4"])
    name = f"{k + 1} of {len(screens)}: {heading.get_text().strip()}"
    attributes = 'role="group" aria-roledescription="slide" tabindex="0"'
    label = f'id="slide-{k + 1}" aria-label="{escape(name)}"'
    return f'<section class="screen" {label} {attributes}>{page}</section>'
