"""A folder of anyone's images: its layout is recognised, said, and never guessed where unclear."""

import numpy as np
import pytest
from helpers import image_trees
from PIL import Image

from fmlora_kit.streams import image_folder
from fmlora_kit.streams.image_folder import CLASSES, DOMAINS, SPLIT, layout_of

NAMES = ("cat", "dog", "emu", "fox")


def draw(root, first=0, images=5, names=NAMES):
    for c, name in enumerate(names):
        for i in range(images):
            suffix = ("jpg", "PNG")[i % 2]
            image_trees.draw(root / name / f"{i}.{suffix}", first + 10 * c + i)


@pytest.fixture
def classes(tmp_path):
    draw(tmp_path / "photos")
    return tmp_path / "photos"


@pytest.fixture
def domains(tmp_path):
    for d, domain in enumerate(("day", "dusk", "night")):
        draw(tmp_path / "places" / domain, 100 * d)
    return tmp_path / "places"


def test_folders_of_classes(classes):
    before = image_trees.files(classes)
    stream = image_folder(classes, 1, n_tasks=2, image_size=8)
    assert stream.name == "image_folder" and stream.scenario == "class-incremental"
    assert [task.class_names for task in stream] == [NAMES[:2], NAMES[2:]]
    for first, task in zip((0, 2), stream, strict=True):
        train, test = (image_trees.numbers(x) for x in (task.train_images, task.test_images))
        assert sorted(train + test) == [10 * (first + c) + i for c in range(2) for i in range(5)]
        assert [n // 10 for n in test] == task.test_labels.tolist() == list(task.classes)
    assert stream.about == {
        "source": "folder photos",
        "layout": "CLASS/*",
        "split": "random by seed, 0.2 of each class for testing",
        "class_order": "alphabetical",
        "partial": None,
    }
    assert image_trees.files(classes) == before


def test_folders_of_domains(domains):
    stream = image_folder(domains, test_share=0.4, image_size=8)
    assert stream.scenario == "domain-incremental" and stream.about["layout"] == "DOMAIN/CLASS/*"
    assert [task.name for task in stream] == ["day", "dusk", "night"]
    for d, task in enumerate(stream):
        assert task.class_names == NAMES and task.classes == (0, 1, 2, 3)
        train, test = (image_trees.numbers(x) for x in (task.train_images, task.test_images))
        assert sorted(train + test) == [100 * d + 10 * c + i for c in range(4) for i in range(5)]
        assert len(test) == 8 and [n // 10 % 10 for n in train] == task.train_labels.tolist()
    some = image_folder(domains, domains=("night", "day"), image_size=8)
    assert [task.name for task in some] == ["night", "day"]


@pytest.mark.parametrize("test", ["test", "val"])
def test_a_split_that_is_there_is_kept(tmp_path, test):
    draw(tmp_path / "train", images=3)
    draw(tmp_path / test, first=100, images=2)
    stream = image_folder(tmp_path, n_tasks=1, image_size=8)
    assert stream.about["layout"] == SPLIT and stream.about["split"] == "folders"
    expected = [100 * 0 + 10 * c + i for c in range(4) for i in range(3)]
    assert image_trees.numbers(stream[0].train_images) == expected
    assert {n // 100 for n in image_trees.numbers(stream[0].test_images)} == {1}
    assert image_folder(tmp_path, 7, n_tasks=1, image_size=8).describe() == {
        **stream.describe(),
        "seed": 7,
    }


def test_seed_limits_and_order(classes):
    few = {"n_tasks": 4, "image_size": 8, "n_train": 2, "n_test": 1}
    first, again, other = (image_folder(classes, seed, **few) for seed in (0, 0, 1))
    assert first.describe() == again.describe()
    assert first.describe()["crc32"] != other.describe()["crc32"]
    assert first.describe()["train_images"] == [2] * 4
    assert first.about["partial"].startswith("at most 2 training images per class; at most 1 test")
    mixed = image_folder(classes, class_order=3, **few)
    assert sorted(sum((task.class_names for task in mixed), ())) == list(NAMES)
    assert [task.class_names for task in mixed] != [task.class_names for task in first]


def test_other_files_are_counted_and_hidden_ones_are_not(classes):
    for name in ("cat/a.heic", "cat/b.HEIC", "dog/notes", "dog/.DS_Store"):
        (classes / name).touch()
    stream = image_folder(classes, n_tasks=1, image_size=8)
    assert stream.about["left_out"] == "files that are no images: 2 of .heic, 1 of no suffix"


MODES = {
    "0.JPEG": "RGB",
    "1.webp": "RGB",
    "2.BMP": "RGB",
    "3.png": "RGBA",
    "4.Png": "P",
    "5.jpg": "CMYK",
    "6.webp": "RGBA",
    "7.jpeg": "L",
    "8.png": "LA",
    "9.png": "1",
}


def test_every_kind_of_file_and_of_name(tmp_path):
    for name in ("größe", "猫 и кот"):
        for k, (file, mode) in enumerate(MODES.items()):
            colour = (25 * k,) * 3 if k < 9 else (255,) * 3
            picture = Image.new("RGB", (20, 30), colour)
            picture = picture.quantize(4) if mode == "P" else picture.convert(mode)
            if mode in ("RGBA", "LA"):
                picture.putalpha(99)  # over white
            (tmp_path / name).mkdir(exist_ok=True)
            options = {"transparency": bytes([9] * 4)} if mode == "P" else {}
            picture.save(tmp_path / name / file, **options)
    stream = image_folder(tmp_path, n_tasks=1, image_size=8, test_share=0.1)
    assert stream[0].class_names == ("größe", "猫 и кот") and "left_out" not in stream.about
    images = np.concatenate([stream[0].train_images, stream[0].test_images])
    grey = np.sort(images.mean(axis=(1, 2, 3)))
    alpha = {3: 99, 4: 9, 6: 99, 8: 99}
    shades = [*range(0, 225, 25), 255]
    shades = [255 - (255 - c) * alpha.get(k, 255) / 255 for k, c in enumerate(shades)]
    np.testing.assert_allclose(grey, np.sort(np.repeat(shades, 2)), atol=4)


def test_images_in_no_class_are_counted(classes, domains):
    for root in (classes, domains):
        image_trees.draw(root / "loose.jpg", 0)
    stream = image_folder(classes, n_tasks=1, image_size=8)
    assert stream.about["left_out"] == "images that lie in no class: 1"
    (domains / "day" / "cat" / "notes.txt").touch()
    assert image_folder(domains, image_size=8).about["left_out"] == (
        "files that are no images: 1 of .txt; images that lie in no class: 1"
    )
    image_trees.draw(domains / "day" / "0.jpg", 0)
    with pytest.raises(ValueError, match="got images in 'day' and folders in 'day'"):
        image_folder(domains, image_size=8)


def test_photos_are_turned_upright(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        for i in range(2):
            picture = Image.new("L", (16, 16), 0)
            picture.paste(255, (0, 0, 16, 8))  # the upper half is white
            exif = picture.getexif()
            exif[0x0112] = 3  # stored upside down
            picture.save(tmp_path / name / f"{i}.png", exif=exif)
    images = image_folder(tmp_path, n_tasks=1, image_size=16)[0].train_images
    assert images[:, 9:].min() == 255 and images[:, :7].max() == 0


def test_layouts(classes, domains, tmp_path):
    assert layout_of(classes) == CLASSES and layout_of(domains) == DOMAINS
    with pytest.raises(FileNotFoundError, match="there is no folder .*nowhere. A folder of your"):
        layout_of(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty must hold folders of images, got none"):
        layout_of(tmp_path / "empty")


def test_mixed_layouts_are_named(classes):
    image_trees.draw(classes / "cat" / "old" / "0.jpg", 0)
    message = "of images or folders of folders, got images in 'cat' and folders in 'cat'"
    with pytest.raises(ValueError, match=message):
        image_folder(classes, n_tasks=1, image_size=8)


def test_domains_must_have_the_same_classes(domains):
    (domains / "dusk" / "emu").rename(domains / "dusk" / "ibis")
    with pytest.raises(ValueError, match="the same classes in every domain, day lacks .'ibis'."):
        image_folder(domains)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"n_tasks must divide the 4 classes .*, got None"),
        ({"n_tasks": 3}, r"n_tasks must divide the 4 classes .*, got 3"),
        ({"n_tasks": 2, "domains": ("cat",)}, r"domains must be None for a folder of CLASS/\*"),
        ({"n_tasks": 2, "test_share": 1}, "test_share must be above 0 and below 1, got 1"),
        ({"n_tasks": 2, "image_size": 0}, "image_size must be at least 1, got 0"),
        ({"n_tasks": 2, "n_test": 0}, "n_test must be at least 1, got 0"),
    ],
)
def test_bad_arguments_for_classes(classes, options, message):
    with pytest.raises(ValueError, match=message):
        image_folder(classes, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_tasks": 3}, r"n_tasks must be None for a folder of DOMAIN/CLASS/\*, got 3"),
        ({"class_order": 3}, "class_order must be None for a folder of DOMAIN"),
        ({"domains": ("day", "dawn")}, "domains must be different names among .*'dawn'"),
        ({"domains": ("day", "day")}, "domains must be different names"),
    ],
)
def test_bad_arguments_for_domains(domains, options, message):
    with pytest.raises(ValueError, match=message):
        image_folder(domains, **options)


@image_trees.needs("PACS")
def test_the_real_images():
    stream = image_folder(image_trees.FOLDER / "PACS", n_train=2, n_test=1)
    assert [task.name for task in stream] == ["art_painting", "cartoon", "photo", "sketch"]
    photos = image_folder(image_trees.FOLDER / "PACS" / "photo", n_tasks=7, n_train=2, n_test=1)
    assert photos.scenario == "class-incremental" and photos[6].class_names == ("person",)
