"""One checker for what comes in: each function returns the value, or raises what it must be.

Every ValueError reads ``NAME must be RULE, got VALUE``; the value is cut to about 80 letters.
Types come before ranges, so that a text, a NaN or a truth value never reaches an arithmetic test;
numpy's numbers are taken for what they are and come back as Python's. This module serves all rooms
and imports none.

Where many values come in at once, their annotations are the rules: ``threshold: Share = 0.95`` in a
signature, or a field of a dataclass, says name, kind and default in one place, and `checked`,
`check_fields` or the decorator `held` hold the values to them.
"""

from __future__ import annotations

import math
import operator
import os
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from functools import cache, partial, wraps
from inspect import Signature, signature
from numbers import Real
from pathlib import Path, PurePath
from typing import Annotated, ClassVar, get_args, get_origin, get_type_hints

import numpy as np

LETTERS = 80


def shown(value: object, letters: int = LETTERS) -> str:
    """The value for an error: its repr, cut to about ``letters``; of a path the end is kept."""
    if isinstance(value, PurePath):
        path = str(value)
        return repr(path if len(path) <= letters else f"…{path[-letters:]}")
    if isinstance(value, np.ndarray) and value.size > 8:
        return f"an array of {value.dtype}, shape {value.shape}"
    if isinstance(value, str | bytes) and len(value) > letters:
        value = value[: letters - 1]
        return f"{value!r}…"
    try:
        text = repr(value)
    except Exception as error:  # a repr of a stranger's class may do anything
        text = f"a {type(value).__name__} whose repr fails with {type(error).__name__}"
    text = " ".join(text.split())
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def fail(name: str, rule: str, value: object) -> ValueError:
    """The error, to be raised: ``NAME must be RULE, got VALUE``."""
    return ValueError(f"{name} must be {rule}, got {shown(value)}")


def integer(name: str, value: object, low: int | None = None, high: int | None = None) -> int:
    """A whole number between ``low`` and ``high``, both included; no truth value, no 2.5."""
    rule = f"a whole number{_bounds(low, high)}"
    if isinstance(value, bool | np.bool_):
        raise fail(name, rule, value)
    try:
        number = operator.index(value)
    except TypeError:
        raise fail(name, rule, value) from None
    if (low is not None and number < low) or (high is not None and number > high):
        raise fail(name, _bounds(low, high).strip(), value)
    return number


def number(
    name: str,
    value: object,
    low: float | None = None,
    high: float | None = None,
    *,
    above: float | None = None,
    below: float | None = None,
) -> float:
    """A finite number; ``low`` and ``high`` are included, ``above`` and ``below`` are not."""
    range_ = _bounds(low, high, above, below).strip()
    rule = f"a finite number{' ' if range_ else ''}{range_}"
    strange = isinstance(value, bool | np.bool_ | np.complexfloating)
    if strange or not isinstance(value, Real | np.number) or not math.isfinite(value):
        raise fail(name, rule, value)
    if (
        (low is not None and value < low)
        or (high is not None and value > high)
        or (above is not None and value <= above)
        or (below is not None and value >= below)
    ):
        raise fail(name, range_, value)
    return float(value)


def flag(name: str, value: object) -> bool:
    """True or False, and nothing that merely counts as one."""
    if not isinstance(value, bool | np.bool_):
        raise fail(name, "True or False", value)
    return bool(value)


def text(name: str, value: object) -> str:
    """A text that is not empty and can be written as UTF-8."""
    if not isinstance(value, str) or not value.strip():
        raise fail(name, "a text that is not empty", value)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise fail(name, "a text that UTF-8 can hold", value) from None
    return value


def choice(name: str, value: object, choices: Collection) -> object:
    """One of ``choices``."""
    if not any(type(value) is type(each) and value == each for each in choices):
        raise fail(name, f"one of {shown(tuple(choices), 400)}", value)
    return value


def as_path(name: str, value: object) -> Path:
    """A path from what a caller calls one; a ValueError if it is none, empty, or too long."""
    instance(name, value, str | os.PathLike, "a path")
    found = os.fsdecode(instance(name, os.fspath(value), str | bytes, "a path"))
    text(name, found.encode("utf-8", "replace").decode())  # a folder's name may be any bytes
    try:
        os.stat(found)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:  # too long, a link in a circle, a byte 0
        reason = getattr(error, "strerror", None) or error
        raise fail(name, f"a path that can be looked at ({reason})", Path(found)) from None
    if any(unicodedata.category(letter) == "Cc" for letter in found):  # no error could be one line
        raise fail(name, "a path without line breaks and other control characters", found)
    return Path(found)


def numbers(name: str, values: object) -> np.ndarray:
    """An array of numbers, NaN and infinity among them; a text, or a ragged list, is none."""
    try:
        array = np.asarray(values)
    except ValueError:  # rows of unequal length
        array = np.array(None)
    items = values if isinstance(values, list | tuple) else (values,)
    strange = any(isinstance(one, bool | np.bool_ | bytearray) for one in items)
    if strange or array.dtype.kind not in "biuf":
        raise fail(name, "an array of numbers", values)
    return array


def instance(name: str, value: object, kinds: type | tuple[type, ...], what: str) -> object:
    """A value of a type, called ``what`` in the error ("a Budget")."""
    if not isinstance(value, kinds):
        raise fail(name, what, value)
    return value


