"""Photos and their best classes: the bars recomputed, the pictures as they were given."""

import numpy as np
import pytest

from fmlora_kit.figures.attribution_shift import photo_scores

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 6, 6, 3), dtype=np.uint8)
LOGITS = np.log([[0.5, 0.2, 0.3], [0.1, 0.8, 0.1]])
NAMES = ("sky", "tower", "a class with a name that is far too long")


def test_bars_are_the_softmax_from_the_best_class_on():
    figure = photo_scores(IMAGES, LOGITS + 7, NAMES, ["one.jpg", "two.jpg"], shown=2)
    pictures, bars = figure.data[::2], figure.data[1::2]
    for picture, image in zip(pictures, IMAGES, strict=True):
        np.testing.assert_array_equal(picture.z, image)
    assert [list(bar.x) for bar in bars] == [[50.0, 30.0], [80.0, 10.0]]
    assert [list(bar.customdata) for bar in bars] == [[NAMES[0], NAMES[2]], [NAMES[1], NAMES[0]]]
    assert list(bars[0].text) == ["50.0", "30.0"]
    assert figure.layout.xaxis.title.text == "one.jpg"
    assert figure.layout.xaxis3.title.text == "two.jpg"
    assert figure.layout.yaxis2.ticktext == ("sky", "a class with a name that is…")
    assert "2 highest scores among 3 classes" in figure.layout.title.subtitle.text


def test_no_more_bars_than_classes():
    figure = photo_scores(IMAGES[:1], LOGITS[:1], NAMES, ["x"], shown=9)
    assert len(figure.data[1].x) == 3 and sum(figure.data[1].x) == pytest.approx(100)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"logits": LOGITS[:, :2]}, r"logits must be \(images, classes\), \(2, 3\)"),
        ({"images": IMAGES[:0], "logits": LOGITS[:0]}, "and not empty"),
        ({"labels": ["x"]}, r"labels must be one per image \(2\), got 1"),
        ({"shown": 0}, "shown must be at least 1, got 0"),
    ],
)
def test_what_does_not_fit_is_named(changes, message):
    given = {"images": IMAGES, "logits": LOGITS, "class_names": NAMES, "labels": ["x", "y"]}
    with pytest.raises(ValueError, match=message):
        photo_scores(**{**given, **changes})
