"""Which images are drawn, divided and numbered: by seed, without repetition."""

from dataclasses import replace

import numpy as np
import pytest

from fmlora_kit.streams.sampling import (
    ClassItems,
    check_names,
    check_numbers,
    check_share,
    class_incremental,
    draw,
    make_tasks,
    order_in_words,
    order_of_classes,
    partial_note,
    split,
)

LETTERS = tuple("abcdefghijklmnopqrst")


def read(parts):
    """Pictures whose first byte is their item; the second, the number of their part."""
    images = [np.zeros((len(items), 4, 4, 3), dtype=np.uint8) for items in parts]
    for k, (some, items) in enumerate(zip(images, parts, strict=True)):
        some[:, 0, 0, 0], some[:, 0, 0, 1] = items, k
    return images


def classes(n):
    """Class k has the training items 10 k to 10 k + k, and one test item, 10 k + 9."""
    return [ClassItems(f"c{k}", tuple(range(10 * k, 11 * k + 1)), (10 * k + 9,)) for k in range(n)]


def test_more_items_are_the_fewer_ones_and_others():
    smaller, larger = (draw(LETTERS, n, 0, "x") for n in (5, 9))
    assert len(smaller) == 5 and len(larger) == 9 and set(smaller) < set(larger)
    assert list(larger) == sorted(larger)
    assert draw(LETTERS, 5, 0, "x") == smaller
    assert draw(LETTERS, 5, 1, "x") != smaller and draw(LETTERS, 5, 0, "y") != smaller


@pytest.mark.parametrize("n", [None, 20, 21])
def test_all_items(n):
    assert draw(LETTERS, n, 0, "x") == LETTERS


def test_every_item_is_drawn_equally_often():
    counts = sum(np.isin(LETTERS, draw(LETTERS, 5, seed, "x")) for seed in range(400))
    assert abs(counts - 100).max() < 40  # 4.6 standard deviations of a binomial, 0.25 of 400


@pytest.mark.parametrize(("n", "share", "n_test"), [(20, 0.2, 4), (7, 0.5, 4), (2, 0.01, 1)])
def test_split_holds_out_its_share_and_loses_nothing(n, share, n_test):
    got = split("name", LETTERS[:n], share, 3, "photo/dog")
    assert len(got.test) == n_test and got.name == "name"
    assert sorted(got.train + got.test) == list(LETTERS[:n])
    assert split("name", LETTERS[:n], share, 3, "photo/dog") == got


def test_a_split_always_leaves_something_to_train_on():
    assert len(split("x", "ab", 0.99, 0, "k").train) == 1
    with pytest.raises(ValueError, match="photo/dog must have at least 2 images .* got 1"):
        split("dog", "a", 0.2, 0, "photo/dog")


def test_limits_are_per_part():
    one = ClassItems("c", LETTERS, LETTERS[:3]).at_most(4, None, 0)
    assert len(one.train) == 4 and one.test == LETTERS[:3]


def test_class_orders():
    assert order_of_classes(4, None) == [0, 1, 2, 3]
    # the first ten classes of CIFAR-100 in the order that iCaRL and PyCIL publish
    assert order_of_classes(100, 1993)[:10] == [68, 56, 78, 8, 23, 84, 90, 65, 74, 76]
    assert sorted(order_of_classes(100, 1993)) == list(range(100))
    assert order_in_words(1993, "official") == "permutation of seed 1993"
    assert order_in_words(None, "official") == "official"
    with pytest.raises(ValueError, match="class_order must be between 0 and 4294967295, got -1"):
        order_of_classes(100, -1)


def test_tasks_number_the_classes_in_order_and_read_the_items_of_each():
    tasks = class_incremental(classes(6)[::-1], 3, read)
    assert [task.name for task in tasks] == ["c5, c4", "c3, c2", "c1, c0"]
    assert [task.classes for task in tasks] == [(0, 1), (2, 3), (4, 5)]
    assert tasks[1].class_names == ("c3", "c2")
    assert tasks[1].train_labels.tolist() == [2] * 4 + [3] * 3
    assert tasks[1].train_images[:, 0, 0, 0].tolist() == [30, 31, 32, 33, 20, 21, 22]
    assert tasks[1].test_images[:, 0, 0, 0].tolist() == [39, 29]
    assert tasks[1].test_labels.tolist() == [2, 3] and tasks[1].train_labels.dtype == np.int64


