"""Image files become squares of one size; a broken one is named."""

import numpy as np
import pytest
from helpers import image_trees
from PIL import Image

from fmlora_kit.streams.images import BLOCK, fit, read_images, shorter_side


def ramp(width, height):
    """A picture whose red grows to the right and whose green grows downwards."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, 0 * x], axis=-1).round().astype(np.uint8))


@pytest.mark.parametrize("turned", [False, True])
def test_the_square_in_the_middle_is_resized(turned):
    """Of 60 x 30 pixels columns 15 to 44 remain, every three of them one pixel."""
    width, height = (30, 60) if turned else (60, 30)
    long, short = (1, 0) if turned else (0, 1)
    small = fit(ramp(width, height), 10).astype(float)
    along, across = (small[..., k].mean(axis=k) for k in (long, short))
    centres = (np.arange(10) + 0.5) * 3
    expected = (15 + centres - 0.5) * 255 / 59, (centres - 0.5) * 255 / 29
    np.testing.assert_allclose(along[1:-1], expected[0][1:-1], atol=1.5)
    np.testing.assert_allclose(across[1:-1], expected[1][1:-1], atol=1.5)


def test_a_square_of_the_right_size_is_not_touched():
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8))
    np.testing.assert_array_equal(fit(picture, 8), np.asarray(picture))


def test_greyscale_gets_three_equal_channels(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    ramp(9, 8).save(tmp_path / "colour.png")
    images = read_images([tmp_path / "grey.png", tmp_path / "colour.png"], 8)
    assert images.shape == (2, 8, 8, 3) and images.dtype == np.uint8
    np.testing.assert_array_equal(images[0], grey[..., None].repeat(3, axis=-1))


def test_many_files_keep_their_order_and_the_first_broken_one_is_named(tmp_path):
    paths = [tmp_path / f"{k}.png" for k in range(2 * BLOCK + 3)]
    for k, path in enumerate(paths):
        image_trees.draw(path, k, size=(8, 8))
    assert image_trees.numbers(read_images(paths, 8)) == list(range(2 * BLOCK + 3))
    assert read_images([], 8).shape == (0, 8, 8, 3)
    for k in (2 * BLOCK + 1, BLOCK + 2, BLOCK + 1):
        paths[k].write_bytes(b"broken")
    with pytest.raises(ValueError, match=f"{paths[BLOCK + 1].name} must be a whole image file"):
        read_images(paths, 8)


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_more_than_8_bits_are_refused_and_not_clipped(mode):
    with pytest.raises(ValueError, match=f"more than 8 bits per channel, mode {mode}"):
        fit(Image.new(mode, (8, 8), 300), 8)


def test_shorter_side(tmp_path):
    ramp(9, 5).save(tmp_path / "a.png")
    assert shorter_side(tmp_path / "a.png") == 5


def test_broken_files_are_named(tmp_path):
    ramp(64, 64).save(tmp_path / "whole.jpg")
    data = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.jpg").write_text("not an image")
    ramp(64, 64).save(tmp_path / "whole.png")
    damaged = bytearray((tmp_path / "whole.png").read_bytes())
    damaged[60:90] = bytes(30)
    (tmp_path / "damaged.png").write_bytes(damaged)
    for name in ("half.jpg", "text.jpg", "damaged.png"):
        with pytest.raises(ValueError, match=f"{name} must be a whole image file, cannot be read"):
            read_images([tmp_path / "whole.jpg", tmp_path / name], 8)
    with pytest.raises(FileNotFoundError, match="nowhere.jpg"):
        read_images([tmp_path / "nowhere.jpg"], 8)


@pytest.mark.parametrize(
    ("paths", "size", "message"),
    [
        ("a.png", 8, "paths must be a list of paths, got 'a.png'"),
        ([3], 8, "paths must be a path, got 3"),
        ([], 0, "image_size must be at least 1, got 0"),
        ([], True, "image_size must be a whole number at least 1, got True"),
    ],
)
def test_what_is_to_be_read(paths, size, message):
    with pytest.raises(ValueError, match=message):
        read_images(paths, size)
