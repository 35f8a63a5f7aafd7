"""Images in folders: which there are, and no way out of the folder."""

import pytest

from fmlora_kit.streams.files import (
    class_files,
    count_images,
    image_files,
    path_inside,
    presplit_files,
    subfolders,
)


@pytest.mark.parametrize(
    "listed", ["../a.jpg", "a/../../b.jpg", "/etc/a.jpg", "C:/a.jpg", "C:a.jpg", r"\\host\a\b"]
)
def test_no_listed_path_leaves_the_folder(tmp_path, listed):
    with pytest.raises(ValueError, match="list.txt must list paths inside .* got '"):
        path_inside(tmp_path, listed, tmp_path / "list.txt")


def test_a_listed_path_inside(tmp_path):
    assert path_inside(tmp_path, "001.Gull/a b.jpg", tmp_path) == tmp_path / "001.Gull" / "a b.jpg"


def test_contents_are_sorted_and_hidden_ones_left_out(tmp_path):
    for name in ("b", "a", ".hidden"):
        (tmp_path / name).mkdir()
    for name in ("2.JPG", "1.png", "3.jpeg", "._1.png", "notes.txt"):
        (tmp_path / name).touch()
    assert subfolders(tmp_path) == ["a", "b"]
    assert [path.name for path in image_files(tmp_path)] == ["1.png", "2.JPG", "3.jpeg"]


def test_images_are_counted_through_links_and_three_deep(tmp_path):
    for name in ("real/0.jpg", "tree/a.PNG", "tree/x/b.webp", "tree/x/y/c.bmp", "tree/x/y/z/d.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("tree/x/notes.txt", "tree/x/._b.webp"):
        (tmp_path / name).touch()
    (tmp_path / "tree" / "linked").symlink_to(tmp_path / "real")
    assert count_images(tmp_path / "tree") == 4


def test_folders_of_classes_and_their_split(tmp_path):
    for name in ("train/b/2.jpg", "train/a/1.png", "test/a/3.jpg", "test/b/4.webp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    train, test = tmp_path / "train", tmp_path / "test"
    assert class_files(train) == {"a": [train / "a" / "1.png"], "b": [train / "b" / "2.jpg"]}
    assert presplit_files(tmp_path) == {
        "a": ((train / "a" / "1.png",), (test / "a" / "3.jpg",)),
        "b": ((train / "b" / "2.jpg",), (test / "b" / "4.webp",)),
    }
    (test / "b" / "4.webp").unlink()
    with pytest.raises(ValueError, match="b must hold images .*webp.*, got none"):
        presplit_files(tmp_path)
    (test / "b").rmdir()
    with pytest.raises(ValueError, match=r"the same classes in train and test, got \['b'\]"):
        presplit_files(tmp_path)
