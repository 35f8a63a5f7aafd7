"""What a stream is: a sequence of tasks, each seen once, in order."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, pairwise

import numpy as np
from numpy.lib.stride_tricks import as_strided

from fmlora_kit import checks
from fmlora_kit.streams import display

SCENARIOS = ("class-incremental", "domain-incremental")


@dataclass(frozen=True, eq=False, repr=False)
class Task:
    """One task: labelled training and test images.

    Attributes:
        name: what a person calls it, e.g. "Greek".
        classes: ids of its classes, global over the stream, from 0.
        class_names: one name per class, e.g. the character.
        train_images: uint8, (n, height, width, 3); a copy, unless it cannot change: an array that
            is read-only down to its base, or a memory map.
        train_labels: int64, (n,), values from ``classes``; a copy of any integers given.
        test_images: like ``train_images``.
        test_labels: like ``train_labels``.

    Raises:
        ValueError: a part is empty, has another type, dtype or shape, labels foreign to the task,
            or a class without a training image.
    """

    name: str
    classes: tuple[int, ...]
    class_names: tuple[str, ...]
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    def __post_init__(self) -> None:
        checks.text("task name", self.name)
        where = f"task {self.name!r}:"
        put = partial(object.__setattr__, self)
        put("classes", self._class_ids(f"{where} classes"))
        put("class_names", self._class_names(f"{where} class_names"))
        for part in ("train", "test"):
            x, y = f"{part}_images", f"{part}_labels"
            put(x, _checked_images(f"{where} {x}", getattr(self, x)))
            n = len(getattr(self, x))
            put(y, _checked_labels(f"{where} {y}", getattr(self, y), n, self.classes))
        if unseen := sorted(set(self.classes) - set(self.train_labels.tolist())):
            raise ValueError(f"{where} train_labels must show all classes, missing {unseen[:5]}")
        sizes = self.train_images.shape[1:], self.test_images.shape[1:]
        if sizes[0] != sizes[1]:
            got = f"{sizes[0]} and {sizes[1]}"
            raise ValueError(f"{where} train and test images must have one size, got {got}")

    def _class_ids(self, name: str) -> tuple[int, ...]:
        if not (listed := checks.different(name, self.classes)):
            raise checks.fail(name, "at least one", listed)
        return tuple(checks.integer(name, k, 0) for k in listed)

    def _class_names(self, name: str) -> tuple[str, ...]:
        checks.instance(name, self.class_names, list | tuple, "a tuple of names")
        if (n := len(self.class_names)) != len(self.classes):
            rule = f"as many as classes, got {n} names for classes {checks.shown(self.classes)}"
            raise ValueError(f"{name} must be {rule}")
        return tuple(str(checks.text(name, each)) for each in self.class_names)

    @property
    def pairs(self) -> tuple[tuple[int, str], ...]:
        """Each class id with its name."""
        return tuple(zip(self.classes, self.class_names, strict=True))

    def __repr__(self) -> str:
        height, width = self.train_images.shape[1:3]
        return (
            f"Task({self.name!r}, {len(self.classes)} classes, {len(self.train_labels)} training "
            f"and {len(self.test_labels)} test images of {height} x {width} pixels)"
        )

    def _repr_html_(self) -> str:
        return display.task_card(self)


def _checked_images(name: str, images: object) -> np.ndarray:
    """The images, contiguous and read-only: a copy of what the caller could write to later."""
    checks.instance(name, images, np.ndarray, "a numpy array")
    if images.dtype != np.uint8:
        raise ValueError(f"{name} must be uint8 (bytes 0..255), got {images.dtype}")
    if images.ndim == 3 or images.shape[-1:] == (1,):
        rule = "(n, height, width, 3), grey ones with their channel three times"
        raise ValueError(f"{name} must be {rule}, got {images.shape}")
    if images.ndim != 4 or images.shape[-1] != 3 or 0 in images.shape[1:]:
        raise ValueError(f"{name} must be (n, height, width, 3), got {images.shape}")
    if len(images) == 0:
        raise ValueError(f"{name} must hold at least one image, got 0")
    # Of a mapped file `ascontiguousarray` would lose the class that `_end_to_end` looks for.
    sealed = images.flags.c_contiguous and _is_sealed(images)
    kept = images.view() if sealed else np.array(images, order="C", subok=False)
    kept.flags.writeable = False
    return kept


def _is_sealed(images: np.ndarray) -> bool:
    """Can nobody write to it, or is it a file's? Then a buffer filled anew does not reach it."""
    while isinstance(images, np.ndarray) and not isinstance(images, np.memmap):
        if images.flags.writeable:
            return False
        images = images.base
    return images is None or isinstance(images, np.memmap | bytes)


def _checked_labels(name: str, labels: object, n: int, classes: tuple[int, ...]) -> np.ndarray:
    """The labels as a read-only int64 array of its own, whatever integers they were."""
    checks.instance(name, labels, np.ndarray, "a numpy array")
    if labels.shape != (n,):
        raise ValueError(f"{name} must be one per image, shape ({n},), got {labels.shape}")
    if labels.dtype.kind not in "iu":
        raise ValueError(f"{name} must be integers, got {labels.dtype}")
    if foreign := sorted(set(labels.tolist()) - set(classes)):
        raise ValueError(f"{name} must be classes of the task, got {foreign[:5]}")
    own = np.array(labels, dtype=np.int64, order="C", subok=False)
    own.flags.writeable = False
    return own


