"""Methods on one stream, over seeds: a row of numbers for each, its place, and who is tied."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from fmlora_kit.analysis.comparable import check_comparable, is_joined, setting, stream_name
from fmlora_kit.analysis.intervals import Interval, mean_ci95, paired_difference
from fmlora_kit.analysis.metrics import final_accuracy, forgetting_max
from fmlora_kit.analysis.names import BOUND, OURS
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
