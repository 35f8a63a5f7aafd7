"""What methods keep as tasks arrive: numbers to run the model, numbers to go on, bytes on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from fmlora_kit import checks
from fmlora_kit.analysis.arguments import check_record
from fmlora_kit.analysis.comparison import check_comparable, is_joined, setting
from fmlora_kit.record import Record, TaskResult

NOTHING, STATISTICS, MODULES, SAMPLES = "nothing", "statistics", "modules per task", "samples"
KINDS = (NOTHING, STATISTICS, MODULES, SAMPLES)


@dataclass(frozen=True, eq=False)
class MethodStorage:
    """What one method keeps after each task, mean over seeds.

    Args:
        method: the method's name, such as "fmlora".
        kind: one of KINDS, as measured: samples, if all tasks are learned at once; modules per
            task, if the model grows; statistics, if there is a training state; else nothing.
        deployed: (T,) numbers needed to run the model.
        training_state: (T,) further numbers kept between tasks for training; of samples, the
            pixels' values of all training images so far.
        on_disk: (T,) bytes that each task adds to the record's array files; of samples, the bytes
            of the task's images, and with the first task those of the record.
    """

    method: str
    kind: str
    deployed: np.ndarray
    training_state: np.ndarray
    on_disk: np.ndarray

    @property
    def numbers(self) -> np.ndarray:
        """(T,) deployed and training state together."""
        return self.deployed + self.training_state


def measure_storage(records: Iterable[Record]) -> dict[str, MethodStorage]:
    """What each method keeps, by its name: kind by kind, in a kind the smallest first.

    From finished runs that compare, one per method and seed.

    Raises:
        ValueError: there is none, or two do not compare; or all are of joint training, which does
            not say where a task ends.
    """
    records = [check_record(record) for record in checks.listed("records", records)]
    if not records:
        raise checks.fail("records", "at least one Record", records)
    check_comparable(records)
    whole = next((record for record in records if not is_joined(record)), None)
    if whole is None:
        raise ValueError("records must hold a run of a stream of tasks, got none, or joined ones")
    methods = dict.fromkeys(record.method for record in records)
    kept = [
        _measure(m, [record for record in records if record.method == m], whole) for m in methods
    ]
    kept.sort(key=lambda one: (KINDS.index(one.kind), one.numbers[-1], one.method))
    return {one.method: one for one in kept}


def growth_per_task(values: np.ndarray) -> float:
    """Mean growth from task to task, (last - first) / (T - 1); 0 with one task."""
    values = np.asarray(values, dtype=float)
    return float((values[-1] - values[0]) / max(len(values) - 1, 1))


def _measure(method: str, runs: Sequence[Record], whole: Record) -> MethodStorage:
    if is_joined(runs[0]):
        return _measure_samples(method, runs, whole)
    deployed = _mean(runs, lambda task: task.n_deployed)
    state = _mean(runs, lambda task: task.n_training_state)
    kind = MODULES if deployed[-1] > deployed[0] else STATISTICS if state[-1] else NOTHING
    return MethodStorage(method, kind, deployed, state, _mean(runs, lambda task: task.n_bytes))


def _measure_samples(method: str, runs: Sequence[Record], whole: Record) -> MethodStorage:
    """Joint training has one task; its images are counted as they would have come."""
    height, width = setting(whole, "stream", "image_size", (0, 0))
    images = np.array(setting(whole, "stream", "train_images", [0] * whole.n_tasks), dtype=float)
    n_bytes = images * height * width * 3  # a byte per pixel and colour
    model = np.zeros(whole.n_tasks)
    model[0] = _mean(runs, lambda task: task.n_bytes)[0]
    deployed = np.full(whole.n_tasks, _mean(runs, lambda task: task.n_deployed)[0])
    return MethodStorage(method, SAMPLES, deployed, n_bytes.cumsum(), n_bytes + model)


def _mean(runs: Sequence[Record], count: Callable[[TaskResult], int]) -> np.ndarray:
    return np.mean([[count(task) for task in record.tasks] for record in runs], axis=0)
