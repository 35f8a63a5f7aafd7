"""One offline page about a comparison of methods: a single HTML file with everything inside.

The page carries plotly.js once, and a content security policy under which the browser fetches
nothing, whatever a script asks for: it opens from a folder, a memory stick or a mail.

Style sheet and script of the comparison page: plain CSS, and the few lines that draw figures.

The tables of the comparison page as HTML: results, paired differences, what the metrics mean.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from fmlora_kit.analysis import DEFINITIONS, count, paired_metric
from fmlora_kit.analysis.comparison import METRICS
from fmlora_kit.analysis.formats import COSTS, words
from fmlora_kit.analysis.names import display_name
from fmlora_kit.analysis.sentences import (
    BOUND,
    OURS,
    Runs,
    Summary,
    best,
    findings,
    is_clear,
    percent,
    points,
)
from fmlora_kit.figures.accuracy import accuracy_curves, accuracy_matrix
from fmlora_kit.figures.forgetting import forgetting_curves
from fmlora_kit.figures.ranks import rank_allocation
from fmlora_kit.figures.storage import parameters_stored
from fmlora_kit.figures.stream import samples
from fmlora_kit.record import Record

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)
SCENARIOS = {
    "class-incremental": (
        "No sample of an earlier task may be kept, and at test time nobody says which task a "
        "picture is from, so the model has to choose among all classes seen so far: that is "
        "class-incremental learning."
    ),
    "domain-incremental": (
        "No sample of an earlier task may be kept, and every task shows the same classes in "
        "another look, all of which the model has to know in the end: that is domain-incremental "
        "learning."
    ),
}
MATRIX = "matrix "
MATRIX_NOTE = (
    "Accuracy in % on each task (columns) after learning each task (rows), first seed, arg-max "
    "over all classes seen. Read down a column to see a task being forgotten."
)


def comparison_page(
    records: Runs, summary: Summary, stream: object, made: Mapping[str, str]
) -> str:
    """The whole page as HTML; it needs no other file and makes no request.

    Args:
        records: for each method its records, one per seed, each with a finished task.
        summary: what `fmlora_kit.analysis.summarise` makes of them.
        stream: what was learned, for its pictures: see `samples`.
        made: how the numbers were made, by label: the command, the seeds, ...
    """
    figures = _figures(records, stream)
    says = "".join(f"<li>{escape(sentence)}</li>" for sentence in findings(records, summary))
    sections = {
        "The stream": _figure("stream", figures),
        "Results": (
            f"{results_table(summary)}<h3>What the numbers say</h3><ul>{says}</ul>"
            f"{differences_table(records)}<h3>What the metrics mean</h3>{meanings_table()}"
        ),
        "Accuracy": _figure("accuracy", figures),
        "Forgetting": _figure("forgetting", figures),
        "Task by task": _matrices(figures),
        "Ranks chosen": _figure("ranks", figures),
        "Parameters stored": _figure("parameters", figures),
        "How this was made": pairs_table(made),
    }
    sections = {heading: content for heading, content in sections.items() if content}
    title = f"FM-LoRA on a stream of {len(stream.tasks)} tasks"
    header = _header(title, stream, list(records), list(sections))
    return _document(title, header, sections, figures)


def _figures(records: Runs, stream: object) -> dict[str, go.Figure]:
    """Every figure by name; those that the records do not allow are left out."""
    figures = {"stream": samples(stream)}
    learned = {display_name(m): runs for m, runs in records.items() if m != BOUND}
    if learned:
        figures["accuracy"] = accuracy_curves(learned)
        figures["parameters"] = parameters_stored(learned)
        if min(len(record.tasks) for runs in learned.values() for record in runs) > 1:
            figures["forgetting"] = forgetting_curves(learned)
        if BOUND in records:
            _add_bound(figures["accuracy"], records[BOUND])
    for method, runs in records.items():
        if method != BOUND:
            figures[MATRIX + method] = _narrow(accuracy_matrix(runs[0]))
    if OURS in records and records[OURS][0].ranks.size:
        figures["ranks"] = rank_allocation(records[OURS][0])
    return figures


def _add_bound(figure: go.Figure, runs: Sequence[Record]) -> None:
    """Add the accuracy of joint training, which has no curve, as a level."""
    level = 100 * float(np.mean([record.accuracy[0, 0] for record in runs]))
    figure.add_hline(
        y=level,
        line={"color": "#555555", "dash": "dot", "width": 1.5},
        annotation={"text": "joint training, all tasks at once", "font": {"color": "#555555"}},
        annotation_position="bottom left",
    )


def _narrow(matrix: go.Figure) -> go.Figure:
    """An accuracy matrix that fits half a laptop's width."""
    return matrix.update_traces(showscale=False).update_xaxes(tickangle=-40)


