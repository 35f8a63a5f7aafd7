"""The numbers that curves are drawn from: per label and task, a mean and a 95% interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fmlora_kit.analysis.intervals import mean_ci95
from fmlora_kit.analysis.names import display_name
from fmlora_kit.record import Record

Records = Record | Sequence[Record] | Mapping[str, Record | Sequence[Record]]


@dataclass(frozen=True)
class Curve:
    """One line over the tasks, over one or several seeds.

    Args:
        label: what it is called in the legend.
        tasks: (n,) number of tasks learned, from 1.
        mean: (n,) mean over seeds.
        ci95: (n,) half-width of the 95% interval; NaN for one seed.
        task_names: (n,) name of the task learned last.
        n_seeds: number of seeds.
    """

    label: str
    tasks: np.ndarray
    mean: np.ndarray
    ci95: np.ndarray
    task_names: tuple[str, ...]
    n_seeds: int


def by_label(records: Records) -> dict[str, tuple[Record, ...]]:
    """Records by label; a lone record, or a list of them, goes by its method's name.

    Raises:
        ValueError: there is nothing to draw, or a record has no finished task.
    """
    if isinstance(records, Record):
        records = {display_name(records.method): records}
    elif not isinstance(records, Mapping):
        records = {display_name(records[0].method): records} if len(records) else {}
    table = {
        label: (value,) if isinstance(value, Record) else tuple(value)
        for label, value in records.items()
    }
    if not table:
        raise ValueError("records must hold at least one record; got none")
    for label, runs in table.items():
        if not runs or not all(record.tasks for record in runs):
            raise ValueError(f"records[{label!r}] must be records with at least one finished task")
    return table


def single(record: Record) -> Record:
    """`record`, if it is one with a finished task.

    Raises:
        ValueError: it has no finished task.
    """
    if not isinstance(record, Record):
        raise ValueError(f"record must be a Record; got {type(record).__name__}")
    if not record.tasks:
        raise ValueError(f"record of {record.method!r} must have a finished task; got none")
    return record


def curve(
    label: str, runs: Sequence[Record], measure: Callable[[Record], np.ndarray], *, skip: int = 0
) -> Curve:
    """Mean over seeds of a measure taken after each task.

    Args:
        label: what to call it.
        runs: records of one method; they are cut to the shortest.
        measure: gives (tasks finished,) numbers of a record.
        skip: leave out so many first tasks, where the measure is not defined.
    """
    n = min(len(record.tasks) for record in runs)
    values = np.array([np.asarray(measure(record), dtype=float)[:n] for record in runs])
    intervals = [mean_ci95(values[:, t]) for t in range(skip, n)]
    return Curve(
        label=label,
        tasks=np.arange(skip + 1, n + 1),
        mean=np.array([interval.mean for interval in intervals]),
        ci95=np.array([interval.ci95 for interval in intervals]),
        task_names=runs[0].task_names[skip:n],
        n_seeds=len(runs),
    )
