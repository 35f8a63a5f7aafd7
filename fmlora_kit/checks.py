"""One checker for what comes in: each function returns the value, or says what it must be.

Every error reads ``NAME must be RULE, got VALUE``, with the value shortened to about 80 letters.
Types come before ranges, so that a text, a NaN or a truth value never reaches an arithmetic test;
numpy's numbers are taken for what they are and come back as Python's. This module serves all rooms
and imports none.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Collection, Iterable
from numbers import Real

import numpy as np

LETTERS = 80


def shown(value: object, letters: int = LETTERS) -> str:
    """The value for an error: its repr, cut to about ``letters``; large arrays are not printed."""
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
    """A whole number between ``low`` and ``high``, both included; no truth value, no 2.5.

    Raises:
        ValueError: it is none, or out of range.
    """
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
    """A finite number; ``low`` and ``high`` are included, ``above`` and ``below`` are not.

    Raises:
        ValueError: it is no number, not finite, or out of range.
    """
    range_ = _bounds(low, high, above, below).strip()
    rule = f"a finite number{' ' if range_ else ''}{range_}"
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real | np.number):
        raise fail(name, rule, value)
    if isinstance(value, np.complexfloating) or not math.isfinite(value):
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
    """True or False, and nothing that merely counts as one.

    Raises:
        ValueError: it is neither.
    """
    if not isinstance(value, bool | np.bool_):
        raise fail(name, "True or False", value)
    return bool(value)


def text(name: str, value: object) -> str:
    """A text that is not empty and can be written as UTF-8.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, str) or not value.strip():
        raise fail(name, "a text that is not empty", value)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise fail(name, "a text that UTF-8 can hold", value) from None
    return value


def choice(name: str, value: object, choices: Collection) -> object:
    """One of ``choices``.

    Raises:
        ValueError: it is none of them; they are listed.
    """
    known = list(choices)
    if not any(type(value) is type(each) and value == each for each in known):
        raise fail(name, f"one of {shown(tuple(known), 400)}", value)
    return value


def instance(name: str, value: object, kinds: type | tuple[type, ...], what: str) -> object:
    """A value of a type, called ``what`` in the error ("a Budget").

    Raises:
        ValueError: it is of another.
    """
    if not isinstance(value, kinds):
        raise fail(name, what, value)
    return value


def different(name: str, values: Iterable) -> tuple:
    """The values as a tuple, each of them once.

    Raises:
        ValueError: one stands there twice, or it is a text instead of a list.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise fail(name, "a list", values)
    listed = tuple(values)
    if any(value in listed[:k] for k, value in enumerate(listed)):  # some may not be hashable
        raise fail(name, "different from each other", listed)
    return listed


def _bounds(
    low: float | None, high: float | None, above: float | None = None, below: float | None = None
) -> str:
    """` at least 1`, ` between 0 and 1`, ` above 0 and at most 1`; empty without bounds."""
    if low is not None and high is not None:
        return f" between {low} and {high}"
    words = ((above, "above"), (low, "at least"), (high, "at most"), (below, "below"))
    said = [f"{word} {bound}" for bound, word in words if bound is not None]
    return f" {' and '.join(said)}" if said else ""
