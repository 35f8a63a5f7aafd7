"""One offline page about methods that were compared: on one stream, or on several.

A single HTML file with everything inside. Tables come from `analysis.tables`, sentences from
`analysis.sentences`; the page only lays them out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape, unescape

import numpy as np
import plotly.graph_objects as go

from fmlora_kit.analysis import tables
from fmlora_kit.analysis.accuracy import DEFINITIONS
from fmlora_kit.analysis.comparison import METRICS, Comparison, is_joined
from fmlora_kit.analysis.formats import words
from fmlora_kit.analysis.names import BOUND, OURS, display_name
from fmlora_kit.analysis.sentences import findings
from fmlora_kit.analysis.tables import ALL_METRICS, SUMMARY, Layout
from fmlora_kit.commands.pages.frame import document, plot
from fmlora_kit.figures.accuracy import accuracy_curves, accuracy_matrix
from fmlora_kit.figures.comparison import comparison_dots
from fmlora_kit.figures.forgetting import forgetting_curves
from fmlora_kit.figures.ranks import rank_allocation
from fmlora_kit.figures.storage import parameters_stored
from fmlora_kit.figures.stream import samples
from fmlora_kit.record import Record

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
ABOUT = (
    "FM-LoRA leaves the model's weights as they are and learns small low-rank updates that share "
    "one core, with a rank chosen for each task, and a few prompt tokens."
)
MATRIX, BOUND_NOTE = "matrix ", "joint training, all tasks at once"
MATRIX_NOTE = (
    "Accuracy in % on each task (columns) after learning each task (rows), first seed, arg-max "
    "over all classes seen. Read down a column to see a task being forgotten."
)
DIFFERENCES_NOTE = (
    "Paired differences, seed by seed: mean ± half-width of the 95 % interval, in percentage "
    "points. Bold: the interval excludes zero, in either direction."
)
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
MEANINGS_NOTE = (
    "a[t,i]: accuracy on the test images of task i after learning task t. n_i: how many there "
    "are. T: the last task. Trained per task: numbers that the optimiser changes, mean over "
    "tasks. Deployed: all numbers needed to run the model, backbone included."
)
CSS = """
header, main { max-width: 1280px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 4px; }
main { padding-bottom: 40px; }
.note { color: var(--soft); font-size: 14px; }
nav { font-size: 14px; margin-top: 14px; }
nav a { display: inline-block; margin: 0 16px 4px 0; }
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
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(520px, 100%), 1fr));
        gap: 0 20px; }
.pair .plot { min-width: 520px; }
select { font: inherit; font-size: 14px; padding: 2px 6px; }
footer { margin: 40px auto; }
@media print { h2 { break-after: avoid; } }
"""


class Strong(str):
    """Text that is bold on the page."""


def comparison_page(
    comparisons: Mapping[str, Comparison],
    records: Mapping[str, Iterable[Record]],
    made: Mapping[str, str],
    streams: Mapping[str, object] | None = None,
) -> str:
    """The whole page as HTML; it needs no other file and makes no request.

    Args:
        comparisons: by the name of their stream, what `compare_records` gives.
        records: by the same names, the runs that were compared.
        made: how the numbers were made, by label: the command, the seeds, ...
        streams: by the same names, what was learned, for its pictures, as far as it is at hand.
    """
    figures: dict[str, go.Figure] = {}
    sections: dict[str, str] = {}
    several = len(comparisons) > 1
    if several:
        figures["all"] = comparison_dots({c.stream: c for c in comparisons.values()})
        sections["All streams"] = _figure("all", figures)
    for name, comparison in comparisons.items():
        runs = _by_method(comparison, records[name])
        mark = f"{name} " if several else ""
        drawn = _figures(runs, (streams or {}).get(name))
        figures |= {mark + key: figure for key, figure in drawn.items()}
        topics = _topics(comparison, mark, figures)
        if several:
            texts = (f"<h3>{escape(topic)}</h3>{content}" for topic, content in topics.items())
            topics = {name: f"<p>{escape(tables.title(comparison))}</p>{''.join(texts)}"}
        sections |= topics
    meanings = {
        "metric": [words(name) for name in METRICS],
        "in words": [MEANINGS[name] for name in METRICS],
        "formula": [DEFINITIONS[name] for name in METRICS],
    }
    more = f'<p class="note">{MEANINGS_NOTE}</p>'
    sections["What the metrics mean"] = _html_table(meanings, "meanings") + more
    how = {"what": list(made), "how": list(made.values())}
    sections["How this was made"] = _html_table(how, "pairs")
    whole = [min(records[name], key=is_joined) for name in comparisons]  # on tasks, if any
    heading = f"FM-LoRA compared on {len(comparisons)} streams"
    if not several:
        heading = f"FM-LoRA on a stream of {whole[0].n_tasks} tasks"
    header = _header(heading, comparisons, whole, list(sections))
    main = "\n".join(
        f'<section aria-labelledby="{_anchor(h)}"><h2 id="{_anchor(h)}">{escape(h)}</h2>'
        f"{content}</section>"
        for h, content in sections.items()
    )
    data = {name: _untitled(figure) for name, figure in figures.items()}
    return document(heading, f"{header}\n<main>\n{main}\n</main>", data, css=CSS)


def results_table(comparison: Comparison, layout: Layout = ALL_METRICS) -> str:
    """Every method's numbers; the best of a column and those tied with it in bold."""
    cells = tables.table_cells(comparison, layout, strong=Strong)
    return _html_table(cells, caption=tables.note(comparison, layout))


