"""What every page of the notebooks' site is made of: the frame, the style sheet, the script."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape

# The pages may use the files that lie beside them, opened from a folder or served, and no others.
POLICY = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file: 'unsafe-inline'; "
    "img-src 'self' file: data: blob:; base-uri 'none'; form-action 'none'"
)

CSS = """
:root { color-scheme: light; --ink: #222; --soft: #555; --line: #d5d5d5; --accent: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: var(--ink);
       font: 16px/1.6 "DejaVu Sans", Verdana, Arial, sans-serif; }
main, nav, footer { max-width: 1060px; margin: 0 auto; padding: 0 24px; }
nav { display: flex; flex-wrap: wrap; gap: 4px 28px; padding-top: 14px; padding-bottom: 10px;
      font-size: 14px; border-bottom: 1px solid var(--line); }
nav a[rel="next"] { margin-left: auto; }
footer nav { border: 0; border-top: 1px solid var(--line); margin-top: 40px; padding: 14px 0 40px; }
h1 { font-size: 27px; line-height: 1.3; margin: 26px 0 12px; }
h2 { font-size: 21px; margin: 38px 0 10px; padding-top: 14px; border-top: 1px solid var(--line); }
h3 { font-size: 17px; margin: 26px 0 6px; }
p, li { max-width: 88ch; }
p { margin: 10px 0; }
ul, ol { margin: 8px 0; padding-left: 26px; }
li { margin: 4px 0; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
code, pre { font: 13.5px/1.55 "DejaVu Sans Mono", Consolas, monospace; }
p code, li code, td code { background: #f3f3f3; padding: 1px 4px; border-radius: 3px; }
pre { margin: 0; padding: 1px 0 3px; overflow-x: auto; white-space: pre; }
.input { margin: 14px 0 8px; }
.input .highlight, .text_cell_render .highlight, .text_cell_render > pre { background: #f6f8fa;
       border: 1px solid #e3e6e9; border-radius: 4px; padding: 8px 13px 5px; }
.output_text { border-left: 3px solid #b9c4cc; padding: 2px 0 2px 13px; margin: 8px 0; }
.output_text pre { white-space: pre-wrap; }
.output_area { margin: 8px 0; }
.output_html, .wide { overflow-x: auto; }
.plot { width: 100%; }
.widget-note { border: 1px dashed #9aa7b0; border-radius: 4px; color: var(--soft);
       padding: 8px 13px; max-width: none; }
img { max-width: 100%; }
table { border-collapse: collapse; font-size: 14.5px; margin: 12px 0; }
th, td { padding: 5px 11px; border-bottom: 1px solid var(--line); text-align: left; }
thead th { border-bottom: 2px solid #888; }
/* DejaVu Math, the only one on many a Linux, sets indices high and large. */
math, math mo { font-family: "Latin Modern Math", "STIX Two Math", "Cambria Math", math; }
math { font-size: 1.08em; }
msub, msup, msubsup, math mi, math mn {
  font-family: "Latin Modern Math", "STIX Two Math", "Cambria Math", "DejaVu Serif", math; }
msub > :nth-child(2), msup > :nth-child(2), msubsup > :nth-child(n + 2),
munder > :nth-child(2), mover > :nth-child(2), munderover > :nth-child(n + 2) { font-size: 72%; }
msub > :nth-child(2), msubsup > :nth-child(2) { position: relative; top: 0.2em; }
math[display="block"] { margin: 12px 0; padding: 2px 0 5px; overflow-x: auto; }
ol.series { list-style: none; padding: 0; }
ol.series li { margin: 0; padding: 11px 0; border-bottom: 1px solid var(--line); }
ol.series p { margin: 2px 0 0; color: var(--soft); }
@media print { nav { display: none; } }
"""

SCRIPT = """
const figures = JSON.parse(document.getElementById("figures").textContent);
for (const place of document.querySelectorAll("[data-figure]")) {
  const config = { responsive: true, displaylogo: false };
  Plotly.newPlot(place, { ...figures[place.dataset.figure], config });
}
"""

INTRO = (
    "One question for each notebook, in this order or alone. The pages show what the notebooks "
    "showed when they were last run: point at a figure to read its numbers. To turn the knobs of "
    "the dashboards and to change the code, run them: <code>make lab</code>."
)


def link(page: str, text: str, relation: str = "") -> str:
    """A link to another page of the site; all are plain text.

    Args:
        page: its file name.
        text: what is shown.
        relation: "prev" or "next".
    """
    rel = f' rel="{relation}"' if relation else ""
    return f'<a href="{escape(page)}"{rel}>{escape(text)}</a>'


def notebook_page(title: str, body: str, figures: Mapping[str, dict], links: Sequence[str]) -> str:
    """The page of one notebook as HTML.

    Args:
        title: plain text.
        body: HTML, in which an element with ``data-figure="name"`` is the place of that figure.
        figures: plotly figures as JSON-able values, by name.
        links: the ways to the other pages, as HTML.
    """
    nav = "".join(links)
    data = json.dumps(figures, separators=(",", ":")).replace("<", "\\u003c")
    return document(
        title,
        f'<nav aria-label="Series">{nav}</nav>\n<main>\n{body}\n</main>\n'
        f'<footer><nav aria-label="Series, again">{nav}</nav></footer>\n'
        f'<script type="application/json" id="figures">{data}</script>\n'
        '<script src="plotly.min.js"></script>\n<script src="site.js"></script>',
    )


def index_page(entries: Sequence[tuple[str, str, str]]) -> str:
    """The list of the series as HTML.

    Args:
        entries: of each page its file name, its title as plain text, its question as HTML.
    """
    items = "\n".join(
        f"<li>{link(page, title)}<p>{question}</p></li>" for page, title, question in entries
    )
    heading = "fmlora_kit: the notebooks"
    return document(
        heading,
        f'<main><h1>{heading}</h1><p>{INTRO}</p>\n<ol class="series">\n{items}\n</ol></main>',
    )


def document(title: str, body: str) -> str:
    """A whole HTML document; it refers to nothing but the files beside it."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="site.css">
</head>
<body>
{body}
</body>
</html>
"""
