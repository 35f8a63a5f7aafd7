"""Make offline pages of the notebooks as they are stored, and pictures of some of their figures.

    fmlora site --out build/site
    fmlora site --gallery notebooks/gallery

No notebook is run. The pages carry their figures as data and share one plotly.js, formulas are
MathML, and nothing is fetched from anywhere. A cell tagged `gallery-NAME` has its figure drawn as
NAME.png; that takes a Chromium. Both need the `dev` extra.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import plotly
from bs4 import BeautifulSoup
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from fmlora_kit.commands.pages import frame
from fmlora_kit.commands.pages.frame import document, plot
from fmlora_kit.figures.show import PLOTLY, SPOKEN

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
WIDGET = "application/vnd.jupyter.widget-view+json"
RUN_IT = ", a dashboard: run the notebook to use it."  # of a widget with figures, in words
PICTURE = "image/jpeg"
WIDGET_NOTE = '<p class="widget-note">A dashboard{}: run the notebook to use it.</p>'
QUESTION = re.compile(r"\*\*Question\.\*\*\s*(.+?)\s*(?:\n\s*\n|\Z)", re.DOTALL)
GALLERY_TAG = "gallery-"
GALLERY_WIDTH = 1000  # about as wide as a notebook's cell
GALLERY_SCALE = 1.5  # pixels of the picture for each of these
HEADING = "fmlora_kit: the notebooks"
INTRO = (
    "One question for each notebook, in this order or alone. The pages show what the notebooks "
    "showed when they were last run: point at a figure to read its numbers. To turn the knobs of "
    "the dashboards and to change the code, run them: <code>make lab</code>."
)
SITE_CSS = """
main, nav, footer { max-width: 1060px; margin: 0 auto; padding: 0 24px; }
nav { display: flex; flex-wrap: wrap; gap: 4px 28px; padding-top: 14px; padding-bottom: 10px;
      font-size: 14px; border-bottom: 1px solid var(--line); }
nav a[rel="next"] { margin-left: auto; }
footer nav { border: 0; border-top: 1px solid var(--line); margin-top: 40px; padding: 14px 0 40px; }
p code, li code, td code { background: #f3f3f3; padding: 1px 4px; border-radius: 3px;
       overflow-wrap: anywhere; }
