"""Random views against crops and mirrors made by hand."""

import numpy as np
import pytest
import torch

from fmlora_kit.backbones.random_crops import _maps, random_views

RAMP = torch.arange(8.0).expand(8, 8)
IMAGES = torch.stack([RAMP, RAMP.T, 10 * RAMP])[None]  # (1, 3, 8, 8): columns, rows, both scales


class Chosen:
    """Stands for a generator: gives what was chosen, in the order asked for."""

    def __init__(self, area, log_ratio, x, y, mirror):
        self.answers, self.mirror = [area, log_ratio, x, y], mirror

    def uniform(self, low, high, n=None):
        """The next answer."""
        return np.array([self.answers.pop(0)])

    def choice(self, sides, n):
        """Mirrored or not."""
        return np.array([self.mirror])


def view(area=1.0, log_ratio=0.0, x=0.0, y=0.0, mirror=1, side=8):
    return random_views(IMAGES, side, Chosen(area, log_ratio, x, y, mirror))


def test_the_whole_image_stays_and_a_mirror_turns_its_columns_round():
    torch.testing.assert_close(view(), IMAGES)
    torch.testing.assert_close(view(mirror=-1), IMAGES.flip(3))


def test_a_quarter_is_seen_at_twice_the_size():
    """The left lower quarter: view pixel j is at image column (j + 1/2) / 2 - 1/2."""
    seen = view(area=0.25, x=-0.5, y=0.5)[0]
    places = (torch.arange(8.0) + 0.5) / 2 - 0.5
    inside = slice(1, 7)  # outside, the border of the image is reflected
    torch.testing.assert_close(seen[0, 3, inside], places[inside])
    torch.testing.assert_close(seen[1, inside, 3], 4 + places[inside])
    torch.testing.assert_close(seen[2, 3, inside], 10 * places[inside])


def test_views_may_have_another_side():
    torch.testing.assert_close(view(side=4)[0, 0, 2], torch.tensor([0.5, 2.5, 4.5, 6.5]))


@pytest.mark.parametrize("least", [0.05, 0.3])
def test_crops_lie_inside_and_have_the_published_areas_and_ratios(least):
    maps = _maps(20000, np.random.default_rng(0), least)
    width, height, x, y = np.abs(maps[:, 0, 0]), maps[:, 1, 1], maps[:, 0, 2], maps[:, 1, 2]
    assert (np.abs(x) + width <= 1 + 1e-12).all() and (np.abs(y) + height <= 1 + 1e-12).all()
    uncut = np.maximum(width, height) < 1
    area, ratio = (width * height)[uncut], (width / height)[uncut]
    assert least <= area.min() < least + 0.01 and area.max() <= 1
    assert 0.75 <= ratio.min() < 0.76 and 1.32 < ratio.max() <= 4 / 3 + 1e-12
    assert np.sign(maps[:, 0, 0]).mean() == pytest.approx(0, abs=0.03)
    assert np.median(area) == pytest.approx((least + 0.9) / 2, abs=0.05)
