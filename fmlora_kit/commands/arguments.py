"""What the programs share: a parser that says one line, and the types of arguments."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path


def make_parser(command: str, about: str, example: str) -> argparse.ArgumentParser:
    """A parser whose ``--help`` ends in an example.

    Args:
        command: the name behind ``fmlora``, such as "demo".
        about: one or two sentences.
        example: a command line that works as it stands.
    """
    return argparse.ArgumentParser(
        prog=f"fmlora {command}",
        description=about,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def whole(low: int, high: int | None = None) -> Callable[[str], int]:
    """The type of an argument that is a whole number, at least ``low`` and at most ``high``."""
    rule = f"a whole number at least {low}" + ("" if high is None else f" and at most {high}")

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be {rule}, got {text[:80]!r}") from None
        if number < low or (high is not None and number > high):
            raise argparse.ArgumentTypeError(f"must be {rule}, got {number}")
        return number

    return parse


def names(choices: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """The type of an argument that lists some of ``choices`` with commas between, or says all."""

    def parse(text: str) -> tuple[str, ...]:
        if text.strip() == "all":
            return tuple(choices)
        found = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
        if unknown := [name for name in found if name not in choices]:
            raise argparse.ArgumentTypeError(
                f"must be all or among {', '.join(choices)}, got {unknown[0][:80]!r}"
            )
        return found

    return parse


def out_folder(text: str) -> Path:
    """The type of an argument that names a folder to write in, made later if it is missing."""
    path = Path(text)
    nearest = next(each for each in (path, *path.absolute().parents) if each.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise argparse.ArgumentTypeError(f"must be a folder that can be written, got {text!r}")
    return path
