"""PACS from its folders: every image once, on one side of the split; what is missing is named."""

import shutil

import numpy as np
import pytest
from helpers import image_trees

import fmlora_kit as fk
from fmlora_kit.streams import pacs
from fmlora_kit.streams.pacs import CLASSES, PACS


@pytest.fixture
def tree(tmp_path):
    image_trees.draw_pacs(tmp_path / "PACS")
    return tmp_path


def test_each_image_once_with_its_own_domain_and_class(tree):
    before = image_trees.files(tree)
    stream = pacs(tree, seed=1, image_size=8)
    assert stream.name == "pacs" and stream.scenario == "domain-incremental"
    assert [task.name for task in stream] == ["photo", "art painting", "cartoon", "sketch"]
    for d, task in enumerate(stream):
        assert task.classes == tuple(range(7)) and task.class_names == CLASSES
        train, test = (image_trees.numbers(x) for x in (task.train_images, task.test_images))
        assert sorted(train + test) == [100 * d + 10 * c + i for c in range(7) for i in range(5)]
        assert (
            [n // 10 % 10 for n in train] == task.train_labels.tolist() == sorted([*range(7)] * 4)
        )
        assert [n // 10 % 10 for n in test] == task.test_labels.tolist() == [*range(7)]
    assert image_trees.files(tree) == before


def test_the_seed_decides_the_split(tree):
    first, again, other = (pacs(tree / "PACS", seed=s, image_size=8) for s in (1, 1, 2))
    assert first.describe() == again.describe()
    assert image_trees.pixels(first, "test") != image_trees.pixels(other, "test")


def test_limits_keep_some_of_the_same_split(tree):
    whole = pacs(tree, test_share=0.4, image_size=8)
    some = pacs(tree, test_share=0.4, image_size=8, n_train=2, n_test=1)
    assert [len(task.train_labels) for task in some] == [14] * 4
    assert [len(task.test_labels) for task in some] == [7] * 4
    for part in ("train", "test"):
        assert image_trees.pixels(some, part) < image_trees.pixels(whole, part)


def test_images_that_are_not_drawn_are_not_read(tree):
    kept = set(image_trees.numbers(pacs(tree, image_size=8, n_train=1, n_test=1)[0].train_images))
    kept |= set(image_trees.numbers(pacs(tree, image_size=8, n_train=1, n_test=1)[0].test_images))
    for number in set(range(1, 5)) - kept:  # the first image is looked at for its size
        (tree / "PACS" / "photo" / "dog" / f"{number}.jpg").write_bytes(b"broken")
    pacs(tree, image_size=8, n_train=1, n_test=1)
    with pytest.raises(ValueError, match=r"dog.\d.jpg must be a whole image file"):
        pacs(tree, image_size=8)


def test_some_domains_in_another_order(tree):
    stream = pacs(tree, domains=("sketch", "photo"), image_size=8)
    assert [task.name for task in stream] == ["sketch", "photo"]
    assert stream.describe()["partial"].startswith("70 of 5,599 images; ")


def test_partial_data_are_marked_down_to_the_record_and_the_joint_stream(tree, tmp_path):
    stream = pacs(tree, image_size=32, n_train=3)
    note = (
        "140 of 9,991 images; images of 40 pixels instead of 227; "
        "at most 3 training images per class"
    )
    described = stream.describe()
    assert described["partial"] == note == stream.joined().describe()["partial"]
    assert described["split"] == "random by seed, 0.2 of each class and domain for testing"

    model = fk.NearestClassMean(fk.load_backbone(), stream.n_classes, seed=0)
    fk.start_record(model, stream).save(tmp_path / "record")
    assert fk.Record.load(tmp_path / "record").config["stream"] == described


def remove_folder(name):
    return lambda root: shutil.rmtree(root / name)


def add_folder(root):
    (root / "photo" / "cat").mkdir()


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (remove_folder("photo"), FileNotFoundError, "PACS must hold photo. Fetch PACS"),
        (remove_folder("photo/dog"), FileNotFoundError, "photo must hold dog. Fetch PACS"),
        (add_folder, ValueError, r"photo must hold the classes \('dog', .*got \['cat'\]"),
    ],
)
def test_damage_is_named(tree, damage, error, message):
    damage(tree / "PACS")
    with pytest.raises(error, match=message):
        pacs(tree, image_size=8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"domains": ("photo", "clipart")}, "domains must be different names among .*'clipart'"),
        ({"domains": ("photo", "photo")}, "domains must be different names"),
        ({"domains": ()}, r"domains must be different names .* got \(\)"),
        ({"test_share": 1.0}, "test_share must be above 0 and below 1, got 1.0"),
        ({"image_size": 0}, "image_size must be at least 1, got 0"),
        ({"n_train": 0}, "n_train must be at least 1, got 0"),
    ],
)
def test_bad_arguments(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        pacs(tmp_path, **options)


@image_trees.needs("PACS")
def test_the_real_images():
    stream = pacs(image_trees.FOLDER)
    n_train, n_test = (np.array(stream.describe()[k]) for k in ("train_images", "test_images"))
    assert (n_train + n_test).tolist() == list(PACS.domains.values())
    assert abs(n_test / (n_train + n_test) - 0.2).max() < 0.002
    assert stream.image_size == (32, 32) and stream.n_classes == 7
    train, test = (image_trees.pixels(stream, part) for part in ("train", "test"))
    assert not train & test
    assert stream.describe()["partial"] == "images of 64 pixels instead of 227"
    sketches = stream[3].test_images.astype(int)
    assert np.median(sketches) == 255 and np.ptp(sketches, axis=-1).max() < 10  # ink on white


@image_trees.needs("PACS")
def test_real_images_by_seed():
    described = image_trees.described_by_seed(pacs, n_train=30, n_test=30)
    assert described["train_images"] == [210] * 4
    assert described["test_images"] == [210, 210, 207, 196]  # 27 guitars, 16 houses: a fifth
