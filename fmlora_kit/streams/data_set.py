"""A benchmark as one value: what it holds, how it lies on the disk, where to get it, its protocols.

Every reader file declares the value of its data set; `catalogue` lists them all. Images of all of
them are brought to bytes, RGB, 0 to 255. The backbone normalises them, as its weights were trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fmlora_kit.checks import as_path

ONE_TASK = {"": {"n_tasks": 1}}  # a way to read a data set, however many of its classes are there


@dataclass(frozen=True)
class Preset:
    """One published protocol.

    Attributes:
        stream: the name of the data set's stream.
        whose: who published results with it, and what of theirs it does not repeat.
        options: the arguments of the stream that make the protocol.
    """

    stream: str
    whose: str
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class DataSet:
    """One data set.

    Attributes:
        name: of its stream.
        title: what papers call it.
        how_to_get: what to fetch, and how it must lie, in sentences.
        tree: what lies in its folder, in short.
        root: what its folder is called; "" if it may have any name.
        n_classes: of the whole data set; 0 if it has no official number.
        split: numbers of training and test images; None if no split is official.
        domains: each domain with its number of images, in the order they are learnt by default.
        side: pixels of the shorter side of every original image; None if sizes differ.
        files: files that must be there: in the folder, or in that of the lists.
        folders: folders that must be there.
        tries: ways to read it, in words, with the options of the stream: one must work.
        presets: the protocols published on it, by name.
    """

    name: str
    title: str
    how_to_get: str
    tree: str
    root: str = ""
    n_classes: int = 0
    split: tuple[int, int] | None = None
    domains: Mapping[str, int] = field(default_factory=dict)
    side: int | None = None
    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    tries: Mapping[str, Mapping[str, object]] = field(default_factory=lambda: {"": {}})
    presets: Mapping[str, Preset] = field(default_factory=dict)

    @property
    def n_images(self) -> int:
        """Training and test images together; 0 if it has no official number."""
        return sum(self.split or self.domains.values())

    def find_root(self, folder: str | Path, needed: tuple[str, ...] = ()) -> Path:
        """The folder that holds the data set: ``folder`` itself, or its subfolder ``root``.

        Raises:
            FileNotFoundError: no such folder, or something ``needed`` in it; says what to fetch.
            ValueError: ``folder`` is no path.
        """
        folder = as_path("folder", folder)
        root = folder / self.root if (folder / self.root).is_dir() else folder
        if not root.is_dir():
            where = f"there is no folder {root}. {self.how_to_get}"
            raise FileNotFoundError(f"folder must hold {self.root}, {where}")
        if missing := [part for part in needed if not (root / part).exists()]:
            raise self.lacks(root, ", ".join(missing))
        return root

    def lacks(self, where: Path, what: str) -> FileNotFoundError:
        """The error, to be raised, about what is not on the disk; ends with what to fetch."""
        return FileNotFoundError(f"{where} must hold {what}. {self.how_to_get}")

    def partial(self, n_classes: int, n_images: int, of_images: int | None = None) -> list[str]:
        """What is there of the whole data set (or of ``of_images``), in words; empty if all."""
        official = self.n_images if of_images is None else of_images
        pairs = ((n_classes, self.n_classes, "classes"), (n_images, official, "images"))
        return [f"{n:,} of {whole:,} {what}" for n, whole, what in pairs if n != whole]
