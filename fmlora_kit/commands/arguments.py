"""What the programs share: a parser that says one line, and the types of arguments.

An error of an argument reads ``fmlora demo: error: --seeds must be RULE, got VALUE`` and ends the
program with status 2.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from math import inf
from pathlib import Path
from typing import NoReturn

from fmlora_kit.checks import as_path, shown


class Parser(argparse.ArgumentParser):
    """argparse's, whose errors are one line in the words of this package."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line, and leave with status 2."""
        message = re.sub(r"^argument (\S+): must ", r"\1 must ", one_line(message))
        self.exit(2, f"{self.prog}: error: {message}\n")

    def parse_known_args(self, args=None, namespace=None):
        """argparse's, but what is left over is an error here, also in a sub-command."""
        found, left = super().parse_known_args(args, namespace)
        if left:
            first = left[0].partition("=")[0]
            near = suggest(first, self._option_string_actions) or "; --help lists them"
            self.error(f"{first} is no argument of it{near}")
        return found, left

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(action, _not_among(value, list(action.choices)))


def make_parser(command: str, about: str, example: str) -> Parser:
    """A parser whose ``--help`` ends in an example: command lines that work as they stand."""
    return Parser(prog=f"fmlora {command}", **_words(about, example))


def add_command(commands, name: str, about: str, example: str) -> Parser:
    """The parser of a sub-command; ``commands`` is what ``add_subparsers`` returns."""
    words = _words(f"{about[0].upper()}{about[1:]}.", example)
    return commands.add_parser(name, help=about, **words)


def one_line(error: BaseException | str) -> str:
    """What an error says, without line breaks; its type if it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def suggest(name: str, known: Collection[str]) -> str:
    """``; did you mean 'demo'?``, or nothing if nothing known is near."""
    near = get_close_matches(name.lower(), list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def whole(low: int, high: float = inf) -> Callable[[str], int]:
    """The type of an argument that is a whole number, at least ``low`` and at most ``high``."""
    rule = f"a whole number at least {low}" + (f" and at most {high}" if high < inf else "")

    def parse(text: str) -> int:
        found: str | int = text
        with suppress(ValueError):
            found = int(text)
        if isinstance(found, str) or not low <= found <= high:
            raise argparse.ArgumentTypeError(f"must be {rule}, got {shown(found)}")
        return found

    return parse


def names(choices: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """The type of an argument that lists some of ``choices`` with commas between, or says all."""

    def parse(text: str) -> tuple[str, ...]:
        if text.strip() == "all":
            return tuple(choices)
        found = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
        if unknown := [name for name in found if name not in choices]:
            raise argparse.ArgumentTypeError(_not_among(unknown[0], choices, "all or among"))
        return found

    return parse


def a_path(text: str) -> Path:
    """The type of an argument that is a path: not empty, not too long, without a byte 0."""
    try:
        return as_path("it", text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("it ")) from None


def folder(text: str) -> Path:
    """The type of an argument that is a folder which is there, and is read."""
    path = a_path(text)
    if not path.is_dir():
        what = "a file" if path.exists() else "none there"
        raise argparse.ArgumentTypeError(f"must be a folder, got {shown(text)}: {what}")
    return path


def out_folder(text: str) -> Path:
    """The type of an argument that is a folder to be written: there, or one that can be made."""
    path, rule = a_path(text), "must be a folder"
    there = nearest(path)
    if not there.is_dir():
        raise argparse.ArgumentTypeError(f"{rule}, got {shown(text)}: {there} is a file")
    if not os.access(there, os.W_OK):
        rule += " that can be written"
        raise argparse.ArgumentTypeError(f"{rule}, got {shown(text)}: {there} cannot")
    return path


def nearest(path: Path) -> Path:
    """The path, or the nearest above it, that is there."""
    return next((each for each in (path, *path.absolute().parents) if each.exists()), path)


def json_object(text: str) -> dict:
    """The type of an argument that is a JSON object, such as ``{"lr": 0.001}``."""
    found, rule = None, 'must be a JSON object like {"name": 1}'
    with suppress(ValueError, RecursionError):  # of a thousand brackets, say
        found = json.loads(text)
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f"{rule}, got {shown(text)}")
    return found


def attempt(parser: Parser, option: str, act: Callable[[], object]) -> object:
    """What ``act`` returns; what it refuses is a wrong ``option``, and the program is left."""
    try:
        return act()
    except (ValueError, TypeError, FileNotFoundError) as error:
        parser.error(f"{option}: {error}")


def check_keys(parser: Parser, option: str, given: Mapping, known: Collection[str]) -> None:
    """Leave the program if ``given``, the value of ``option``, has a name that is not known."""
    for name in given:
        if name not in known:
            parser.error(f"{option} {_not_among(name, known, 'have names among')}")


def _words(about: str, example: str) -> dict:
    return {
        "description": about,
        "epilog": "example:\n" + "\n".join(f"  {line}" for line in example.splitlines()),
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "allow_abbrev": False,
    }


def _not_among(value: object, choices: Collection[str], rule: str = "one of") -> str:
    """``must be one of a, b, got 'c'; did you mean 'b'?``."""
    must = rule if rule.startswith("have") else f"be {rule}"
    return f"must {must} {', '.join(choices)}, got {shown(value)}{suggest(str(value), choices)}"
