"""The rules that a record keeps, and the small read-only types that keep it a value."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Sequence

import numpy as np

from fmlora_kit.record.storage import RecordError

SCENARIOS = ("class-incremental", "domain-incremental")


class ReadOnlyDict(dict):
    """A dict that refuses changes; equal to, and serialised as, a plain dict."""

    def _refuse(self, *_args, **_kwargs):
        raise TypeError("a record is a value: its dicts cannot be changed")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple:
        """Pickle and copy through the constructor, which a plain dict's own way would bypass."""
        return type(self), (dict(self),)


def put(value: object, name: str, content: object) -> None:
    """Set a field of a frozen dataclass; for its own `__post_init__` only."""
    object.__setattr__(value, name, content)


def whole(name: str, value: object) -> int:
    """`value` as an int.

    Raises:
        RecordError: it is not a whole number.
    """
    try:
        return operator.index(value)
    except TypeError as error:
        raise RecordError(f"{name} must be a whole number; got {value!r}") from error


def read_only(name: str, values: object, dtype: type | None = None) -> np.ndarray:
    """A read-only copy of `values`, C-contiguous; the array itself if it is one already.

    Args:
        name: what to call it in an error.
        values: anything numpy makes a numeric array of.
        dtype: wanted type; None keeps the array's own.

    Raises:
        RecordError: the values are not numbers, or do not fit `dtype` without loss.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise RecordError(f"{name} must be an array of numbers; got dtype {array.dtype}")
    if dtype is np.int64 and array.size and array.dtype.kind not in "iu":
        raise RecordError(f"{name} must be integers; got dtype {array.dtype}")
    frozen = array.flags.owndata and not array.flags.writeable and array.flags.c_contiguous
    if frozen and (dtype is None or array.dtype == dtype):
        return array
    array = np.array(array, dtype=dtype, order="C", copy=True)
    array.setflags(write=False)
    return array


def plain_json(name: str, value: dict) -> dict:
    """`value` as it comes back from JSON (tuples become lists).

    Raises:
        RecordError: it cannot be written as strict JSON.
    """
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise RecordError(f"{name} must be JSON-able; got: {error}") from error


def check_fractions(name: str, values: np.ndarray) -> None:
    """Raise `RecordError` unless all values lie in [0, 1] or are NaN."""
    wrong = values[~(np.isnan(values) | ((values >= 0) & (values <= 1)))]
    if wrong.size:
        raise RecordError(f"{name} must be fractions from 0 to 1, or NaN; got {wrong[0]:g}")


def check_task(task) -> None:
    """Raise `RecordError` if a `TaskResult`, looked at alone, breaks a rule."""
    if not isinstance(task.name, str) or not task.name:
        raise RecordError(f"name must be a non-empty string; got {task.name!r}")
    where = f"task {task.name!r}: "
    _check_classes(where, task.classes, task.class_names)
    for name in ("accuracy", "oracle_accuracy", "predictions", "losses", "ranks", "test_labels"):
        if getattr(task, name).ndim != 1:
            shape = getattr(task, name).shape
            raise RecordError(f"{where}{name} must have one dimension; got shape {shape}")
    for name in ("accuracy", "oracle_accuracy"):
        check_fractions(where + name, getattr(task, name))
    if task.accuracy.shape != task.oracle_accuracy.shape:
        raise RecordError(
            f"{where}accuracy and oracle_accuracy must have the same length; got "
            f"{task.accuracy.size} and {task.oracle_accuracy.size}"
        )
    for name in ("predictions", "ranks"):
        if getattr(task, name).size and getattr(task, name).min() < 0:
            raise RecordError(f"{where}{name} must be >= 0; got {getattr(task, name).min()}")
    if task.test_labels.size not in (0, task.n_test):
        raise RecordError(
            f"{where}test_labels must be one per test image ({task.n_test}), or empty; "
            f"got {task.test_labels.size}"
        )
    if foreign := set(task.test_labels.tolist()) - set(task.classes):
        raise RecordError(f"{where}test_labels must be of its own classes; got {min(foreign)}")
    for name, least in (
        ("n_test", 1),
        ("n_trainable", 0),
        ("n_deployed", 0),
        ("n_training_state", 0),
        ("n_bytes_left_out", 0),
    ):
        if getattr(task, name) < least:
            raise RecordError(f"{where}{name} must be >= {least}; got {getattr(task, name)}")
    if task.seconds < 0 or math.isinf(task.seconds):
        raise RecordError(f"{where}seconds must be >= 0, or NaN if unknown; got {task.seconds}")
    for name, value in task.scalars.items():
        if math.isinf(value):
            raise RecordError(f"{where}scalars[{name!r}] must be finite, or NaN; got {value}")


def _check_classes(where: str, classes: Sequence[int], class_names: Sequence[str]) -> None:
    if not classes or len(set(classes)) != len(classes):
        raise RecordError(f"{where}classes must be unique and not empty; got {classes}")
    if len(class_names) != len(classes):
        raise RecordError(
            f"{where}class_names must be one per class ({len(classes)}); got {len(class_names)}"
        )


def check_record(record) -> None:
    """Raise `RecordError` if a `Record` breaks a rule."""
    for name in ("method", "stream"):
        if not isinstance(getattr(record, name), str) or not getattr(record, name):
            raise RecordError(f"{name} must be a non-empty string; got {getattr(record, name)!r}")
    if record.scenario not in SCENARIOS:
        raise RecordError(f"scenario must be one of {SCENARIOS}; got {record.scenario!r}")
    for name in ("n_tasks", "n_classes"):
        if getattr(record, name) < 1:
            raise RecordError(f"{name} must be >= 1; got {getattr(record, name)}")
    if len(record.tasks) > record.n_tasks:
        raise RecordError(
            f"tasks must be at most n_tasks ({record.n_tasks}) results; got {len(record.tasks)}"
        )
    for t, task in enumerate(record.tasks):
        _check_task_in_record(record, t, task)
    if record.scenario == "class-incremental":
        _check_disjoint(record.tasks)
    elif len({task.classes for task in record.tasks}) > 1:
        raise RecordError("in a domain-incremental record every task must have the same classes")
    if len({task.ranks.size for task in record.tasks}) > 1:
        raise RecordError("ranks must be given for every task or for none")


def _check_task_in_record(record, t: int, task) -> None:
    where = f"task {t} ({task.name!r}): "
    if task.accuracy.size != record.n_tasks:
        raise RecordError(
            f"{where}accuracy must have one entry per task of the stream ({record.n_tasks}); "
            f"got {task.accuracy.size}"
        )
    seen = sum(earlier.n_test for earlier in record.tasks[: t + 1])
    if task.predictions.size != seen and not task.n_bytes_left_out:
        raise RecordError(
            f"{where}predictions must cover the {seen} test images of the tasks seen so far; "
            f"got {task.predictions.size}"
        )
    if task.ranks.size not in (0, len(record.layers)):
        raise RecordError(
            f"{where}ranks must be one per layer ({len(record.layers)}) or empty; "
            f"got {task.ranks.size}"
        )
    for name, ids in (("classes", task.classes), ("predictions", task.predictions)):
        largest = np.max(ids, initial=0)
        if largest >= record.n_classes:
            raise RecordError(
                f"{where}{name} must be class ids below n_classes ({record.n_classes}); "
                f"got {largest}"
            )
    if min(task.classes) < 0:
        raise RecordError(f"{where}classes must be >= 0; got {min(task.classes)}")


def _check_disjoint(tasks) -> None:
    owner: dict[int, str] = {}
    for task in tasks:
        for c in task.classes:
            if c in owner:
                raise RecordError(
                    "in a class-incremental record tasks must not share classes; got class "
                    f"{c} in {owner[c]!r} and {task.name!r}"
                )
            owner[c] = task.name
