"""Methods on one stream, over seeds: every number of each, who is tied with whom.

One value serves all: the demo, the comparison of many methods, the ablation's variants. A row keeps
the numbers of every seed, so that means, intervals and paired differences follow from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from fmlora_kit import checks
from fmlora_kit.analysis.accuracy import DEFINITIONS, metrics
from fmlora_kit.analysis.intervals import Interval, holm, mean_ci95, p_value, paired_difference
from fmlora_kit.analysis.names import BOUND, OURS, display_name
from fmlora_kit.record import Record
from fmlora_kit.record.card import COMPUTES, NOT_RECORDED

METRICS = (
    "final_accuracy",
    "average_anytime_accuracy",
    "forgetting",
    "drift_forgetting",
    "learning_accuracy",
)
LOWER_IS_BETTER = frozenset(
    {"forgetting", "forgetting_first", "forgetting_step", "drift_forgetting", "competition"}
)
COSTS: dict[str, Callable[[Record], float]] = {
    "seconds": lambda record: float(np.sum(record.seconds)),
    # With chosen ranks the number differs from task to task: the mean is what a task costs.
    "trainable_parameters": lambda record: float(np.mean([t.n_trainable for t in record.tasks])),
    "deployed_parameters_after_first_task": lambda record: float(record.tasks[0].n_deployed),
    "deployed_parameters_after_last_task": lambda record: float(record.tasks[-1].n_deployed),
    "parameters_after_first_task": lambda record: _stored(record, 0),
    "parameters_after_last_task": lambda record: _stored(record, -1),
    "bytes_on_disk": lambda record: float(sum(task.n_bytes for task in record.tasks)),
}
JOINED = ", joined"  # how `Stream.joined` ends the name of a stream whose tasks are one
COMPUTED = "what the backbone computes"
ROUNDING = 1e-9  # fractions that differ by less are equal


@dataclass(frozen=True)
class Row:
    """One method, or one variant of it, over seeds.

    Args:
        method: the method's name, such as "fmlora".
        label: what tells the row from others: the method, or the variant's name.
        seeds: (n,) seeds of the runs, ascending.
        values: by the name of a metric (in METRICS or asked for) or a cost, (n,) numbers, one per
            seed. Accuracies are fractions; NaN is unknown. `seconds` are of all tasks together,
            `seconds_per_task` that divided by the stream's tasks (also of a joined stream);
            `parameters_...` count what is stored, deployed and training state together;
            `bytes_on_disk` the array files of a record.
        frozen: what is never trained, in words.
        stores: what is kept from task to task, in words.
        gain: FM-LoRA's final accuracy minus this one's, paired by seed over the seeds that both
            have; None for FM-LoRA itself, and if there is no such seed.
    """

    method: str
    label: str
    seeds: tuple[int, ...]
    values: Mapping[str, tuple[float, ...]]
    frozen: str = NOT_RECORDED
    stores: str = NOT_RECORDED
    gain: Interval | None = field(default=None, compare=False)  # follows from the rows

    def interval(self, name: str) -> Interval:
        """Mean and 95% interval over seeds of a metric or a cost."""
        return mean_ci95(self.values[name])

    def mean(self, name: str) -> float:
        """The mean over seeds of a metric or a cost."""
        return float(np.mean(self.values[name]))

    @property
    def final_accuracy(self) -> Interval:
        """Mean and 95% interval of the final accuracy."""
        return self.interval("final_accuracy")

    @property
    def parameters(self) -> tuple[float, float]:
        """Numbers stored after the first task and after the last."""
        return self.mean("parameters_after_first_task"), self.mean("parameters_after_last_task")

    def to_json(self) -> dict:
        """All values, JSON-able, NaN as None; with the means, for people and other programs."""
        each = {
            name: {
                **self.interval(name).to_json(),
                "per_seed": [None if math.isnan(value) else value for value in values],
            }
            for name, values in self.values.items()
        }
        gain = self.gain and {**self.gain.to_json(), "n": self.gain.n}
        return {**asdict(self), "seeds": list(self.seeds), "values": each, "gain": gain}


@dataclass(frozen=True)
class Comparison:
    """Methods on one stream, the best final accuracy first; joint training, a bound, last.

    Args:
        stream: name, numbers of tasks and classes, and whether the data are partial.
        scenario: "class-incremental" or "domain-incremental".
        rows: one per method, or per variant.
        devices: what the runs ran on; seconds of several devices do not compare. Empty if not
            recorded.
    """

    stream: str
    scenario: str
    rows: tuple[Row, ...]
    devices: tuple[str, ...] = ()

    def row(self, label: str) -> Row:
        """The row of a method or variant, else a ValueError that lists those compared."""
        for row in self.rows:
            if row.label == label:
                return row
        known = ", ".join(row.label for row in self.rows)
        raise ValueError(f"method must be among those compared, {known}, got {label!r}")

    @property
    def learners(self) -> tuple[Row, ...]:
        """The rows without joint training, which is no learner of a stream."""
        return tuple(row for row in self.rows if row.method != BOUND)

    @property
    def n_seeds(self) -> int:
        """The most seeds that a row has."""
        return max(len(row.seeds) for row in self.rows)

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
        """The inverse of `to_json`; ValueError if an entry is missing or unknown."""
        try:
            rows = tuple(map(_row_from_json, values["rows"]))
            whole = cls(values["stream"], values["scenario"], rows, tuple(values["devices"]))
            return replace(whole, rows=_with_gains(rows))
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(
                f"values must be what Comparison.to_json gives; wrong or missing: {error}"
            ) from error


def compare_records(records: Iterable[Record] | Mapping[str, Sequence[Record]]) -> Comparison:
    """One row per method, from finished runs on one stream with one budget and one backbone.

    Args:
        records: one per method and seed. Methods may lack seeds: differences are over the common
            ones. Runs of `joint` are on the joined stream, see `Stream.joined`. Or by label, where
            a method has variants: then a row per label.

    Raises:
        ValueError: there is no record, or two do not compare: see `check_comparable`.
    """
    if not isinstance(records, Mapping):
        records = _records(records)
        methods = dict.fromkeys(record.method for record in records)
        records = {m: [record for record in records if record.method == m] for m in methods}
    every = [record for runs in records.values() for record in _records(runs)]
    if not every:
        raise ValueError("records must hold at least one record, got none")
    check_comparable(every, [label for label, runs in records.items() for _ in runs])
    whole = next((record for record in every if not is_joined(record)), every[0])
    rows = sorted(make_rows(records, n_tasks=whole.n_tasks), key=_order)
    devices = {setting(record, "training", "device") for record in every} - {None}
    return Comparison(
        _stream(whole), whole.scenario, _with_gains(rows), tuple(sorted(devices, key=str))
    )


def _records(records: object) -> list[Record]:
    """The records, if they are some and not something else."""
    rule = "a list of Records, or lists by label"
    try:
        found = checks.listed("records", records)
    except ValueError:
        raise checks.fail("records", rule, records) from None
    return [checks.instance("records", each, Record, rule) for each in found]


def make_rows(
    records: Mapping[str, Sequence[Record]],
    measures: Iterable[str] | Mapping[str, Callable[[Record], float]] = METRICS,
    *,
    n_tasks: int | None = None,
) -> tuple[Row, ...]:
    """A row per label, in their order, without asking whether the runs compare.

    Args:
        records: for each label its records, one per seed, each with at least one finished task.
        measures: metrics, by their names in `fmlora_kit.analysis.accuracy.DEFINITIONS`, which are
            followed by all costs; or names and functions of a record, which stand alone.
        n_tasks: of the stream, among which seconds are shared out; default: as the record says.

    Raises:
        ValueError: a name is unknown, or a label has no record, an empty one, or two of one seed.
    """
    if not isinstance(measures, Mapping):
        measures = tuple(measures)
        if unknown := [name for name in measures if name not in DEFINITIONS]:
            raise ValueError(f"names must be among {tuple(DEFINITIONS)}, got {unknown[0]!r}")
    return tuple(_row(label, runs, measures, n_tasks) for label, runs in records.items())


def difference(a: Row, b: Row, name: str = "final_accuracy") -> Interval | None:
    """A metric of `a` minus that of `b`, paired by the seeds that both have; None without."""
    ours, theirs = (dict(zip(row.seeds, row.values[name], strict=True)) for row in (a, b))
    common = [seed for seed in ours if seed in theirs]
    if not common:
        return None
    return paired_difference([ours[seed] for seed in common], [theirs[seed] for seed in common])


def is_tie(gap: Interval | None) -> bool:
    """Whether a paired difference is none: equal numbers, or an interval with zero in it.

    With one common seed there is no interval: then only equal numbers are a tie.
    """
    if gap is None or math.isnan(gap.mean):
        return False
    if abs(gap.mean) < ROUNDING:
        return True
    return not math.isnan(gap.ci95) and not gap.excludes_zero


@checks.held
def tied(
    comparison: Comparison,
    *,
    among: Collection[str] | None = None,
    name: str = "final_accuracy",
    corrected: bool = False,
) -> tuple[str, ...]:
    """The best row, and those whose paired difference to it has an interval with zero in it.

    This is the one rule for what is bold. Joint training is left out. With one common seed only an
    equal number is a tie.

    Args:
        comparison: the methods.
        among: look at these rows only, by their labels; default: all.
        name: of the metric that decides.
        corrected: allow for the number of methods (`intervals.holm`, at 5 %): more of them tie.

    Returns:
        Labels, the best first; empty if there is none besides joint training, or none is known.
    """
    rows = comparison.rows if among is None else [comparison.row(label) for label in among]
    for row in rows[:1]:
        checks.choice("name", name, row.values)
    rows = [row for row in rows if row.method != BOUND and not math.isnan(row.mean(name))]
    rows.sort(key=lambda row: _order(row, name))
    gaps = [difference(rows[0], row, name) for row in rows[1:]]
    ties = [is_tie(gap) for gap in gaps]
    if corrected:
        tests = holm([math.nan if gap is None else p_value(gap) for gap in gaps])
        ties = [tie or p > 0.05 for tie, p in zip(ties, tests, strict=True)]
    return tuple(row.label for row, tie in zip(rows, [True, *ties], strict=False) if tie)


def by_name(
    records: Iterable[Record], methods: Iterable[str] | None = None
) -> dict[str, tuple[Record, ...]]:
    """Records by what people call their method, as figures take them; joint training left out.

    With methods: these alone, in this order, as far as they are there.
    """
    records = [record for record in records if record.method != BOUND]
    there = dict.fromkeys(record.method for record in records)
    wanted = there if methods is None else [method for method in methods if method in there]
    return {display_name(m): tuple(r for r in records if r.method == m) for m in wanted}


def _row(
    label: str,
    runs: Sequence[Record],
    measures: tuple[str, ...] | Mapping[str, Callable[[Record], float]],
    n_tasks: int | None,
) -> Row:
    runs = sorted(runs, key=lambda record: record.seed)
    if not runs or not all(record.tasks for record in runs):
        raise ValueError(f"method {label!r} must have records, each with a finished task")
    seeds = tuple(record.seed for record in runs)
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"records of {label!r} must have different seeds, got {list(seeds)}")
    if isinstance(measures, Mapping):
        values = {name: [measure(r) for r in runs] for name, measure in measures.items()}
    else:
        measured = [metrics(record) for record in runs]
        values = {name: [each[name] for each in measured] for name in measures}
        values |= {name: [cost(r) for r in runs] for name, cost in COSTS.items()}
        values["seconds_per_task"] = [np.sum(r.seconds) / (n_tasks or r.n_tasks) for r in runs]
    # One NaN for all, so that equal rows are equal.
    known = {n: tuple(float(v) if v == v else math.nan for v in each) for n, each in values.items()}
    words = {what: setting(runs[0], "method", what, NOT_RECORDED) for what in ("frozen", "stores")}
    return Row(runs[0].method, label, seeds, known, **words)


def _row_from_json(values: Mapping) -> Row:
    numbers = {
        name: tuple(math.nan if v is None else float(v) for v in each["per_seed"])
        for name, each in values["values"].items()
    }
    return Row(**{**values, "seeds": tuple(values["seeds"]), "values": numbers, "gain": None})


def _with_gains(rows: Iterable[Row]) -> tuple[Row, ...]:
    rows = tuple(rows)
    ours = next((row for row in rows if row.label == OURS), None)
    if ours is None:
        return rows
    return tuple(row if row is ours else replace(row, gain=difference(ours, row)) for row in rows)


def _stored(record: Record, task: int) -> float:
    result = record.tasks[task]
    return float(result.n_deployed + result.n_training_state)


def _stream(record: Record) -> str:
    """What the compared stream is called: `glyphs, 10 tasks, 100 classes`."""
    words = [stream_name(record)]
    if is_joined(record):
        words += ["all tasks as one"]
    else:
        words += [f"{record.n_tasks} task{'s' * (record.n_tasks > 1)}"]
    words += [f"{record.n_classes} classes"]
    if partial := setting(record, "stream", "partial"):
        words += [f"partial data: {partial}" if isinstance(partial, str) else "partial data"]
    return ", ".join(words)


def _order(row: Row, name: str = "final_accuracy") -> tuple:
    mean = row.mean(name)
    towards = mean if name in LOWER_IS_BETTER else -mean
    return row.method == BOUND, math.isnan(mean), towards, row.label


def check_comparable(records: Sequence[Record], labels: Sequence[str] | None = None) -> None:
    """Refuse records whose numbers would not mean the same thing.

    What a record does not say (older ones lack some entries of `config`) is not compared. Nor is
    the device: it changes the seconds, and the table says so.

    Args:
        records: finished runs, one per label and seed; runs of `joint` are on the joined stream.
        labels: what each record is a run of; default: its method.

    Raises:
        ValueError: a run is not finished; or two runs are of one label and seed, or differ in
            stream, images, training budget, backbone, or (of one label) configuration. The message
            names both.
    """
    labels = [record.method for record in records] if labels is None else labels
    for record in records:
        if len(record.tasks) < record.n_tasks:
            raise ValueError(
                f"records must be finished runs, got {_name(record)} with "
                f"{len(record.tasks)} of {record.n_tasks} tasks"
            )
    _check_streams(records)
    seen: set[tuple[str, int]] = set()
    for record, label in zip(records, labels, strict=True):
        if (label, record.seed) in seen:
            raise ValueError(f"records must be one per method and seed, got two of {_name(record)}")
        seen.add((label, record.seed))
    for what, group, part, name in _shared_facts(records):
        facts = (setting(record, part, name) for record in records)
        _agree(what, group, zip(records, labels, facts, strict=True))


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
                "records must be of one stream, got "
                f"{_name(reference)} ({_size(reference)}) and {_name(record)} ({_size(record)})"
            )


def _shared_facts(records: Sequence[Record]) -> list[tuple[str, tuple[str, ...], str, str]]:
    """What must agree: its name, among which records (alike in what), part and entry of `config`.

    Runs that are paired by seed must have seen the same images. Joining changes the order of the
    images, and so the checksum.
    """
    budget, method = (
        sorted({name for record in records for name in record.config.get(part, {})})
        for part in ("training", "method")
    )
    return [
        ("total of train_images", ("seed",), "stream", "train_images"),
        ("total of test_images", ("seed",), "stream", "test_images"),
        ("stream seed", ("seed",), "stream", "seed"),
        ("pixel checksum", ("joined", "seed"), "stream", "crc32"),
        ("pixel checksum", ("joined", "stream seed"), "stream", "crc32"),
        *((f"training budget: {n}", (), "training", n) for n in budget if n != "device"),
        ("backbone weights", (), "method", "weights"),
        (COMPUTED, (), "method", COMPUTES),
        *((f"configuration: {n}", ("label",), "method", n) for n in method if n != COMPUTES),
    ]


def _agree(what: str, group: tuple[str, ...], facts: Iterable[tuple[Record, str, Any]]) -> None:
    """Raise ValueError if records of one group differ in a fact; None is a fact not recorded."""
    first: dict[tuple, tuple[Record, Any]] = {}
    for record, label, fact in facts:
        if fact is None:
            continue
        fact = sum(fact) if what.startswith("total") else fact
        about = {"seed": record.seed, "joined": is_joined(record), "label": label}
        about["stream seed"] = setting(record, "stream", "seed")
        other, its = first.setdefault(tuple(about[name] for name in group), (record, fact))
        if its != fact and not (what == COMPUTED and _is_close(its, fact)):
            raise ValueError(
                f"records must agree in {what}, got {its!r} of {_name(other)} and {fact!r} of "
                f"{_name(record)}"
            )


def _is_close(one: Sequence[float], other: Sequence[float]) -> bool:
    """The last digits of what a backbone computes differ from machine to machine."""
    return len(one) == len(other) and np.allclose(one, other, rtol=1e-6, atol=1e-6)


def _name(record: Record) -> str:
    return f"{record.method!r} on {record.stream!r}, seed {record.seed}"


def _size(record: Record) -> str:
    return f"{record.scenario}, {record.n_tasks} tasks, {record.n_classes} classes"
