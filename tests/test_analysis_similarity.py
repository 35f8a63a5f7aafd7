"""Similarity of tasks and classes by values that follow from the features' construction."""

import tracemalloc
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from helpers.records import make_history
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from fmlora_kit.analysis import similarity, task_similarity
from fmlora_kit.analysis.confusion import ClassConfusion
from fmlora_kit.analysis.similarity import SHRINKAGE, errors_by_closeness


@contextmanager
def peak():
    """A list that holds, afterwards, the most bytes that were taken at once."""
    found = []
    tracemalloc.start()
    yield found
    found.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()


def at(means, *, spread=0.5, **changes):
    """A history of one moment: 40 images around each class mean, two classes to a task."""
    means = np.asarray(means, dtype=float)
    n, d = means.shape
    noise = np.random.default_rng(0).normal(size=(n, 40, d))
    noise -= noise.mean(axis=1, keepdims=True)  # so that the sample means are exact
    features = (means[:, None] + spread * noise).reshape(1, n * 40, d)
    options = {"features": features, "learned": [0], **changes}
    return make_history(n // 2, per_class=40, **options)


def covariance(history):
    labels = history.labels
    means = np.stack([history.features[0, labels == c].mean(axis=0) for c in np.unique(labels)])
    centred = history.features[0] - means[labels]
    plain = centred.T @ centred / len(centred)
    return plain, means


def test_affinity_by_the_angle_between_directions():
    """Two classes a task: one direction each. Task 2's is turned by 60 degrees, task 3's by 90."""
    turned = [np.cos(np.pi / 3), np.sin(np.pi / 3)]
    means = [[0, 0], [4, 0], [20, 20], 20 + 4 * np.array(turned), [-20, 0], [-20, 4]]
    made = task_similarity(at(means), at(means))
    expected = [[1, 0.25, 0], [0.25, 1, 0.75], [0, 0.75, 1]]
    np.testing.assert_allclose(made.affinity, expected, atol=1e-9)


def test_distances_are_mahalanobis_under_the_shared_covariance():
    means = [[0, 0, 0], [4, 0, 0], [0, 3, 0], [1, 1, 5]]
    made = at(means, spread=np.array([0.2, 1.0, 2.0]))
    found = task_similarity(made, made)
    plain, where = covariance(made)
    shrunk = (1 - SHRINKAGE) * plain + SHRINKAGE * np.trace(plain) / 3 * np.eye(3)
    inverse = np.linalg.inv(shrunk)
    for i in range(4):
        for j in range(4):
            gap = where[i] - where[j]
            assert found.distances[i, j] == pytest.approx(np.sqrt(gap @ inverse @ gap), rel=1e-9)
    np.testing.assert_array_equal(found.between(0, 1), found.distances[:2, 2:])


def test_confusion_is_where_test_images_land():
    """Test images of task 1 lie where task 0's class means are: half of them, exactly."""
    train = at([[0, 0], [0, 10], [10, 0], [10, 10]])
    test = at([[0, 0], [0, 10], [10, 0], [0, 9]], spread=0.1)
    found = task_similarity(train, test)
    np.testing.assert_allclose(found.confusion, [[1, 0], [0.5, 0.5]])
    assert found.accuracy == pytest.approx(0.75)


def test_names_and_tasks_follow_the_classes():
    """Class ids need not rise with the tasks."""
    train = at([[0, 0], [0, 10], [10, 0], [10, 10]])
    labels = np.array([7, 5, 1, 3])[train.labels]
    names = tuple("wxyz"[c] for c in train.labels)
    moved = at([[0, 0], [0, 10], [10, 0], [10, 10]], labels=labels, names=names)
    found = task_similarity(moved, moved)
    assert found.classes.tolist() == [5, 7, 1, 3] and found.names == ("x", "w", "y", "z")
    assert found.tasks.tolist() == [0, 0, 1, 1]
    plain = task_similarity(train, train)
    order = [1, 0, 2, 3]
    np.testing.assert_allclose(found.distances, plain.distances[np.ix_(order, order)], rtol=1e-9)
    np.testing.assert_array_equal(found.confusion, plain.confusion)


def confusion(counts):
    n = len(counts)
    names = tuple(str(c) for c in range(n))
    return ClassConfusion(np.array(counts), np.arange(n), names, np.arange(n) // 2)


def test_errors_by_closeness_counts_along_each_row():
    """On a line at 0, 1, 3, 7: the nearest others of 1 are 0, 3, 7; of 3 they are 1, 0, 7."""
    made = task_similarity(at([[0], [1], [3], [7]]), at([[0], [1], [3], [7]]))
    counts = [[9, 4, 0, 0], [0, 9, 2, 0], [3, 0, 9, 0], [1, 0, 0, 9]]
    # row 0: 4 to the nearest; row 1: 2 to the second; row 2: 3 to the second; row 3: 1 to the last
    np.testing.assert_allclose(errors_by_closeness(made, confusion(counts)), [0.4, 0.5, 0.1])


def test_of_many_classes_no_matrix_is_made_anew_and_ties_go_to_the_first(monkeypatch):
    rng, n = np.random.default_rng(0), 300
    table = confusion(rng.integers(0, 2, (n, n)))
    means = rng.integers(0, 50, (n, 1)).astype(float)  # many distances are equal
    made = task_similarity(at([[0], [1], [3], [7]]), at([[0], [1], [3], [7]]))
    made = replace(made, means=means, classes=table.classes)
    apart = made.distances + np.diag(np.full(n, np.inf))
    order = np.argsort(apart, axis=1, kind="stable")[:, :-1]
    expected = np.take_along_axis(table.counts, order, axis=1).sum(axis=0)
    monkeypatch.setattr(similarity, "_AT_ONCE", 20)
    with peak() as bytes_:
        found = errors_by_closeness(made, table)
    np.testing.assert_allclose(found, expected / expected.sum())
    assert bytes_[0] < apart.nbytes / 4


def test_of_many_classes_similarity_makes_no_matrix_of_all_their_pairs(monkeypatch):
    rng, n = np.random.default_rng(0), 1_000
    features = rng.normal(size=(1, 2 * n, 2))
    made = make_history(5, n_classes=n // 5, per_class=2, features=features, learned=[0])
    monkeypatch.setattr(similarity, "_AT_ONCE", 50)
    task_similarity(at(np.eye(4)), at(np.eye(4)))  # imports
    with peak() as bytes_:
        found = task_similarity(made, made)
    assert bytes_[0] < n * n * 8 and found.distances.shape == (n, n)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_means_and_covariance_are_those_of_discriminant_analysis(dtype):
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat([7, 2, 5, 0], [3, 9, 5, 4]))
    features = (rng.normal(size=(21, 6)) + labels[:, None]).astype(dtype)
    classes = np.array([5, 0, 7, 2])
    means, covariance = similarity._fit(features, labels, classes)
    priors = np.full(4, 1 / 4)
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=SHRINKAGE, priors=priors)
    lda.fit(features.astype(float), labels)
    np.testing.assert_allclose(means, lda.means_[np.argsort(np.argsort(classes))], rtol=1e-12)
    np.testing.assert_allclose(covariance, lda.covariance_, rtol=1e-12)


def test_bad_arguments_are_named():
    train = at([[0, 0], [0, 10], [10, 0], [10, 10]])
    made = task_similarity(train, train)
    with pytest.raises(ValueError, match="the same tasks, got .'task A', 'task B'.*'task C'"):
        task_similarity(train, at(np.eye(6)))
    with pytest.raises(ValueError, match="a class must belong to one task"):
        task_similarity(at(np.eye(4), labels=train.labels % 2), train)
    alone = at(np.eye(4), tasks=np.repeat([0, 0, 0, 1], 40))
    with pytest.raises(ValueError, match="at least 2 classes, got fewer for 'task B'"):
        task_similarity(alone, train)
    with pytest.raises(ValueError, match="the same classes in the same order"):
        errors_by_closeness(made, confusion(np.ones((6, 6), int)))
    with pytest.raises(ValueError, match="at least one error, got none"):
        errors_by_closeness(made, confusion(np.eye(4, dtype=int)))
