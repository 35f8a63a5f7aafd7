"""Writing a folder of images: whole, again, and never over somebody's files."""

import numpy as np
import pytest
from helpers import image_trees
from PIL import Image

from fmlora_kit.streams.synthetic import write_tree

PIXELS = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
CONTENT = {"a/one.png": Image.fromarray(PIXELS), "list.txt": "größer\n"}


def test_pictures_and_texts_lie_where_they_should(tmp_path):
    assert write_tree(str(tmp_path / "new"), CONTENT) == tmp_path / "new"
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "new/a/one.png")), PIXELS)
    assert (tmp_path / "new/list.txt").read_bytes() == "größer\n".encode()
    assert len(image_trees.files(tmp_path)) == 2


def test_what_was_damaged_is_written_again(tmp_path):
    write_tree(tmp_path, CONTENT)
    whole = (tmp_path / "a/one.png").read_bytes()
    (tmp_path / "a/one.png").write_bytes(whole[:20])
    (tmp_path / "list.txt").unlink()
    write_tree(tmp_path, CONTENT)
    assert (tmp_path / "a/one.png").read_bytes() == whole and (tmp_path / "list.txt").exists()


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/mine.png").write_bytes(b"holiday")
    before = image_trees.files(tmp_path)
    with pytest.raises(ValueError, match=r"folder must be new, empty or .*, got .*mine\.png"):
        write_tree(tmp_path, CONTENT)
    assert image_trees.files(tmp_path) == before
