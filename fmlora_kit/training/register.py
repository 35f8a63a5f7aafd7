"""A method of one's own, told to the kit: comparisons, records, tables and figures then know it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from inspect import isabstract, signature

from fmlora_kit.checks import fail, shown, text
from fmlora_kit.methods import METHODS, Method
from fmlora_kit.record.names import NAMES


def register(method: type[Method], title: str | None = None) -> type[Method]:
    """Put a method's class into `METHODS`; returns the class, so that it decorates one as well.

    Then `from_record` rebuilds it, `compare` runs it under its ``name``, and figures and tables
    call it ``title``. The same class again, as when a cell of a notebook is run twice, takes its
    own place.

    Args:
        method: a subclass of `fmlora_kit.methods.Method`, with a ``name`` of its own.
        title: what people call it; default: its name, with blanks.

    Raises:
        ValueError: it is no such class, its name is no identifier or another method's, it cannot be
            made from a backbone and a number of classes, a method of it is abstract, or it trains
            what it does not put into the record.
    """
    if not isinstance(method, type) or not issubclass(method, Method):
        raise fail("method", "a class that extends fmlora_kit.methods.Method", method)
    if "name" not in vars(method) or not str(method.name).isidentifier():
        rule = "set in the class to letters, digits and underscores"
        raise fail(f"{method.__name__}.name", rule, vars(method).get("name"))
    known = METHODS.get(method.name)
    if known is not None and _place(known) != _place(method):
        rule = f"a new one, as {'.'.join(_place(known))} has it already"
        raise fail(f"{method.__name__}.name", rule, method.name)
    if isabstract(method):
        missing = ", ".join(sorted(method.__abstractmethods__))
        raise ValueError(f"{method.__name__} must define what is abstract, got none of {missing}")
    _check_arguments(method)
    _check_record(method)
    if title is not None:
        NAMES[method.name] = text("title", title)
    METHODS[method.name] = method
    return method


def registered(names: Iterable[str]) -> tuple[tuple[type[Method], str | None], ...]:
    """Those of the methods called so that are not the kit's, each with its title."""
    found = (METHODS[name] for name in dict.fromkeys(names) if name in METHODS)
    own = (each for each in found if not each.__module__.startswith("fmlora_kit."))
    return tuple((each, NAMES.get(each.name)) for each in own)


def is_importable(method: type[Method]) -> bool:
    """Can another process find the class? Not if a notebook or a function defines it."""
    module = sys.modules.get(method.__module__)
    file = getattr(module, "__file__", None) is not None
    return file and getattr(module, method.__qualname__, None) is method


def _place(method: type[Method]) -> tuple[str, str]:
    """Module and name; a script is "__main__" to itself, "__mp_main__" to its processes."""
    module = method.__module__
    return "__main__" if module == "__mp_main__" else module, method.__qualname__


def _check_arguments(method: type[Method]) -> None:
    options = {"seed": 0, "lr": None, "head_lr": 5e-3, "head": None}
    if method.needs_n_tasks:
        options["n_tasks"] = 1
    try:
        signature(method).bind("backbone", 1, **options)
    except TypeError as error:
        rule = "take (backbone, n_classes, **options), options with defaults, all from Method's on"
        raise ValueError(f"{method.__name__}() must {rule}, got {error}") from None


def _check_record(method: type[Method]) -> None:
    def has(verb: str) -> bool:
        return getattr(method, verb) is not getattr(Method, verb)

    both = "snapshot and restore"
    if has("snapshot") != has("restore"):
        one = "snapshot" if has("snapshot") else "restore"
        raise ValueError(f"{method.__name__} must define {both}, got {one} alone: {shown(method)}")
    if has("parts") and not has("snapshot") and not has("kept"):
        raise ValueError(
            f"{method.__name__} must define {both}, or kept, got none of them: what parts() "
            "trains would not be in the record, and time travel would give another model"
        )
