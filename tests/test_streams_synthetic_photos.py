"""The tiny folder of photos: its crops are where they say, and no test crop was trained on."""

from itertools import product

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from fmlora_kit.streams import image_folder
from fmlora_kit.streams.synthetic import N_CROPS, REGIONS, SIDE, crops, write_photos


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos"))


def overlap(a, b):
    """Whether two rectangles, as left, top, right, bottom, share a pixel."""
    return max(a[0], b[0]) < min(a[2], b[2]) and max(a[1], b[1]) < min(a[3], b[3])


def test_it_is_a_stream_with_a_split_of_its_own(folder):
    stream = image_folder(folder, n_tasks=3, image_size=12)
    assert [task.class_names for task in stream] == [
        ("leaves", "petals"),
        ("sky", "tower"),
        ("trees", "water"),
    ]
    assert all(np.bincount(t.train_labels)[list(t.classes)].tolist() == [20, 20] for t in stream)
    assert all(np.bincount(t.test_labels)[list(t.classes)].tolist() == [10, 10] for t in stream)
    assert stream.about["split"] == "folders"


def test_a_crop_is_a_piece_of_its_photograph(folder):
    photo = load_sample_image("china.jpg")
    for part in ("train", "test"):
        boxes = list(crops(REGIONS["tower"][1][part], N_CROPS[part], seed=3))
        for i in (0, len(boxes) - 1):
            left, top, right, bottom = boxes[i]
            crop = np.asarray(Image.open(folder / part / "tower" / f"{i:02}.png"))
            np.testing.assert_array_equal(crop, photo[top:bottom, left:right])


def test_no_test_crop_shares_a_pixel_with_a_training_crop_of_any_class():
    for (photo, regions), (other, others) in product(REGIONS.values(), REGIONS.values()):
        if photo == other:
            assert not overlap(regions["train"], others["test"])


def test_crops_stay_inside_their_region():
    for c, (photo, regions) in enumerate(REGIONS.values()):
        height, width, _ = load_sample_image(f"{photo}.jpg").shape
        for part, (left, top, right, bottom) in regions.items():
            assert right <= width and bottom <= height
            for a, b, x, y in crops((left, top, right, bottom), N_CROPS[part], seed=c):
                assert left <= a and top <= b and x <= right and y <= bottom
                assert (x - a, y - b) == (SIDE, SIDE)


def test_it_is_the_same_every_time(folder, tmp_path):
    again = write_photos(tmp_path / "again")
    for path in sorted(folder.rglob("*.png")):
        assert path.read_bytes() == (again / path.relative_to(folder)).read_bytes()