def _by_method(comparison: Comparison, records: Iterable[Record]) -> dict[str, list[Record]]:
    """The runs of each row, the first seed first; FM-LoRA before the others."""
    labels = sorted((row.label for row in comparison.rows), key=lambda label: label != OURS)
    runs: dict[str, list[Record]] = {label: [] for label in labels}
    for record in sorted(records, key=lambda record: record.seed):
        runs[record.method].append(record)
    return runs


def _topics(comparison: Comparison, mark: str, figures: Mapping[str, go.Figure]) -> dict[str, str]:
    """What is said and shown of one stream, by its heading; without what cannot be drawn."""
    says = "".join(f"<li>{escape(sentence)}</li>" for sentence in findings(comparison))
    differences = tables.difference_cells(comparison, strong=Strong)
    topics = {
        "The stream": _figure(f"{mark}stream", figures),
        "Results": (
            f"{results_table(comparison)}<h3>What the numbers say</h3><ul>{says}</ul>"
            + (_html_table(differences, caption=DIFFERENCES_NOTE) if differences else "")
            + f"<h3>What it costs</h3>{results_table(comparison, SUMMARY)}"
        ),
        "Accuracy": _figure(f"{mark}accuracy", figures),
        "Forgetting": _figure(f"{mark}forgetting", figures),
        "Task by task": _matrices(mark, figures),
        "Ranks chosen": _figure(f"{mark}ranks", figures),
        "Parameters stored": _figure(f"{mark}parameters", figures),
    }
    return {heading: content for heading, content in topics.items() if content}


def _figures(runs: Mapping[str, Sequence[Record]], stream: object | None) -> dict[str, go.Figure]:
    """Every figure of a stream by name; those that the records do not allow are left out."""
    figures = {} if stream is None else {"stream": samples(stream)}
    learned = {display_name(method): some for method, some in runs.items() if method != BOUND}
    if learned:
        figures["accuracy"] = accuracy_curves(learned)
        figures["parameters"] = parameters_stored(learned)
        if min(len(record.tasks) for some in learned.values() for record in some) > 1:
            figures["forgetting"] = forgetting_curves(learned)
        if BOUND in runs:  # joint training, which has no curve, is a level
            figures["accuracy"].add_hline(
                y=100 * float(np.mean([record.accuracy[0, 0] for record in runs[BOUND]])),
                line={"color": "#555555", "dash": "dot", "width": 1.5},
                annotation={"text": BOUND_NOTE, "font": {"color": "#555555"}},
                annotation_position="bottom left",
            )
    for method, some in runs.items():
        if method != BOUND:  # half as wide as a laptop
            matrix = accuracy_matrix(some[0]).update_traces(showscale=False)
            figures[MATRIX + method] = matrix.update_xaxes(tickangle=-40)
    if OURS in runs and runs[OURS][0].ranks.size:
        figures["ranks"] = rank_allocation(runs[OURS][0])
    return figures


