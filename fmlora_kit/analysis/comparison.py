"""Methods on one stream, over seeds: a row of numbers for each, its place, and who is tied.

Which records may stand in one table: the same stream, images, training budget and backbone.

Records of several methods and seeds, summarised: one dict for JSON, one table for people.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from fmlora_kit.analysis.accuracy import final_accuracy, forgetting_max, metrics
from fmlora_kit.analysis.formats import count
from fmlora_kit.analysis.intervals import Interval, mean_ci95, paired_difference
from fmlora_kit.analysis.names import BOUND, OURS, display_name
from fmlora_kit.record import Record
from fmlora_kit.record.card import NOT_RECORDED


@dataclass(frozen=True)
class Row:
    """One method on one stream, over seeds.

    Args:
        method: the method's name, such as "fmlora".
        seeds: (n,) seeds of the runs, ascending.
        accuracies: (n,) final accuracy of each seed, fractions.
        final_accuracy: their mean and 95% interval.
        forgetting: mean and 95% interval of `forgetting_max`, fractions; NaN with one task.
        gain: FM-LoRA's final accuracy minus this one's, paired by seed over the seeds that both
            have; None for FM-LoRA itself, and if there is no such seed.
        parameters: numbers stored (deployed, and training state) after the first and after the last
            task, mean over seeds.
        bytes_on_disk: of the array files of a record, all tasks together, mean over seeds.
        seconds_per_task: training time, mean over tasks and seeds; of a joined stream, of all its
            tasks together divided by their number. NaN if not recorded.
        frozen: what is never trained, in words.
        stores: what is kept from task to task, in words.
    """

    method: str
    seeds: tuple[int, ...]
    accuracies: tuple[float, ...]
    final_accuracy: Interval
    forgetting: Interval
    gain: Interval | None
    parameters: tuple[float, float]
    bytes_on_disk: float
    seconds_per_task: float
    frozen: str = NOT_RECORDED
    stores: str = NOT_RECORDED

    def to_json(self) -> dict:
        """All values, JSON-able, NaN as None."""
        values = {**asdict(self), "seconds_per_task": _or_none(self.seconds_per_task)}
        values["accuracies"] = [_or_none(value) for value in self.accuracies]
        for name in ("seeds", "parameters"):
            values[name] = list(values[name])
        for name in ("final_accuracy", "forgetting", "gain"):
            interval = getattr(self, name)
            values[name] = interval and {**interval.to_json(), "n": interval.n}
        return values

    @classmethod
    def from_json(cls, values: Mapping) -> Row:
        """The inverse of `to_json`."""
        values = dict(values)
        values["seconds_per_task"] = _or_nan(values["seconds_per_task"])
        values["accuracies"] = tuple(_or_nan(value) for value in values["accuracies"])
        for name in ("seeds", "parameters"):
            values[name] = tuple(values[name])
        for name in ("final_accuracy", "forgetting", "gain"):
            values[name] = _interval(values[name])
        return cls(**values)


@dataclass(frozen=True)
class Comparison:
    """Methods on one stream, the best final accuracy first; joint training, a bound, last.

    Args:
        stream: name, numbers of tasks and classes, and whether the data are partial.
        scenario: "class-incremental" or "domain-incremental".
        rows: one per method.
        devices: what the runs ran on; seconds of several devices do not compare. Empty if not
            recorded.
    """

    stream: str
    scenario: str
    rows: tuple[Row, ...]
    devices: tuple[str, ...] = ()

    def row(self, method: str) -> Row:
        """The row of a method.

        Raises:
            ValueError: the method is not compared; the message lists those that are.
        """
        for row in self.rows:
            if row.method == method:
                return row
        known = ", ".join(row.method for row in self.rows)
        raise ValueError(f"method must be among those compared, {known}; got {method!r}")

    def to_json(self) -> dict:
        """All values, JSON-able, NaN as None."""
        return {
            "stream": self.stream,
            "scenario": self.scenario,
            "devices": list(self.devices),
            "rows": [row.to_json() for row in self.rows],
        }

    @classmethod
    def from_json(cls, values: Mapping) -> Comparison:
        """The inverse of `to_json`.

        Raises:
            ValueError: an entry is missing or unknown.
        """
        try:
            rows = tuple(Row.from_json(row) for row in values["rows"])
            return cls(values["stream"], values["scenario"], rows, tuple(values["devices"]))
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"values must be what Comparison.to_json gives; wrong or missing: {error}"
            ) from error


def compare_records(records: Iterable[Record]) -> Comparison:
    """One row per method, from finished runs on one stream with one budget and one backbone.

    Args:
        records: one per method and seed. Methods may lack seeds: differences are over the common
            ones. Runs of `joint` are on the joined stream, see `Stream.joined`.

    Raises:
        ValueError: there is no record, or two do not compare: see `comparable.check_comparable`.
    """
    records = list(records)
    if not records:
        raise ValueError("records must hold at least one record; got none")
    check_comparable(records)
    whole = next((record for record in records if not is_joined(record)), records[0])
    methods = dict.fromkeys(record.method for record in records)
    runs = {m: [record for record in records if record.method == m] for m in methods}
    rows = {method: _row(each, whole.n_tasks) for method, each in runs.items()}
    if ours := rows.get(OURS):
        rows |= {
            m: replace(row, gain=difference(ours, row)) for m, row in rows.items() if m != OURS
        }
    devices = {setting(record, "training", "device") for record in records} - {None}
    return Comparison(
        _stream(whole),
        whole.scenario,
        tuple(sorted(rows.values(), key=_order)),
        tuple(sorted(devices)),
    )


def difference(a: Row, b: Row) -> Interval | None:
    """Final accuracy of `a` minus that of `b`, paired by the seeds that both have; None without."""
    ours, theirs = (dict(zip(row.seeds, row.accuracies, strict=True)) for row in (a, b))
    common = [seed for seed in ours if seed in theirs]
    if not common:
        return None
    return paired_difference([ours[seed] for seed in common], [theirs[seed] for seed in common])


def tied(comparison: Comparison, *, among: Collection[str] | None = None) -> tuple[str, ...]:
    """The best method, and those whose paired difference to it has an interval with zero in it.

    Joint training is left out. The intervals are not corrected for the number of methods. With one
    common seed there is no interval: then only the same accuracy is a tie.

    Args:
        comparison: the methods.
        among: look at these methods only; default: all.

    Returns:
        Names of methods, the best first; empty if there is none besides joint training.

    Raises:
        ValueError: `among` has a method that is not compared.
    """
    rows = _competitors(comparison, among)
    return tuple(row.method for row in rows if row is rows[0] or _no_difference(rows[0], row))


def place(comparison: Comparison, method: str, *, among: Collection[str] | None = None) -> int:
    """1 + the number of methods with a higher mean final accuracy; joint training is left out.

    Args:
        comparison: the methods.
        method: whose place it is.
        among: count these methods only; default: all.

    Raises:
        ValueError: a method is not compared, or `method` is joint training, which has no place.
    """
    if method == BOUND:
        raise ValueError(f"method must be a learner of the stream, not a bound; got {method!r}")
    mean = comparison.row(method).final_accuracy.mean
    return 1 + sum(row.final_accuracy.mean > mean for row in _competitors(comparison, among))


def _row(runs: Sequence[Record], n_tasks: int) -> Row:
    runs = sorted(runs, key=lambda record: record.seed)
    accuracies = tuple(final_accuracy(record.accuracy, record.n_test) for record in runs)
    return Row(
        method=runs[0].method,
        seeds=tuple(record.seed for record in runs),
        accuracies=accuracies,
        final_accuracy=mean_ci95(accuracies),
        forgetting=mean_ci95([forgetting_max(record.accuracy) for record in runs]),
        gain=None,
        parameters=(_stored(runs, 0), _stored(runs, -1)),
        bytes_on_disk=float(np.mean([sum(t.n_bytes for t in record.tasks) for record in runs])),
        seconds_per_task=float(np.mean([record.seconds.sum() / n_tasks for record in runs])),
        frozen=setting(runs[0], "method", "frozen", NOT_RECORDED),
        stores=setting(runs[0], "method", "stores", NOT_RECORDED),
    )


def _stored(runs: Sequence[Record], task: int) -> float:
    results = [record.tasks[task] for record in runs]
    return float(np.mean([result.n_deployed + result.n_training_state for result in results]))


def _stream(record: Record) -> str:
    """What the compared stream is called: `glyphs, 10 tasks, 100 classes`."""
    parts = [stream_name(record)]
    if is_joined(record):
        parts += ["all tasks as one"]
    else:
        parts += [f"{record.n_tasks} task{'s' * (record.n_tasks > 1)}"]
    parts += [f"{record.n_classes} classes"]
    if partial := setting(record, "stream", "partial"):
        parts += [f"partial data: {partial}" if isinstance(partial, str) else "partial data"]
    return ", ".join(parts)


def _order(row: Row) -> tuple:
    mean = row.final_accuracy.mean
    return row.method == BOUND, math.isnan(mean), -mean, row.method


def _competitors(comparison: Comparison, among: Collection[str] | None) -> list[Row]:
    rows = comparison.rows if among is None else [comparison.row(method) for method in among]
    return sorted((row for row in rows if row.method != BOUND), key=_order)


def _no_difference(a: Row, b: Row) -> bool:
    gap = difference(a, b)
    if gap is None or math.isnan(gap.mean):
        return False
    return gap.mean == 0 if math.isnan(gap.ci95) else not gap.excludes_zero


def _interval(values: Mapping | None) -> Interval | None:
    if values is None:
        return None
    return Interval(_or_nan(values["mean"]), _or_nan(values["ci95"]), values["n"])


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def by_name(
    records: Iterable[Record], methods: Iterable[str] | None = None
) -> dict[str, tuple[Record, ...]]:
    """Records by what people call their method, as figures take them; joint training left out.

    Args:
        records: of many methods and seeds.
        methods: these alone, in this order, as far as they are there; default: all.
    """
    records = [record for record in records if record.method != BOUND]
    there = dict.fromkeys(record.method for record in records)
    wanted = there if methods is None else [method for method in methods if method in there]
    return {display_name(m): tuple(r for r in records if r.method == m) for m in wanted}


JOINED = ", joined"  # how `Stream.joined` ends the name of a stream whose tasks are one


def check_comparable(records: Sequence[Record]) -> None:
    """Refuse records whose numbers would not mean the same thing.

    What a record does not say (older ones lack some entries of `config`) is not compared. Nor is
    the device: it changes the seconds, and the table says so.

    Args:
        records: finished runs, one per method and seed; runs of `joint` are on the joined stream.

    Raises:
        ValueError: a run is not finished; or two runs are of one method and seed, or differ in
            stream, images, training budget, backbone, or (of one method) configuration. The message
            names both.
    """
    for record in records:
        if len(record.tasks) < record.n_tasks:
            raise ValueError(
                f"records must be finished runs; got {_name(record)} with "
                f"{len(record.tasks)} of {record.n_tasks} tasks"
            )
    _check_streams(records)
    _check_runs(records)
    _check_images(records)
    _check_settings(records)


def is_joined(record: Record) -> bool:
    """Whether the run saw all tasks of its stream as one."""
    return record.stream.endswith(JOINED)


def stream_name(record: Record) -> str:
    """The stream's name; of a joined one, the name of what was joined."""
    return record.stream.removesuffix(JOINED)


