"""How a check works: a participant's function is asked, in order, what each probe wants to know.

A probe is made so that one cause alone shows in its answer, and the first that fails names that
cause. So the order of the probes is the work: a later one may take for granted what earlier ones
have settled. A probe raises `Mistake`; nothing leaves `judged` but a `Result`, whatever the
participant's function does.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import numpy as np
import torch

from fmlora_kit.checks import shown

LETTERS = 400  # of a message: four lines of a notebook
NOT_WRITTEN = "not written yet."
CLOSE = 1e-4  # float32 passes
_MARKS = {True: ("✓", "#1b7837"), False: ("✗", "#b2182b"), None: ("…", "#555555")}


@dataclass(frozen=True, eq=False)
class Result:
    """What a check found; as text and as HTML, the sign and the colour only repeat the words.

    Attributes:
        name: of the function.
        passed: whether every probe did.
        message: one sentence or two: which cause the first failing probe points at.
    """

    name: str
    passed: bool
    message: str

    @property
    def written(self) -> bool:
        """False where the exercise is still to be done."""
        return self.message != NOT_WRITTEN

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        words = "right. " if self.passed else "not yet. " if self.written else ""
        return f"{self.name}: {words}{self.message}"

    def _repr_html_(self) -> str:
        sign, color = _MARKS[self.passed if self.written else None]
        style = f"border-left: 4px solid {color}; padding: 0.4em 0.8em; max-width: 60em"
        said = f'<span aria-hidden="true">{sign} </span>{escape(repr(self))}'
        return f'<div role="status" style="{style}">{said}</div>'


class Mistake(Exception):  # noqa: N818 - no error of ours: it carries what a probe has to say
    """A probe failed: the message asks for the cause, or names it."""


class NotWritten(Exception):  # noqa: N818
    """The function is the empty one of the exercise."""


class Asked:
    """A participant's function: called with copies, its answer comes back as an array.

    Attributes:
        name: what messages call it.
    """

    def __init__(self, name: str, function: Callable):
        self.name, self.function = name, function

    def __call__(self, *inputs: object, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """The answer as float64; `Mistake` if it raises, is no number, or has another shape."""
        answer = self.raw(*inputs)
        try:
            numbers = as_array(answer)
        except Exception:  # of whatever a stranger's object does when it is made an array
            rule = f"{self.name} should give numbers; it gives {shown(answer)}."
            raise Mistake(rule) from None
        if shape is not None and numbers.shape != shape:
            sizes = f"{_size(shape)}; yours is {_size(numbers.shape)}"
            raise Mistake(f"The answer to {self.said(inputs)} should be {sizes}.")
        return numbers

    def raw(self, *inputs: object) -> object:
        """The answer as it is. Inputs must come out of the call as they went in."""
        given = [_copied(value) for value in inputs]
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                answer = self.function(*given)
        except NotImplementedError:
            raise NotWritten from None
        except (Exception, SystemExit) as error:
            words = f"{type(error).__name__}: {_one_line(error)}".removesuffix(": ")
            raise Mistake(f"{self.name} raises {words} (asked {self.said(inputs)}).") from None
        if answer is None or answer is NotImplemented or answer is ...:
            raise NotWritten
        for name, before, after in zip(self._parameters(given), inputs, given, strict=False):
            if not _same(before, after):
                raise Mistake(
                    f"{self.name} changes `{name}` in place: whoever called it still needs the old "
                    "one. Can the answer be a new array?"
                )
        return answer

    def said(self, inputs: tuple) -> str:
        """The probe in words: name and value, or shape, of every input."""
        names = self._parameters(inputs)
        return ", ".join(f"{k} = {_brief(v)}" for k, v in zip(names, inputs, strict=False))

    def _parameters(self, inputs: object) -> list[str]:
        try:
            names = list(inspect.signature(self.function).parameters)
        except Exception:  # builtins have none, a stranger's object may do anything
            names = []
        return [*names, *(f"input {k + 1}" for k in range(len(names), len(inputs)))]


def judged(name: str, function: object, probes: Callable[[Asked], int]) -> Result:
    """Ask the probes, which return how many they are; never raises."""
    if not callable(function):
        return Result(name, False, f"It should be a function, got {shown(function)}.")
    try:
        n = probes(Asked(name, function))
    except NotWritten:
        return Result(name, False, NOT_WRITTEN)
    except Mistake as mistake:
        text = str(mistake)
        return Result(name, False, text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…")
    except Exception as error:  # a fault of the probes is no fault of the participant's
        words = f"{type(error).__name__}: {_one_line(error)}"
        return Result(name, False, f"The check itself fails ({words}): please tell the teacher.")
    return Result(name, True, f"It passes all {n} probes.")


def as_array(value: object) -> np.ndarray:
    """A number, a list, a numpy array or a torch tensor as float64."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().double().numpy()
    elif isinstance(value, list | tuple):
        value = [as_array(part) for part in value]
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise ValueError("no numbers")
    return array.astype(np.float64)


def near(one: object, other: object, tolerance: float = CLOSE) -> bool:
    """Whether two answers are equal but for rounding (of float32, unless told)."""
    one, other = as_array(one), as_array(other)
    return one.shape == other.shape and bool(
        np.allclose(one, other, rtol=tolerance, atol=tolerance)
    )


def compare(
    got: np.ndarray, right: object, causes: dict[str, object], otherwise: str, tolerance=CLOSE
) -> None:
    """Raise the first cause whose answer ``got`` is, or ``otherwise``; nothing if it is right."""
    if near(got, right, tolerance):
        return
    for message, wrong in causes.items():
        if near(got, wrong, tolerance):
            raise Mistake(message)
    raise Mistake(otherwise)


def digits(value: object) -> str:
    """A number, or a short list of numbers, for a message."""
    array = as_array(value)
    return f"{float(array):.3g}" if not array.ndim else np.array2string(array, precision=3)


def _copied(value: object) -> object:
    if isinstance(value, torch.Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)
    return copy.deepcopy(value)


def _same(before: object, after: object) -> bool:
    if isinstance(before, torch.Tensor):
        return before.shape == after.shape and torch.equal(before.detach(), after.detach())
    if isinstance(before, np.ndarray):
        return before.shape == after.shape and np.array_equal(before, after, equal_nan=True)
    return before == after


def _brief(value: object) -> str:
    if isinstance(value, np.ndarray | torch.Tensor) and as_array(value).size > 9:
        return f"an array {_size(tuple(value.shape))}"
    if isinstance(value, np.ndarray | torch.Tensor):
        return " ".join(np.array2string(as_array(value), precision=3, separator=", ").split())
    return shown(value)


def _size(shape: tuple[int, ...]) -> str:
    return f"of shape {shape}" if shape else "one number"


def _one_line(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())
    except Exception:  # an error of a stranger's class may fail to say what it is
        text = ""
    return text if len(text) <= 160 else f"{text[:159]}…"
