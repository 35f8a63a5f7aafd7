"""The one frame of all pages: HTML head, content policy, style sheet, script, escaping.

A page is whole in itself (everything inside: it opens from a folder, a memory stick or a mail), or
one of a site whose pages share the files beside them. Either way the browser fetches nothing else,
whatever a script asks for: the content security policy says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape

from plotly.offline import get_plotlyjs

from fmlora_kit.figures.show import CONFIG

STYLE_FILE, SCRIPT_FILE, PLOTLY_FILE = "site.css", "site.js", "plotly.min.js"
_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src {styles}; "
    "img-src {pictures}data: blob:; base-uri 'none'; form-action 'none'"
)
WHOLE_POLICY = _POLICY.format(scripts="'unsafe-inline'", styles="'unsafe-inline'", pictures="")
SITE_POLICY = _POLICY.format(
    scripts="'self' file:", styles="'self' file: 'unsafe-inline'", pictures="'self' file: "
)

CSS = """
:root { color-scheme: light; --ink: #222; --soft: #555; --line: #d5d5d5; --accent: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: var(--ink);
       font: 16px/1.6 "DejaVu Sans", Verdana, Arial, sans-serif; }
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
.plot { width: 100%; min-width: 900px; } /* narrower, texts of figures would meet */
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14.5px; margin: 12px 0; }
th, td { padding: 5px 11px; border-bottom: 1px solid var(--line); text-align: left; }
thead th { border-bottom: 2px solid #888; }
@page { margin: 12mm; }
@media print {
  nav, select { display: none !important; }
  .plot, .wide, figure, table, pre, tr { break-inside: avoid; }
  h1, h2, h3, figcaption { break-after: avoid; }
  .wide { overflow: visible; }
  pre { white-space: pre-wrap !important; overflow-wrap: anywhere; }
}
"""

# A select with data-for="place" shows in that place the figure that it names.
SCRIPT = """
const figures = JSON.parse(document.getElementById("figures").textContent);
function draw(place, name) {
  const figure = figures[name];
  const config = { ...CONFIG, ...figure.config };
  place.style.height = (figure.layout.height || 450) + "px";
  Plotly.newPlot(place, { ...figure, config });
  // Its label says what the drawing says; of the drawing a screen reader would spell the axes.
  for (const part of place.querySelectorAll(".main-svg")) part.setAttribute("aria-hidden", "true");
}
for (const place of document.querySelectorAll("[data-figure]")) draw(place, place.dataset.figure);
// Paper is narrower than a screen: figures are drawn at a width that their texts have room in, and
// made smaller until that fits on A4 and Letter.
function fit(width) {
  for (const place of document.querySelectorAll("[data-figure]")) {
    place.style.width = width ? `${width}px` : "";
    place.style.zoom = 1;
    Plotly.relayout(place, { width, autosize: !width });
    if (width) place.style.zoom = Math.min(690 / width, 900 / place.offsetHeight);
  }
}
window.addEventListener("beforeprint", () => fit(900));
window.addEventListener("afterprint", () => fit(null));
// What scrolls sideways can be reached, and then scrolled, by keys.
function reach() {
  for (const box of document.querySelectorAll(".wide, .output_html, table, pre, math"))
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
}
window.addEventListener("load", reach);
window.addEventListener("resize", reach);
for (const choice of document.querySelectorAll("select[data-for]")) {
  const redraw = () => draw(document.getElementById(choice.dataset.for), choice.value);
  choice.addEventListener("change", redraw);
  if (choice.selectedOptions[0] && !choice.selectedOptions[0].defaultSelected) redraw();
}
""".replace("...CONFIG", f"...{json.dumps(CONFIG)}")


def document(
    title: str, body: str, figures: Mapping[str, dict] | None = None, *, css: str | None = None
) -> str:
    """An HTML document.

    Args:
        title: plain text.
        body: HTML, in which an element with ``data-figure="name"`` is where that figure goes.
        figures: plotly figures as JSON-able values, by name; None: a page without figures.
        css: the style sheet of a page that is whole in itself, behind the common one; None: a page
            of a site, which refers to the files beside it.
    """
    if css is None:
        policy, style = SITE_POLICY, f'<link rel="stylesheet" href="{STYLE_FILE}">'
        scripts = f'<script src="{PLOTLY_FILE}"></script>\n<script src="{SCRIPT_FILE}"></script>'
    else:
        policy, style = WHOLE_POLICY, f"<style>{CSS}{css}</style>"
        scripts = f"<script>{get_plotlyjs()}</script>\n<script>{SCRIPT}</script>"
    drawing = ""
    if figures is not None:
        data = json.dumps(figures, separators=(",", ":")).replace("<", "\\u003c")
        data = f'<script type="application/json" id="figures">{data}</script>'
        drawing = f"{data}\n{scripts}\n"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
{style}
</head>
<body>
{body}
{drawing}</body>
</html>
"""


def plot(name: str, label: str, height: int | None = None, identity: str = "") -> str:
    """Where the figure ``name`` goes, as HTML.

    ``label`` says what it shows to those who hear the page; ``height``, in pixels, is kept free
    before it is drawn; ``identity`` is the element's id, where a choice of figures leads.
    """
    attributes = {"class": "plot", "id": identity, "data-figure": name}
    attributes |= {"role": "figure", "aria-label": label}  # an img must not hold buttons
    attributes |= {"style": f"height: {height}px" if height else ""}
    listed = " ".join(f'{key}="{escape(value)}"' for key, value in attributes.items() if value)
    return f'<div class="wide"><div {listed}></div></div>'