def setting(record: Record, part: str, name: str, default: Any = None) -> Any:
    """An entry of one part of the configuration, or `default` where it was not recorded."""
    return record.config.get(part, {}).get(name, default)


def _check_streams(records: Sequence[Record]) -> None:
    reference = next((record for record in records if not is_joined(record)), records[0])
    for record in records:
        shared = (stream_name, lambda r: r.scenario, lambda r: r.n_classes)
        same = all(fact(record) == fact(reference) for fact in shared)
        if not same or not is_joined(record) and record.n_tasks != reference.n_tasks:
            raise ValueError(
                "records must be of one stream; got "
                f"{_name(reference)} ({_size(reference)}) and {_name(record)} ({_size(record)})"
            )


def _check_runs(records: Sequence[Record]) -> None:
    seen: set[tuple[str, int]] = set()
    for record in records:
        if (record.method, record.seed) in seen:
            raise ValueError(f"records must be one per method and seed; got two of {_name(record)}")
        seen.add((record.method, record.seed))


def _check_images(records: Sequence[Record]) -> None:
    """Runs that are paired by seed must have seen the same images."""
    for what in ("train_images", "test_images"):
        totals = ((r, r.seed, setting(r, "stream", what)) for r in records)
        _agree(f"total of {what}", ((r, seed, n and sum(n)) for r, seed, n in totals))
    _agree("stream seed", ((r, r.seed, setting(r, "stream", "seed")) for r in records))
    # Joining changes the order of the images, and so the checksum.
    sums = [(r, is_joined(r), setting(r, "stream", "crc32")) for r in records]
    _agree("pixel checksum", ((r, (joined, r.seed), crc) for r, joined, crc in sums))
    by_stream_seed = ((r, (joined, setting(r, "stream", "seed")), crc) for r, joined, crc in sums)
    _agree("pixel checksum", by_stream_seed)


