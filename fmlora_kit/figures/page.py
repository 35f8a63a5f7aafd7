"""One offline page about a comparison of methods: a single HTML file with everything inside.

The page carries plotly.js once, and a content security policy under which the browser fetches
nothing, whatever a script asks for: it opens from a folder, a memory stick or a mail.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from fmlora_kit.analysis.names import display_name
from fmlora_kit.figures.accuracy import accuracy_curves, accuracy_matrix, forgetting_curves
from fmlora_kit.figures.findings import BOUND, OURS, Runs, Summary, findings
from fmlora_kit.figures.page_style import CSS, SCRIPT
from fmlora_kit.figures.page_tables import (
    differences_table,
    meanings_table,
    pairs_table,
    results_table,
)
from fmlora_kit.figures.parameters import parameters_stored
from fmlora_kit.figures.ranks import rank_allocation
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
