"""What the fuzz suite shares: values of all kinds, rules that good ones keep, a judge that counts.

A rule is a function of a value: whether a parameter may take it. It is written here a second time,
not by the package's own checker.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import is_dataclass
from decimal import Decimal
from fractions import Fraction
from numbers import Real
from pathlib import Path
from typing import Annotated, get_args, get_origin

import numpy as np
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

TIMES = int(os.environ.get("FUZZ_TIMES", "1"))  # 1: the same inputs each time; more: other ones
HANGS = 20  # seconds of no answer
OUTCOMES = ("clear error", "equal result", "unclear error", "wrong acceptance", "raw traceback")
OUTCOMES += ("hang",)
FINE = OUTCOMES[:2]
CLEAR = (ValueError, OSError, ImportError)  # what the package raises for what it is given
LETTERS = 700
RULE = re.compile(
    r"\bmust\b|\bcannot |does not match |is not valid JSON|newest that this \w+ reads"
)


def examples(n: int) -> settings:
    """So many inputs, and `TIMES` as many where one asks for more; always to the end."""
    return settings(
        max_examples=n * TIMES,
        derandomize=TIMES == 1,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )


class Judge:
    """Counts what became of inputs, and keeps the shortest bad one of each kind."""

    def __init__(self):
        self.counts, self.bad = Counter(), {}

    def __call__(
        self,
        what: str,
        call: Callable[[], object],
        names: Sequence[str] = (),
        same: Callable[[object], bool] = lambda result: False,
    ) -> None:
        """Call with one input; its error is to name one of ``names``, its result to be the same."""
        outcome, said = self._outcome(call, names, same)
        self.count(outcome, what, said)

    def count(self, outcome: str, what: str = "", said: str = "") -> None:
        """Note one outcome, and what was said of which input if it is a bad one."""
        self.counts[outcome] += 1
        if outcome not in FINE:
            kind = outcome, re.sub(r"\d+", "0", f"{what.split('=')[0]}{said.split(',')[0]}")[:80]
            if len(line := f"{outcome}: {what[:200]}: {said}") < len(
                self.bad.get(kind, "x" * 9999)
            ):
                self.bad[kind] = line

    @staticmethod
    def _outcome(call, names, same) -> tuple[str, str]:
        try:
            with within(HANGS), warnings.catch_warnings():
                warnings.simplefilter("error")
                result = call()
        except Hang:
            return "hang", f"more than {HANGS} s"
        except (*CLEAR, SystemExit) as error:
            said = str(error)
            clear = "\n" not in said and len(said) < LETTERS and RULE.search(said)
            clear = clear and (not names or any(name in said for name in names))
            return ("clear error" if clear else "unclear error"), f"{type(error).__name__}: {said}"
        except Exception as error:  # all others are a traceback for whoever calls
            return "raw traceback", f"{type(error).__name__}: {error}"
        return ("equal result", "") if same(result) else ("wrong acceptance", repr(result)[:200])


class Hang(BaseException):
    """An input that is not answered in time."""


@contextmanager
def within(seconds: float):
    """Raise `Hang` after some seconds; where the system has no such alarm, never."""
    if (
        not hasattr(signal, "setitimer")
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return

    def late(*_):
        raise Hang

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# --- values of all kinds --------------------------------------------------------------------------
STRANGE = (
    *(None, True, False, object(), int, len, ...),
    *(
        "",
        " ",
        "x",
        "0",
        "3",
        "1.5",
        "nan",
        "True",
        "\ud800",
        "a\0b",
        "auto",
        "x" * 10**5,
        "é" * 300,
    ),
    *(b"", b"abc", bytearray(b"3"), Path("nowhere"), Path("a\0b")),
    *(0, 1, -1, 2**31, 2**63, 10**30, -(10**30), 2.5, 1.0, -0.5, 1e308, 5e-324),
    *(float("nan"), float("inf"), float("-inf"), 1j, complex("nan")),
    *(Decimal("NaN"), Decimal("0.5"), Decimal(3), Fraction(1, 3), Fraction(7, 2)),
    *(np.float64("nan"), np.float32(0.5), np.float16("inf"), np.int64(-1), np.uint8(255)),
    *(np.bool_(True), np.complex64(1), np.datetime64("NaT"), np.str_("x"), np.array(3)),
    *(
        np.array([]),
        np.array([1.5]),
        np.zeros((2, 2)),
        np.array([None]),
        np.array("x"),
        np.arange(3),
    ),
    *(
        [],
        (),
        {},
        set(),
        [None],
        [[]],
        [1, "x"],
        [float("nan")],
        [-1],
        [True],
        ["x", "x"],
        [10**30],
    ),
    *({"a": 1}, {None: None}, {0: 1}, range(0), range(-2, 1), frozenset((1, "x"))),
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
ANYTHING = st.one_of(
    st.sampled_from(STRANGE),
    st.sampled_from(STRANGE),
    SCALARS,
    st.binary(max_size=5),
    st.complex_numbers(),
    st.lists(SCALARS, max_size=3),
    st.dictionaries(SCALARS, SCALARS, max_size=2),
)


# --- damage of files, and JSON of any form ------------------------------------------------------
PLACE = st.integers(0, 999_999).map(lambda k: k / 10**6)
DAMAGE = st.one_of(  # a place from 0 to 1, and what is done there
    st.tuples(PLACE, st.integers(0, 7), st.just("flip")),
    st.tuples(PLACE, st.integers(1, 9), st.just("digit")),
    st.tuples(PLACE, st.integers(0, 255), st.just("cut")),
    st.tuples(PLACE, st.integers(0, 255), st.just("insert")),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def damaged(data: bytes, damage) -> bytes:
    """The bytes with one thing done to them."""
    place, value, what = damage
    content = bytearray(data)
    if what == "digit":
        digits = [k for k, byte in enumerate(content) if chr(byte).isdigit()] or [0]
        k = digits[min(int(place * len(digits)), len(digits) - 1)]
        content[k] = ord("0") + (content[k] - ord("0") + value) % 10
        return bytes(content)
    k = min(int(place * len(content)), len(content) - 1)
    if what == "flip":
        content[k] ^= 1 << value
    elif what == "cut":
        del content[k:]
    else:
        content.insert(k, value)
    return bytes(content)


# --- rules ----------------------------------------------------------------------------------------
Rule = Callable[[object], bool]


def whole(low: int | None = None, high: int | None = None) -> Rule:
    """A whole number in a range, whatever its type; no truth value."""

    def fits(value: object) -> bool:
        if isinstance(value, bool | np.bool_) or not hasattr(value, "__index__"):
            return False
        try:
            number = value.__index__()
        except TypeError:
            return False
        return (low is None or number >= low) and (high is None or number <= high)

    return fits


def number(low=None, high=None, above=None, below=None) -> Rule:
    """A finite real number in a range; no truth value."""

    def fits(value: object) -> bool:
        if isinstance(value, bool | np.bool_ | np.complexfloating):
            return False
        if not isinstance(value, Real | np.number) or not abs(value) < float("inf"):
            return False
        return (
            (low is None or value >= low)
            and (high is None or value <= high)
            and (above is None or value > above)
            and (below is None or value < below)
        )

    return fits


def flag(value: object) -> bool:
    """True or False."""
    return isinstance(value, bool | np.bool_)


def text(value: object) -> bool:
    """A text that is not blank and can be written down."""
    return (
        isinstance(value, str) and bool(value.strip()) and not re.search(r"[\ud800-\udfff]", value)
    )


def place(value: object) -> bool:
    """A path where something could lie or be written."""
    return text(str(value)) and isinstance(value, str | Path) and "\0" not in str(value)


def among(*choices: object) -> Rule:
    """One of some values, of the same type."""
    return lambda value: any(type(value) is type(each) and value == each for each in choices)


def a(*kinds: type) -> Rule:
    """An instance."""
    return lambda value: isinstance(value, kinds)


def either(*rules: Rule | None) -> Rule:
    """What one of several rules takes; None is a rule that takes None."""
    return lambda value: any(value is None if rule is None else rule(value) for rule in rules)


def listing(item: Rule, n: int | None = None, least: int = 0) -> Rule:
    """A list of what a rule takes; no text, no mapping."""

    def fits(value: object) -> bool:
        if isinstance(value, str | bytes | bytearray | dict) or not isinstance(value, Iterable):
            return False
        try:
            items = list(value)
        except TypeError:
            return False
        return len(items) >= least and n in (None, len(items)) and all(map(item, items))

    return fits


def never(value: object) -> bool:
    """Nothing is right."""
    return False


def of_kind(kind: object) -> Rule | None:
    """The rule that an annotation of the package says; None where it says none."""
    parts = get_args(kind)
    if type(None) in parts:
        (inner,) = [part for part in parts if part is not type(None)]
        rule = of_kind(inner)
        return rule and either(None, rule)
    if get_origin(kind) is Annotated:
        said = parts[1]
        makers = {"integer": whole, "number": number}
        if said.func.__name__ == "choice":
            return among(*said.keywords["choices"])
        return makers[said.func.__name__](**said.keywords)
    if get_origin(kind) in (tuple, Sequence):
        fixed = len(parts) if Ellipsis not in parts and len(parts) > 1 else None
        return listing(of_kind(parts[0]), fixed)
    if is_dataclass(kind):
        return a(kind)
    return {int: whole(), float: number(), bool: flag, str: text}.get(kind)
