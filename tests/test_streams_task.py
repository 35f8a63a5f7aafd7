"""What a task and a stream accept: every error names the thing, the rule and the value."""

import numpy as np
import pytest

from fmlora_kit.streams import Stream, Task


def task(name="Greek", classes=(0, 1), **changes):
    images = np.zeros((4, 8, 8, 3), dtype=np.uint8)
    labels = np.array([classes[0], classes[-1]] * 2 if len(classes) else [0, 0, 0, 0])
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
    "no classes": ({"classes": (), "class_names": ()}, r"classes must be at least one, got \(\)"),
    "a class twice": (
        {"classes": (0, 1, 1), "class_names": ("a", "b", "b")},
        r"classes must be different from each other, got \(0, 1, 1\)",
    ),
    "a class that is no number": (
        {"classes": (0, 1.5), "class_names": ("a", "b")},
        "classes must be a whole number at least 0, got 1.5",
    ),
    "a class that is a truth value": (
        {"classes": (False, 1), "class_names": ("a", "b")},
        "classes must be a whole number at least 0, got False",
    ),
    "a class below 0": (
        {"classes": (-1, 1), "class_names": ("a", "b")},
        "classes must be at least 0, got -1",
    ),
    "classes in a text": ({"classes": "01"}, "classes must be a list, got '01'"),
    "a name that is no text": (
        {"class_names": ("a", 2)},
        "class_names must be a text that is not empty, got 2",
    ),
    "names in a text": ({"class_names": "ab"}, "class_names must be a tuple of names, got 'ab'"),
    "lists for arrays": ({"train_images": [[0]]}, "train_images must be a numpy array, got"),
    "labels in a list": ({"test_labels": [0, 1]}, r"test_labels must be a numpy array, got \[0, 1"),
    "no pixels": ({"train_images": pictures(4, 0)}, r"train_images must be \(n, height, width, 3"),
    "truth values for labels": (
        {"train_labels": np.array([False, True, False, True])},
        "train_labels must be integers, got bool",
    ),
    "one name short": (
        {"class_names": ("a",)},
        r"class_names must be as many as classes, got 1 names for classes \(0, 1\)",
    ),
    "a class too many": (
        {"classes": (0, 1, 7), "class_names": ("a", "b")},
        r"must be as many as classes, got 2 names for classes \(0, 1, 7\)",
    ),
    "floats": ({"train_images": pictures(dtype=np.float32)}, "must be uint8.*got float32"),
    "test floats": (
        {"test_images": pictures(2, dtype=float)},
        "test_images must be uint8.*float64",
    ),
    "grey": (
        {"train_images": pictures()[..., :1]},
        r"\(n, height, width, 3\), grey ones with .* three times, got \(4, 8, 8, 1\)",
    ),
    "grey without a channel": (
        {"train_images": pictures()[..., 0]},
        r"\(n, height, width, 3\), grey ones with .* three times, got \(4, 8, 8\)",
    ),
    "four channels": (
        {"train_images": np.zeros((4, 8, 8, 4), np.uint8)},
        r"\(n, height, width, 3\), got \(4, 8, 8, 4\)",
    ),
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
        r"train_labels must show all classes, missing \[1\]",
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


@pytest.mark.parametrize("name", ["", "  ", None, 3, "\udcff"])
def test_a_tasks_name_is_a_text(name):
    with pytest.raises(ValueError, match="task name must be a text that"):
        task(name)


@pytest.mark.parametrize("dtype", ["u1", "u8", "<i2", ">i4", ">u8", "i8"])
def test_labels_of_any_integers_become_int64_of_their_own(dtype):
    given = np.array([0, 1, 0, 1], dtype=dtype)
    for labels in (given, given[::-1], np.repeat(given, 2)[::2]):
        got = task(train_labels=labels).train_labels
        assert got.dtype == np.int64 and got.dtype.isnative and got.flags.c_contiguous
        assert got.tolist() == labels.tolist() and not np.shares_memory(got, given)


