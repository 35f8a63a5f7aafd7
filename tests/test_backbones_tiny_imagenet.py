"""Tiny-ImageNet is read alike from packed files and from the official folders."""

import io

import numpy as np
import pytest
from helpers.image_trees import draw, files, numbers
from PIL import Image

from fmlora_kit.backbones import tiny_imagenet

WNIDS = ("n02", "n01")  # the order of wnids.txt counts, not the alphabet's


def tree(root):
    """Two classes, two training images and one of validation each; numbers tell them apart."""
    (root / "val").mkdir(parents=True)
    (root / "wnids.txt").write_text("\n".join(WNIDS) + "\n")
    for c, wnid in enumerate(WNIDS):
        for i in range(2):
            draw(root / "train" / wnid / "images" / f"{wnid}_{i}.JPEG", 10 * c + i, (64, 64))
        draw(root / "val" / "images" / f"val_{1 - c}.JPEG", 100 + c, (64, 64), mode="RGB")
    lines = [f"val_{1 - c}.JPEG\t{wnid}\t0\t0\t9\t9" for c, wnid in enumerate(WNIDS)]
    (root / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")


def pack(root, part, shown, labels):
    """One packed file of pictures of one colour."""
    blobs = []
    for number in shown:
        draw(root / "one.png", number, (36, 36))
        buffer = io.BytesIO()
        Image.open(root / "one.png").save(buffer, "JPEG", quality=95, subsampling=0)
        blobs.append(np.frombuffer(buffer.getvalue(), np.uint8))
    offsets = np.cumsum([0, *map(len, blobs)])
    np.savez(
        root / f"tiny_imagenet_36px_{part}.npz",
        jpeg=np.concatenate(blobs),
        offsets=offsets,
        labels=np.array(labels, np.int16),
        wnids=np.array(WNIDS),
    )


def test_the_official_tree(tmp_path):
    tree(tmp_path)
    before = files(tmp_path)
    images, labels, wnids = tiny_imagenet.read(tmp_path, "train")
    assert images.shape == (4, 36, 36, 3) and images.dtype == np.uint8 and wnids == WNIDS
    assert numbers(images) == [0, 1, 10, 11] and labels.tolist() == [0, 0, 1, 1]
    images, labels, _ = tiny_imagenet.read(tmp_path, "val")
    assert numbers(images) == [100, 101] and labels.tolist() == [0, 1]
    assert files(tmp_path) == before


def test_the_packed_files(tmp_path):
    pack(tmp_path, "train", [3, 141], [1, 0])
    images, labels, wnids = tiny_imagenet.read(tmp_path, "train")
    assert numbers(images) == [3, 141] and labels.tolist() == [1, 0] and wnids == WNIDS
    assert labels.dtype == np.int64 and images.shape == (2, 36, 36, 3)


def test_where_there_is_neither_both_layouts_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="wnids.txt") as error:
        tiny_imagenet.read(tmp_path, "val")
    assert "tiny_imagenet_36px_train.npz" in str(error.value) and str(tmp_path) in str(error.value)


def test_only_train_and_val(tmp_path):
    with pytest.raises(ValueError, match="part must be one of .*got 'test'"):
        tiny_imagenet.read(tmp_path, "test")


def test_what_is_no_photo_or_damaged_is_one_sentence(tmp_path):
    tree(tmp_path)
    odd = tmp_path / "train" / "n01" / "images" / "n01_0.JPEG"
    Image.new("RGB", (64, 64)).save(odd, "PPM")
    with pytest.raises(ValueError, match=r"n01_0\.JPEG must be a whole image file"):
        tiny_imagenet.read(tmp_path, "train")
    pack(tmp_path, "val", [3], [1])
    packed = tmp_path / "tiny_imagenet_36px_val.npz"
    packed.write_bytes(packed.read_bytes()[:-30])
    with pytest.raises(ValueError, match="_val.npz must be a packed file, cannot be read"):
        tiny_imagenet.read(tmp_path, "val")
