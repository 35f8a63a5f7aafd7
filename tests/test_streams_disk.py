"""What lies in an image folder and is no picture: a sentence each; nothing waits or is written."""

import errno
import os

import numpy as np
import pytest
from helpers import image_trees
from helpers.planted import PLANTED
from PIL import Image

from fmlora_kit.streams import image_folder
from fmlora_kit.streams.disk import open_regular, read_lines
from fmlora_kit.streams.images import read_images

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no FIFOs, sockets and devices on Windows")


@pytest.mark.parametrize(
    ("plant", "reason"),
    [
        ("a FIFO", "it is a FIFO"),
        ("a socket", "it is a socket"),
        ("a device", "it is a device"),
        ("a loop", "symbolic links"),
        ("a bomb", "at most 67 megapixels are taken"),
        ("a PPM", "cannot identify image file"),
    ],
)
def test_what_is_no_picture_is_refused_by_name(plant, reason, tmp_path):
    PLANTED[plant](tmp_path / "a.png")
    with pytest.raises((ValueError, OSError), match=rf"a\.png.*{reason}") as error:
        read_images([tmp_path / "a.png"], 8)
    assert len(str(error.value).splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("plant", ["a FIFO", "a socket", "a device", "a loop"])
def test_a_folder_of_images_with_such_a_file_neither_waits_nor_takes_it(plant, tmp_path):
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            (tmp_path / part / name).mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(tmp_path / part / name / "0.png")
    PLANTED[plant](tmp_path / "train" / "cat" / "1.png")
    try:
        stream = image_folder(tmp_path, n_tasks=1, image_size=8)
    except (ValueError, OSError) as error:
        assert "1.png" in str(error) and len(str(error).splitlines()) == 1
    else:
        assert len(stream[0].train_images) == 2


def test_a_regular_file_and_a_link_to_one_are_opened(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b").symlink_to("a")
    for name in "ab":
        with open_regular(tmp_path / name) as file:
            assert file.read() == b"x"


def test_the_mark_at_the_start_of_a_list_is_no_letter(tmp_path):
    (tmp_path / "list.txt").write_text("a 0\nb 1\n", encoding="utf-8-sig")
    assert read_lines(tmp_path / "list.txt") == ["a 0", "b 1"]


def test_a_picture_whose_note_cannot_be_read_is_taken_as_it_lies(tmp_path):
    picture = Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3))
    picture.save(tmp_path / "a.png", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    (read,) = read_images([tmp_path / "a.png"], 8, upright=True)
    assert np.array_equal(read, np.asarray(picture))


def test_what_can_be_neither_listed_nor_written_nor_named_is_one_sentence(tmp_path, monkeypatch):
    root = image_trees.tree(tmp_path, "class")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="decoded must be a folder that can be written, got .*file"):
        image_trees.read("class", root, decoded=tmp_path / "file" / "store")
    with pytest.raises(ValueError, match="folder must be a path that can be looked at"):
        image_folder(str(root / ("x" * 5_000)), n_tasks=1)
    for name in ("scandir", "listdir"):
        _forbid(monkeypatch, name, next(path for path in root.iterdir() if path.is_dir()))
    with pytest.raises(ValueError, match="must be a folder that can be read, got: Permission"):
        image_trees.read("class", root)


def _forbid(monkeypatch, name, folder):
    """As for somebody who is not root, whom no mode keeps out."""
    act = getattr(os, name)

    def call(path="."):
        if os.path.samefile(path, folder):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return act(path)

    monkeypatch.setattr(os, name, call)
