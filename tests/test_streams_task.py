"""What a task and a stream accept: every error names the thing, the rule and the value."""

import numpy as np
import pytest

from fmlora_kit.streams import Stream, Task


def task(name="Greek", classes=(0, 1), **changes):
    images = np.zeros((4, 8, 8, 3), dtype=np.uint8)
    labels = np.array([classes[0], classes[-1]] * 2 if classes else [0, 0, 0, 0])
    values = {
        "name": name,
        "classes": classes,
        "class_names": tuple(f"c{k}" for k in classes),
        "train_images": images,
        "train_labels": labels,
        "test_images": images[:2],
        "test_labels": labels[:2],
    }
    return Task(**{**values, **changes})


def pictures(n=4, size=8, dtype=np.uint8):
    return np.zeros((n, size, size, 3), dtype=dtype)


BAD = {
    "no classes": ({"classes": (), "class_names": ()}, "classes must not be empty"),
    "a class twice": (
        {"classes": (0, 1, 1), "class_names": ("a", "b", "b")},
        r"classes must differ, got \(0, 1, 1\)",
    ),
    "one name short": ({"class_names": ("a",)}, r"one name per class \(2\), got 1"),
    "floats": ({"train_images": pictures(dtype=np.float32)}, "must be uint8.*got float32"),
    "test floats": (
        {"test_images": pictures(2, dtype=float)},
        "test_images must be uint8.*float64",
    ),
    "grey": ({"train_images": pictures()[..., :1]}, r"\(n, height, width, 3\), got \(4, 8, 8, 1\)"),
    "flat": ({"train_images": pictures()[0]}, r"\(n, height, width, 3\), got \(8, 8, 3\)"),
    "no image": (
        {"train_images": pictures(0), "train_labels": np.zeros(0, int)},
        "train_images must hold at least one image, got 0",
    ),
    "no test image": (
        {"test_images": pictures(0), "test_labels": np.zeros(0, int)},
        "test_images must hold at least one image, got 0",
    ),
    "one label short": ({"train_labels": np.array([0, 1, 0])}, r"shape \(4,\), got \(3,\)"),
    "foreign label": ({"train_labels": np.array([0, 1, 7, 1])}, r"classes of the task, got \[7\]"),
    "foreign test label": ({"test_labels": np.array([0, 9])}, r"test_labels must be .*got \[9\]"),
    "labels no integers": ({"train_labels": np.array([0.0, 1, 0, 1])}, "integers, got float64"),
    "a class unseen": (
        {"train_labels": np.array([0, 0, 0, 0])},
        r"train_labels must show every class, missing \[1\]",
    ),
    "another test size": (
        {"test_images": pictures(2, 16)},
        r"must have one size, got \(8, 8, 3\) and \(16, 16, 3\)",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_task_is_refused_by_name_rule_and_value(what):
    changes, message = BAD[what]
    with pytest.raises(ValueError, match=f"task 'Greek'.*{message}"):
        task(**changes)


def test_a_task_protects_its_arrays_but_not_the_callers():
    images, labels = pictures(), np.array([0, 1, 0, 1])
    made = task(train_images=images, train_labels=labels)
    for part in ("train_images", "train_labels", "test_images", "test_labels"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(made, part)[...] = 1
    images[0] = 7
    labels[0] = 1
    assert images.flags.writeable and labels.flags.writeable


def test_classes_of_a_class_incremental_stream_are_disjoint():
    with pytest.raises(ValueError, match="disjoint classes, got class 1 in 'Greek' and in 'Thai'"):
        Stream("s", "class-incremental", (task(), task("Thai", (1, 2))), 0)


def test_classes_of_a_domain_incremental_stream_are_the_same():
    Stream("s", "domain-incremental", (task(), task("Thai")), 0)
    with pytest.raises(ValueError, match="domain-incremental stream must have the same classes"):
        Stream("s", "domain-incremental", (task(), task("Thai", (1, 2))), 0)


def test_other_bad_streams():
    with pytest.raises(ValueError, match="scenario must be one of .*'task-incremental'"):
        Stream("s", "task-incremental", (task(),), 0)
    with pytest.raises(ValueError, match="stream 's' must have at least one task, got none"):
        Stream("s", "class-incremental", (), 0)
    big = task("Thai", (2, 3), train_images=pictures(4, 16), test_images=pictures(2, 16))
    with pytest.raises(ValueError, match=r"one size in all tasks, got \[\(8, 8, 3\), \(16, 16"):
        Stream("s", "class-incremental", (task(), big), 0)


def test_a_stream_is_a_sequence():
    first, second = task(), task("Thai", (2, 5))
    stream = Stream("s", "class-incremental", (first, second), 3)
    assert len(stream) == 2 and list(stream) == [first, second]
    assert stream[1] is second and stream[:1] == (first,)
    assert stream.n_classes == 4 and stream.image_size == (8, 8)


def test_joined_holds_everything_once_and_in_order():
    first = task(train_images=pictures() + np.uint8(3))
    second = task("Thai", (2, 5), train_images=pictures() + np.uint8(9))
    joined = Stream("s", "class-incremental", (first, second), 3).joined()
    assert len(joined) == 1 and joined.name == "s, joined" and joined.seed == 3
    (all_tasks,) = joined
    assert all_tasks.classes == (0, 1, 2, 5)
    assert all_tasks.class_names == ("c0", "c1", "c2", "c5")
    assert all_tasks.train_labels.tolist() == [0, 1, 0, 1, 2, 5, 2, 5]
    assert all_tasks.test_labels.tolist() == [0, 1, 2, 5]
    assert all_tasks.train_images[:, 0, 0, 0].tolist() == [3] * 4 + [9] * 4


def test_joined_domains_keep_one_set_of_classes():
    joined = Stream("s", "domain-incremental", (task(), task("Thai")), 0).joined()
    assert joined[0].classes == (0, 1) and len(joined[0].train_labels) == 8


def test_describe_tells_streams_apart_down_to_a_pixel_and_a_label():
    stream = Stream("s", "class-incremental", (task(), task("Thai", (2, 5))), 3)
    card = stream.describe()
    assert card["tasks"] == ["Greek", "Thai"] and card["seed"] == 3
    assert card["train_images"] == [4, 4] and card["test_images"] == [2, 2]
    assert card["image_size"] == [8, 8]
    images = pictures()
    images[3, 7, 7, 2] = 1
    for change in ({"train_images": images}, {"train_labels": np.array([0, 1, 1, 0])}):
        other = Stream("s", "class-incremental", (task(**change), task("Thai", (2, 5))), 3)
        assert other.describe()["crc32"] != card["crc32"]
    same = Stream("s", "class-incremental", (task(), task("Thai", (2, 5))), 3)
    assert same.describe() == card
