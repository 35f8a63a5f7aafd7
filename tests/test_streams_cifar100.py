"""CIFAR-100 from its pickles: official labels and split; one that would run code is refused."""

import pickle
import pickletools

import numpy as np
import pytest
from helpers import image_trees

from fmlora_kit.streams import cifar100
from fmlora_kit.streams.cifar100 import CALLS, HARMLESS

NAMES, write = image_trees.CIFAR_NAMES, image_trees.write_pickle


@pytest.fixture
def tree(tmp_path):
    image_trees.write_cifar100(tmp_path / "cifar-100-python")
    return tmp_path


def test_labels_split_and_planes(tree):
    before = image_trees.files(tree)
    stream = cifar100(tree)
    assert stream.name == "cifar100" and stream.scenario == "class-incremental"
    assert len(stream) == 10 and stream.image_size == (32, 32)
    for t, task in enumerate(stream):
        assert task.classes == tuple(range(10 * t, 10 * t + 10))
        assert task.class_names[1] == f"thing {t}1"
        assert task.name == f"classes {10 * t} to {10 * t + 9}"
        for images, labels, n, blue in (
            (task.train_images, task.train_labels, 3, 1),
            (task.test_images, task.test_labels, 2, 2),
        ):
            np.testing.assert_array_equal(images[:, 5, 7, 0], labels)
            assert (images == images[:, :1, :1]).all() and (images[..., 2] == blue).all()
            places = sorted(zip(labels.tolist(), images[:, 0, 0, 1].tolist(), strict=True))
            assert places == [(k, i) for k in task.classes for i in range(n)]
    assert image_trees.files(tree) == before


def test_rows_and_columns_are_not_exchanged(tree):
    """An official row holds the red plane line by line, then green, then blue."""
    content = image_trees.cifar_part(3, first=1)
    content["data"][:] = np.arange(3072) // 32  # the number of the line, over all three planes
    write(tree / "cifar-100-python" / "train", content)
    image = cifar100(tree)[0].train_images[0]
    for channel in range(3):
        np.testing.assert_array_equal(
            image[..., channel], (np.arange(32) + 32 * channel)[:, None].repeat(32, axis=1)
        )


def test_the_published_class_order(tree):
    stream = cifar100(tree / "cifar-100-python", n_tasks=20, class_order=1993)
    assert stream[0].class_names == tuple(f"thing {k:02d}" for k in (68, 56, 78, 8, 23))
    assert stream[0].classes == (0, 1, 2, 3, 4)
    assert stream[0].test_images[:, 0, 0, 0].tolist() == [68, 68, 56, 56, 78, 78, 8, 8, 23, 23]
    assert stream.describe()["class_order"] == "permutation of seed 1993"


def test_limits_size_and_what_the_seed_decides(tree):
    whole = [cifar100(tree, seed).describe()["crc32"] for seed in (0, 1)]
    first, again, other = (cifar100(tree, s, n_train=1, image_size=16) for s in (0, 0, 1))
    assert whole[0] == whole[1] and first.describe() == again.describe()
    assert first.describe()["crc32"] != other.describe()["crc32"]
    assert first.image_size == (16, 16) and len(first[0].train_labels) == 10
    np.testing.assert_array_equal(first[3].train_images[:, 9, 9, 0], first[3].train_labels)


def test_partial_data_are_marked(tree):
    assert cifar100(tree, n_test=1).describe()["partial"] == (
        "300 of 50,000 training images; 200 of 10,000 test images; at most 1 test images per class"
    )


class Evil:
    """Unpickling it would make a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("name", ["train", "test", "meta"])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_file_that_would_run_code_is_refused_and_not_run(tree, tmp_path, name, protocol):
    content = {"data": Evil(tmp_path / "harm"), "fine_labels": [], "fine_label_names": NAMES}
    path = tree / "cifar-100-python" / name
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    with pytest.raises(ValueError, match=f"{name} must hold plain arrays.*refused: it would call"):
        cifar100(tree)
    assert not (tmp_path / "harm").exists()


def test_old_ways_to_call_are_refused_too(tree):
    path = tree / "cifar-100-python" / "train"
    path.write_bytes(b"(S'echo'\nios\nsystem\n.")  # INST
    with pytest.raises(ValueError, match="refused: it would call 'os system'"):
        cifar100(tree)


def test_every_opcode_that_finds_something_to_call_is_known():
    """By pickletools' own table of opcodes."""
    named = {code.name for code in pickletools.opcodes if "GLOBAL" in code.name}
    other = {"INST", "EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID"}
    assert CALLS == named | other
    assert not {call for call in HARMLESS if not call.startswith(("numpy", "_codecs "))}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_tasks": 3}, r"n_tasks must divide the 100 classes \(\[1, 2, 4, 5, .*, got 3"),
        ({"image_size": 0}, "image_size must be at least 1, got 0"),
        ({"n_train": 0}, "n_train must be at least 1, got 0"),
        ({"class_order": 2**32}, "class_order must be between 0 and 4294967295, got 4294967296"),
    ],
)
def test_bad_arguments(tree, options, message):
    with pytest.raises(ValueError, match=message):
        cifar100(tree, **options)


@image_trees.needs("cifar-100-python")
def test_the_real_images():
    stream = cifar100(image_trees.FOLDER)
    described = stream.describe()
    assert (sum(described["train_images"]), sum(described["test_images"])) == (1117, 916)
    assert described["partial"] == "1,117 of 50,000 training images; 916 of 10,000 test images"
    assert stream.n_classes == 100 and stream[0].class_names[1] == "aquarium fish"
    assert not image_trees.pixels(stream, "train") & image_trees.pixels(stream, "test")


@image_trees.needs("cifar-100-python")
def test_real_images_by_seed():
    described = image_trees.described_by_seed(cifar100, n_train=3, n_test=2)
    assert described["train_images"] == [30] * 10


@pytest.mark.parametrize("layout", ["(n, 3072)", "(n, 32, 32, 3)", "(n, 3, 32, 32)"])
def test_images_as_torchvision_gives_them_are_not_scrambled(tree, layout):
    """``torchvision.datasets.CIFAR100(...).data`` is (n, 32, 32, 3)."""
    images = np.random.default_rng(0).integers(0, 256, (300, 32, 32, 3), dtype=np.uint8)
    planes = images.transpose(0, 3, 1, 2)
    data = {
        "(n, 3072)": planes.reshape(300, 3072),
        "(n, 32, 32, 3)": images,
        "(n, 3, 32, 32)": planes,
    }[layout]
    labels = np.arange(100).repeat(3).tolist()
    write(tree / "cifar-100-python" / "train", {"data": data, "fine_labels": labels})
    stream = cifar100(tree)
    np.testing.assert_array_equal(np.concatenate([t.train_images for t in stream]), images)


@pytest.mark.parametrize("shape", [(300, 32, 96), (300, 3071), (300, 28, 28, 3), (300 * 3072,)])
def test_images_of_any_other_shape_are_refused(tree, shape):
    labels = np.arange(100).repeat(3).tolist()
    data = np.zeros(shape, np.uint8)
    write(tree / "cifar-100-python" / "train", {"data": data, "fine_labels": labels})
    with pytest.raises(ValueError, match="train must (hold images as|be CIFAR-100)"):
        cifar100(tree)
