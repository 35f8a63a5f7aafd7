"""Hours and gigabytes, recomputed by hand; the numbers of images, from the official lists."""

import pytest
from helpers import image_trees

from fmlora_kit.streams import N_IMAGES, decoded_gigabytes, expected_hours
from fmlora_kit.streams.cifar100 import N_TEST, N_TRAIN
from fmlora_kit.streams.cub200 import N_IMAGES as CUB200_IMAGES
from fmlora_kit.streams.domainnet import DN4IL, DOMAINNET
from fmlora_kit.streams.files import read_list
from fmlora_kit.streams.imagenet_r import N_IMAGES as IMAGENET_R_IMAGES


def test_hours_by_hand():
    # 50,000 images in batches of 128 are 391 steps; 20 epochs of them at 0.36 s are 2815.2 s.
    assert expected_hours(0.36, 50_000, 20, 128) == pytest.approx(2815.2 / 3600)
    assert expected_hours(3600.0, 1, 1, 128) == 1.0


def test_gigabytes_by_hand():
    assert decoded_gigabytes(1000, 100) == 0.03
    assert round(decoded_gigabytes(sum(N_IMAGES["domainnet"]), 224)) == 88  # as its stream says


@pytest.mark.parametrize("k", range(4))
def test_hours_need_numbers_above_zero(k):
    name = ("seconds_per_step", "n_images", "epochs", "batch_size")[k]
    values = [1.0, 1, 1, 1]
    values[k] = 0
    with pytest.raises(ValueError, match=f"{name} must be above 0, got 0"):
        expected_hours(*values)


def test_gigabytes_need_images():
    with pytest.raises(ValueError, match="image_size must be at least 1, got 0"):
        decoded_gigabytes(1, 0)


def test_training_and_test_images_add_up_to_the_official_ones():
    assert N_IMAGES["cifar100"] == (N_TRAIN, N_TEST)
    assert sum(N_IMAGES["cub200"]) == CUB200_IMAGES
    assert sum(N_IMAGES["imagenet_r"]) == IMAGENET_R_IMAGES
    assert sum(N_IMAGES["domainnet"]) == sum(DOMAINNET.images.values())
    assert sum(N_IMAGES["dn4il"]) == sum(DN4IL.images.values())


@image_trees.needs("imagenet-r")
def test_images_of_the_fixed_lists():
    lists = [
        image_trees.FOLDER / f"imagenet-r/imagenet-r_{part}.yaml" for part in ("train", "test")
    ]
    assert tuple(len(read_list(path)) for path in lists) == N_IMAGES["imagenet_r"]


@image_trees.needs("CUB_200_2011")
def test_images_of_the_official_split():
    lines = (image_trees.FOLDER / "CUB_200_2011/train_test_split.txt").read_text().split("\n")
    assert sum(line.endswith(" 1") for line in lines) == N_IMAGES["cub200"][0]


@image_trees.needs("domainnet")
@pytest.mark.parametrize("name", ["domainnet", "dn4il"])
def test_test_images_of_the_lists_of_domains(name):
    lists = (image_trees.FOLDER / name).glob("*_test.txt")
    assert sum(len(path.read_text().splitlines()) for path in lists) == N_IMAGES[name][1]
