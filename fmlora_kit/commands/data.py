"""Real images: what there is, how it must lie, whether it does, and small ones to try it with.

    fmlora data list
    fmlora data show cub200
    fmlora data check cub200 --folder /my/images
    fmlora data fake pacs-4 --folder build/made_up

A name is that of a data set or of a preset; ``list`` has them all. Files are only read, but by
``fake``, which writes a tiny tree into an empty folder; nothing is fetched. The exit status of
``check`` is 0 if a stream can be made of what is there, which may be a part of the data set, and 1
if not.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from fmlora_kit.commands.arguments import (
    a_path,
    add_command,
    folder,
    make_parser,
    nearest,
    out_folder,
)
from fmlora_kit.streams import catalogue
from fmlora_kit.streams.catalogue import DATA_SETS, PRESETS, STREAMS
from fmlora_kit.streams.data_set import DataSet
from fmlora_kit.streams.files import count_images, read_list, subfolders
from fmlora_kit.streams.image_folder import layout_of

ONE_EACH, LIMIT = {"n_train": 1, "n_test": 1}, "at most 1 "


def main(arguments: Sequence[str] | None = None) -> int:
    """List, show, check or make up; return 0, or 1 if no stream can be made of what is there."""
    asked = _parse(arguments)
    if asked.what == "list":
        print(
            "Data sets, and what their folder must hold:",
            *map(_data_set_lines, DATA_SETS),
            "Presets: fk.streams.preset(NAME, folder)",
            *map(_preset_line, PRESETS),
            sep="\n\n",
        )
    elif asked.what == "show":
        print(describe(asked.name))
    elif asked.what == "fake":
        from fmlora_kit.streams.synthetic import write_benchmark  # loads scikit-learn

        print(f"Made up, for {asked.name}: {write_benchmark(asked.name, asked.folder).resolve()}")
    else:
        return 0 if check(asked.name, asked.folder, asked.lists, asked.every_image) else 1
    return 0


def check(name: str, folder: Path, lists: Path | None = None, every_image: bool = False) -> bool:
    """Say what of a data set or preset is there, and whether a stream can be made of it.

    ``folder`` is only read; ``lists`` is where its lists lie, if elsewhere. All images are decoded
    if ``every_image``, else one per class and part.
    """
    chosen = PRESETS.get(name)
    stream = chosen.stream if chosen else name
    layout = DATA_SETS[stream]
    tries = {f"preset {name}": chosen.options} if chosen else layout.tries
    if stream == "image_folder":
        tries = _fitting(folder, tries)
    _inventory(layout, folder, lists)
    given = {"folder": folder, "image_size": 8, **({} if every_image else ONE_EACH)}
    given |= {"lists": lists} if lists else {}
    usable = [_try(stream, layout, words, {**given, **how}) for words, how in tries.items()]
    if any(usable):
        n, size = layout.n_images or count_images(folder), catalogue.PUBLISHED_SIZE
        gigabytes = catalogue.decoded_gigabytes(n, size)
        print(
            f"Decoded at {size} pixels, the size of published protocols, {n:,} images need "
            f"{gigabytes:,.2f} GB (3 x {size} x {size} bytes each) of memory, "
            "or of the disk with decoded=FOLDER; image_size is that of the backbone."
        )
        how_many = "every image" if every_image else "one image per class, for training and test,"
        print(f"Ready: {how_many} was decoded.")
    else:
        print(f"Not ready. {layout.how_to_get}")
    return any(usable)


def describe(name: str) -> str:
    """A data set, how its folder must lie, and its presets; or one preset, and its data set."""
    if name in PRESETS:
        return f"{_preset_line(name)}\n\n{_data_set_lines(PRESETS[name].stream)}"
    presets = [_preset_line(each) for each, of in PRESETS.items() if of.stream == name]
    return "\n\n".join([_data_set_lines(name), *presets])


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    birds = "cub200-10 --folder build/birds"
    checking = f"fmlora data fake {birds}\nfmlora data check {birds}"
    faking = "fmlora data fake pacs-4 --folder build/made_up"
    about = "Real images: what there is, how it must lie."
    parser = make_parser("data", about, "fmlora data list")
    add = partial(add_command, parser.add_subparsers(dest="what", metavar="WHAT", required=True))
    add("list", "name the data sets, how they must lie, and the presets", "fmlora data list")
    about = "one data set or preset: its folder, where to get it"
    show = add("show", about, "fmlora data show cub200")
    check = add("check", "say what of a data set is there, and what is missing", checking)
    fake = add("fake", "write a tiny made-up tree in the layout of a preset", faking)
    add = check.add_argument
    add("--folder", type=_maybe_folder, required=True, help="where the data set lies")
    add("--lists", type=_maybe_folder, help="where its lists lie, if not in the folder")
    add("--every-image", action="store_true", help="decode all images, which takes time")
    fake.add_argument("--folder", type=out_folder, required=True, help="new or empty")
    every = (*DATA_SETS, *PRESETS)
    fakes = tuple(name for name in PRESETS if not name.startswith("cifar100"))  # those are pickles
    for each, known in ((show, every), (check, every), (fake, fakes)):
        each.add_argument("name", choices=known, metavar="NAME", help=", ".join(known))
    asked = parser.parse_args(arguments)
    if asked.what == "check" and asked.lists:
        stream = PRESETS[asked.name].stream if asked.name in PRESETS else asked.name
        if stream not in ("dn4il", "domainnet", "imagenet_r"):
            check.error(f"--lists is for dn4il, domainnet and imagenet_r, got {asked.name}")
    return asked


def _maybe_folder(text: str) -> Path:
    """What is no folder is refused; what is not there is left for `check` to tell."""
    path = a_path(text)
    there = nearest(path)
    return folder(text) if there == path or not there.is_dir() else path


def _data_set_lines(name: str) -> str:
    data = DATA_SETS[name]
    return f"{name}: {data.root or 'any folder'}/ with {data.tree}\n  {data.how_to_get}"


def _preset_line(name: str) -> str:
    options = ", ".join(f"{key}={value!r}" for key, value in PRESETS[name].options.items())
    return f"{name}: {PRESETS[name].stream}({options})\n  {PRESETS[name].whose}."


def _inventory(layout: DataSet, folder: Path, lists: Path | None) -> None:
    """Print what must be there, line by line, and whether it is."""
    parts: dict[Path, list[str]] = {}
    for names, place in ((layout.files, lists or folder), (layout.folders, folder)):
        inner = place / layout.root
        parts.setdefault(inner if inner.is_dir() else place, []).extend(names)
    if not layout.root and folder.is_dir():
        parts = {folder: subfolders(folder)}
    for root, names in parts.items():
        print(f"in {root}:" if root.is_dir() else f"missing: there is no folder {root}")
        for name in names if root.is_dir() else ():
            print(f"  {'there  ' if (root / name).exists() else 'missing'}  {_sized(root / name)}")
        if root.is_dir() and layout.root and "*" in layout.tree and not layout.folders:
            print(f"  in all   {_sized(root)}")


def _sized(path: Path) -> str:
    """The name of a file or folder, and how much is in it."""
    if path.is_dir():
        return f"{path.name}/: {count_images(path):,} images"
    is_list = path.suffix == ".yaml" or path.stem.endswith(("_train", "_test"))
    if not path.exists() or not is_list:
        return path.name
    try:
        pairs = read_list(path)
    except (OSError, ValueError) as error:
        return f"{path.name}: damaged: {error}"
    return f"{path.name}: {len(pairs):,} images of {len({label for _, label in pairs})} classes"


def _fitting(folder: Path, tries: Mapping[str, Mapping]) -> Mapping[str, Mapping]:
    """The way to read a folder of the user's own, which depends on its layout."""
    try:
        layout = layout_of(folder)
    except (OSError, ValueError):
        return {"": {}}
    words = "domain-incremental" if layout.startswith("DOMAIN") else "class-incremental"
    return {f"{words}, {layout}": tries[words]}


def _try(stream: str, layout: DataSet, words: str, options: Mapping[str, object]) -> bool:
    """Say what a stream has, and what it lacks apart from `LIMIT`; or why there is none."""
    which = f" ({words})" if words else ""
    try:
        made = STREAMS[stream](**options)
    except (OSError, ValueError) as error:
        print(f"not usable{which}: {str(error).removesuffix(layout.how_to_get).strip()}")
        return False
    partial, left_out = (
        [each for each in (made.about.get(key) or "").split("; ") if each and LIMIT not in each]
        for key in ("partial", "left_out")
    )
    domains = f"{len(made)} domains, " if made.scenario == "domain-incremental" else ""
    lacks = f"partial: {'; '.join(partial)}" if partial else "complete"
    lacks += f"; left out: {'; '.join(left_out)}" if left_out else ""
    print(f"usable{which}: {domains}{made.n_classes} classes; {lacks}")
    return True
