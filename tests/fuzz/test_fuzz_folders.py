"""What lies in image folders and is no picture: a sentence with its name; nothing is written."""

from __future__ import annotations

import os
import shutil

import pytest
from helpers import image_trees
from helpers.fuzz import examples
from helpers.planted import PLANTED
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no FIFOs, sockets and devices on Windows")
NAMES = ("class", "train and test", "domain", "cub200", "random", "folders")


def names(root):
    """All that lies below, told by name, kind and size."""
    return sorted(
        (str(p.relative_to(root)), p.lstat().st_mode, p.lstat().st_size) for p in walk(root)
    )


def walk(root):
    for folder, inside, files in os.walk(root):
        yield from (type(root)(folder) / name for name in (*inside, *files))


def test_what_is_no_picture(judge, tmp_path):
    trees = {name: image_trees.tree(folder(tmp_path, name), name) for name in NAMES}
    whole = {name: image_trees.read(name, root).describe() for name, root in trees.items()}

    @examples(100)
    @given(st.sampled_from(NAMES), st.sampled_from(list(PLANTED)), st.booleans(), st.booleans())
    def plant(name, what, instead, mapped):
        root = tmp_path / "here" / trees[name].name
        for rest in ("here", "store"):  # of the input before
            shutil.rmtree(tmp_path / rest, ignore_errors=True)
        shutil.copytree(trees[name], root, symlinks=True)
        path = root / image_trees.READERS[name].image
        path = path if instead else path.with_name(f"extra{path.suffix}")
        path.unlink(missing_ok=True)
        PLANTED[what](path)
        before = names(root)
        decoded = {"decoded": tmp_path / "store"} if mapped else {}
        judge(
            f"{name} {what} {'instead' if instead else 'beside'}",
            lambda: image_trees.read(name, root, **decoded).describe(),
            (path.name, str(path)),
            lambda found: not instead and found["crc32"] == whole[name]["crc32"],
        )
        assert names(root) == before
        assert not list((tmp_path / "store").glob("*.npy")) or not instead

    plant()


def folder(tmp_path, name):
    (tmp_path / name).mkdir()
    return tmp_path / name