def test_images_are_copied_unless_nobody_can_write_to_them():
    images = pictures() + np.arange(4, dtype=np.uint8)[:, None, None, None]
    view = images[:]
    view.flags.writeable = False  # its base can still be written to
    for given in (images, view, np.frombuffer(bytearray(768), np.uint8).reshape(4, 8, 8, 3)):
        assert not np.shares_memory(task(train_images=given).train_images, given)
    images.flags.writeable = False
    whole = np.frombuffer(bytes(768), np.uint8).reshape(4, 8, 8, 3)
    for given in (images, images[:], whole):
        assert np.shares_memory(task(train_images=given).train_images, given)
    turned = task(train_images=images[::-1, :, ::-1]).train_images
    assert turned.flags.c_contiguous and turned[:, 0, 0, 0].tolist() == [3, 2, 1, 0]


def test_numpys_numbers_become_pythons():
    made = task(classes=np.array([3, 5]), class_names=["a", np.str_("b")])
    assert made.classes == (3, 5) and {type(k) for k in made.classes} == {int}
    assert made.class_names == ("a", "b") and {type(n) for n in made.class_names} == {str}
    stream = Stream("s", "class-incremental", [made], np.int64(4))
    assert stream.tasks == (made,) and type(stream.seed) is int


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "stream name must be a text that is not empty, got ''"),
        ({"tasks": "Greek"}, "tasks must be a tuple of tasks, got 'Greek'"),
        ({"tasks": ("Greek",)}, "tasks must be a tuple of tasks, got 'Greek'"),
        ({"seed": True}, "seed must be a whole number at least 0, got True"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"seed": None}, "seed must be a whole number at least 0, got None"),
        ({"about": None}, "about must be words by name, got None"),
        ({"about": {"source": 3}}, r"about\['source'\] must be a text or None, got 3"),
    ],
)
def test_what_a_stream_is_made_of(changes, message):
    values = {"name": "s", "scenario": "class-incremental", "tasks": (task(),), "seed": 0}
    with pytest.raises(ValueError, match=message):
        Stream(**{**values, **changes})


def test_both_are_printed_in_a_line():
    assert repr(task()) == (
        "Task('Greek', 2 classes, 4 training and 2 test images of 8 x 8 pixels)"
    )
    stream = Stream("s", "class-incremental", (task(),), 3)
    assert (
        repr(stream) == "Stream('s', class-incremental, 1 tasks, 2 classes, 8 x 8 pixels, seed 3)"
    )


def test_a_task_protects_its_arrays_but_not_the_callers():
    images, labels = pictures(), np.array([0, 1, 0, 1])
    made = task(train_images=images, train_labels=labels)
    for part in ("train_images", "train_labels", "test_images", "test_labels"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(made, part)[...] = 1
    images[0] = 7
    labels[0] = 1
    assert images.flags.writeable and labels.flags.writeable
    assert not made.train_images.any() and made.train_labels.tolist() == [0, 1, 0, 1]


def test_a_buffer_filled_anew_does_not_change_earlier_tasks():
    buffer, tasks = pictures(), []
    for k, name in enumerate(("Greek", "Thai", "Tamil")):
        buffer[:] = k
        tasks.append(task(name, train_images=buffer, test_images=buffer[:2]))
    assert [each.train_images.max() for each in tasks] == [0, 1, 2]
    assert [each.test_images.max() for each in tasks] == [0, 1, 2]


def test_a_memory_map_is_not_copied(tmp_path):
    np.save(tmp_path / "images.npy", pictures())
    for mode in ("r", "r+"):
        images = np.load(tmp_path / "images.npy", mmap_mode=mode)
        made = task(train_images=images)
        assert np.shares_memory(made.train_images, images) and type(made.train_images) is np.memmap
        assert not made.train_images.flags.writeable
        assert images.flags.writeable == (mode == "r+")  # the caller's own stays as it is


def test_two_tasks_have_two_names():
    both = (task(), task(classes=(2, 3)))
    with pytest.raises(ValueError, match="names of tasks must be different from each other, got"):
        Stream("s", "class-incremental", both, 0)
    with pytest.raises(ValueError, match="names of tasks must be different from each other, got"):
        Stream("s", "domain-incremental", (task(), task()), 0)


def test_a_class_has_one_name_in_all_domains():
    other = task("Thai", class_names=("c0", "other"))
    with pytest.raises(ValueError, match="class 1 must have one name in all tasks, got 'c1' and"):
        Stream("s", "domain-incremental", (task(), other), 0)


def test_what_a_stream_says_can_be_written():
    with pytest.raises(ValueError, match=r"about\['source'\] must be a text that UTF-8 can hold"):
        Stream("s", "class-incremental", (task(),), 0, {"source": "folder \udce9"})


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