def _header(title: str, stream: object, methods: list[str], headings: list[str]) -> str:
    n_classes = len({k for task in stream.tasks for k in task.classes})
    links = "".join(f'<a href="#{_anchor(h)}">{escape(h)}</a>' for h in headings)
    compared = ", ".join(display_name(method) for method in methods)
    return (
        f"<header><h1>{escape(title)}</h1>"
        f"<p>A pre-trained vision model is taught {len(stream.tasks)} tasks with {n_classes} "
        "classes one after another, each seen once and then gone: that is a stream of tasks, and "
        "the danger is that the model forgets the first while it learns the last. "
        f"{SCENARIOS[stream.scenario]}</p>"
        "<p>FM-LoRA leaves the model's weights as they are and learns small low-rank updates that "
        "share one core, with a rank chosen for each task, and a few prompt tokens.</p>"
        f'<p class="note">Stream: {escape(stream.name)} ({escape(stream.scenario)}). '
        f"Methods: {escape(compared)}.</p>"
        f'<nav aria-label="Sections">{links}</nav></header>'
    )


def _figure(name: str, figures: Mapping[str, go.Figure]) -> str:
    """A figure's place under its title and subtitle; empty if there is no such figure."""
    if name not in figures:
        return ""
    title = figures[name].layout.title
    heading, note = escape(title.text), escape(title.subtitle.text or "")
    return (
        f"<figure><figcaption><b>{heading}.</b> {note}</figcaption>"
        f'<div class="plot" data-figure="{name}" role="img" aria-label="{heading}"></div></figure>'
    )


def _matrices(figures: Mapping[str, go.Figure]) -> str:
    """Two accuracy matrices side by side, each with a choice of method."""
    names = [name for name in figures if name.startswith(MATRIX)]
    panels = []
    for side, shown in zip(("left", "right"), names, strict=False):
        options = "".join(
            f'<option value="{escape(name)}"{" selected" if name == shown else ""}>'
            f"{escape(display_name(name.removeprefix(MATRIX)))}</option>"
            for name in names
        )
        panels.append(
            f'<figure><label>Method: <select data-for="{side}">{options}</select></label>'
            f'<div class="plot" id="{side}" data-figure="{escape(shown)}"></div></figure>'
        )
    return f'<p>{MATRIX_NOTE}</p><div class="pair">{"".join(panels)}</div>' if panels else ""


def _untitled(figure: go.Figure) -> dict:
    """The figure as JSON, its title left to the page, where it can wrap and be read aloud."""
    figure = go.Figure(figure)
    top = figure.layout.margin.t or 70
    figure.update_layout(title=None, margin_t=max(top - 60, 12))
    figure.layout.height -= 55
    return json.loads(figure.to_json())


def _anchor(heading: str) -> str:
    return heading.lower().replace(" ", "-")