pre { margin: 0; padding: 1px 0 3px; overflow-x: auto; white-space: pre; }
.input { margin: 14px 0 8px; }
.input .highlight, .text_cell_render .highlight, .text_cell_render > pre { background: #f6f8fa;
       border: 1px solid #e3e6e9; border-radius: 4px; padding: 8px 13px 5px; }
.output_text { border-left: 3px solid #b9c4cc; padding: 2px 0 2px 13px; margin: 8px 0; }
.output_text pre { white-space: pre-wrap; }
.output_area { margin: 8px 0; }
.output_html { overflow-x: auto; }
.dataframe, .dataframe th, .dataframe td { border-width: 0 0 1px; text-align: right; }
.text_cell_render table { display: block; overflow-x: auto; }
.widget-note { border: 1px dashed #9aa7b0; border-radius: 4px; color: var(--soft);
       padding: 8px 13px; max-width: none; }
img { max-width: 100%; }
img.still { min-width: 860px; } /* on a phone it scrolls, as figures do */
/* DejaVu Math, the only one on many a Linux, sets indices high and large. */
math, math mo { font-family: "Latin Modern Math", "STIX Two Math", "Cambria Math", math; }
math { font-size: 1.08em; }
msub, msup, msubsup, math mi, math mn {
  font-family: "Latin Modern Math", "STIX Two Math", "Cambria Math", "DejaVu Serif", math; }
.prime { font-family: "DejaVu Serif", Georgia, "Times New Roman", serif; }
msub > :nth-child(2), msup > :nth-child(2), msubsup > :nth-child(n + 2),
munder > :nth-child(2), mover > :nth-child(2), munderover > :nth-child(n + 2) { font-size: 72%; }
msub > :nth-child(2), msubsup > :nth-child(2) { position: relative; top: 0.2em; }
math[display="block"] { margin: 12px 0; padding: 2px 0 5px; overflow-x: auto; }
@media screen and (max-width: 600px) {
  main, nav, footer { padding: 0 14px; }
  .output_html table { width: max-content; max-width: 680px; }
  .output_html .fmlora-table table { max-width: 1100px; }
  .fmlora-table { max-height: none !important; } /* nothing shows there that a box scrolls */
  .dataframe tbody th { max-width: 44vw; overflow-wrap: anywhere; }
}
@media print {
  .output_html, table, math { overflow: visible !important; }
  table { font-size: 12px !important; }
  th, td { padding: 3px 6px !important; min-width: 0 !important; }
  .fmlora-table { max-height: none !important; }
  .fmlora-table table { font-size: 10.5px !important; }
  .fmlora-table :is(th, td) { padding: 2px 4px !important; }
  img.still { min-width: 0; }
  .fmlora-table table { break-inside: auto; }
  .input, .output_html div:has(+ .fmlora-table), div:has(> strong + table) > strong,
  .widget-note:has(+ *) { break-after: avoid; }
  ol.series li { break-inside: avoid; }
}
ol.series { list-style: none; padding: 0; }
ol.series li { margin: 0; padding: 11px 0; border-bottom: 1px solid var(--line); }
ol.series p { margin: 2px 0 0; color: var(--soft); }
"""


@dataclass(frozen=True)
class Page:
    """A notebook on its way to the site."""

    name: str  # of the HTML file
    title: str  # of the first heading, plain text
    question: str  # of the first cell, as HTML
    body: str  # all cells as HTML, with an element for each figure
    figures: dict[str, dict]  # by the name of their element, JSON-able

    @property
    def short(self) -> str:
        """The title without the question in it."""
        return self.title.partition(":")[0]


# Fonts of text have a raised prime, in the size of letters; as an index it would be a speck.
PRIME = re.compile(r"<msup>(<mi>[^<]*</mi>)<mi>&#x02032;</mi></msup>")


def _mathml(body: str, **settings: str) -> str:
    raised = r'<mrow>\1<mtext class="prime">&#x02032;</mtext></mrow>'
    return PRIME.sub(raised, convert(body.strip(), **settings))


class _Renderer(IPythonRenderer):
    """Markdown of a notebook: formulas become MathML, links to notebooks lead to their pages."""

    def inline_math(self, body: str) -> str:
        return _mathml(body)

    def block_math(self, body: str) -> str:
        return _mathml(body, display="block")

    def latex_environment(self, name: str, body: str) -> str:
        return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")

    def link(self, text: str, url: str, title: str | None = None) -> str:
        url = re.sub(r"^([^/:]+)\.ipynb\b", r"\1.html", url)
        beside = re.match(r"[^/:]+\.html\b", url)
        if not beside and not re.match("https?://", url):
            return text  # a file that is not on the site
        return super().link(text, url, title)


class Exporter(HTMLExporter):
    """Notebook to an HTML fragment, without prompts."""

    def __init__(self):
        left_out = {"exclude_input_prompt": True, "exclude_output_prompt": True}
        super().__init__(template_name="basic", **left_out)

    def markdown2html(self, source: str) -> str:
        """As `to_html` does."""
        return to_html(source)


def to_html(markdown: str) -> str:
    """Markdown of a notebook as HTML."""
    renderer = _Renderer(escape=False, exclude_anchor_links=True)
    return MarkdownWithMath(renderer=renderer).render(markdown)


def read_page(path: Path) -> Page:
    """Read a stored notebook; ValueError if it does not begin with a heading and a question."""
    notebook = nbformat.read(path, as_version=4)
    first = notebook.cells[0].source if notebook.cells else ""
    question = QUESTION.search(first)
    if not first.startswith("# ") or question is None:
        rule = "begin with '# a title' and a '**Question.**'"
        raise ValueError(f"{path.name} must {rule}, got {first[:60]!r}")
    title = BeautifulSoup(to_html(first.splitlines()[0]), "html.parser").get_text().strip()
    asked = to_html(question[1]).strip().removeprefix("<p>").removesuffix("</p>")
    figures = take_figures(notebook)
    body, _ = Exporter().from_notebook_node(notebook)
    return Page(f"{path.stem}.html", title, asked, body, figures)


def take_figures(notebook: NotebookNode) -> dict[str, dict]:
    """Leave an element in the notebook where a figure or a widget was; return the figures."""
    figures: dict[str, dict] = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if PLOTLY in data:
                name = f"figure-{len(figures) + 1}"
                figures[name] = bare(data[PLOTLY])
                layout = figures[name].get("layout", {})
                label = data.get("text/plain") or layout.get("title", {}).get("text") or "a figure"
                element = plot(name, label, layout.get("height", 450))
                output["data"] = {"text/html": element}
            elif WIDGET in data:
                output["data"] = {"text/html": _still(data)}
    return figures


def _still(data: dict) -> str:
    """What stands in a dashboard's place; nothing for a progress bar, which has done its work."""
    words = data.get("text/plain", "")
    if picture := data.get(PICTURE):
        image = f"data:{PICTURE};base64,{''.join(picture.split())}"
        still = f'<img class="still" src="{image}" alt="{escape(words)}">'
        scrolls = 'class="wide" tabindex="0" role="group" aria-label="a dashboard"'  # by keys too
        return f"<div {scrolls}>{still}</div>{WIDGET_NOTE.format(', as it opens')}"
    return WIDGET_NOTE.format("") if re.match(r"\w+\(", words) else ""


def bare(figure: dict) -> dict:
    """What is drawn: not the settings of the page it was drawn in, nor what is only read aloud."""
    drawn = {key: figure[key] for key in ("data", "layout", "frames") if figure.get(key)}
    texts = drawn.get("layout", {}).get("annotations", ())
    if seen := [text for text in texts if text.get("name") != SPOKEN]:
        return drawn | {"layout": drawn["layout"] | {"annotations": seen}}
    layout = {key: value for key, value in drawn.get("layout", {}).items() if key != "annotations"}
    return drawn | {"layout": layout}


def build(notebooks: Sequence[Path], folder: Path) -> list[Page]:
    """Write the pages of executed notebooks, one at least, and the index; return the pages."""
    if not notebooks:
        raise ValueError("notebooks must be at least one, got none")
    pages = [read_page(path) for path in notebooks]
    folder.mkdir(parents=True, exist_ok=True)
    for k, page in enumerate(pages):
        links = [link("index.html", "All notebooks")]
        links += [link(p.name, f"← {p.short}", "prev") for p in pages[max(k - 1, 0) : k]]
        links += [link(p.name, f"{p.short} →", "next") for p in pages[k + 1 : k + 2]]
        nav = "".join(links)
        body = (
            f'<nav aria-label="Series">{nav}</nav>\n<main>\n{page.body}\n</main>\n'
            f'<footer><nav aria-label="Series, again">{nav}</nav></footer>'
        )
        text = document(page.title, body, page.figures)
        (folder / page.name).write_text(text, encoding="utf-8")
    items = "\n".join(f"<li>{link(p.name, p.title)}<p>{p.question}</p></li>" for p in pages)
    series = f'<p>{INTRO}</p>\n<ol class="series">\n{items}\n</ol>'
    text = document(HEADING, f"<main><h1>{HEADING}</h1>{series}</main>")
    (folder / "index.html").write_text(text, encoding="utf-8")
    css = HtmlFormatter(style="default").get_style_defs(".highlight") + frame.CSS + SITE_CSS
    (folder / frame.STYLE_FILE).write_text(css, encoding="utf-8")
    (folder / frame.SCRIPT_FILE).write_text(frame.SCRIPT, encoding="utf-8")
    (folder / frame.PLOTLY_FILE).write_bytes(PLOTLY_JS.read_bytes())
    return pages


def link(page: str, text: str, relation: str = "") -> str:
    """A link to the file ``page`` of the site; its ``relation`` is "prev", "next" or nothing."""
    rel = f' rel="{relation}"' if relation else ""
    return f'<a href="{escape(page)}"{rel}>{escape(text)}</a>'


def gallery_figures(notebooks: Sequence[Path]) -> dict[str, dict]:
    """The figures of the cells tagged `gallery-NAME`, by that name.

    Raises:
        ValueError: there is none, a name is given twice, or its cell does not show one figure.
    """
    found: dict[str, dict] = {}
    for path in notebooks:
        for cell in nbformat.read(path, as_version=4).cells:
            tags = cell.metadata.get("tags", ())
            for name in (t.removeprefix(GALLERY_TAG) for t in tags if t.startswith(GALLERY_TAG)):
                data = [output.get("data", {}) for output in cell.get("outputs", ())]
                figures = [bare(entry[PLOTLY]) for entry in data if PLOTLY in entry]
                if name in found or len(figures) != 1:
                    got = f"{len(figures)} figures in a cell of {path.name}"
                    rule = "stand on one cell with one figure"
                    raise ValueError(f"tag {GALLERY_TAG}{name} must {rule}, got {got}")
                found[name] = figures[0]
    if not found:
        raise ValueError(f"notebooks must have a cell tagged {GALLERY_TAG}NAME, got none")
    return found


def draw_gallery(figures: dict[str, dict], folder: Path, browser: Browser) -> list[Path]:
    """Draw figures in a browser, each as a PNG of its name; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    page = browser.new_page(device_scale_factor=GALLERY_SCALE, offline=True)
    for name, figure in figures.items():
        height = int(figure["layout"].get("height", 450))
        page.set_viewport_size({"width": GALLERY_WIDTH, "height": height})
        page.set_content('<body style="margin: 0"><div id="place"></div>')
        page.add_script_tag(path=PLOTLY_JS)
        still = {**figure, "config": {"staticPlot": True}}
        page.evaluate("still => Plotly.newPlot('place', still)", still)
        paths.append(folder / f"{name}.png")
        page.screenshot(path=paths[-1])
    page.close()
    return paths
