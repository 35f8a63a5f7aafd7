"""Rendering is the same everywhere (checksums), and every style does what it says."""

import zlib

import numpy as np
import pytest

import fmlora_kit as fk
from fmlora_kit.streams.rendering import FACES, STYLES, character_mask, draw, render

RENDERS = {
    "print": "58f5f3c7",
    "inverted": "92340c88",
    "outline": "53a8bf26",
    "sketch": "8c8f7c88",
    "neon": "f2714531",
    "scan": "4649e211",
    "stripes": "5d6891a1",
    "gradient": "48e62094",
    "relief": "ee20c0bd",
    "mosaic": "02999c4a",
}
STREAMS = {"glyphs": "cff17ae8", "glyph_styles": "697bcbf7", "digits": "3b092c80"}


def pictures(style, characters="AЖش", n=4, seed=5):
    rng = np.random.default_rng(seed)
    return np.stack([render(c, style, rng) for c in characters for _ in range(n)])


def masks(characters="AЖش", n=4, seed=5):
    posed = [draw(c, np.random.default_rng(seed + i)) for c in characters for i in range(n)]
    return np.stack([np.asarray(mask, float) for mask in posed])


def crc(array):
    return f"{zlib.crc32(np.ascontiguousarray(array)):08x}"


@pytest.mark.parametrize("style", STYLES)
def test_the_pixels_of_every_style_are_these(style):
    assert crc(pictures(style)) == RENDERS[style]


@pytest.mark.parametrize("name", STREAMS)
def test_the_pixels_of_every_stream_are_these(name):
    small = {"glyphs": {"n_train": 2, "n_test": 1}, "glyph_styles": {"n_train": 1, "n_test": 1}}
    stream = getattr(fk.streams, name)(seed=0, **small.get(name, {}))
    assert stream.describe()["crc32"] == STREAMS[name]


@pytest.mark.parametrize("style", STYLES)
def test_a_picture_is_bytes_and_decided_by_the_generator_alone(style):
    picture = render("A", style, np.random.default_rng(1))
    assert picture.dtype == np.uint8 and picture.shape == (32, 32, 3)
    np.testing.assert_array_equal(picture, render("A", style, np.random.default_rng(1)))
    assert (picture != render("A", style, np.random.default_rng(2))).any()


def grey_of_ink_and_paper(style, seed=0):
    """Mean brightness where the same pose has ink, and where it has none."""
    ink, paper = [], []
    for k in range(40):
        mask = np.asarray(draw("M", np.random.default_rng([seed, k])))
        picture = render("M", style, np.random.default_rng([seed, k])).mean(axis=-1)
        ink.append(picture[mask > 220].mean())
        paper.append(picture[mask == 0].mean())
    return np.array(ink), np.array(paper)


def test_print_is_light_on_dark_and_inverted_is_dark_on_light():
    ink, paper = grey_of_ink_and_paper("print")
    assert (ink > paper + 60).all()
    ink, paper = grey_of_ink_and_paper("inverted")
    assert (ink < paper - 60).all()


def test_mosaic_and_scan_have_dark_ink():
    for style in ("mosaic", "scan"):
        ink, paper = grey_of_ink_and_paper(style)
        assert (ink < paper - 20).mean() > 0.95


def test_relief_leaves_ink_and_paper_equally_bright():
    ink, paper = grey_of_ink_and_paper("relief")
    assert abs(ink - paper).mean() < 35
    printed, dark = grey_of_ink_and_paper("print")
    assert abs(ink - paper).mean() < abs(printed - dark).mean() / 4


def test_outline_leaves_less_ink_than_print_inside_the_character():
    inside = {}
    for style in ("print", "outline"):
        ink, paper = grey_of_ink_and_paper(style)
        inside[style] = (ink - paper).mean()
    assert inside["outline"] < inside["print"] / 3


def test_neon_is_mostly_dark_and_scan_is_grey():
    neon = pictures("neon", "MЖ", 20)
    assert (neon.mean(axis=-1) < 60).mean() > 0.4
    scan = pictures("scan").astype(int)
    assert np.ptp(scan, axis=-1).max() == 0


def test_sketch_hatches_the_inside():
    rng = np.random.default_rng(3)
    light = 0
    for _ in range(20):
        state = rng.bit_generator.state
        mask = np.asarray(draw("M", rng))
        rng.bit_generator.state = state
        inside = render("M", "sketch", rng).mean(axis=-1)[mask == 255]
        light += (inside > 170).any() and (inside < 150).any()
    assert light >= 18


def test_stripes_alternate_along_one_axis_of_the_paper():
    for k in range(10):
        picture = render(".", "stripes", np.random.default_rng(k)).astype(float).mean(axis=-1)
        across = max(picture.mean(axis=0)[:6].std(), picture.mean(axis=1)[:6].std())
        assert across > 5


def test_gradient_runs_from_dark_to_light():
    for k in range(10):
        picture = render(".", "gradient", np.random.default_rng(k)).astype(float).mean(axis=-1)
        corners = [picture[:6, :6], picture[:6, -6:], picture[-6:, :6], picture[-6:, -6:]]
        means = [c.mean() for c in corners]
        assert max(means) - min(means) > 80


def test_a_bar_adds_ink_beneath_and_keeps_the_character_above_it():
    plain, barred = (np.asarray(character_mask("A", FACES[0], b), float) for b in (False, True))
    assert barred[49:52, 12:52].min() == 255
    assert (plain[48:53, 12:52] == 0).any()
    assert 0 < barred[:44].sum() < plain[:56].sum()


def test_the_two_faces_differ_and_bold_has_more_ink():
    light, bold = (np.asarray(character_mask("T", face), float).sum() for face in FACES)
    assert bold > light * 1.1


def test_poses_move_the_ink_but_keep_most_of_it_in_the_picture():
    drawn = masks(n=30)
    assert len({crc(m) for m in drawn}) == len(drawn)
    ink = drawn.sum(axis=(1, 2)) / 255
    assert ink.min() > 40 and ink.max() < 500
    assert drawn[:, [0, -1]].mean() < 3 and drawn[:, :, [0, -1]].mean() < 3


def test_errors_name_the_style_and_the_character():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="style must be one of .*'crayon'"):
        render("A", "crayon", rng)
    with pytest.raises(ValueError, match="character must leave ink in DejaVuSans.ttf, got ' '"):
        character_mask(" ")
