"""CUB-200-2011 from its lists: the official split, partial data marked, damaged lists named."""

import numpy as np
import pytest
from helpers import image_trees

from fmlora_kit.streams import cub200

NAMES, TRAIN = image_trees.CUB_NAMES, image_trees.TRAIN


@pytest.fixture
def tree(tmp_path):
    image_trees.draw_cub200(tmp_path / "CUB_200_2011")
    return tmp_path


def test_the_lists_decide_split_and_labels(tree):
    before = image_trees.files(tree)
    stream = cub200(tree, n_tasks=3, image_size=8)
    assert stream.name == "cub200" and stream.scenario == "class-incremental"
    assert [task.class_names for task in stream] == [
        ("Grey Gull", "Red Tern"),
        ("Owl", "Marsh Wren"),
        ("Jay", "Crow"),
    ]
    for task in stream:
        for part in ("train", "test"):
            numbers = image_trees.numbers(getattr(task, f"{part}_images"))
            labels = getattr(task, f"{part}_labels").tolist()
            assert [n // 10 for n in numbers] == labels
            expected = [i for i in range(5) if (i in TRAIN) == (part == "train")]
            for k in task.classes:
                assert sorted(n % 10 for n in numbers if n // 10 == k) == expected
    assert image_trees.files(tree) == before


def test_a_class_order_and_limits(tree):
    stream = cub200(tree, n_tasks=6, image_size=8, class_order=1993, n_train=2, n_test=1)
    published = [k for k in np.random.RandomState(1993).permutation(200) if k < 6]
    assert [task.classes for task in stream] == [(k,) for k in range(6)]
    assert [image_trees.numbers(task.test_images)[0] // 10 for task in stream] == published
    assert [len(task.train_labels) for task in stream] == [2] * 6
    assert stream.describe()["class_order"] == "permutation of seed 1993"


def test_the_seed_decides_only_what_a_limit_keeps(tree):
    whole = [cub200(tree, seed, n_tasks=3, image_size=8).describe()["crc32"] for seed in (0, 1)]
    some = [
        cub200(tree, seed, n_tasks=3, image_size=8, n_train=1).describe()["crc32"]
        for seed in (0, 0, 1)
    ]
    assert whole[0] == whole[1] and some[0] == some[1] != some[2]


def test_classes_without_images_are_left_out_and_the_rest_is_partial(tree):
    assert cub200(tree, n_tasks=3, image_size=8).describe()["partial"] == (
        "6 of 200 classes; lists of 30 instead of 11,788 images"
    )
    for k in (1, 3):
        for path in (tree / "CUB_200_2011" / "images" / NAMES[k]).iterdir():
            path.unlink()
    stream = cub200(tree, n_tasks=2, image_size=8)
    assert [task.class_names for task in stream] == [("Grey Gull", "Owl"), ("Jay", "Crow")]
    assert stream.describe()["partial"].startswith("4 of 200 classes")


def rewrite(name, old, new):
    return lambda root: image_trees.rewrite(root / name, old, new)


def remove_all_images(root):
    for path in (root / "images").rglob("*.jpg"):
        path.unlink()


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (remove_all_images, FileNotFoundError, "must hold listed images, got none. Fetch CUB"),
        (
            rewrite("train_test_split.txt", "\n7 1\n", "\n7 2\n"),
            ValueError,
            "train_test_split.txt must give 0 or 1, got '2' for image 7",
        ),
        (
            rewrite("train_test_split.txt", "\n7 1\n", "\n\n"),
            ValueError,
            r"train_test_split.txt must have lines 'NUMBER VALUE', each number once, got ''",
        ),
        (
            rewrite("train_test_split.txt", "\n7 1\n", "\n77 1\n"),
            ValueError,
            r"split.txt must have one line for each image of images.txt \(30\), with its",
        ),
        (
            rewrite("classes.txt", "6 006.Crow", "201 006.Crow"),
            ValueError,
            "classes.txt must number classes 1 to 200, got .'201'",
        ),
    ],
)
def test_damage_is_named(tree, damage, error, message):
    damage(tree / "CUB_200_2011")
    with pytest.raises(error, match=message):
        cub200(tree, n_tasks=3, image_size=8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_tasks": 4}, r"n_tasks must divide the 6 classes \(\[1, 2, 3, 6\]\) or be .*, got 4"),
        ({"image_size": -1}, "image_size must be at least 1, got -1"),
        ({"n_test": 0}, "n_test must be at least 1, got 0"),
        ({"class_order": -3}, "class_order must be between 0 and 4294967295, got -3"),
    ],
)
def test_bad_arguments(tree, options, message):
    with pytest.raises(ValueError, match=message):
        cub200(tree, **options)


@image_trees.needs("CUB_200_2011")
def test_the_real_images():
    stream = cub200(image_trees.FOLDER)
    assert [len(task.classes) for task in stream] == [5] * 10 and stream.n_classes == 50
    described = stream.describe()
    assert (sum(described["train_images"]), sum(described["test_images"])) == (1500, 1389)
    assert described["partial"] == "50 of 200 classes"
    assert (
        stream[0].class_names[2] == "Sooty Albatross" and stream[9].class_names[4] == "Eared Grebe"
    )
    assert not image_trees.pixels(stream, "train") & image_trees.pixels(stream, "test")


@image_trees.needs("CUB_200_2011")
def test_real_images_by_seed():
    described = image_trees.described_by_seed(cub200, n_tasks=5, n_train=5, n_test=5)
    assert described["test_images"] == [50] * 5
