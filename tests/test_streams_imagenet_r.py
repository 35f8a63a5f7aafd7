"""ImageNet-R in its three splits; the real lists are checked where they lie."""

import numpy as np
import pytest
from helpers import image_trees

from fmlora_kit.streams import imagenet_r
from fmlora_kit.streams.files import listed_classes, read_list
from fmlora_kit.streams.imagenet_r import LISTED_FROM, LISTS

WNIDS, LABELS, TRAIN = image_trees.WNIDS, image_trees.LABELS, image_trees.TRAIN


@pytest.fixture
def tree(tmp_path):
    image_trees.draw_imagenet_r(tmp_path / "imagenet-r")
    return tmp_path


@pytest.fixture
def presplit(tmp_path):
    image_trees.draw_split(tmp_path / "imagenet-r")
    return tmp_path


def test_the_fixed_lists_decide_split_and_class_numbers(tree):
    before = image_trees.files(tree)
    stream = imagenet_r(tree, n_tasks=4, image_size=8)
    assert stream.name == "imagenet_r" and stream.scenario == "class-incremental"
    by_label = [LABELS.index(k) for k in range(4)]
    assert [task.class_names for task in stream] == [(WNIDS[c],) for c in by_label]
    for c, task in zip(by_label, stream, strict=True):
        assert image_trees.numbers(task.train_images) == [10 * c + i for i in TRAIN]
        assert image_trees.numbers(task.test_images) == [10 * c + i for i in (1, 4)]
    about = stream.about
    assert about["split"] == "fixed lists of CODA-Prompt"
    assert about["class_numbers"] == "of the lists" and about["class_order"] == "by number"
    assert about["partial"] == "4 of 200 classes; 20 of 30,000 images"
    assert image_trees.files(tree) == before


def test_a_random_split_needs_no_lists_and_moves_nothing(tree):
    for name in LISTS:
        (tree / "imagenet-r" / name).unlink()
    before = image_trees.files(tree)
    how = {"split": "random", "test_share": 0.4, "n_tasks": 2, "image_size": 8}
    stream, again, other = (imagenet_r(tree, seed, **how) for seed in (1, 1, 2))
    assert [task.class_names for task in stream] == [WNIDS[:2], WNIDS[2:]]
    for first, task in zip((0, 2), stream, strict=True):
        train, test = (image_trees.numbers(x) for x in (task.train_images, task.test_images))
        assert len(test) == 4
        assert sorted(train + test) == [10 * (first + c) + i for c in range(2) for i in range(5)]
    assert stream.about["split"] == "random by seed, 0.4 of each class for testing"
    assert stream.about["class_numbers"] == "sorted names of the folders"
    assert stream.describe() == again.describe()
    assert image_trees.pixels(stream, "test") != image_trees.pixels(other, "test")
    assert image_trees.files(tree) == before


def test_folders_that_were_split_before(presplit):
    stream = imagenet_r(presplit, split="folders", n_tasks=2, image_size=8)
    assert image_trees.numbers(stream[0].train_images) == [
        i + 10 * c for c in (0, 1) for i in TRAIN
    ]
    assert image_trees.numbers(stream[1].test_images) == [21, 24, 31, 34]
    assert stream.about["split"] == "folders train and test"


def test_class_orders(tree):
    fixed = imagenet_r(tree, n_tasks=4, image_size=8, class_order=1995)
    order = [k for k in np.random.RandomState(1995).permutation(200) if k < 4]
    assert [task.class_names[0] for task in fixed] == [WNIDS[LABELS.index(k)] for k in order]
    some = imagenet_r(tree, split="random", n_tasks=4, image_size=8, class_order=3)
    order = np.random.RandomState(3).permutation(4)
    assert [task.class_names[0] for task in some] == [WNIDS[k] for k in order]
    assert some.about["class_order"] == "permutation of seed 3"


def test_names_from_the_readme_of_the_archive(tree, presplit):
    text = "Renditions\n\nn01443537 goldfish\nn01484850 great_white_shark\n"
    (tree / "imagenet-r" / "README.txt").write_text(text)
    stream = imagenet_r(tree, n_tasks=1, image_size=8)
    assert stream[0].class_names == ("great white shark", "n09835506", "goldfish", "n02007558")
    stream = imagenet_r(presplit, split="folders", n_tasks=1, image_size=8)
    assert stream[0].class_names[0] == "goldfish"


