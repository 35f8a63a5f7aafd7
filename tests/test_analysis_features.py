"""Linear CKA against the formula written out, and the tables of drift by known moves."""

import itertools

import numpy as np
import pytest
from helpers.records import make_history

from fmlora_kit.analysis import cka_since_learned, linear_cka
from fmlora_kit.analysis import features as features_room
from fmlora_kit.analysis.features import cka_consecutive

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(7, 3)), RNG.normal(size=(7, 5))


def plain_hsic(k, m):
    """tr(K H M H) / (n - 1)^2, Gretton et al. 2005."""
    n = len(k)
    h = np.eye(n) - 1 / n
    return np.trace(k @ h @ m @ h) / (n - 1) ** 2


def mean_over_quadruples(k, m):
    """The unbiased HSIC by its definition: a mean over all ordered quadruples of different rows."""
    terms = [
        k[a, b] * (m[a, b] + m[c, d] - 2 * m[a, c])
        for a, b, c, d in itertools.permutations(range(len(k)), 4)
    ]
    return np.mean(terms)


@pytest.mark.parametrize(("debiased", "hsic"), [(False, plain_hsic), (True, mean_over_quadruples)])
def test_cka_is_its_formula(debiased, hsic):
    k, m = X @ X.T, Y @ Y.T
    expected = hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))
    assert linear_cka(X, Y, debiased=debiased) == pytest.approx(expected, rel=1e-10)
    assert 0.001 < abs(expected) < 0.999


@pytest.mark.parametrize("debiased", [False, True])
def test_rotation_shift_and_scale_do_not_count(debiased):
    rotation, _ = np.linalg.qr(RNG.normal(size=(3, 3)))
    assert linear_cka(X, 3 * X @ rotation + 5, debiased=debiased) == pytest.approx(1, abs=1e-12)
    once, turned = (linear_cka(Y, z, debiased=debiased) for z in (X, 0.1 * X @ rotation - 2))
    assert once == pytest.approx(turned, abs=1e-12)
    assert linear_cka(X, X * [1, 1, 9], debiased=debiased) < 0.99


def test_known_values():
    """Two centred features: CKA is the squared correlation."""
    a, b = np.array([1.0, 1, -1, -1]), np.array([1.0, -1, 1, -1])
    assert linear_cka(a[:, None], b[:, None]) == pytest.approx(0, abs=1e-15)
    mixed = 3 * a + 4 * b  # correlation 3/5 with a
    assert linear_cka(a[:, None], mixed[:, None]) == pytest.approx(0.36)
    both = np.stack([a, b], axis=1)  # K of both has two equal eigenvalues: 1 / sqrt(2)
    assert linear_cka(a[:, None], both) == pytest.approx(np.sqrt(0.5))


def test_unrelated_features_are_near_zero_only_without_the_bias():
    rng = np.random.default_rng(1)
    pairs = [(rng.normal(size=(20, 40)), rng.normal(size=(20, 40))) for _ in range(100)]
    assert np.mean([linear_cka(x, y) for x, y in pairs]) > 0.6
    unbiased = [linear_cka(x, y, debiased=True) for x, y in pairs]
    assert abs(np.mean(unbiased)) < 3 * np.std(unbiased) / 10
    assert np.std(unbiased) < 0.2


def test_constant_features_have_no_geometry():
    assert np.isnan(linear_cka(np.ones((5, 2)), Y[:5]))
    assert np.isnan(linear_cka(Y[:5], np.ones((5, 2)), debiased=True))


def test_drift_tables_hold_the_cka_of_the_right_pairs():
    history = make_history(3, drift=0.8)
    since, step = cka_since_learned(history), cka_consecutive(history)
    np.testing.assert_array_equal(np.isnan(since), ~np.tri(3, dtype=bool))
    np.testing.assert_allclose(np.diag(since), 1)
    for i in range(3):
        x = [history.features[k, history.tasks == i] for k in range(3)]
        assert np.isnan(step[0, i])
        assert step[1, i] == pytest.approx(linear_cka(x[0], x[1], debiased=True))
        assert step[2, i] == pytest.approx(linear_cka(x[1], x[2], debiased=True))
    x = history.features[:, history.tasks == 0]
    assert since[2, 0] == pytest.approx(linear_cka(x[0], x[2], debiased=True))
    assert since[2, 0] < since[1, 0] < 0.995
    biased = cka_since_learned(history, debiased=False)
    assert biased[2, 0] == pytest.approx(linear_cka(x[0], x[2]))
    assert biased[2, 0] != pytest.approx(since[2, 0], abs=1e-4)


def test_moments_need_not_be_every_task():
    """After 1 and 3 tasks: tasks 2 and 3 are both new at the second moment."""
    whole = make_history(3, drift=0.8)
    part = make_history(3, features=whole.features[[0, 2]], learned=[1, 3])
    table = cka_since_learned(part)
    np.testing.assert_allclose(table[1, 1:], 1)
    assert table[1, 0] == pytest.approx(cka_since_learned(whole)[2, 0])


def test_histories_are_values():
    history = make_history()
    with pytest.raises(ValueError, match="read-only"):
        history.features[0] = 0
    given = np.array(history.features)
    given_history = make_history(features=given)
    given[:] = 0
    np.testing.assert_array_equal(given_history.features, history.features)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": np.zeros((3, 72))}, r"features must be \(moments, images, d\)"),
        ({"features": np.full((3, 72, 2), np.nan)}, "features must be finite"),
        ({"labels": np.zeros(71, int)}, "labels must have 72 entries, got 71"),
        ({"names": ("A",)}, "names must have 72 entries, got 1"),
        ({"learned": [1, 1, 2]}, r"learned must rise from moment to moment, got \[1 1 2\]"),
        ({"tasks": np.full(72, 3)}, "tasks must be between 0 and 2"),
    ],
)
def test_bad_histories_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        make_history(**changes)


def test_bad_arguments_of_cka_are_named():
    with pytest.raises(ValueError, match=r"one row per image, got \(7, 3\), \(6, 5\)"):
        linear_cka(X, Y[:6])
    with pytest.raises(ValueError, match="at least 4 images, got 3"):
        linear_cka(X[:3], Y[:3])


@pytest.mark.parametrize("d", [3, 30])  # 8 images a task: fewer features than images, and more
def test_each_moment_of_a_task_is_looked_at_once(d, monkeypatch):
    history, seen = make_history(4, n_classes=2, per_class=4, d=d, drift=0.5), []
    made = features_room._geometry

    def counted(x, *settings):
        seen.append(x.sum())
        return made(x, *settings)

    monkeypatch.setattr(features_room, "_geometry", counted)
    cka_since_learned(history)
    assert len(seen) == len(set(seen)) == 4 + 3 + 2 + 1
    seen.clear()
    whole = cka_consecutive(history)
    assert len(seen) == 4 * 4
    seen.clear()
    known = cka_consecutive(history, to_come=False)
    assert len(seen) == 4 + 3 + 2
    np.testing.assert_array_equal(known, np.where(np.tri(4, k=-1, dtype=bool), whole, np.nan))


def test_a_task_of_few_images_is_named():
    with pytest.raises(ValueError, match="at least 4 images of a task, got 2"):
        cka_since_learned(make_history(2, n_classes=2, per_class=1))
