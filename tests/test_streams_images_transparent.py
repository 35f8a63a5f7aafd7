"""A transparent picture is laid over a colour, in every mode that can be transparent."""

import numpy as np
import pytest
from PIL import Image

from fmlora_kit.streams import image_folder
from fmlora_kit.streams.images import fit, read_images

HALF = np.zeros((8, 8), np.uint8)
HALF[:4] = 255  # opaque above, transparent below


def black_above(mode):
    """Black ink on the upper half; below it nothing, whatever colour is stored there."""
    picture = Image.new({"PA": "P", "LA": "LA", "La": "LA"}.get(mode, "RGBA"), (8, 8), 0)
    if mode == "PA":
        picture.putpalette([0, 0, 0])
    picture.putalpha(Image.fromarray(HALF))
    return picture if mode == "PA" else picture.convert(mode)


def keyed(mode, ink, nothing):
    """A picture of which one colour, or one number of its palette, is transparent."""
    picture = Image.new(mode, (8, 8), nothing)
    picture.paste(ink, (0, 0, 8, 4))
    if mode == "P":
        picture.putpalette([0, 0, 0, 10, 10, 10])
    return picture


PICTURES = {mode: black_above(mode) for mode in ("RGBA", "LA", "PA", "RGBa", "La")}
FILES = {
    "P": (keyed("P", 0, 1), 1),
    "P, an alpha each": (keyed("P", 0, 1), bytes([255, 0])),
    "L": (keyed("L", 0, 3), 3),
    "RGB": (keyed("RGB", (0, 0, 0), (9, 9, 9)), (9, 9, 9)),
    "1": (keyed("1", 0, 255), 255),
}


@pytest.mark.parametrize("mode", PICTURES)
def test_ink_on_nothing_is_ink_on_white(mode):
    image = fit(PICTURES[mode], 8)
    assert image.shape == (8, 8, 3) and image[:4].max() == 0 and image[4:].min() == 255


@pytest.mark.parametrize("mode", FILES)
def test_files_with_a_transparent_colour(mode, tmp_path):
    picture, transparency = FILES[mode]
    picture.save(tmp_path / "a.png", transparency=transparency)
    image = read_images([tmp_path / "a.png"], 8)[0]
    assert image[:4].max() == 0 and image[4:].min() == 255


def test_half_transparent_ink_is_grey():
    picture = Image.new("RGBA", (8, 8), (0, 0, 0, 51))
    assert (fit(picture, 8) == 204).all()


def test_the_ground_is_an_option(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        for i in range(2):
            black_above("RGBA").save(tmp_path / name / f"{i}.png")
    for how in ({}, {"decoded": tmp_path.with_name("decoded")}):
        for ground, colour in (("#0000ff", (0, 0, 255)), ("white", (255,) * 3)):
            stream = image_folder(tmp_path, n_tasks=1, image_size=8, ground=ground, **how)
            assert (stream[0].train_images[:, 4:] == colour).all()
    for ground in ("no colour", 3, None, ""):
        with pytest.raises(ValueError, match="ground must be the name of a colour, or #rrggbb"):
            image_folder(tmp_path, n_tasks=1, ground=ground)