@pytest.mark.parametrize("name", ["c", "c{} with a long name"])
def test_tasks_are_numbered_where_the_names_of_their_classes_are_long_or_alike(name):
    named = [replace(one, name=name.format(k)) for k, one in enumerate(classes(5))]
    tasks = class_incremental(named, (2, 2, 1), read)
    assert [task.name for task in tasks] == ["classes 0 to 1", "classes 2 to 3", "class 4"]


def test_one_class_per_task():
    assert [task.name for task in class_incremental(classes(2), 2, read)] == ["c0", "c1"]


@pytest.mark.parametrize("n_tasks", [0, 4, 7, None])
def test_tasks_are_equally_long(n_tasks):
    with pytest.raises(
        ValueError, match=rf"divide the 6 classes \(\[1, 2, 3, 6\]\) or be .*, got {n_tasks}"
    ):
        class_incremental(classes(6), n_tasks, read)


def test_a_domain_is_a_task_from_zero_and_training_images_are_read_before_all_test_images():
    photo, sketch = make_tasks({"photo": classes(3), "sketch": classes(3)[::-1]}, read)
    assert photo.name == "photo" and photo.classes == sketch.classes == (0, 1, 2)
    assert sketch.train_images[:, 0, 0, 0].tolist() == [20, 21, 22, 10, 11, 0]
    assert sketch.train_labels.tolist() == [0, 0, 0, 1, 1, 2]
    parts = [t.train_images for t in (photo, sketch)] + [t.test_images for t in (photo, sketch)]
    assert [set(part[:, 0, 0, 1].tolist()) for part in parts] == [{0}, {1}, {2}, {3}]


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((-1, 32, None, None), "seed must be at least 0, got -1"),
        ((True, 32, None, None), "seed must be a whole number at least 0, got True"),
        ((None, 32, None, None), "seed must be a whole number at least 0, got None"),
        ((0, 0, None, None), "image_size must be at least 1, got 0"),
        ((0, 32.5, None, None), "image_size must be a whole number at least 1, got 32.5"),
        ((0, "32", None, None), "image_size must be a whole number at least 1, got '32'"),
        ((0, 32, 0, None), "n_train must be at least 1, got 0"),
        ((0, 32, None, -1), "n_test must be at least 1, got -1"),
        ((0, 32, float("nan"), None), "n_train must be a whole number at least 1, got nan"),
    ],
)
def test_bad_numbers(numbers, message):
    with pytest.raises(ValueError, match=message):
        check_numbers(*numbers)


def test_numpys_numbers_come_back_as_pythons():
    got = check_numbers(np.int64(3), np.uint8(32), None, np.int32(1))
    assert got == (3, 32, None, 1) and [type(n) for n in got] == [int, int, type(None), int]


@pytest.mark.parametrize("test_share", [0, 1, 1.5, float("nan"), "0.2", True, None])
def test_bad_shares(test_share):
    assert check_share(0.5) == 0.5
    rule = "(a finite number )?above 0 and below 1"
    with pytest.raises(ValueError, match=f"test_share must be {rule}, got {test_share!r}"):
        check_share(test_share)


@pytest.mark.parametrize("domains", [(), ("a", "a"), ("a", "c"), "a", None, [["a"]], (1,)])
def test_bad_domains(domains):
    assert check_names("domains", ["b", "a"], ["a", "b"]) == ("b", "a")
    with pytest.raises(
        ValueError, match=r"domains must be different names among \('a', 'b'\), got"
    ):
        check_names("domains", domains, ["a", "b"])


def test_what_is_partial_in_words():
    assert partial_note([], None, None) is None
    note = partial_note(["50 of 200 classes"], 3, None)
    assert note == "50 of 200 classes; at most 3 training images per class"
    assert partial_note([], None, 2) == "at most 2 test images per class"
