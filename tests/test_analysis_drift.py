"""Where class means go and where the head expects them, on tiny runs, and the figure of it."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from helpers import models

from fmlora_kit.analysis.drift import mean_drift
from fmlora_kit.figures.features import mean_drift as draw
from fmlora_kit.methods import HeadOptions
from fmlora_kit.probes import features_over_time


@cache
def run(**head):
    tasks = models.stream(n_train=12)
    model = models.fmlora(head=HeadOptions(**head), dmp=False, drs=False, lr=2e-2, fold=1.0)
    record = models.record_of(model, tasks, models.learn(model, tasks))
    return record, features_over_time(record, tasks, split="train", backbone=models.vit())


def drift(**head):
    return mean_drift(*run(**head))


@pytest.mark.parametrize("head", [{"kind": "lda"}, {"kind": "mda", "modes": 2, "max_modes": 3}])
def test_without_compensation_the_kept_mean_is_off_by_what_the_true_one_moved(head):
    found = drift(**head)
    np.testing.assert_allclose(found.left, found.moved, atol=1e-4)
    own = found.tasks == np.arange(3)[:, None]
    np.testing.assert_allclose(found.moved[own], 0, atol=1e-5)
    assert (found.moved[found.tasks < np.arange(3)[:, None]] > 0.01).all()
    assert np.isnan(found.moved[found.tasks > np.arange(3)[:, None]]).all()


def test_a_share_of_the_distance_to_the_nearest_class_by_hand():
    record, history = run(kind="lda")
    found = mean_drift(record, history)
    means = [[x[history.labels == c].mean(0) for c in range(9)] for x in history.features]
    nearest = min(np.linalg.norm(means[1][2] - means[1][c]) for c in range(6) if c != 2)
    by_hand = np.linalg.norm(means[1][2] - means[0][2]) / nearest
    assert found.moved[1, 2] == pytest.approx(by_hand, rel=1e-5)
    mean = found.moved[2, :6].mean(), found.left[2, :6].mean()
    assert tuple(found.earlier[2]) == pytest.approx(mean)


def test_with_compensation_the_kept_means_are_nearer():
    found = drift(kind="lda", compensate=True)
    moved, left = found.earlier[1:].T
    assert (left < moved).all()


def test_the_figure_has_the_two_lines_and_a_mark_for_every_earlier_class():
    found = drift(kind="lda", compensate=True)
    figure = draw(found)
    for k, line in enumerate(figure.data[:2]):
        assert tuple(line.x) == (2, 3)
        np.testing.assert_allclose(line.y, 100 * found.earlier[1:, k], atol=0.005)
    assert [len(mark.x) for mark in figure.data[2:]] == [3, 3]
    np.testing.assert_allclose(figure.data[3].y, 100 * found.left[2, 3:6], atol=0.005)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="drift must be a MeanDrift, got None"):
        draw(None)
    record, history = run(kind="lda")
    with pytest.raises(ValueError, match="head that keeps class means, lda or mda"):
        mean_drift(run(kind="cosine")[0], history)
    with pytest.raises(ValueError, match="moments after tasks 1 to 3, got .1, 2."):
        mean_drift(record, replace(history, features=history.features[:2], learned=[1, 2]))
    with pytest.raises(ValueError, match="split must be one of .*got 'all'"):
        features_over_time(record, models.stream(n_train=12), split="all")
