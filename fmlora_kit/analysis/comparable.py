"""Which records may stand in one table: the same stream, images, training budget and backbone."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from fmlora_kit.record import Record

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
