"""Which images of a data set become which tasks: drawn per class, by seed."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np

from fmlora_kit import checks
from fmlora_kit.streams.pixel_cache import Read
from fmlora_kit.streams.task import Task

PARTS = ("train", "test")
LONGEST_NAME = 18  # letters of a task's name that the labels of figures have room for


@dataclass(frozen=True)
class ClassItems:
    """One class, as a person calls it, and what each of its images is read from, such as a path."""

    name: str
    train: tuple
    test: tuple

    def at_most(self, n_train: int | None, n_test: int | None, seed: int) -> ClassItems:
        """This class with at most so many images, drawn by the seed (None: all)."""
        train = draw(self.train, n_train, seed, f"{self.name}, train")
        return ClassItems(self.name, train, draw(self.test, n_test, seed, f"{self.name}, test"))


def draw(items: Sequence, n: int | None, seed: int, key: str) -> tuple:
    """At most ``n`` items at random, in the order they came; more items for a larger ``n``.

    None, or more than there are, are all. The ``key`` makes draws with one seed independent.
    """
    if n is None or n >= len(items):
        return tuple(items)
    rng = np.random.default_rng([seed, zlib.crc32(key.encode())])
    return tuple(items[i] for i in sorted(rng.permutation(len(items))[:n]))


def split(name: str, items: Sequence, test_share: float, seed: int, key: str) -> ClassItems:
    """A class whose images are divided at random: ``test_share`` of them, rounded, for testing.

    Fewer than two images, of which a part would be empty, are a ValueError.
    """
    if len(items) < 2:
        raise ValueError(f"{key} must have at least 2 images (train and test), got {len(items)}")
    n_test = min(max(1, round(test_share * len(items))), len(items) - 1)
    test = draw(items, n_test, seed, f"{key}, split")
    held_out = set(test)
    return ClassItems(name, tuple(item for item in items if item not in held_out), test)


def split_all(
    classes: Mapping[str, Sequence], test_share: float, seed: int, within: str = ""
) -> list[ClassItems]:
    """`split` for each class, name -> items; ``within``, such as a domain, goes before its key."""
    return [split(name, each, test_share, seed, within + name) for name, each in classes.items()]


def order_of_classes(n_classes: int, class_order: int | None) -> list[int]:
    """The official class numbers, from 0, in the order they are learnt.

    None is the data set's own order; a number, which must be a seed that NumPy takes, means the
    permutation of ``numpy.random.seed(class_order); numpy.random.permutation(n_classes)``. 1993 is
    the one of iCaRL, PyCIL and SD-LoRA.
    """
    if class_order is None:
        return list(range(n_classes))
    class_order = checks.integer("class_order", class_order, 0, 2**32 - 1)
    return np.random.RandomState(class_order).permutation(n_classes).tolist()


def order_in_words(class_order: int | None, own: str) -> str:
    """For `describe`: what `order_of_classes` does, where ``own`` is the data set's order."""
    return own if class_order is None else f"permutation of seed {class_order}"


def in_order(
    classes: Sequence[ClassItems], chosen: Sequence[str] | None, class_order: int | None
) -> list[ClassItems]:
    """The classes in the order they are learnt: those ``chosen`` by name, or all of them.

    Raises:
        ValueError: a name is unknown or there twice, or an order is asked for besides.
    """
    if chosen is None:
        return [classes[k] for k in order_of_classes(len(classes), class_order)]
    if class_order is not None:
        raise checks.fail("class_order", "None where classes are given in their order", class_order)
    by_name = {each.name: each for each in classes}
    return [by_name[name] for name in check_names("classes", chosen, by_name)]


