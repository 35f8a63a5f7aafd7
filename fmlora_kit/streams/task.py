"""What a stream is: a sequence of tasks, each seen once, in order."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import as_strided

SCENARIOS = ("class-incremental", "domain-incremental")


@dataclass(frozen=True)
class Task:
    """One task: labelled training and test images.

    Attributes:
        name: what a person calls it, e.g. "Greek".
        classes: ids of its classes, global over the stream.
        class_names: one name per class, e.g. the character.
        train_images: uint8, (n, height, width, 3).
        train_labels: int64, (n,), values from ``classes``.
        test_images: like ``train_images``.
        test_labels: like ``train_labels``.
    """

    name: str
    classes: tuple[int, ...]
    class_names: tuple[str, ...]
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    def __post_init__(self) -> None:
        """Check what training relies on.

        Raises:
            ValueError: a part is empty, has another dtype or shape, labels foreign to the task, or
                a class without a training image.
        """
        if not self.classes:
            raise ValueError(f"task {self.name!r}: classes must not be empty")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(f"task {self.name!r}: classes must differ, got {self.classes}")
        if len(self.class_names) != len(self.classes):
            raise ValueError(
                f"task {self.name!r}: class_names must have one name per class "
                f"({len(self.classes)}), got {len(self.class_names)}"
            )
        for part in ("train", "test"):
            self._check(part, getattr(self, f"{part}_images"), getattr(self, f"{part}_labels"))
        unseen = sorted(set(self.classes) - set(np.unique(self.train_labels).tolist()))
        if unseen:
            raise ValueError(
                f"task {self.name!r}: train_labels must show every class, missing {unseen[:5]}"
            )
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise ValueError(
                f"task {self.name!r}: train and test images must have one size, got "
                f"{self.train_images.shape[1:]} and {self.test_images.shape[1:]}"
            )

    def _check(self, part: str, images: np.ndarray, labels: np.ndarray) -> None:
        where = f"task {self.name!r}: {part}"
        if images.dtype != np.uint8:
            raise ValueError(f"{where}_images must be uint8 (bytes 0..255), got {images.dtype}")
        if images.ndim != 4 or images.shape[-1] != 3:
            raise ValueError(f"{where}_images must be (n, height, width, 3), got {images.shape}")
        if len(images) == 0:
            raise ValueError(f"{where}_images must hold at least one image, got 0")
        if labels.shape != (len(images),):
            raise ValueError(
                f"{where}_labels must be one per image, shape ({len(images)},), got {labels.shape}"
            )
        if labels.dtype.kind not in "iu":
            raise ValueError(f"{where}_labels must be integers, got {labels.dtype}")
        foreign = sorted(set(np.unique(labels).tolist()) - set(self.classes))
        if foreign:
            raise ValueError(f"{where}_labels must be classes of the task, got {foreign[:5]}")
        for name, array in ((f"{part}_images", images), (f"{part}_labels", labels)):
            view = array.view()  # the caller's own array stays writeable
            view.flags.writeable = False
            object.__setattr__(self, name, view)


@dataclass(frozen=True)
class Stream:
    """Tasks in the order they are seen.

    Attributes:
        name: e.g. "glyphs".
        scenario: "class-incremental" (new classes in every task, no task identity at test time) or
            "domain-incremental" (the same classes in every task, in another input domain).
        tasks: the tasks, in order.
        seed: what the images were drawn with.
        about: further words for `describe`, such as the source, the split, and what is partial.
    """

    name: str
    scenario: str
    tasks: tuple[Task, ...]
    seed: int
    about: Mapping[str, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that the tasks fit the scenario.

        Raises:
            ValueError: unknown scenario, no task, images of several sizes, classes that overlap
                (class-incremental) or differ (domain-incremental).
        """
        if self.scenario not in SCENARIOS:
            raise ValueError(f"scenario must be one of {SCENARIOS}, got {self.scenario!r}")
        if not self.tasks:
            raise ValueError(f"stream {self.name!r} must have at least one task, got none")
        sizes = {task.train_images.shape[1:] for task in self.tasks}
        if len(sizes) > 1:
            raise ValueError(f"images must have one size in all tasks, got {sorted(sizes)}")
        if self.scenario == "class-incremental":
            self._check_disjoint()
        elif len({frozenset(task.classes) for task in self.tasks}) > 1:
            raise ValueError("tasks of a domain-incremental stream must have the same classes")

    def _check_disjoint(self) -> None:
        owner: dict[int, str] = {}
        for task in self.tasks:
            for k in task.classes:
                if k in owner:
                    raise ValueError(
                        "tasks of a class-incremental stream must have disjoint classes, got class "
                        f"{k} in {owner[k]!r} and in {task.name!r}"
                    )
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
        pairs = [zip(t.classes, t.class_names, strict=True) for t in self.tasks]
        names = {k: name for pair in pairs for k, name in pair}
        together = {p: _end_to_end([getattr(t, p) for t in self.tasks]) for p in parts}
        task = Task("all tasks", tuple(names), tuple(names.values()), **together)
        return Stream(f"{self.name}, joined", self.scenario, (task,), self.seed, self.about)

    def __len__(self) -> int:
        """How many tasks there are."""
        return len(self.tasks)

    def __iter__(self) -> Iterator[Task]:
        """The tasks, in order."""
        return iter(self.tasks)

    def __getitem__(self, index: int | slice) -> Task | tuple[Task, ...]:
        """Task number ``index``, from 0; several for a slice."""
        return self.tasks[index]


def _end_to_end(parts: list[np.ndarray]) -> np.ndarray:
    """All parts as one array; those that follow each other in one mapped file are not copied."""
    files = {id(getattr(part, "_mmap", None)) for part in parts}
    follow = all(a.ctypes.data + a.nbytes == b.ctypes.data for a, b in pairwise(parts))
    if len(files) > 1 or id(None) in files or not follow:
        return np.concatenate(parts)
    shape = (sum(map(len, parts)), *parts[0].shape[1:])
    return as_strided(parts[0], shape, subok=True, writeable=False)
