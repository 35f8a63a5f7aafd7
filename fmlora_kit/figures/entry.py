"""What every figure is given: held to its kind, and its names made plain text for plotly.

Plotly reads every text as markup: ``<a href=...>`` in a task's name would be a link, ``R<sub>D`` a
subscript, ``%{x}`` a number and ``$...$`` a formula. `draws` stands at each figure, so that names
are escaped there and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import wraps
from html import escape, unescape
from inspect import signature

from fmlora_kit import checks


def plain(value: object) -> object:
    """The value with all texts in it escaped, so that plotly shows them letter by letter.

    Texts are looked for in tuples, lists, mappings (keys too) and dataclasses. Where there is
    nothing to escape, the very same object is returned.
    """
    if isinstance(value, str):
        text = escape(value, quote=False).replace("$", "&#36;").replace("%{", "%&#123;")
        return value if text == value else text
    if isinstance(value, Mapping):
        keys, parts = plain(tuple(value)), plain(old := tuple(value.values()))
        same = keys == tuple(value) and parts is old
        return value if same else dict(zip(keys, parts, strict=True))
    if isinstance(value, tuple | list):
        parts = [plain(each) for each in value]
        same = all(a is b for a, b in zip(parts, value, strict=True))
        return value if same else type(value)(parts)
    if is_dataclass(value) and not isinstance(value, type):
        found = {each.name: getattr(value, each.name) for each in fields(value) if each.init}
        changes = {name: plain(each) for name, each in found.items()}
        changes = {name: each for name, each in changes.items() if each is not found[name]}
        return replace(value, **changes) if changes else value
    return value


def draws(
    kind: type | None = None, *, alone: bool = True, forms: tuple[type, ...] = ()
) -> Callable:
    """Decorate a figure: its arguments are checked, the names in all of them become plain.

    The first is held to ``kind``, the others to their annotations (`checks.checked`).

    Args:
        kind: of the first argument; None: the figure checks it itself.
        alone: whether it may be one value of that kind.
        forms: whether it may be several: ``Mapping`` (by label), ``list`` (or any iterable).
    """

    def decorate(draw: Callable) -> Callable:
        known = signature(draw)
        name = next(iter(known.parameters))

        @wraps(draw)
        def drawn(*args, **settings):
            if kind is not None and args:
                args = (_checked(name, args[0], kind, alone, forms), *args[1:])
            elif name in settings and kind is not None:
                settings[name] = _checked(name, settings[name], kind, alone, forms)
            args, settings = checks.args_held(draw, known, args, settings)
            try:
                return draw(*plain(args), **plain(settings))
            except ValueError as error:  # it names what was given, as it was given
                error.args = tuple(unescape(a) if isinstance(a, str) else a for a in error.args)
                raise

        return drawn

    return decorate


def _checked(name: str, value: object, kind: type, alone: bool, forms: tuple) -> object:
    """The value, if it is of the kind or in one of the forms; an iterable comes back as a list."""
    one = f"{'an' if kind.__name__[0] in 'AEIOU' else 'a'} {kind.__name__}"
    more = f"{kind.__name__.removesuffix('s')}s"  # Records, Explanations
    words = [one] * alone + [f"{more} by label"] * (Mapping in forms)
    rule = " or ".join(words + [f"a list of {more}"] * (list in forms))
    if alone and isinstance(value, kind):
        return value
    if isinstance(value, Mapping) and Mapping in forms:
        several = value.values()
    elif list in forms:
        try:
            several = value = list(checks.listed(name, value))
        except ValueError:
            raise checks.fail(name, rule, value) from None
    else:
        raise checks.fail(name, rule, value)
    for each in several:
        checks.instance(name, each, kind, rule)
    return value
