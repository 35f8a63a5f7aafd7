"""Lists of paths and labels: read in both forms, checked line by line, compared with the disk."""

import pytest
from helpers import image_trees

from fmlora_kit.streams.data_set import DataSet
from fmlora_kit.streams.files import classes_present, count_present, listed_classes, read_list

BIRDS = DataSet("birds", "Birds", "Fetch it.", "*")
TRAIN = "a/owl/1.jpg 1\na/owl/2.jpg 1\na/red_jay/1.jpg 0\n"
TEST = "a/owl/3.jpg 1\n"


@pytest.fixture
def lists(tmp_path):
    paths = tmp_path / "train.txt", tmp_path / "test.txt"
    for path, text in zip(paths, (TRAIN, TEST), strict=True):
        path.write_text(text)
    return paths


def yaml(folder, text):
    path = folder / "list.yaml"
    path.write_text(text)
    return path


def test_both_forms(tmp_path, lists):
    assert read_list(lists[0]) == [("a/owl/1.jpg", 1), ("a/owl/2.jpg", 1), ("a/red_jay/1.jpg", 0)]
    path = yaml(tmp_path, "data:\n- a/b c.jpg\n- a/d.jpg\ntargets:\n- 7\n- 0\n")
    assert read_list(path) == [("a/b c.jpg", 7), ("a/d.jpg", 0)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "list.txt must list at least one image, got none"),
        ("a/b.jpg 1\n\na/c.jpg 1\n", "lines 'PATH LABEL', got '' in line 2"),
        ("a/b.jpg\n", "lines 'PATH LABEL', got 'a/b.jpg' in line 1"),
        ("a/b.jpg one\n", "lines 'PATH LABEL', got 'a/b.jpg one' in line 1"),
    ],
)
def test_damaged_text(tmp_path, text, message):
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_list(tmp_path / "list.txt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data:\ntargets:\n", "list.yaml must list at least one image"),
        ("- a\ndata:\n", "must hold 'data:' and 'targets:', .* got '- a' in line 1"),
        ("data: {a: b}\n", "got 'data: {a: b}' in line 1"),
        ("data:\n- a\n- b\ntargets:\n- 1\n", "one target per image, got 2 images and 1 targets"),
        ("data:\n- a\ntargets:\n- x\n", "must have numbers as targets, got 'x'"),
    ],
)
def test_damaged_yaml(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_list(yaml(tmp_path, text))


def test_classes_by_label_with_both_parts(tmp_path, lists):
    classes = listed_classes(tmp_path, lists, 2)
    assert list(classes) == [0, 1] and count_present(classes) == 4
    assert classes[0].name == "red jay" and classes[0].test == ()
    assert classes[1].train == (tmp_path / "a/owl/1.jpg", tmp_path / "a/owl/2.jpg")
    assert classes[1].test == (tmp_path / "a/owl/3.jpg",)


def test_a_prefix_that_is_not_on_the_disk(tmp_path, lists):
    classes = listed_classes(tmp_path / "images", lists, 2, prefix="a/")
    assert classes[1].test == (tmp_path / "images" / "owl" / "3.jpg",)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("owl/2.jpg 1", "owl/2.jpg 2", "train.txt must give labels from 0 to 1, got 2 for a/owl/2"),
        ("owl/2.jpg 1", "owl/2.jpg -1", "labels from 0 to 1, got -1 for a/owl/2.jpg"),
        (
            "owl/2.jpg 1",
            "owl/2.jpg 0",
            "one label to all of a/owl, got 0 for a/owl/2.jpg, and 1 before",
        ),
        (
            "red_jay/1.jpg 0",
            "red_jay/1.jpg 1",
            "each label to one folder, got 1 for a/red_jay/1.jpg, and for a/owl",
        ),
        ("owl/2.jpg", "owl/1.jpg", "train.txt and test.txt must list each .* a/owl/1.jpg twice"),
        ("owl/2.jpg", "owl/3.jpg", "train.txt and test.txt must list each .* a/owl/3.jpg twice"),
        ("a/red_jay/1", "../jay/1", "train.txt must list paths inside .*, got '../jay/1.jpg'"),
        ("a/red_jay/1", "/jay/1", "train.txt must list paths inside .*, got '/jay/1.jpg'"),
    ],
)
def test_lists_that_do_not_fit(tmp_path, lists, old, new, message):
    image_trees.rewrite(lists[0], old, new)
    with pytest.raises(ValueError, match=message):
        listed_classes(tmp_path, lists, 2)


def test_a_class_is_there_wholly_or_not_at_all(tmp_path, lists):
    classes = listed_classes(tmp_path, lists, 2)
    assert classes_present(classes, BIRDS) == {}
    for i in (1, 2, 3):
        image_trees.draw(tmp_path / "a" / "owl" / f"{i}.jpg", i)
    assert classes_present(classes, BIRDS) == {1: classes[1]}
    (tmp_path / "a" / "owl" / "2.jpg").unlink()
    message = "owl must hold all 3 listed images or none, 1 are missing, first 2.jpg. Fetch it."
    with pytest.raises(FileNotFoundError, match=message):
        classes_present(classes, BIRDS)
