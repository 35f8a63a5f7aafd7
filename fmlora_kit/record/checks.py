"""The rules that a record keeps, and the small read-only types that keep it a value."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Iterable, Mapping, Set
from numbers import Real

import numpy as np

from fmlora_kit.checks import shown
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


def require(holds: bool, rule: str, got: object) -> None:
    """Raise `RecordError`, "RULE, got ...", unless the rule holds."""
    if not holds:
        raise RecordError(f"{rule}, got {got}")


_NO_LISTS = (str, bytes, bytearray, Mapping, Set)


def several(name: str, values: object) -> tuple:
    """The values as a tuple; raise `RecordError` if they are none, or a text, a dict or a set."""
    fits = isinstance(values, Iterable) and not isinstance(values, _NO_LISTS)
    if not fits or not getattr(values, "ndim", 1):
        raise RecordError(f"{name} must be a list, got {shown(values)}")
    return tuple(values)


def texts(name: str, values: object) -> tuple[str, ...]:
    """The values as a tuple of `str`; raise `RecordError` if one is no text that can be written."""
    found = several(name, values)
    for each in found:
        _check_text(f"each of {name}", each)
    return tuple(str(each) for each in found)


def by_name(name: str, values: object) -> dict:
    """The values, if they are a dict; raise `RecordError` if they are not."""
    if not isinstance(values, Mapping):  # what is right is not shown: that takes time
        raise RecordError(f"{name} must be a dict, got {shown(values)}")
    return dict(values)


def real(name: str, value: object) -> float:
    """`value` as a float; raise `RecordError` if it is no number."""
    fits = isinstance(value, Real | np.number) and not isinstance(value, bool | np.complexfloating)
    if not fits:
        raise RecordError(f"{name} must be a number, got {shown(value)}")
    return float(value)


def whole(name: str, value: object) -> int:
    """`value` as an int; raise `RecordError` if it is no whole number."""
    if isinstance(value, bool):
        raise RecordError(f"{name} must be a whole number, got {value}")
    try:
        return operator.index(value)
    except TypeError as error:
        raise RecordError(f"{name} must be a whole number, got {shown(value)}") from error


def read_only(name: str, values: object, dtype: type | None = None) -> np.ndarray:
    """A read-only copy of `values`, C-contiguous; the array itself if it is one already.

    Raise `RecordError` unless they are numbers that fit `dtype` (default: their own) without loss.
    """
    try:
        array = np.asarray(None if isinstance(values, bytes | bytearray) else values)
    except ValueError:  # rows of unequal length
        array = np.array(None)
    kind, given = array.dtype.kind, f"dtype {array.dtype}"
    require(kind in "biuf", f"{name} must be an array of numbers", given)
    fits = dtype is not np.int64 or not array.size or kind in "iu"
    require(fits, f"{name} must be integers", given)
    frozen = array.flags.owndata and not array.flags.writeable and array.flags.c_contiguous
    if frozen and (dtype is None or array.dtype == dtype):
        return array
    array = np.array(array, dtype=dtype, order="C", copy=True)
    array.setflags(write=False)
    return array


def plain_json(name: str, value: dict) -> dict:
    """`value` as it comes back from JSON (tuples become lists); raise `RecordError` if it cannot.

    NaN and infinity are no strict JSON.
    """
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise RecordError(f"{name} must be JSON-able, got: {error}") from error


def check_task(task) -> None:
    """Raise `RecordError` if a `TaskResult`, looked at alone, breaks a rule."""
    _check_text("name", task.name)
    where, classes = f"task {task.name!r}: ", task.classes
    unique = classes and len(set(classes)) == len(classes)
    require(unique, f"{where}classes must be unique and not empty", classes)
    n_names, given = len(task.class_names), f"names for classes {shown(classes)}"
    rule = f"{where}class_names must be as many as classes"
    require(n_names == len(classes), rule, f"{n_names} {given}")
    for name in ("accuracy", "oracle_accuracy", "predictions", "losses", "ranks", "test_labels"):
        shape = getattr(task, name).shape
        require(len(shape) == 1, f"{where}{name} must have one dimension", f"shape {shape}")
    for name in ("accuracy", "oracle_accuracy"):
        values = getattr(task, name)
        wrong = values[~(np.isnan(values) | ((values >= 0) & (values <= 1)))]
        given = f"{wrong[0]:g}" if wrong.size else ""
        require(not wrong.size, f"{where}{name} must be fractions from 0 to 1, or NaN", given)
    a, b = task.accuracy.size, task.oracle_accuracy.size
    rule = f"{where}accuracy and oracle_accuracy must have the same length"
    require(a == b, rule, f"{a} and {b}")
    for name in ("predictions", "ranks"):
        least = getattr(task, name).min(initial=0)
        require(least >= 0, f"{where}{name} must be >= 0", least)
    n_labels, rule = task.test_labels.size, f"one per test image ({task.n_test}), or empty"
    require(n_labels in (0, task.n_test), f"{where}test_labels must be {rule}", n_labels)
    foreign = set(task.test_labels.tolist()) - set(classes)
    rule = f"{where}test_labels must be of its own classes"
    require(not foreign, rule, min(foreign, default=""))
    others = ("n_trainable", "n_deployed", "n_training_state", "n_bytes_left_out")
    for name, least in (("n_test", 1), *((name, 0) for name in others)):
        number = getattr(task, name)
        require(number >= least, f"{where}{name} must be >= {least}", number)
    impossible = task.seconds < 0 or math.isinf(task.seconds)
    require(not impossible, f"{where}seconds must be >= 0, or NaN if unknown", task.seconds)
    for name, value in task.scalars.items():
        rule = f"{where}scalars[{name!r}] must be finite, or NaN"
        require(not math.isinf(value), rule, value)


def _check_text(name: str, value: object) -> None:
    fits = isinstance(value, str) and value
    require(fits, f"{name} must be a non-empty string", shown(value))
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise RecordError(f"{name} must be a text that UTF-8 can hold, got {value!a}") from None


def check_record(record) -> None:
    """Raise `RecordError` if a `Record` breaks a rule."""
    for name in ("method", "stream"):
        _check_text(name, getattr(record, name))
    known = record.scenario in SCENARIOS
    require(known, f"scenario must be one of {SCENARIOS}", shown(record.scenario))
    for name in ("n_tasks", "n_classes"):
        require(getattr(record, name) >= 1, f"{name} must be >= 1", getattr(record, name))
    n, most = len(record.tasks), record.n_tasks
    require(n <= most, f"tasks must be at most n_tasks ({most}) results", n)
    for t, task in enumerate(record.tasks):
        _check_task_in_record(record, t, task)
        _check_accuracy(record, t, task)
    if record.scenario == "class-incremental":
        owner: dict[int, str] = {}
        rule = "in a class-incremental record tasks must not share classes"
        for task in record.tasks:
            for c in task.classes:
                require(c not in owner, rule, f"class {c} in {owner.get(c)!r} and {task.name!r}")
                owner[c] = task.name
    elif len({task.classes for task in record.tasks}) > 1:
        raise RecordError("in a domain-incremental record every task must have the same classes")
    if len({task.ranks.size for task in record.tasks}) > 1:
        raise RecordError("ranks must be given for every task or for none")


def _check_task_in_record(record, t: int, task) -> None:
    where = f"task {t} ({task.name!r}): "
    n, rule = record.n_tasks, "accuracy must have one entry per task of the stream"
    require(task.accuracy.size == n, f"{where}{rule} ({n})", task.accuracy.size)
    seen, size = sum(earlier.n_test for earlier in record.tasks[: t + 1]), task.predictions.size
    rule = f"predictions must cover the {seen} test images of the tasks seen so far"
    require(size == seen or task.n_bytes_left_out, where + rule, size)
    n, size = len(record.layers), task.ranks.size
    require(size in (0, n), f"{where}ranks must be one per layer ({n}) or empty", size)
    for name, ids in (("classes", task.classes), ("predictions", task.predictions)):
        largest, rule = np.max(ids, initial=0), f"class ids below n_classes ({record.n_classes})"
        require(largest < record.n_classes, f"{where}{name} must be {rule}", largest)
    require(min(task.classes) >= 0, f"{where}classes must be >= 0", min(task.classes))


def _check_accuracy(record, t: int, task) -> None:
    """Raise `RecordError` where an accuracy is not what the stored predictions give."""
    seen = record.tasks[: t + 1]
    if not task.predictions.size or not all(earlier.test_labels.size for earlier in seen):
        return  # a brief record, or one of format 1
    right = task.predictions == np.concatenate([earlier.test_labels for earlier in seen])
    for i, part in enumerate(np.split(right, np.cumsum(record.n_test[: t + 1])[:-1])):
        said, counted = task.accuracy[i], part.mean()
        holds = math.isnan(said) or abs(said - counted) < 1e-9
        rule = f"accuracy on task {i} must be {counted:g}, the share of right predictions"
        require(holds, f"task {t} ({task.name!r}): {rule}", f"{said:g}")