def _check_settings(records: Sequence[Record]) -> None:
    budgets = [(r, r.config.get("training", {})) for r in records]
    for name in sorted({name for _, budget in budgets for name in budget} - {"device"}):
        _agree(f"training budget: {name}", ((r, None, budget.get(name)) for r, budget in budgets))
    _agree("backbone weights", ((r, None, setting(r, "method", "weights")) for r in records))
    for name in sorted({name for r in records for name in r.config.get("method", {})}):
        own = ((r, r.method, setting(r, "method", name)) for r in records)
        _agree(f"configuration: {name}", own)


def _agree(what: str, facts: Iterable[tuple[Record, Hashable, Any]]) -> None:
    """Raise ValueError if records of one group differ in a fact; None is a fact not recorded."""
    first: dict[Hashable, tuple[Record, Any]] = {}
    for record, group, fact in facts:
        if fact is None:
            continue
        other, its = first.setdefault(group, (record, fact))
        if its != fact:
            raise ValueError(
                f"records must agree in {what}; got {its!r} of {_name(other)} and {fact!r} of "
                f"{_name(record)}"
            )


def _name(record: Record) -> str:
    return f"{record.method!r} on {record.stream!r}, seed {record.seed}"


def _size(record: Record) -> str:
    return f"{record.scenario}, {record.n_tasks} tasks, {record.n_classes} classes"


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
        names: metrics, by their names in `fmlora_kit.analysis.accuracy.DEFINITIONS`; the main ones
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
        name: a name in `fmlora_kit.analysis.accuracy.DEFINITIONS`.

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
