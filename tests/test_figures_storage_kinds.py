"""Labels that keep their distance; a style for every kind of store."""

import pytest

from fmlora_kit.analysis.storage import KINDS
from fmlora_kit.figures.labels import move_apart
from fmlora_kit.figures.storage import KIND_STYLES, OURS_STYLE


def test_labels_with_room_stay():
    assert move_apart([3.0, 0.0, 1.0], 1.0) == [3.0, 0.0, 1.0]


def test_labels_that_touch_move_away_from_their_middle():
    assert move_apart([0.0, 0.0], 2.0) == pytest.approx([-1.0, 1.0])
    assert move_apart([5.0, 5.5, 0.0], 1.0) == pytest.approx([4.75, 5.75, 0.0])


def test_a_group_that_grows_meets_the_next():
    assert move_apart([0.0, 0.1, 1.2], 1.0) == pytest.approx([-17 / 30, 13 / 30, 43 / 30])


def test_no_label_is_too_low():
    assert move_apart([0.0, 0.0, 9.0], 1.0, low=0.25) == pytest.approx([0.25, 1.25, 9.0])


def test_every_kind_differs_in_shape_and_ours_in_colour():
    styles = [OURS_STYLE, *(KIND_STYLES[kind] for kind in KINDS)]
    assert len({style.symbol for style in styles}) == 5
    assert OURS_STYLE.color not in {KIND_STYLES[kind].color for kind in KINDS}
