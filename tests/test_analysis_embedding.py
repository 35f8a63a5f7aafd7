"""The t-SNE maps over time: points stay, the measures are the ones they claim to be."""

from functools import cache

import numpy as np
import pytest
from helpers.records import make_history
from scipy.spatial.distance import cdist
from sklearn.manifold import trustworthiness

from fmlora_kit.analysis import embed, feature_neighbours_kept, own_task_share
from fmlora_kit.analysis.embedding import _start

OPTIONS = {"perplexity": 8, "n_neighbours": 5}


@cache
def history():
    """Three tasks of two classes, 60 images, which hardly drift."""
    return make_history(3, per_class=10, drift=0.1)


@cache
def warm():
    return embed(history(), **OPTIONS)


@cache
def cold():
    return embed(history(), **OPTIONS, warm=False)


def test_images_of_tasks_to_come_have_no_place():
    there = np.isfinite(warm().coordinates).all(axis=2)
    np.testing.assert_array_equal(there, [history().tasks < n for n in (1, 2, 3)])


def test_points_stay_in_place():
    """Features hardly moved, so a map started from the one before does not either."""
    assert np.isnan(warm().moved[0])
    assert warm().moved[1:].mean() < 0.5 * cold().moved[1:].mean()
    assert warm().moved[2] < 0.3
    assert warm().trustworthiness.mean() > cold().trustworthiness.mean() - 0.05
    assert (warm().neighbours_kept[1:] > 0.6).all()


def test_trustworthiness_is_sklearns():
    for k in range(3):
        seen = history().seen(k)
        features, places = history().features[k, seen], warm().coordinates[k, seen]
        expected = trustworthiness(features, places, n_neighbors=5)
        assert warm().trustworthiness[k] == pytest.approx(expected, abs=1e-9)
    assert (warm().trustworthiness > 0.85).all()


def test_moved_and_kept_by_hand():
    before, after = warm().coordinates[1:, history().seen(1)]
    size = np.sqrt(((before - before.mean(axis=0)) ** 2).sum(axis=1).mean())
    way = np.median(np.hypot(*(after - before).T)) / size
    assert warm().moved[2] == pytest.approx(way)
    near = [np.argsort(cdist(p, p), axis=1, kind="stable")[:, 1:6] for p in (before, after)]
    kept = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(*near, strict=True)])
    assert warm().neighbours_kept[2] == pytest.approx(kept)


def test_maps_lie_on_each_other_and_the_last_has_size_one():
    places = warm().coordinates
    np.testing.assert_allclose(places[2].mean(axis=0), 0, atol=1e-9)
    assert (places[2] ** 2).sum(axis=1).mean() == pytest.approx(1)
    for k in (1, 2):
        shared = history().seen(k - 1)
        before, after = places[k - 1, shared], places[k, shared]
        np.testing.assert_allclose(before.mean(axis=0), after.mean(axis=0), atol=1e-9)
        assert before.var(axis=0).sum() == pytest.approx(after.var(axis=0).sum())


def test_the_same_history_and_seed_give_the_same_map():
    again = embed(history(), **OPTIONS)
    np.testing.assert_array_equal(again.coordinates, warm().coordinates)
    other = embed(history(), **OPTIONS, seed=1)
    assert not np.array_equal(other.coordinates[2], warm().coordinates[2])


def test_new_images_start_amid_their_neighbours():
    features = np.array([[0.0], [1], [2], [10], [11], [12], [13], [14], [12.1]])
    before = np.full((9, 2), np.nan)
    before[:8] = np.arange(16).reshape(8, 2)
    start = _start(features, before, seed=0)
    np.testing.assert_array_equal(start[:8], before[:8])
    amid = before[3:8].mean(axis=0)  # the five nearest of 12.1 are 10 .. 14
    size = np.sqrt(before[:8].var(axis=0).sum())
    assert 0 < np.linalg.norm(start[8] - amid) < 0.05 * size


def test_own_task_share_counts_neighbours():
    """On a line: task 0 at 0 .. 3, task 1 at 10 .. 13, but for one of task 1's at 1.5."""
    places = np.array([0.0, 1, 2, 3, 10, 11, 12, 1.5])
    made = make_history(
        2,
        features=np.tile(places[:, None], (2, 1, 1)),
        labels=np.arange(8),
        tasks=np.repeat([0, 1], 4),
        names=tuple("abcdefgh"),
    )
    table = own_task_share(made, 2)
    # task 0: neighbours of 0 are 1, 1.5; of 1: 1.5, then 0 or 2; of 2: 1.5 and 1 or 3; of 3: 2, 1.5
    assert table[0, 0] == 1 and np.isnan(table[0, 1])
    assert table[1, 0] == pytest.approx(0.5)
    assert table[1, 1] == pytest.approx((1 + 1 + 1 + 0) / 4)


def test_neighbours_kept_in_feature_space():
    """On a line 0 .. 5; then the first moves to the other end. Neighbours: the nearest two."""
    before, after = np.arange(6.0) ** 1.1, np.append(9.0, np.arange(1.0, 6) ** 1.1)
    made = make_history(
        2,
        features=np.stack([before, after])[:, :, None],
        labels=np.arange(6),
        tasks=np.zeros(6, int),
        names=tuple("abcdef"),
    )
    # before: a bc, b ac, c bd, d ce, e df, f ed; after: a fe, b cd, c bd, d ce, e df, f ed
    expected = (0 + 0.5 + 1 + 1 + 1 + 1) / 6
    np.testing.assert_allclose(feature_neighbours_kept(made, 2), [np.nan, expected])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"perplexity": 0}, "perplexity must be above 0, got 0"),
        ({"n_neighbours": 10}, "below half of the first moment's 20 images, got 10"),
        ({"n_neighbours": 0}, "n_neighbours must be at least 1"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        embed(history(), **options)


def test_bad_histories_are_named():
    fresh = make_history(3, learned=[0, 1, 2])
    with pytest.raises(ValueError, match="history must start after a learned task"):
        embed(fresh)
    with pytest.raises(ValueError, match="n_neighbours must be between 1 and 19, got 20"):
        own_task_share(history(), 20)
    with pytest.raises(ValueError, match="n_neighbours must be between 1 and 19, got 0"):
        feature_neighbours_kept(history(), 0)
