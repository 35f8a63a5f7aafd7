"""The tables of the comparison page as HTML: results, paired differences, what the metrics mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from fmlora_kit.analysis import DEFINITIONS, count, paired_metric
from fmlora_kit.analysis.names import display_name
from fmlora_kit.analysis.summary import METRICS
from fmlora_kit.figures.findings import (
    BOUND,
    OURS,
    Runs,
    Summary,
    best,
    is_clear,
    percent,
    points,
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
COSTS = {
    "seconds": "training seconds",
    "trainable_parameters": "trained per task",
    "deployed_parameters_after_first_task": "deployed after first",
    "deployed_parameters_after_last_task": "deployed after last",
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


def words(name: str) -> str:
    """A metric's name for people."""
    return name.replace("_", " ")


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