def listed(name: str, values: Iterable) -> tuple:
    """The values as a tuple; a text, or a mapping, is no list."""
    if isinstance(values, str | bytes | bytearray | Mapping) or not isinstance(values, Iterable):
        raise fail(name, "a list", values)
    try:
        return tuple(values)
    except TypeError:  # an array without dimensions
        raise fail(name, "a list", values) from None


def different(name: str, values: Iterable) -> tuple:
    """The values as a tuple, each of them once."""
    found = listed(name, values)
    if any(isinstance(value, np.ndarray) for value in found):
        raise fail(name, "a list of single values", values)
    if any(value in found[:k] for k, value in enumerate(found)):  # some may not be hashable
        raise fail(name, "different from each other", found)
    return found


def _bounds(
    low: float | None, high: float | None, above: float | None = None, below: float | None = None
) -> str:
    """` at least 1`, ` between 0 and 1`, ` above 0 and at most 1`; empty without bounds."""
    if low is not None and high is not None:
        return f" between {low} and {high}"
    words = ((above, "above"), (low, "at least"), (high, "at most"), (below, "below"))
    said = [f"{word} {bound}" for bound, word in words if bound is not None]
    return f" {' and '.join(said)}" if said else ""


# --- kinds: a signature says of a parameter what it must be, and `checked` holds it to that -------
Count = Annotated[int, partial(integer, low=1)]
Natural = Annotated[int, partial(integer, low=0)]  # seeds, and numbers that may be nothing
Weight = Annotated[float, partial(number, low=0)]  # learning rates, strengths of a loss
Positive = Annotated[float, partial(number, above=0)]
Share = Annotated[float, partial(number, low=0, high=1)]
_PLAIN = {int: integer, float: number, bool: flag, str: text}


def one_of(choices: Collection) -> Callable[[str, object], object]:
    """The rule "one of ``choices``", to stand inside ``Annotated[str, ...]``."""
    return partial(choice, choices=choices)


@cache
def kinds(signature: Callable | type) -> dict[str, object]:
    """What a function's parameters, or a class's fields, must be: annotations by name."""
    found = get_type_hints(signature, include_extras=True)
    fields = {name: kind for name, kind in found.items() if get_origin(kind) is not ClassVar}
    return {name: kind for name, kind in fields.items() if name != "return"}


def checked(name: str, value: object, kind: object) -> object:
    """The value, if it is of a kind: an annotation such as `Share`, ``int`` or ``FLoRA | None``.

    A number comes back as Python's, a list of numbers or texts as a tuple. What the annotation says
    nothing of that could be checked is taken as it is.
    """
    origin, parts = get_origin(kind), get_args(kind)
    if Path in parts or os.PathLike in parts:  # "str | Path"
        return None if value is None and type(None) in parts else as_path(name, value)
    if type(None) in parts and len(parts) == 2:  # "X | None"
        if value is None:
            return None
        (kind,) = [part for part in parts if part is not type(None)]
        try:
            return checked(name, value, kind)
        except ValueError as error:
            before, got, after = str(error).rpartition(", got ")
            raise ValueError(f"{before}, or None{got}{after}") from None
    if origin is Annotated:
        return parts[1](name, checked(name, value, parts[0]) if get_origin(parts[0]) else value)
    if origin in (tuple, Sequence):
        return _listed(name, value, parts)
    if kind in _PLAIN:
        return _PLAIN[kind](name, value)
    if kind is np.ndarray:
        return numbers(name, value)
    if is_dataclass(kind):
        return instance(name, value, kind, f"an instance of {kind.__name__}")
    return value


def held(function: Callable) -> Callable:
    """Decorate a function: what it is given is held to its annotations, see `checked`."""
    known = signature(function)

    @wraps(function)
    def call(*args, **options):
        return function(*args_held(function, known, args, options)[0], **options)

    return call


def args_held(
    function: Callable, known: Signature, args: tuple, options: dict
) -> tuple[tuple, dict]:
    """What a function is about to be given, each value as `checked` returns it.

    What does not fit the signature at all is left to Python's own TypeError.
    """
    rules = kinds(function)
    names = [p.name for p in known.parameters.values() if p.kind is not p.VAR_POSITIONAL]
    both = [checked(n, v, rules.get(n)) for n, v in zip(names, args, strict=False)]
    for name, value in options.items():
        options[name] = checked(name, value, rules.get(name))
    return (*both, *args[len(both) :]), options


def _listed(name: str, values: object, parts: tuple) -> tuple:
    fixed = len(parts) if Ellipsis not in parts and len(parts) > 1 else None
    rule = f"{fixed} values" if fixed else "a list"
    try:
        found = listed(name, values)
    except ValueError:
        raise fail(name, rule, values) from None
    if fixed and len(found) != fixed:
        raise fail(name, rule, found)
    return tuple(checked(f"{name}[{k}]", value, parts[0]) for k, value in enumerate(found))


def check_fields(value: object) -> None:
    """Hold every field of a frozen dataclass to its annotation; for its own ``__post_init__``."""
    for name, kind in kinds(type(value)).items():
        object.__setattr__(value, name, checked(name, getattr(value, name), kind))