def _document(
    title: str, header: str, sections: Mapping[str, str], figures: Mapping[str, go.Figure]
) -> str:
    main = "\n".join(
        f'<section aria-labelledby="{_anchor(h)}"><h2 id="{_anchor(h)}">{escape(h)}</h2>'
        f"{content}</section>"
        for h, content in sections.items()
    )
    drawn = json.dumps({name: _untitled(figure) for name, figure in figures.items()})
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>{CSS}</style>
</head>
<body>
{header}
<main>
{main}
</main>
<script type="application/json" id="figures">{drawn.replace("<", chr(92) + "u003c")}</script>
<script>{get_plotlyjs()}</script>
<script>{SCRIPT}</script>
</body>
</html>
"""


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


MEANINGS = {
    "final_accuracy": "share of the test images of all tasks named rightly at the very end",
    "average_anytime_accuracy": "the same share of the tasks seen so far, averaged over the stream",
    "forgetting": "how far earlier tasks have fallen from their best accuracy; less is better",
    "drift_forgetting": (
        "forgetting when the model is told which task an image is from: only what it lost itself "
        "counts, not that there are more classes to confuse; less is better"
    ),
    "learning_accuracy": "accuracy on each task right after it was learned",
}


def results_table(summary: Summary) -> str:
    """Every method's metrics and costs; the best mean of a metric in bold, the bound left out."""
    winners = {name: best(summary, name) for name in METRICS}
    rows = []
    for method, values in summary.items():
        cells = [
            _cell(percent(values[name]["mean"], values[name]["ci95"]), method in winners[name])
            for name in METRICS
        ]
        cells += [_cell(_cost(name, values[name])) for name in COSTS]
        rows.append((display_name(method), cells))
    seeds = {values["n_seeds"] for values in summary.values()}
    spread = (
        "one seed, so no intervals"
        if seeds == {1}
        else f"mean over {max(seeds)} seeds ± half-width of the 95 % Student-t interval"
    )
    bound = ", joint training left out" if BOUND in summary else ""
    caption = f"{spread[0].upper()}{spread[1:]}. Bold: the best mean of a column{bound}."
    columns = ["method", *map(words, METRICS), *COSTS.values()]
    return _table(columns, rows, caption=caption)


def differences_table(records: Runs) -> str:
    """FM-LoRA minus each other method, paired by seed; empty with one seed or no other method."""
    others = [method for method in records if method not in (OURS, BOUND)]
    if OURS not in records or not others or len(records[OURS]) < 2:
        return ""
    rows = []
    for other in others:
        gains = [paired_metric(records[OURS], records[other], name) for name in METRICS]
        cells = [_cell(points(gain.mean, gain.ci95, unit=""), is_clear(gain)) for gain in gains]
        rows.append((f"FM-LoRA − {display_name(other)}", cells))
    caption = (
        "Paired differences, seed by seed: mean ± half-width of the 95 % interval, in percentage "
        "points. Bold: the interval excludes zero, in either direction."
    )
    return _table(["difference", *map(words, METRICS)], rows, caption=caption)


def meanings_table() -> str:
    """The definition of each metric, in words and as formula."""
    rows = [
        (
            words(name),
            [
                f"<td>{escape(MEANINGS[name])}</td>",
                f"<td><code>{escape(DEFINITIONS[name])}</code></td>",
            ],
        )
        for name in METRICS
    ]
    note = (
        "a[t,i]: accuracy on the test images of task i after learning task t. n_i: how many there "
        "are. T: the last task. Trained per task: numbers that the optimiser changes, mean over "
        "tasks. Deployed: all numbers needed to run the model, backbone included."
    )
    table = _table(["metric", "in words", "formula"], rows, kind="meanings")
    return f'{table}<p class="note">{note}</p>'


def pairs_table(pairs: Mapping[str, str]) -> str:
    """Labels and texts, one per row."""
    rows = [(label, [f"<td>{escape(text)}</td>"]) for label, text in pairs.items()]
    return _table([], rows, kind="pairs")


def _cost(name: str, value: Mapping) -> str:
    mean = value["mean"]
    if mean is None:
        return "–"
    return f"{mean:,.0f}" if name == "seconds" else count(mean)


def _cell(text: str, strong: bool = False) -> str:
    return f"<td><strong>{escape(text)}</strong></td>" if strong else f"<td>{escape(text)}</td>"


def _table(
    columns: Sequence[str],
    rows: Sequence[tuple[str, Sequence[str]]],
    *,
    caption: str = "",
    kind: str = "numbers",
) -> str:
    """A table of row headers and finished cells."""
    top = f"<caption>{escape(caption)}</caption>" if caption else ""
    if columns:
        names = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
        top += f"<thead><tr>{names}</tr></thead>"
    body = "\n".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>' for name, cells in rows
    )
    label = escape(caption or kind)
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{label}">'
        f'<table class="{kind}">{top}<tbody>{body}</tbody></table></div>'
    )