def _header(
    heading: str,
    comparisons: Mapping[str, Comparison],
    whole: Iterable[Record],
    headings: Sequence[str],
) -> str:
    links = "".join(f'<a href="#{_anchor(h)}">{escape(h)}</a>' for h in headings)
    labels = dict.fromkeys(row.label for c in comparisons.values() for row in c.rows)
    facts = {(r.n_tasks, r.n_classes) for r in whole}
    size = "{} tasks with {} classes".format(*facts.pop()) if len(facts) == 1 else "several tasks"
    scenarios = dict.fromkeys(each.scenario for each in comparisons.values())
    streams = "; ".join(tables.title(each) for each in comparisons.values())
    return (
        f"<header><h1>{escape(heading)}</h1>"
        f"<p>A pre-trained vision model is taught {size} "
        "one after another, each seen once and then gone: that is a stream of tasks, and "
        "the danger is that the model forgets the first while it learns the last. "
        f"{' '.join(SCENARIOS[scenario] for scenario in scenarios)}</p><p>{ABOUT}</p>"
        f'<p class="note">{escape(streams)}. '
        f"Methods: {escape(', '.join(map(display_name, labels)))}.</p>"
        f'<nav aria-label="Sections">{links}</nav></header>'
    )


def _figure(name: str, figures: Mapping[str, go.Figure]) -> str:
    """A figure under its title and subtitle; empty if there is no such figure."""
    if name not in figures:
        return ""
    said = figures[name].layout.title
    title, subtitle = (unescape(each or "") for each in (said.text, said.subtitle.text))
    caption = f"<b>{escape(title)}.</b> {escape(subtitle)}"
    return f"<figure><figcaption>{caption}</figcaption>{plot(name, title)}</figure>"


def _matrices(mark: str, figures: Mapping[str, go.Figure]) -> str:
    """Two accuracy matrices side by side, each with a choice of method."""
    names = [name for name in figures if name.startswith(mark + MATRIX)]
    panels = []
    for side, shown in zip(("left", "right"), names, strict=False):
        identity = _anchor(mark + side)
        options = "".join(
            f'<option value="{escape(name)}"{" selected" if name == shown else ""}>'
            f"{escape(display_name(name.removeprefix(mark + MATRIX)))}</option>"
            for name in names
        )
        panels.append(
            f'<figure><label>Method: <select data-for="{identity}">{options}</select></label>'
            f"{plot(shown, 'accuracy matrix', identity=identity)}</figure>"
        )
    return f'<p>{MATRIX_NOTE}</p><div class="pair">{"".join(panels)}</div>' if panels else ""


def _untitled(figure: go.Figure) -> dict:
    """The figure as JSON, its title left to the page, where it can wrap and be read aloud."""
    figure = go.Figure(figure)
    top = figure.layout.margin.t or 70
    figure.update_layout(title=None, margin_t=max(top - 60, 12))
    figure.layout.height -= 55
    return {**json.loads(figure.to_json()), "config": {"displayModeBar": False}}


def _anchor(heading: str) -> str:
    return heading.lower().replace(" ", "-")


def _html_table(
    cells: Mapping[str, Sequence[str]], kind: str = "numbers", *, caption: str = ""
) -> str:
    """A table of cells, column by column; the first column heads the rows."""
    top = f"<caption>{escape(caption)}</caption>" if caption else ""
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in cells)
    rows = "\n".join(
        f'<tr><th scope="row">{_html(first)}</th>'
        + "".join(f"<td>{_html(text)}</td>" for text in rest)
        + "</tr>"
        for first, *rest in zip(*cells.values(), strict=True)
    )
    return (
        f'<div class="wide" role="group" tabindex="0" aria-label="{escape(caption or kind)}">'
        f'<table class="{kind}">{top}<thead><tr>{names}</tr></thead><tbody>{rows}</tbody></table>'
        "</div>"
    )


def _html(text: str) -> str:
    return f"<strong>{escape(text)}</strong>" if isinstance(text, Strong) else escape(text)
