"""`TaskResult`: what learning one task leaves behind, as a frozen value of plain numpy.

Shapes: T tasks in the stream, t this task's place in it (0-based), L adapted maps. Accuracies are
fractions, times are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from html import escape

import numpy as np
import safetensors.numpy

from fmlora_kit.record import storage
from fmlora_kit.record.checks import (
    ReadOnlyDict,
    by_name,
    check_task,
    put,
    read_only,
    real,
    several,
    texts,
    whole,
)

_STATE_PREFIX, _TRACE_PREFIX = "state.", "trace."


@dataclass(frozen=True, eq=False, repr=False)
class TaskResult:
    """What learning one task leaves behind. Arrays are copied and read-only; so are the dicts.

    Args:
        name: the task's name.
        classes: global ids of its classes (disjoint between tasks in CIL, the same in DIL).
        class_names: one name per class.
        n_test: number of its test images.
        accuracy: (T,) fraction right on the test set of each task, arg-max over all classes seen so
            far; NaN where not evaluated.
        oracle_accuracy: (T,) the same with task identity given: arg-max over the task's own
            classes.
        predictions: (sum of n_test over tasks 0..t,) predicted class ids on the test sets of all
            tasks seen, concatenated in order.
        losses: (steps,) training loss per step.
        ranks: (L,) rank chosen per adapted map; empty for methods without ranks.
        n_trainable: numbers trained during this task.
        n_deployed: numbers needed to run the model after this task (backbone, adapters, prompt,
            head).
        n_training_state: further numbers kept between tasks for training only.
        scalars: named measurements of the task, such as difficulty and novelty.
        state: the method's snapshot, from which the model as it was after this task is rebuilt.
        seconds: training time of this task; no part of equality.
        test_labels: (n_test,) true class ids of its test images, in the order of `predictions`;
            empty in records of format 1.
        traces: what the method watched while it trained: arrays whose first axis is the step, from
            the task's first; such as the gate probabilities of DRS.
        n_bytes_left_out: size of the array file that a brief result was made from; 0: not brief.

    Raises:
        RecordError: a value breaks its rule; the message names both.
    """

    name: str
    classes: tuple[int, ...]
    class_names: tuple[str, ...]
    n_test: int
    accuracy: np.ndarray
    oracle_accuracy: np.ndarray
    predictions: np.ndarray
    losses: np.ndarray
    ranks: np.ndarray
    n_trainable: int
    n_deployed: int
    n_training_state: int
    scalars: dict[str, float]
    state: dict[str, np.ndarray]
    seconds: float
    test_labels: np.ndarray = ()
    traces: dict[str, np.ndarray] = field(default_factory=dict)
    n_bytes_left_out: int = 0

    def __post_init__(self) -> None:
        put(self, "classes", tuple(whole("classes", c) for c in several("classes", self.classes)))
        put(self, "class_names", texts("class_names", self.class_names))
        if isinstance(self.test_labels, tuple) and not self.test_labels:
            put(self, "test_labels", np.asarray(self.test_labels, dtype=np.int64))
        for name in ("accuracy", "oracle_accuracy", "losses"):
            put(self, name, read_only(name, getattr(self, name), np.float64))
        for name in ("predictions", "ranks", "test_labels"):
            put(self, name, read_only(name, getattr(self, name), np.int64))
        for name in ("n_test", "n_trainable", "n_deployed", "n_training_state", "n_bytes_left_out"):
            put(self, name, whole(name, getattr(self, name)))
        put(self, "seconds", real("seconds", self.seconds))
        scalars = sorted(by_name("scalars", self.scalars).items())
        put(self, "scalars", ReadOnlyDict({k: real(f"scalars[{k!r}]", v) for k, v in scalars}))
        for name in ("state", "traces"):
            items = sorted(by_name(name, getattr(self, name)).items())
            put(self, name, ReadOnlyDict({k: read_only(f"{name}[{k!r}]", v) for k, v in items}))
        check_task(self)

    def __repr__(self) -> str:
        seen = self.accuracy[~np.isnan(self.accuracy)]
        scores = ", ".join(f"{100 * a:.0f}" for a in seen[:20]) + (", …" if len(seen) > 20 else "")
        sizes = f"{len(self.classes)} classes, {self.n_trainable:,} numbers trained"
        return f"<TaskResult {self.name!r}: {sizes}, accuracy in % {scores}, {self.seconds:.1f} s>"

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"

    def same_as(self, other: object) -> bool:
        """True if every value is equal, bit for bit, apart from `seconds`."""
        if not isinstance(other, TaskResult) or self.to_json() != other.to_json():
            return False
        ours, theirs = (
            {name: (a.dtype, a.shape, a.tobytes()) for name, a in task._arrays().items()}
            for task in (self, other)
        )
        return ours == theirs

    __eq__ = same_as

    def __hash__(self) -> int:
        return hash((self.name, self.classes, self.n_test))

    def __reduce__(self) -> tuple:
        """Pickle and copy through the constructor, so that copies are checked and read-only too."""
        return type(self), tuple(getattr(self, field.name) for field in fields(self))

    @cached_property
    def n_bytes(self) -> int:
        """Size of the task's array file, also if the arrays are left out here."""
        return self.n_bytes_left_out or len(self.to_bytes())

    def brief(self) -> TaskResult:
        """This result without predictions, losses, snapshot and traces: some hundred bytes."""
        names, none = ("predictions", "test_labels", "losses"), np.zeros(0, dtype=np.int64)
        left_out = {**dict.fromkeys(names, none), "n_bytes_left_out": self.n_bytes}
        return replace(self, state={}, traces={}, **left_out)

    @cached_property
    def sha256(self) -> str:
        """Digest of the task's array file; computed once, since the arrays cannot change."""
        return storage.sha256(self.to_bytes())

    def to_bytes(self) -> bytes:
        """The array file, in safetensors format: all arrays without a place in the JSON, sorted."""
        return safetensors.numpy.save(dict(sorted(self._arrays().items())))

    def to_json(self) -> dict:
        """All but the arrays of the array file and `seconds`, JSON-able, NaN as None."""
        names = ("name", "n_test", "n_trainable", "n_deployed", "n_training_state")
        entry = {name: getattr(self, name) for name in names}
        entry |= {name: list(getattr(self, name)) for name in ("classes", "class_names")}
        for name in ("accuracy", "oracle_accuracy"):
            entry[name] = storage.nan_to_none(getattr(self, name).tolist())
        entry["ranks"] = self.ranks.tolist()
        scalars = storage.nan_to_none(self.scalars.values())
        entry["scalars"] = dict(zip(self.scalars, scalars, strict=True))
        if self.n_bytes_left_out:
            entry["n_bytes_left_out"] = self.n_bytes_left_out
        return entry

    @classmethod
    def from_stored(
        cls, entry: dict, sha256: str | None, arrays: dict, seconds: float
    ) -> TaskResult:
        """The inverse of `to_json` and `to_bytes`; a brief result has no array file to digest."""
        values = dict(entry)
        for name in ("accuracy", "oracle_accuracy"):
            values[name] = storage.none_to_nan(several(name, entry.get(name)))
        scalars = by_name("scalars", entry.get("scalars"))
        values["scalars"] = dict(zip(scalars, storage.none_to_nan(scalars.values()), strict=True))
        own = {name: arrays[name] for name in ("predictions", "losses")}
        own |= {name: arrays[name] for name in ("test_labels",) if name in arrays}
        for name, start in (("state", _STATE_PREFIX), ("traces", _TRACE_PREFIX)):
            own[name] = {k.removeprefix(start): v for k, v in arrays.items() if k.startswith(start)}
        result = cls(**values, **own, seconds=seconds)
        # The digest of the file as it was read; another safetensors version might encode otherwise.
        if sha256 is not None:
            result.__dict__["sha256"] = sha256
        return result

    def _arrays(self) -> dict[str, np.ndarray]:
        arrays = {name: getattr(self, name) for name in ("predictions", "losses")}
        if self.test_labels.size:
            arrays["test_labels"] = self.test_labels
        arrays |= {_STATE_PREFIX + name: array for name, array in self.state.items()}
        return arrays | {_TRACE_PREFIX + name: array for name, array in self.traces.items()}
