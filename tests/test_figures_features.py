"""Feature drift: the lines are the CKA tables."""

import numpy as np
import pytest
from helpers.records import make_history

from fmlora_kit.analysis import cka_since_learned
from fmlora_kit.analysis.features import cka_consecutive
from fmlora_kit.figures import feature_drift
from fmlora_kit.figures.style import task_colors

STILL, MOVING = make_history(drift=0.1), make_history(drift=0.8, label="moving")


def lines(figure, axis="x"):
    return {t.name: t for t in figure.data if t.xaxis in (axis, None)}


def test_a_line_per_task_from_when_it_was_learned():
    table = cka_since_learned(MOVING)
    drawn = lines(feature_drift(MOVING))
    assert list(drawn) == ["task A", "task B", "task C", "mean of earlier tasks"]
    for i, name in enumerate(list(drawn)[:3]):
        np.testing.assert_array_equal(drawn[name].x, range(i + 1, 4))
        np.testing.assert_allclose(drawn[name].y, table[i:, i])
        assert drawn[name].line.color == task_colors(3)[i]
    mean = drawn["mean of earlier tasks"]
    np.testing.assert_array_equal(mean.x, [2, 3])
    np.testing.assert_allclose(mean.y, [table[1, 0], table[2, :2].mean()])
    assert mean.line.width > 2 * drawn["task A"].line.width


def test_consecutive_leaves_out_tasks_to_come():
    table = cka_consecutive(MOVING)
    figure = feature_drift(MOVING, against="consecutive")
    drawn = lines(figure)
    np.testing.assert_array_equal(drawn["task A"].x, [2, 3])
    np.testing.assert_allclose(drawn["task A"].y, table[1:, 0])
    np.testing.assert_array_equal(drawn["task B"].x, [3])
    assert len(drawn["task C"].x) == 0
    assert "against those one task earlier" in figure.layout.title.subtitle.text


def test_the_bias_is_left_in_when_asked_for():
    biased = cka_since_learned(MOVING, debiased=False)
    drawn = lines(feature_drift(MOVING, debiased=False))
    np.testing.assert_allclose(drawn["task A"].y, biased[:, 0])


def test_several_histories_share_one_scale():
    figure = feature_drift({"ours": STILL, "theirs": MOVING})
    for axis, history in (("x", STILL), ("x2", MOVING)):
        np.testing.assert_allclose(
            lines(figure, axis)["task A"].y, cka_since_learned(history)[:, 0]
        )
    assert [a.text for a in figure.layout.annotations] == ["ours", "theirs"]
    assert figure.layout.yaxis2.matches == "y"
    lowest = cka_since_learned(MOVING)[2, 0]
    assert lowest - 0.12 < figure.layout.yaxis.range[0] < lowest
    shown = [t.name for t in figure.data if t.showlegend]
    assert len(shown) == len(set(shown)) == 4


def test_one_history_is_named_in_the_title():
    assert feature_drift(MOVING).layout.title.text.endswith(": moving")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: feature_drift(STILL, against="x"), "against must be one of .*, got 'x'"),
        (lambda: feature_drift({}), "histories must be at least one FeatureHistory, got {}"),
        (
            lambda: feature_drift(make_history(1)),
            "must be a FeatureHistory of at least 2 moments, got 1",
        ),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
