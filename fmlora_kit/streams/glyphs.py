"""The embedded streams drawn from fonts: ``glyphs``, ``moving_styles`` and ``glyph_styles``."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence

import numpy as np

from fmlora_kit import checks
from fmlora_kit.streams.rendering import SCRIPTS, STYLES, render
from fmlora_kit.streams.task import Stream, Task

TASK_STYLES = ("inverted", "stripes", "sketch")  # unseen in pre-training, and far from it


def glyphs(
    n_tasks: int = 10,
    seed: int = 0,
    *,
    scripts: Sequence[str] | None = None,
    barred: str | None = None,
    n_train: int = 30,
    n_test: int = 20,
    styles: Sequence[str] = TASK_STYLES,
) -> Stream:
    """Class-incremental: a task is a writing system, its ten classes are characters.

    Every picture has a random pose, colour and style, the style one that pre-training never saw.

    Args:
        n_tasks: how many writing systems, up to 40, in the order of `SCRIPTS`.
        seed: decides every picture; a task's pictures do not depend on its place in the stream.
        scripts: the writing systems by name, instead of the first ``n_tasks``.
        barred: append one more task: this script's characters again, as new classes, with a bar
            beneath. Behind the script itself it is a near-duplicate; without it, it is novel.
        n_train: training images per class.
        n_test: test images per class.
        styles: the styles that pictures are drawn in, each equally often on average.

    Raises:
        ValueError: a number out of range, an unknown script or style.
    """
    n_tasks = checks.integer("n_tasks", n_tasks, 1, len(SCRIPTS))
    seed = checks.integer("seed", seed, 0)
    scripts = tuple(SCRIPTS)[:n_tasks] if scripts is None else _names("scripts", scripts, SCRIPTS)
    plan = [(name, False) for name in scripts]
    if barred is not None:
        plan.append((checks.choice("barred", barred, SCRIPTS), True))
    how = {"n_train": n_train, "n_test": n_test, "styles": _names("styles", styles, STYLES)}
    tasks, first = [], 0
    for script, bar in plan:
        name, characters = script + ", barred" * bar, SCRIPTS[script]
        tasks.append(_task(name, characters, first, seed, barred=bar, **how))
        first += len(characters)
    return Stream("glyphs", "class-incremental", tuple(tasks), seed)


def moving_styles(
    n_tasks: int = 10, seed: int = 0, *, width: int = 3, n_train: int = 30, n_test: int = 20
) -> Stream:
    """Class-incremental: writing systems as in `glyphs`, and the styles move on from task to task.

    Task t is drawn, for training and for testing, in the styles t .. t + width - 1 of `STYLES`,
    plain print first, in a circle. Neighbours share styles, so that a style does not give a task
    away; what the first task teaches is about the first styles alone.

    Args:
        n_tasks: how many writing systems, up to 40, in the order of `SCRIPTS`.
        seed: decides every picture.
        width: styles a task.
        n_train: training images per class.
        n_test: test images per class.

    Raises:
        ValueError: a number out of range.
    """
    n_tasks = checks.integer("n_tasks", n_tasks, 1, len(SCRIPTS))
    seed, width = checks.integer("seed", seed, 0), checks.integer("width", width, 1, len(STYLES))
    around, tasks, first = tuple(STYLES) * 2, [], 0
    for t, (script, characters) in enumerate(tuple(SCRIPTS.items())[:n_tasks]):
        start = t % len(STYLES)
        how = {"styles": around[start : start + width], "n_train": n_train, "n_test": n_test}
        tasks.append(_task(script, characters, first, seed, **how))
        first += len(characters)
    return Stream("moving_styles", "class-incremental", tuple(tasks), seed)


def glyph_styles(
    n_tasks: int = 10,
    seed: int = 0,
    *,
    characters: str = SCRIPTS["Latin"] + SCRIPTS["Cyrillic"],
    n_train: int = 15,
    n_test: int = 10,
) -> Stream:
    """Domain-incremental: the same characters in every task, another rendering style each time.

    Args:
        n_tasks: how many styles, up to 10, in the order of `STYLES` (plain print first).
        seed: decides every picture.
        characters: the classes, one character each.
        n_train: training images per class and style.
        n_test: test images per class and style.

    Raises:
        ValueError: a number out of range.
    """
    n_tasks = checks.integer("n_tasks", n_tasks, 1, len(STYLES))
    seed = checks.integer("seed", seed, 0)
    checks.different("characters", tuple(checks.text("characters", characters)))
    how = {"n_train": n_train, "n_test": n_test}
    tasks = [
        _task(style, characters, 0, seed, styles=(style,), **how)
        for style in tuple(STYLES)[:n_tasks]
    ]
    return Stream("glyph_styles", "domain-incremental", tuple(tasks), seed)


def _names(what: str, names: Sequence[str], among: Collection[str]) -> tuple[str, ...]:
    """The names, if they are at least one, different and known."""
    if not (names := checks.different(what, names)):
        raise checks.fail(what, "at least one name", names)
    return tuple(checks.choice(what, name, among) for name in names)


def _task(
    name: str,
    characters: str,
    first: int,
    seed: int,
    *,
    styles: Sequence[str],
    n_train: int,
    n_test: int,
    barred: bool = False,
) -> Task:
    n_train, n_test = checks.integer("n_train", n_train, 1), checks.integer("n_test", n_test, 1)
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    classes = np.arange(first, first + len(characters), dtype=np.int64)

    def pictures(n: int) -> tuple[np.ndarray, np.ndarray]:
        each = (character for character in characters for _ in range(n))
        images = [render(c, styles[rng.integers(len(styles))], rng, barred=barred) for c in each]
        return np.stack(images), classes.repeat(n)

    names = tuple(character + "\u0332" * barred for character in characters)
    return Task(name, tuple(classes.tolist()), names, *pictures(n_train), *pictures(n_test))
