"""Data sets as people have them: torch's, torchvision's, Hugging Face's, one's own."""

import sys

import numpy as np
import pytest
import torch
from helpers import image_trees
from PIL import Image
from torch.utils.data import Subset, TensorDataset
from torchvision.datasets import FakeData, ImageFolder
from torchvision.transforms import ToTensor

from fmlora_kit.streams import from_dataset
from fmlora_kit.streams.from_dataset import to_pixels


class Own:
    """Pictures of one colour, whose number is 10 x label + a count; anything with these two."""

    def __init__(self, n=12, n_classes=6, make=lambda image, label: (image, label)):
        self.n, self.n_classes, self.make = n, n_classes, make

    def __len__(self):
        return self.n

    def __getitem__(self, k):
        label = k % self.n_classes
        number = 10 * label + k // self.n_classes
        colour = (number % 10 * 25, number // 10 * 25, 0)
        return self.make(Image.new("RGB", (9, 7), colour), label)


class Named:
    """A list of dicts with features, as `datasets.Dataset` gives them."""

    def __init__(self, own, names):
        label = type("ClassLabel", (), {"names": names})()
        self.own, self.features = own, {"img": None, "label": label}

    def __len__(self):
        return len(self.own)

    def __getitem__(self, k):
        image, label = self.own[k]
        return {"img": image, "label": label}


def stream_of(train, test=None, **options):
    return from_dataset(train, train if test is None else test, image_size=8, **options)


def check(stream, classes=6):
    numbers = [n for task in stream for n in image_trees.numbers(task.train_images)]
    labels = [k for task in stream for k in task.train_labels.tolist()]
    assert [n // 10 for n in numbers] == labels == sorted([*range(classes)] * 2)


def test_anything_with_a_length_and_items():
    stream = stream_of(Own(), tasks=3)
    check(stream)
    assert [task.classes for task in stream] == [(0, 1), (2, 3), (4, 5)]
    assert stream.scenario == "class-incremental" and stream.about["source"] == "Own"
    check(stream_of([Own()[k] for k in range(12)], tasks=2))


def as_array(image, label):
    return np.asarray(image), np.int64(label)


def as_tensor(image, label):
    return ToTensor()(image), torch.tensor(label)


def as_planes(image, label):
    return np.asarray(image).transpose(2, 0, 1), label


@pytest.mark.parametrize("make", [as_array, as_tensor, as_planes])
def test_images_of_every_kind_are_the_same(make):
    expected = stream_of(Own(), tasks=1).describe()
    assert stream_of(Own(make=make), tasks=1).describe() == expected


def test_torch_torchvision_and_subsets(tmp_path):
    pictures = torch.stack([ToTensor()(Own()[k][0]) for k in range(12)])
    tensors = TensorDataset(pictures, torch.arange(12) % 6)
    check(stream_of(tensors, tasks=6))
    check(stream_of(Subset(Own(24, 6), range(12)), tasks=2))
    for c, name in enumerate(("cat", "dog")):
        for i in range(2):
            image_trees.draw(tmp_path / name / f"{i}.png", 10 * c + i)
    folder = ImageFolder(tmp_path)
    for data in (folder, Subset(folder, [0, 1, 2, 3])):
        stream = stream_of(data, tasks=2)
        check(stream, 2)
        assert [task.class_names for task in stream] == [("cat",), ("dog",)]
    fake = FakeData(20, (3, 8, 8), num_classes=2, transform=ToTensor())
    assert stream_of(fake, tasks=2).n_classes == 2


def test_dicts_with_names_as_hugging_face_gives_them():
    data = Named(Own(), names=[f"kind {k}" for k in range(6)])
    stream = stream_of(data, tasks=2, classes=("kind 4", "kind 0", "kind 1", "kind 5"))
    assert [task.class_names for task in stream] == [("kind 4", "kind 0"), ("kind 1", "kind 5")]
    assert [n // 10 for n in image_trees.numbers(stream[0].train_images)] == [4, 4, 0, 0]


def test_hugging_face_itself():
    datasets = pytest.importorskip("datasets")
    columns = {"image": [Own()[k][0] for k in range(12)], "label": [k % 6 for k in range(12)]}
    check(stream_of(datasets.Dataset.from_dict(columns), tasks=3))
    label = datasets.ClassLabel(names=[f"kind {k}" for k in range(6)])
    features = datasets.Features({"image": datasets.Image(), "label": label})
    named = datasets.Dataset.from_dict(columns, features=features)
    for data in (named, named.with_format("numpy"), named.with_format("torch")):
        stream = stream_of(data, named.select(range(6)), tasks=3)
        check(stream)
        assert stream[2].class_names == ("kind 4", "kind 5") and len(stream[2].test_labels) == 2


def test_unequal_tasks_their_order_and_a_first_task():
    sizes = {"tasks": (3, 1, 2)}
    assert [len(t.classes) for t in stream_of(Own(), **sizes)] == [3, 1, 2]
    check(stream_of(Own(), **sizes))
    turned = stream_of(Own(), **sizes, task_order=(2, 0, 1))
    assert [t.class_names for t in turned] == [("4", "5"), ("0", "1", "2"), ("3",)]
    assert [t.classes for t in turned] == [(0, 1), (2, 3, 4), (5,)]
    first = stream_of(Own(), tasks=3, first_task=4)
    assert [len(t.classes) for t in first] == [4, 1, 1]
    few = stream_of(Own(), tasks=1, classes=(5, 2), n_train=1, n_test=1)
    assert few[0].class_names == ("5", "2") and few.describe()["train_images"] == [2]


def test_texts_for_labels():
    stream = stream_of(Own(make=lambda image, label: (image, "abcdef"[label])), tasks=2)
    assert stream[1].class_names == ("d", "e", "f")


def test_a_memory_map_where_it_is_large(tmp_path, monkeypatch):
    plain = stream_of(Own(), tasks=2)
    mapped = stream_of(Own(), tasks=2, decoded=tmp_path)
    assert type(mapped[0].train_images) is np.memmap and mapped.describe() == plain.describe()
    black = Own(make=lambda image, label: (Image.new("RGB", (8, 8)), label))
    assert stream_of(black, tasks=2, decoded=tmp_path)[0].train_images.max() == 0  # not the old
    assert mapped.describe() == plain.describe()  # which is still what it was
    monkeypatch.setattr(sys.modules["fmlora_kit.streams.from_dataset"], "LARGE", 1000)
    with pytest.raises(ValueError, match="decoded must be a folder where .* GB of images are held"):
        stream_of(Own(), tasks=2)


def test_labels_that_change_are_noticed():
    count = iter(range(1000))
    data = Own(make=lambda image, label: (image, (label + next(count) // 12) % 6))
    with pytest.raises(ValueError, match="train must give the same label each time"):
        stream_of(data, Own(), tasks=1)


def bad_image(image):
    return Own(make=lambda _, label: (image, label))


@pytest.mark.parametrize(
    ("train", "options", "message"),
    [
        (iter([]), {}, r"train must be a data set with len\(\) and items"),
        ([], {}, r"len\(train\) must be at least 1, got 0"),
        ([1, 2], {}, r"train\[0\] must be \(image, label\), or a dict of both, got 1"),
        ([{"x": 1}], {}, r"train\[0\] must be with a key of \('image', 'img'\)"),
        (Own(make=lambda i, y: (i, y + 0.5)), {}, "label of train.0. must be a whole number"),
        (Own(make=lambda i, y: (i, -1)), {}, "label of train.0. must be at least 0, got -1"),
        (bad_image("a.png"), {}, r"train\[0\] must be an image of Pillow's, or an array"),
        (bad_image(np.zeros((8, 8, 2), np.uint8)), {}, "train.0. must be an image of Pillow's"),
        (bad_image(np.full((8, 8, 3), 2.0)), {}, "bytes, or floats from 0 to 1, got floats from 2"),
        (bad_image(np.full((8, 8), np.nan)), {}, "bytes, or floats from 0 to 1, got floats from n"),
        (bad_image(np.zeros((8, 8, 3), int)), {}, "bytes, or floats from 0 to 1, got int64"),
        (bad_image(Image.new("I;16", (8, 8))), {}, "train.0. must be an image that can be read"),
        (Own(), {"tasks": 4}, r"tasks must divide the 6 classes \(\[1, 2, 3, 6\]\) or be how"),
        (Own(), {"tasks": (4, 1)}, "tasks must be sizes of tasks, 6 classes in all, got"),
        (Own(), {"tasks": 3, "first_task": 3}, r"the 3 classes behind the first 3 \(\[2, 4\]\)"),
        (Own(), {"task_order": (0, 0)}, "task_order must be different from each other"),
        (Own(), {"task_order": (1, 2)}, "task_order must be the numbers 0 to 0, got"),
        (Own(), {"classes": (1, 9)}, "classes must be different ones of .*, got"),
        (Own(), {"classes": (1, 1)}, "classes must be different from each other, got"),
    ],
)
def test_what_is_no_data_set_is_named(train, options, message):
    with pytest.raises(ValueError, match=message):
        stream_of(train, Own(), **{"tasks": 1, **options})


def test_grey_and_transparent_arrays():
    grey = np.full((8, 8), 7, np.uint8)
    for image in (grey, grey[..., None], torch.from_numpy(grey)[None], grey / 255):
        assert (to_pixels("x", image, 8) == 7).all()
    clear = np.zeros((8, 8, 4), np.uint8)
    assert (to_pixels("x", clear, 8) == 255).all()
