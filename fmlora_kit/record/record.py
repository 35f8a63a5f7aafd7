"""`Record`: what a run leaves behind, as a frozen value of plain numpy.

Training writes records; metrics, figures and notebooks read them. Shapes: T tasks in the stream, t
the task just learned (0-based), L adapted maps. Accuracies are fractions, times are seconds.
"""

from __future__ import annotations

import math
import os
import platform
from dataclasses import dataclass, field, fields, replace
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from fmlora_kit.checks import shown
from fmlora_kit.record import display, storage
from fmlora_kit.record.checks import (
    ReadOnlyDict,
    by_name,
    check_record,
    plain_json,
    put,
    require,
    texts,
    whole,
)
from fmlora_kit.record.storage import RecordError, StoredTask
from fmlora_kit.record.task import TaskResult


@dataclass(frozen=True, eq=False, repr=False)
class Record:
    """One run of one method on one stream, as far as it has come; `with_task` gives the next value.

    Args:
        method: the method's name, such as "fmlora".
        stream: the stream's name.
        scenario: "class-incremental" or "domain-incremental".
        n_tasks: T, length of the whole stream.
        n_classes: number of classes in the whole stream.
        seed: the method's seed.
        layers: names of the adapted maps, such as "blocks.0.q"; empty if there are none.
        config: configuration of method, training, stream and backbone, JSON-able.
        versions: versions of the libraries that made the run.
        tasks: results of the tasks finished so far, in order.

    Raises:
        RecordError: a value breaks its rule; the message names both.
    """

    method: str
    stream: str
    scenario: str
    n_tasks: int
    n_classes: int
    seed: int
    layers: tuple[str, ...] = ()
    config: dict = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    tasks: tuple[TaskResult, ...] = ()

    def __post_init__(self) -> None:
        for name in ("n_tasks", "n_classes", "seed"):
            put(self, name, whole(name, getattr(self, name)))
        put(self, "layers", texts("layers", self.layers))
        for name in ("config", "versions"):
            content = plain_json(name, by_name(name, getattr(self, name)))
            put(self, name, ReadOnlyDict(content))
        if not isinstance(self.tasks, list | tuple):
            raise RecordError(f"tasks must be a list of TaskResults, got {shown(self.tasks)}")
        put(self, "tasks", tuple(self.tasks))
        for each in self.tasks:
            if not isinstance(each, TaskResult):
                raise RecordError(f"tasks must be a list of TaskResults, got {shown(each)} in it")
        check_record(self)

    @classmethod
    def start(cls, model: object, stream: object, /, **config: object) -> Record:
        """The empty record of a run that is about to begin.

        Args:
            model: a method with `name`, `seed`, `layers` and `describe()`.
            stream: has `name`, `scenario`, `n_classes`, a length, and perhaps `describe()`.
            **config: further JSON-able configuration, such as `training={...}`.
        """
        if reserved := {"method", "stream"} & set(config):
            rule = "must not use the names 'method' and 'stream'"
            raise RecordError(f"config {rule}, got {reserved}")
        described = {"name": stream.name, "n_tasks": len(stream)}
        described |= {"seed": int(stream.seed)} if hasattr(stream, "seed") else {}
        described = stream.describe() if hasattr(stream, "describe") else described
        return cls(
            method=model.name,
            stream=stream.name,
            scenario=stream.scenario,
            n_tasks=len(stream),
            n_classes=stream.n_classes,
            seed=model.seed,
            layers=tuple(model.layers),
            config={"method": model.describe(), "stream": described, **config},
            versions=_versions(),
        )

    def with_task(self, result: TaskResult) -> Record:
        """This record with one more finished task."""
        if not isinstance(result, TaskResult):
            raise RecordError(f"result must be a TaskResult, got {shown(result)}")
        return replace(self, tasks=(*self.tasks, result))

    def until(self, n: int) -> Record:
        """This record as it was after its first `n` tasks; raise `RecordError` if it has fewer."""
        n, done = whole("n", n), len(self.tasks)
        require(0 <= n <= done, f"n must be 0 to {done} finished tasks", n)
        return replace(self, tasks=self.tasks[:n])

    def brief(self) -> Record:
        """This record without its arrays: accuracies, sizes and times, but no model, no picture."""
        return replace(self, tasks=tuple(task.brief() for task in self.tasks))

    @property
    def accuracy(self) -> np.ndarray:
        """(T, T) a[t, i], accuracy on task i after training task t; NaN where not evaluated."""
        return self._matrix("accuracy")

    @property
    def oracle_accuracy(self) -> np.ndarray:
        """(T, T) accuracy with task identity given; NaN where not evaluated."""
        return self._matrix("oracle_accuracy")

    @property
    def ranks(self) -> np.ndarray:
        """(tasks finished, L) rank chosen per adapted map; (tasks finished, 0) without ranks."""
        if not self.tasks:
            return np.zeros((0, 0), dtype=np.int64)
        return np.stack([task.ranks for task in self.tasks])

    @property
    def n_test(self) -> np.ndarray:
        """(tasks finished,) number of test images per task."""
        return np.array([task.n_test for task in self.tasks], dtype=np.int64)

    @property
    def seconds(self) -> np.ndarray:
        """(tasks finished,) training time per task."""
        return np.array([task.seconds for task in self.tasks], dtype=np.float64)

    @property
    def task_names(self) -> tuple[str, ...]:
        """Of the finished tasks."""
        return tuple(task.name for task in self.tasks)

    def summary_line(self) -> str:
        """One line on the last task: `task 3/10 Greek  rank 6.3  acc 0.81  forgetting 0.04  12 s`.

        `acc` is the micro average, over all test images of the tasks seen; where the macro average,
        over those tasks, is written otherwise, both stand there: `acc 0.81 micro, 0.78 macro`.
        `forgetting` is the mean fall from each earlier task's best accuracy (Chaudhry et al., arXiv
        1801.10112).
        """
        done = len(self.tasks)
        if not done:
            return f"task 0/{self.n_tasks}"
        last = self.tasks[-1]
        parts = [f"task {done}/{self.n_tasks} {last.name}"]
        if last.ranks.size:
            parts.append(f"rank {last.ranks.mean():.1f}")
        if full := last.scalars.get("core_full"):
            parts.append(f"core full in {full:.0%} of the maps")
        seen = last.accuracy[:done]
        micro, macro = f"{np.average(seen, weights=self.n_test):.2f}", f"{np.mean(seen):.2f}"
        parts.append(f"acc {micro}" if micro == macro else f"acc {micro} micro, {macro} macro")
        if done > 1:
            best = [np.nanmax(self.accuracy[i : done - 1, i], initial=-1) for i in range(done - 1)]
            parts.append(f"forgetting {np.mean(best - last.accuracy[: done - 1]):.2f}")
        if math.isfinite(last.seconds):
            parts.append(f"{last.seconds:.0f} s")
        return "  ".join(parts)

    def save(self, folder: str | os.PathLike, *, replace: bool = False) -> None:
        """Write the record to a folder, atomically; array files already there are not rewritten.

        Args:
            folder: created if missing. It may hold an earlier state of this very run.
            replace: overwrite another run's record instead of refusing to.

        Raises:
            RecordError: `folder` holds another run, is not writable, or the disk is full.
        """
        tasks = [StoredTask(task.to_json(), task.sha256, task.to_bytes) for task in self.tasks]
        storage.save_folder(folder, self.header(), tasks, self.seconds.tolist(), replace=replace)

    @classmethod
    def load(cls, folder: str | os.PathLike) -> Record:
        """Read a record from a folder, checked in full.

        RecordError: a file is missing, truncated, altered, of a newer format, or breaks a rule.
        """
        header, stored, seconds = storage.load_folder(folder)
        try:
            both = zip(stored, seconds, strict=True)
            return cls(**header, tasks=tuple(TaskResult.from_stored(*task, s) for task, s in both))
        except RecordError as error:
            raise RecordError(f"the record in {folder} breaks a rule: {error}") from error
        except storage.DAMAGE as error:  # something that no rule is about is of another kind
            rule = f"the record in {folder} must be as save writes it"
            raise RecordError(f"{rule}, got: {error or type(error).__name__}") from error

    def same_as(self, other: object) -> bool:
        """True if every value is equal, bit for bit, apart from the tasks' `seconds`."""
        same_run = isinstance(other, Record) and self.header() == other.header()
        return same_run and self.tasks == other.tasks

    __eq__ = same_as

    def __hash__(self) -> int:
        return hash((self.method, self.stream, self.seed, len(self.tasks)))

    def header(self) -> dict:
        """All but the tasks, JSON-able."""
        header = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "tasks"}
        return {**header, "layers": list(self.layers)}

    def to_frame(self):
        """A pandas table with a row for each task learned and each task tested after it.

        Returns:
            Columns: ``task_learned`` and ``task_tested`` (places in the stream, from 0),
            ``name_learned`` and ``name_tested``, ``accuracy`` and ``oracle_accuracy`` (fractions),
            and of the task learned ``seconds``, ``mean_rank`` (NaN without ranks),
            ``n_trainable``, ``n_deployed``, ``n_training_state``. What was not tested has no row;
            a task not yet learned (domain-incremental) is named None.
        """
        import pandas as pd  # only here: opening a record needs no more than numpy

        rows = []
        for t, task in enumerate(self.tasks):
            mean_rank = float(task.ranks.mean()) if task.ranks.size else math.nan
            sizes = {n: getattr(task, n) for n in ("n_trainable", "n_deployed", "n_training_state")}
            of_task = {"seconds": task.seconds, "mean_rank": mean_rank, **sizes}
            for i in np.flatnonzero(~np.isnan(task.accuracy)).tolist():
                name = self.tasks[i].name if i < len(self.tasks) else None
                places = {"task_learned": t, "task_tested": i}
                names = {"name_learned": task.name, "name_tested": name}
                scores = {n: float(getattr(task, n)[i]) for n in ("accuracy", "oracle_accuracy")}
                rows.append({**places, **names, **scores, **of_task})
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        where = f"{self.method} on {self.stream}, seed {self.seed}"
        return f"<Record of {where}: {self.summary_line()}>"

    def _repr_html_(self) -> str:
        from fmlora_kit.record.card import run_card

        lines = {label: text for label, text in run_card(self).items() if label in display.LINES}
        title = f"{self.method}, seed {self.seed}: {self.summary_line()}"
        shown = display.lines_as_html(title, lines)
        if self.tasks:
            shown += display.matrix_as_html(self.task_names, self.accuracy[: len(self.tasks)])
        return shown

    def _matrix(self, name: str) -> np.ndarray:
        matrix = np.full((self.n_tasks, self.n_tasks), np.nan)
        for t, task in enumerate(self.tasks):
            matrix[t] = getattr(task, name)
        return matrix


def _versions() -> dict[str, str]:
    """Of what makes the numbers, from package metadata: torch stays out."""
    found = {"python": platform.python_version()}
    for package in ("fmlora_kit", "numpy", "timm", "torch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found