def task_sizes(
    n_classes: int,
    n_tasks: int | Sequence[int] | None,
    first: int | None = None,
    what: str = "n_tasks",
) -> list[int]:
    """How many classes each task has.

    Args:
        n_classes: of the whole stream.
        n_tasks: how many tasks, of equally many classes; or their sizes, as (50, 10, 10).
        first: classes of the first task, if it has more or fewer than the others.
        what: how the caller names ``n_tasks``.

    Raises:
        ValueError: the classes do not come out even; says which numbers would.
    """
    if isinstance(n_tasks, Sequence) and not isinstance(n_tasks, str):
        sizes = [checks.integer(what, size, 1) for size in n_tasks]
        if first is not None or sum(sizes) != n_classes:
            rule = f"sizes of tasks, {n_classes} classes in all"
            raise checks.fail(what, rule, tuple(n_tasks))
        return sizes
    first_sizes = [] if first is None else [checks.integer("first_task", first, 1, n_classes - 1)]
    left = n_classes - sum(first_sizes)
    fitting = [len(first_sizes) + k for k in range(1, left + 1) if left % k == 0]
    if n_tasks is None or checks.integer(what, n_tasks) not in fitting:
        rule = f"divide the {left} classes" + f" behind the first {first}" * bool(first_sizes)
        other = "or be how many each task has, as (50, 10, 10)"
        raise ValueError(f"{what} must {rule} ({fitting}) {other}, got {checks.shown(n_tasks)}")
    n_equal = n_tasks - len(first_sizes)
    return first_sizes + [left // n_equal] * n_equal


def class_incremental(
    classes: Sequence[ClassItems], n_tasks: int | Sequence[int] | None, read: Read
) -> tuple[Task, ...]:
    """Tasks of some classes each, in the given order, numbered from 0 in that order.

    A task is called "leaves, petals" where that is short for all of them, else "classes 0 to 9".
    ``n_tasks`` as in `task_sizes`; ``read`` as in `make_tasks`.
    """
    sizes = task_sizes(len(classes), n_tasks)
    ends = np.cumsum([0, *sizes]).tolist()
    names = [", ".join(each.name for each in classes[a:b]) for a, b in pairwise(ends)]
    if max(map(len, names)) > LONGEST_NAME or len(set(names)) < len(names):
        spans = ((a, b - 1) for a, b in pairwise(ends))
        names = [f"classes {a} to {b}" if b > a else f"class {a}" for a, b in spans]
    plans = (classes[a:b] for a, b in pairwise(ends))
    return make_tasks(dict(zip(names, plans, strict=True)), read, ends[:-1])


def make_tasks(
    plans: Mapping[str, Sequence[ClassItems]], read: Read, firsts: Sequence[int] | None = None
) -> tuple[Task, ...]:
    """One task per plan, in order.

    Args:
        plans: the name of a task -> its classes.
        read: the items of all parts, the training parts of all tasks before the test parts -> the
            images of each, uint8, (n, height, width, 3).
        firsts: the number of each task's first class; None: 0, the same classes in every task.
    """
    items = {(k, part): [getattr(c, part) for c in plans[k]] for part in PARTS for k in plans}
    read_all = read([tuple(chain.from_iterable(each)) for each in items.values()])
    images = dict(zip(items, read_all, strict=True))
    tasks = []
    for (name, plan), first in zip(plans.items(), firsts or [0] * len(plans), strict=True):
        ids = np.arange(first, first + len(plan), dtype=np.int64)
        labels = [ids.repeat([len(each) for each in items[name, part]]) for part in PARTS]
        train, test = zip((images[name, part] for part in PARTS), labels, strict=True)
        tasks.append(Task(name, tuple(ids.tolist()), tuple(c.name for c in plan), *train, *test))
    return tuple(tasks)


def check_names(what: str, names: Sequence[str], among: Collection[str]) -> tuple[str, ...]:
    """The names, if they are at least one, and different ones ``among`` those there are."""
    rule = f"different names among {checks.shown(tuple(among), 400)}"
    try:
        listed = checks.listed(what, names)
    except ValueError:
        raise checks.fail(what, rule, names) from None
    known = all(isinstance(name, str) and name in among for name in listed)
    if not listed or not known or len(set(listed)) < len(listed):
        raise checks.fail(what, rule, listed)
    return listed


def check_share(test_share: float) -> float:
    """The fraction held out for testing, if it is above 0 and below 1 (else a ValueError)."""
    return checks.number("test_share", test_share, above=0, below=1)


def check_numbers(
    seed: int, image_size: int, n_train: int | None, n_test: int | None
) -> tuple[int, int, int | None, int | None]:
    """What every stream of files takes, as Python's own numbers.

    The seed is at least 0, ``image_size`` at least 1 pixel; ``n_train`` and ``n_test``, images per
    class, are at least 1, or None. Anything else is a ValueError.
    """
    limits = (("n_train", n_train), ("n_test", n_test))
    return (
        checks.integer("seed", seed, 0),
        checks.integer("image_size", image_size, 1),
        *(None if n is None else checks.integer(name, n, 1) for name, n in limits),
    )


def partial_note(missing: Sequence[str], n_train: int | None, n_test: int | None) -> str | None:
    """What a stream lacks of its data set, in words; None if nothing.

    That is what is ``missing`` on the disk, one phrase each, and the asked limits per class.
    """
    limits = (("training", n_train), ("test", n_test))
    asked = [f"at most {n} {which} images per class" for which, n in limits if n is not None]
    return "; ".join([*missing, *asked]) or None