def test_limits_and_lists_elsewhere(tree):
    (tree / "lists").mkdir()
    for name in LISTS:
        (tree / "imagenet-r" / name).rename(tree / "lists" / name)
    how = {"lists": tree / "lists", "n_tasks": 2, "image_size": 8, "n_train": 2, "n_test": 1}
    first, other = (imagenet_r(tree, seed, **how) for seed in (0, 1))
    assert first.describe()["train_images"] == [4, 4]
    assert first.describe()["test_images"] == [2, 2]
    assert first.describe()["crc32"] != other.describe()["crc32"]


def test_classes_without_images_are_left_out(tree):
    for path in (tree / "imagenet-r" / WNIDS[0]).iterdir():
        path.unlink()
    stream = imagenet_r(tree, n_tasks=3, image_size=8)
    assert WNIDS[0] not in [name for task in stream for name in task.class_names]
    assert stream.about["partial"] == "3 of 200 classes; 15 of 30,000 images"


def test_damage_is_named(tree):
    image_trees.rewrite(tree / "imagenet-r" / LISTS[0], "targets:\n", "labels:\n")
    with pytest.raises(ValueError, match="must hold 'data:' and .* got 'labels:' in line 14"):
        imagenet_r(tree, n_tasks=2, image_size=8)
    for path in tree.rglob("*.yaml"):
        path.unlink()
    image_trees.draw_imagenet_r(tree / "imagenet-r")
    for path in tree.rglob("*.jpg"):
        path.unlink()
    message = "imagenet-r must hold the listed images, got none. F"
    with pytest.raises(FileNotFoundError, match=message):
        imagenet_r(tree, n_tasks=2, image_size=8)


def test_damaged_folders_are_named(presplit):
    message = r"must hold folders of classes, nXXXXXXXX, got \['test', 'train'\]; split='folders' r"
    with pytest.raises(ValueError, match=message):
        imagenet_r(presplit, split="random")
    both = presplit / "imagenet-r" / "test" / WNIDS[0] / "0.jpg"
    image_trees.draw(both, 0)
    message = "imagenet-r must have each image in train or in test, got n01443537/0.jpg in both"
    with pytest.raises(ValueError, match=message):
        imagenet_r(presplit, split="folders")
    both.unlink()
    (presplit / "imagenet-r" / "test" / WNIDS[3]).rename(presplit / "gone")
    message = "must have the same classes in train and test, got .'n09835506'. in one of them only"
    with pytest.raises(ValueError, match=message):
        imagenet_r(presplit, split="folders")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "kfold"}, "split must be one of .'fixed', 'random', 'folders'., got 'kfold'"),
        ({"split": "random", "test_share": 0}, "test_share must be above 0 and below 1, got 0"),
        ({"n_tasks": 3}, r"n_tasks must divide the 4 classes .*, got 3"),
        ({"class_order": -1}, "class_order must be between 0 and 4294967295, got -1"),
        ({"image_size": 0}, "image_size must be at least 1, got 0"),
        ({"n_train": 0}, "n_train must be at least 1, got 0"),
    ],
)
def test_bad_arguments(tree, options, message):
    with pytest.raises(ValueError, match=message):
        imagenet_r(tree, **options)


@image_trees.needs("imagenet-r")
def test_the_real_lists():
    root = image_trees.FOLDER / "imagenet-r"
    train, test = (root / name for name in LISTS)
    assert (len(read_list(train)), len(read_list(test))) == (24_000, 6_000)
    classes = listed_classes(root, (train, test), 200, LISTED_FROM)
    assert len(classes) == 200 and all(each.train and each.test for each in classes.values())
    names = [each.name for each in classes.values()]
    assert names != sorted(names)  # the lists do not number classes as torchvision's ImageFolder
    with pytest.raises(FileNotFoundError, match="must hold the listed images, got none. Fetch"):
        imagenet_r(root)
    with pytest.raises(FileNotFoundError, match="must hold folders of classes, got none. Fetch"):
        imagenet_r(root, split="random")