@dataclass(frozen=True, repr=False)
class Stream:
    """Tasks in the order they are seen.

    Attributes:
        name: e.g. "glyphs".
        scenario: "class-incremental" (new classes in every task, no task identity at test time) or
            "domain-incremental" (the same classes in every task, in another input domain).
        tasks: the tasks, in order.
        seed: what the images were drawn with.
        about: further words for `describe`, such as the source, the split, and what is partial.

    Raises:
        ValueError: a value of another type, unknown scenario, no task, images of several sizes,
            two tasks with one name, classes that overlap (class-incremental) or differ
            (domain-incremental), a class with two names.
    """

    name: str
    scenario: str
    tasks: tuple[Task, ...]
    seed: int
    about: Mapping[str, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checks.text("stream name", self.name)
        checks.choice("scenario", self.scenario, SCENARIOS)
        checks.instance("tasks", self.tasks, list | tuple, "a tuple of tasks")
        for task in self.tasks:
            checks.instance("tasks", task, Task, "a tuple of tasks")
        if not self.tasks:
            raise ValueError(f"stream {self.name!r} must have at least one task, got none")
        checks.instance("about", self.about, Mapping, "words by name")
        for key, value in self.about.items():
            checks.text("about", key)
            checks.instance(f"about[{key!r}]", value, str | None, "a text or None")
            if value:
                checks.text(f"about[{key!r}]", value)
        object.__setattr__(self, "tasks", tuple(self.tasks))
        object.__setattr__(self, "seed", checks.integer("seed", self.seed, 0))
        checks.different("names of tasks", (task.name for task in self.tasks))
        sizes = {task.train_images.shape[1:] for task in self.tasks}
        if len(sizes) > 1:
            raise ValueError(f"images must have one size in all tasks, got {sorted(sizes)}")
        if self.scenario == "class-incremental":
            self._check_disjoint()
        elif len({frozenset(task.classes) for task in self.tasks}) > 1:
            raise ValueError("tasks of a domain-incremental stream must have the same classes")
        names: dict[int, str] = {}
        for k, name in chain.from_iterable(task.pairs for task in self.tasks):
            if names.setdefault(k, name) != name:
                got = f"{names[k]!r} and {name!r}"
                raise ValueError(f"class {k} must have one name in all tasks, got {got}")

    def _check_disjoint(self) -> None:
        owner: dict[int, str] = {}
        for task in self.tasks:
            for k in task.classes:
                if k in owner:
                    rule = "tasks of a class-incremental stream must have disjoint classes"
                    raise ValueError(f"{rule}, got class {k} in {owner[k]!r} and in {task.name!r}")
                owner[k] = task.name

    def describe(self) -> dict:
        """What identifies the stream, down to its pixels: for the record's run card."""
        pixels = zlib.crc32(b"")
        for task in self.tasks:
            for part in (task.train_images, task.train_labels, task.test_images, task.test_labels):
                pixels = zlib.crc32(np.ascontiguousarray(part), pixels)
        return {
            "name": self.name,
            "scenario": self.scenario,
            "seed": self.seed,
            "tasks": [task.name for task in self.tasks],
            "train_images": [len(task.train_labels) for task in self.tasks],
            "test_images": [len(task.test_labels) for task in self.tasks],
            "image_size": list(self.image_size),
            "crc32": f"{pixels:08x}",
            **self.about,
        }

    @property
    def n_classes(self) -> int:
        """How many classes the whole stream has."""
        return len({k for task in self.tasks for k in task.classes})

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of every image, in pixels."""
        return self.tasks[0].train_images.shape[1:3]

    def joined(self) -> Stream:
        """All tasks as one: what joint training, the upper bound, sees."""
        parts = ("train_images", "train_labels", "test_images", "test_labels")
        names = dict(chain.from_iterable(task.pairs for task in self.tasks))
        together = {p: _end_to_end([getattr(t, p) for t in self.tasks]) for p in parts}
        task = Task("all tasks", tuple(names), tuple(names.values()), **together)
        return Stream(f"{self.name}, joined", self.scenario, (task,), self.seed, self.about)

    def __repr__(self) -> str:
        height, width = self.image_size
        return (
            f"Stream({self.name!r}, {self.scenario}, {len(self)} tasks, {self.n_classes} classes, "
            f"{height} x {width} pixels, seed {self.seed})"
        )

    def _repr_html_(self) -> str:
        return display.stream_card(self)

    def __len__(self) -> int:
        return len(self.tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    def __getitem__(self, index: int | slice) -> Task | tuple[Task, ...]:
        """Task number ``index``, from 0; several for a slice."""
        return self.tasks[index]


def _end_to_end(parts: list[np.ndarray]) -> np.ndarray:
    """All parts as one array; those that follow each other in one mapped file are not copied."""
    files = {id(getattr(part, "_mmap", None)) for part in parts}
    follow = all(a.ctypes.data + a.nbytes == b.ctypes.data for a, b in pairwise(parts))
    if len(files) > 1 or id(None) in files or not follow:
        whole = np.concatenate(parts)
        whole.flags.writeable = False
        return whole
    shape = (sum(map(len, parts)), *parts[0].shape[1:])
    return as_strided(parts[0], shape, subok=True, writeable=False)
