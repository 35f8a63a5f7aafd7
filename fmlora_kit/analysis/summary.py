"""Records of several methods and seeds, summarised: one dict for JSON, one table for people."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from fmlora_kit.analysis.intervals import Interval, mean_ci95, paired_difference
from fmlora_kit.analysis.metrics import metrics
from fmlora_kit.record import Record

METRICS = (
    "final_accuracy",
    "average_anytime_accuracy",
    "forgetting",
    "drift_forgetting",
    "learning_accuracy",
)
COSTS: dict[str, Callable[[Record], float]] = {
    "seconds": lambda record: float(np.sum(record.seconds)),
    # With chosen ranks the number differs from task to task: the mean is what a task costs.
    "trainable_parameters": lambda record: float(np.mean([t.n_trainable for t in record.tasks])),
    "deployed_parameters_after_first_task": lambda record: float(record.tasks[0].n_deployed),
    "deployed_parameters_after_last_task": lambda record: float(record.tasks[-1].n_deployed),
}


def summarise(
    records: Mapping[str, Sequence[Record]], *, names: Sequence[str] = METRICS
) -> dict[str, dict]:
    """Mean and 95% interval over seeds of the metrics and costs of each method.

    Args:
        records: for each method its records, one per seed, each with at least one finished task.
        names: metrics, by their names in `fmlora_kit.analysis.metrics.DEFINITIONS`; the main ones
            without it.

    Returns:
        For each method `n_seeds` and, per name in `names` and COSTS, `{"mean": ..., "ci95": ...}`:
        ci95 is the half-width of the 95% Student-t interval. Accuracies are fractions, `seconds`
        the training time of all tasks, `trainable_parameters` the mean over tasks. None stands for
        what is unknown: ci95 of one seed, forgetting of one task.

    Raises:
        ValueError: a method has no record, an empty one, or two of the same seed.
    """
    return {
        method: _summarise_method(method, list(runs), names) for method, runs in records.items()
    }


def paired_metric(a: Sequence[Record], b: Sequence[Record], name: str) -> Interval:
    """The difference a - b of one metric, paired by seed, with its 95% interval.

    Args:
        a: records of one method, one per seed.
        b: records of the other, with the same seeds in any order.
        name: a name in `fmlora_kit.analysis.metrics.DEFINITIONS`.

    Raises:
        ValueError: the two have different seeds.
    """
    ours = {record.seed: metrics(record)[name] for record in a}
    theirs = {record.seed: metrics(record)[name] for record in b}
    if ours.keys() != theirs.keys():
        raise ValueError(
            f"a and b must have the same seeds; got {sorted(ours)} and {sorted(theirs)}"
        )
    return paired_difference([ours[seed] for seed in ours], [theirs[seed] for seed in ours])


def table(summary: Mapping[str, Mapping]) -> str:
    """The summary as aligned plain text: percent with interval, parameters as 1.25M."""
    header = ["method", "seeds", "final acc %", "anytime acc %", "forgetting %", "drift forg. %"]
    header += ["learning acc %", "seconds", "trained", "deployed first", "deployed last"]
    rows = [header]
    for method, values in summary.items():
        row = [method, str(values["n_seeds"])]
        row += [_percent(values[name]) for name in METRICS]
        row += [_seconds(values["seconds"])]
        row += [count(values[name]["mean"]) for name in COSTS if name != "seconds"]
        rows.append(row)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_aligned(row, widths) for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def count(number: float | None) -> str:
    """A parameter count for people: 950, 12.3k, 1.25M, 1.10G."""
    if number is None or math.isnan(number):
        return "-"
    for size, suffix, digits in ((1e9, "G", 2), (1e6, "M", 2), (1e3, "k", 1)):
        if abs(number) >= size:
            return f"{number / size:.{digits}f}{suffix}"
    return f"{number:.0f}"


def _summarise_method(method: str, runs: list[Record], names: Sequence[str]) -> dict:
    if not runs or not all(record.tasks for record in runs):
        raise ValueError(f"method {method!r} must have records, each with a finished task")
    seeds = [record.seed for record in runs]
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"records of {method!r} must have different seeds; got {seeds}")
    measured = [metrics(record) for record in runs]
    summary: dict = {"n_seeds": len(runs)}
    for name in names:
        summary[name] = mean_ci95([values[name] for values in measured]).to_json()
    for name, cost in COSTS.items():
        summary[name] = mean_ci95([cost(record) for record in runs]).to_json()
    return summary


def _percent(value: Mapping) -> str:
    if value["mean"] is None:
        return "-"
    half_width = "" if value["ci95"] is None else f" ± {100 * value['ci95']:.1f}"
    return f"{round(100 * value['mean'], 1) + 0.0:.1f}{half_width}"  # + 0.0: no "-0.0"


def _seconds(value: Mapping) -> str:
    return "-" if value["mean"] is None else f"{value['mean']:.0f}"


def _aligned(row: list[str], widths: list[int]) -> str:
    first, *rest = (
        cell.ljust(width) if column == 0 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join([first, *rest]).rstrip()
