"""Style sheet and script of the comparison page: plain CSS, and the few lines that draw figures."""

CSS = """
:root { color-scheme: light; --ink: #222; --soft: #555; --line: #d5d5d5; --accent: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: var(--ink);
       font: 16px/1.55 "DejaVu Sans", Verdana, Arial, sans-serif; }
header, main, footer { max-width: 1280px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 28px; }
h1 { font-size: 28px; line-height: 1.25; margin: 0 0 12px; }
h2 { font-size: 21px; margin: 40px 0 10px; padding-top: 12px; border-top: 1px solid var(--line); }
h3 { font-size: 16px; margin: 24px 0 6px; }
p, li { max-width: 92ch; }
p { margin: 8px 0; }
ul { margin: 6px 0; padding-left: 22px; }
li { margin: 5px 0; }
.note { color: var(--soft); font-size: 14px; }
nav { font-size: 14px; margin-top: 14px; }
nav a { display: inline-block; margin: 0 16px 4px 0; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.wide { overflow-x: auto; margin: 8px 0 4px; }
table { border-collapse: collapse; font-size: 14px; line-height: 1.35; }
.numbers { width: 100%; }
caption { text-align: left; color: var(--soft); padding: 2px 0 8px; }
th, td { padding: 6px 10px; border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { border-bottom: 2px solid #888; text-align: left; vertical-align: bottom; }
tbody th { text-align: left; font-weight: normal; white-space: nowrap; }
.numbers td, .numbers thead th + th { text-align: right; }
.numbers td { white-space: nowrap; font-variant-numeric: tabular-nums; }
tbody tr:hover { background: #f4f8fb; }
td strong { color: #004a75; }
code { font: 13px/1.4 "DejaVu Sans Mono", Consolas, monospace; overflow-wrap: anywhere; }
figure { margin: 8px 0 20px; min-width: 0; }
figcaption { font-size: 14px; color: var(--soft); margin-bottom: 2px; }
figcaption b { color: var(--ink); }
.plot { width: 100%; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(520px, 100%), 1fr));
        gap: 0 20px; }
select { font: inherit; font-size: 14px; padding: 2px 6px; }
footer { margin: 40px auto; }
@media print { nav, select { display: none; } h2 { break-after: avoid; } }
"""

# `Plotly.react` draws into a fresh place as well as over what stands there.
SCRIPT = """
const figures = JSON.parse(document.getElementById("figures").textContent);
function draw(place, name) {
  const figure = figures[name];
  const settings = { responsive: true, displaylogo: false, displayModeBar: false };
  place.style.height = figure.layout.height + "px";
  Plotly.react(place, figure.data, figure.layout, settings);
}
for (const place of document.querySelectorAll("[data-figure]")) draw(place, place.dataset.figure);
for (const choice of document.querySelectorAll("select[data-for]")) {
  const redraw = () => draw(document.getElementById(choice.dataset.for), choice.value);
  choice.addEventListener("change", redraw);
  if (choice.selectedOptions[0] && !choice.selectedOptions[0].defaultSelected) redraw();
}
"""
