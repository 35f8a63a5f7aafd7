"""Real handwritten digits: all there, once, split by the seed."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from fmlora_kit.streams import digits


@pytest.fixture(scope="module")
def stream():
    return digits(seed=3)


def test_pairs_in_order(stream):
    assert [task.classes for task in stream] == [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)]
    assert [task.name for task in stream][1] == "2 and 3"
    assert stream[2].class_names == ("4", "5") and stream.scenario == "class-incremental"


def test_every_scan_is_there_once_a_quarter_of_each_class_for_testing(stream):
    counts = np.bincount(load_digits().target)
    for task in stream:
        for k in task.classes:
            n_test = int((task.test_labels == k).sum())
            assert n_test + (task.train_labels == k).sum() == counts[k]
            assert abs(n_test / counts[k] - 0.25) < 0.01


def test_pictures_show_the_scans_and_labels_belong_to_them(stream):
    """Shrunk back to 8 x 8, every picture is nearest to a scan of its own label."""
    data = load_digits()
    scans = data.images.reshape(len(data.images), -1)
    task = stream[1]
    small = task.test_images[..., 0].reshape(-1, 8, 4, 8, 4).mean(axis=(2, 4)) * (16 / 255)
    nearest = ((small.reshape(len(small), 1, -1) - scans) ** 2).sum(-1).argmin(1)
    np.testing.assert_array_equal(data.target[nearest], task.test_labels)
    assert np.ptp(task.test_images.astype(int), axis=-1).max() == 0


def test_light_ink_on_dark_paper(stream):
    images = stream[0].train_images
    edge = images[:, :, [0, -1]].mean()
    assert edge < 20 and images[:, 8:24, 8:24].mean() > edge + 80 and images.max() > 250


def test_the_seed_decides_the_split_and_nothing_else():
    first, again, other = (digits(1, seed=s) for s in (3, 3, 4))
    assert first.describe() == again.describe()
    assert first.describe()["crc32"] != other.describe()["crc32"]
    everything = [
        sorted(image.tobytes() for image in (*s[0].train_images, *s[0].test_images))
        for s in (first, other)
    ]
    both = set(everything[0]) & set(everything[1])
    assert len(both) == len(set(everything[0])) == 360


@pytest.mark.parametrize("n_tasks", [0, 6])
def test_number_of_tasks(n_tasks):
    with pytest.raises(ValueError, match=f"n_tasks must be between 1 and 5, got {n_tasks}"):
        digits(n_tasks)


@pytest.mark.parametrize("seed", [None, True, -1, 2**32, 0.5])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(ValueError, match=f"seed must be .*, got {seed}"):
        digits(1, seed)
