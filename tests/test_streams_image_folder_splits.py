"""Folders train, val and test are a split, however they are spelt, and never domains or classes."""

import pytest
from helpers import image_trees

from fmlora_kit.commands import data
from fmlora_kit.streams import image_folder
from fmlora_kit.streams.image_folder import SPLIT, layout_of, split_of

SPELT = [
    ("train", "test", None),
    ("Train", "TEST", None),
    ("training", "testing", None),
    ("Training Set", "test_set", None),
    ("train2017", "test2017", "val2017"),
    ("TrainImages", "TestImages", "ValImages"),
    ("trainset", "holdout", "dev"),
    ("train", "val", None),
    ("train", "Validation", None),
    ("trainval", "test", None),
    ("train", "test", "valid"),
    ("01_train", "03_test", "02_val"),
]


def draw(root, *parts, first=0, images=2, names=("cat", "dog")):
    """Number = 100 x part + 10 x class + image."""
    for p, part in enumerate(parts):
        for c, name in enumerate(names):
            for i in range(images):
                image_trees.draw(root / part / name / f"{i}.png", first + 100 * p + 10 * c + i)


def kinds(images):
    return {number // 100 for number in image_trees.numbers(images)}


@pytest.mark.parametrize(("train", "test", "val"), SPELT)
def test_a_split_in_any_spelling_is_kept(tmp_path, train, test, val):
    draw(tmp_path, *filter(None, (train, test, val)))
    stream = image_folder(tmp_path, n_tasks=2, image_size=8)
    assert layout_of(tmp_path) == SPLIT and stream.scenario == "class-incremental"
    assert [task.class_names for task in stream] == [("cat",), ("dog",)]
    for task in stream:
        assert kinds(task.train_images) == {0} and kinds(task.test_images) == {1}
    left = f"images for validation, {val}: 4"
    assert stream.describe().get("left_out") == (left if val else None)


MISFITS = [
    ("train",),
    ("Test",),
    ("val", "test"),
    ("train", "training"),
    ("train", "test", "testing"),
    ("train", "test", "extra"),
    ("train", "test", "val", "unlabeled"),
    ("cartoon_train", "cartoon_test"),
    ("train_val", "test"),
    ("train", "cartoon"),
]


@pytest.mark.parametrize("names", MISFITS, ids=str)
def test_what_looks_like_a_split_and_does_not_fit_is_no_domains(tmp_path, names, capsys):
    draw(tmp_path, *names)
    assert split_of(names) is None
    rule = r"must hold folders of classes, or a split: train and test .*, got .*pass domains=\("
    with pytest.raises(ValueError, match=rule):
        image_folder(tmp_path, image_size=8)
    assert data.main(["check", "image_folder", "--folder", str(tmp_path)]) == 1
    assert "Ready" not in capsys.readouterr().out


def test_who_names_the_domains_is_believed(tmp_path):
    draw(tmp_path, "dev", "web")
    stream = image_folder(tmp_path, domains=("web", "dev"), image_size=8)
    assert [task.name for task in stream] == ["web", "dev"]
    draw(tmp_path / "one", "day")
    assert len(image_folder(tmp_path / "one", domains=("day",), image_size=8)) == 1


@pytest.mark.parametrize(
    "names", [("train", "test"), ("Train", "Val", "Test"), ("test1", "train1")]
)
def test_images_right_in_the_folders_of_a_split_are_no_classes(tmp_path, names):
    draw(tmp_path, ".", names=names)
    with pytest.raises(ValueError, match=r"a split: train and test .*; pass classes=\("):
        image_folder(tmp_path, n_tasks=1, image_size=8)
    stream = image_folder(tmp_path, n_tasks=1, classes=names, image_size=8)
    assert stream[0].class_names == names


def test_a_train_among_other_things_is_a_train(tmp_path):
    draw(tmp_path, ".", names=("bus", "car", "train"))
    assert image_folder(tmp_path, n_tasks=3, image_size=8)[2].class_names == ("train",)


def test_a_folder_one_level_too_high_is_no_domain(tmp_path, capsys):
    for inner in ("pets/.", "pets/train"):
        draw(tmp_path / inner.replace("/", "-"), inner)
        root = tmp_path / inner.replace("/", "-")
        with pytest.raises(ValueError, match="must hold several domains, got 'pets' alone; pass /"):
            image_folder(root, image_size=8)
        assert data.main(["check", "image_folder", "--folder", str(root)]) == 1
        assert "pass " in capsys.readouterr().out


def test_domains_that_are_split_each_are_refused(tmp_path):
    for domain in ("day", "night"):
        draw(tmp_path, f"{domain}/train", f"{domain}/test")
    with pytest.raises(
        ValueError, match="day must hold folders of classes, .*pass .*day, of which a split"
    ):
        image_folder(tmp_path, image_size=8)
    assert image_folder(tmp_path / "day", n_tasks=1, image_size=8).about["layout"] == SPLIT


def test_unequal_tasks_and_chosen_classes(tmp_path):
    names = tuple("abcdefg")
    draw(tmp_path, ".", names=names)
    stream = image_folder(tmp_path, n_tasks=(4, 2, 1), image_size=8)
    assert [task.classes for task in stream] == [(0, 1, 2, 3), (4, 5), (6,)]
    assert [task.name for task in stream] == ["a, b, c, d", "e, f", "g"]
    some = image_folder(tmp_path, n_tasks=2, classes=("f", "a", "c", "b"), image_size=8)
    assert [task.class_names for task in some] == [("f", "a"), ("c", "b")]
    assert some.about["class_order"] == "as given"
    for options, message in (
        ({"n_tasks": (4, 2)}, r"n_tasks must be sizes of tasks, 7 classes in all, got \(4, 2\)"),
        ({"n_tasks": (8, -1)}, "n_tasks must be at least 1, got -1"),
        ({"n_tasks": (3.5, 3.5)}, "n_tasks must be a whole number at least 1, got 3.5"),
        ({"n_tasks": 2}, r"n_tasks must divide the 7 classes \(\[1, 7\]\) or be how many each"),
        ({"n_tasks": 1, "classes": ("a", "x")}, "classes must be different names among .*'x'"),
        ({"n_tasks": 1, "classes": ("a",), "class_order": 1}, "class_order must be None where"),
    ):
        with pytest.raises(ValueError, match=message):
            image_folder(tmp_path, image_size=8, **options)
