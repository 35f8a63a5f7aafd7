"""Numbers about explanations, each worked out by hand or by scipy."""

import numpy as np
import pytest
from helpers.records import MAPS, make_explanations
from scipy.stats import spearmanr

from fmlora_kit.analysis import attribution_movement, completeness_gap
from fmlora_kit.analysis.attribution import movement_between_images, top_classes


def test_what_is_read_off_the_probabilities():
    e = make_explanations()
    assert e.learned.tolist() == [0, 1]
    assert [e.task_of(c) for c in range(6)] == [0, 0, 1, 1, 2, 2]
    np.testing.assert_array_equal(e.predictions, [[1, 0], [1, 2], [5, 2]])
    np.testing.assert_array_equal(e.target_probability, [[0.8, np.nan], [0.6, 0.75], [0.3, 0.9]])
    assert e.signed and not make_explanations("saliency").signed
    assert e.n_tasks == 3 and make_explanations(n_tasks=10).n_tasks == 10


def test_classes_of_a_domain_incremental_stream_are_learned_at_once():
    p = [np.array([[0.25, 0.75], [0.5, 0.5]])] * 3
    e = make_explanations(
        classes=((4, 2),) * 3, probabilities=p, targets=(2, 2), maps=np.abs(np.nan_to_num(MAPS))
    )
    assert e.learned.tolist() == [0, 0]
    np.testing.assert_array_equal(e.predictions, [[2, 4]] * 3)
    np.testing.assert_array_equal(e.target_probability, [[0.75, 0.5]] * 3)


def test_the_most_probable_classes_come_first():
    ids, p = top_classes(make_explanations(), 0, n=3)
    assert ids.tolist() == [5, 1, 0] and p.tolist() == [0.4, 0.3, 0.1]  # equals: lower place first
    ids, p = top_classes(make_explanations(), 1, 0)
    assert ids.tolist() == [0, 1] and p.tolist() == [0.7, 0.3]


def test_movement_by_hand():
    """Correlation of 1234 and 2143: 1 - 6 * 4 / (4 * 15) = 0.6; of 1234 and 4321: -1."""
    e = make_explanations()
    # second image: ranks 3 2 1 4, then 3 2 1 4 again, though all values differ
    np.testing.assert_allclose(
        attribution_movement(e), [[0, np.nan], [0.4, 0], [2, 0]], rtol=0, atol=1e-12, equal_nan=True
    )
    # of 2143 and 4321: sum of squared differences 4 + 4 + 4 + 4 = 16, rho = 1 - 96 / 60 = -0.6
    np.testing.assert_allclose(
        attribution_movement(e, since="previous"),
        [[np.nan, np.nan], [0.4, np.nan], [1.6, 0]],
        rtol=0,
        atol=1e-12,
        equal_nan=True,
    )


def test_movement_is_scipys_rank_correlation_ties_included():
    rng = np.random.default_rng(0)
    maps = np.maximum(rng.normal(size=(3, 2, 5, 5)), 0)  # half of the pixels are tied at zero
    images = np.zeros((2, 5, 5, 3), np.uint8)
    e = make_explanations("grad_cam", maps=maps, images=images, targets=(0, 1))
    expected = [
        [1 - spearmanr(maps[0, i].ravel(), maps[t, i].ravel()).statistic for i in (0, 1)]
        for t in range(3)
    ]
    np.testing.assert_allclose(attribution_movement(e), expected, atol=1e-12)
    steps = [1 - spearmanr(maps[1, i].ravel(), maps[2, i].ravel()).statistic for i in (0, 1)]
    np.testing.assert_allclose(attribution_movement(e, since="previous")[2], steps, atol=1e-12)


def test_a_constant_map_has_no_movement():
    maps = np.array(MAPS)
    maps[1, 0] = 7.0
    e = make_explanations(maps=maps)
    np.testing.assert_array_equal(np.isnan(attribution_movement(e)[:, 0]), [False, True, False])
    np.testing.assert_array_equal(
        np.isnan(attribution_movement(e, since="previous")[:, 0]), [True, True, True]
    )


def test_different_images_by_hand():
    """Image 0 at task 0 ranks 1234, image 1 at task 1 ranks 3214: squared differences sum to 8."""
    assert movement_between_images(make_explanations()) == pytest.approx(6 * 8 / 60)
    alone = make_explanations(
        images=np.zeros((1, 2, 2, 3), np.uint8),
        targets=(1,),
        maps=MAPS[:, :1],
        scores=np.zeros((3, 1)),
        baseline_scores=np.zeros((3, 1)),
        probabilities=[np.full((1, n), 1 / n) for n in (2, 4, 6)],
    )
    assert np.isnan(movement_between_images(alone))
    assert np.isnan(movement_between_images(make_explanations(maps=np.ones((3, 2, 2, 2)))))


def test_completeness_by_hand():
    """Sums 10, 10, 100 and -0.5, 0; score differences 10, 9, 100 and -0.5, 0."""
    np.testing.assert_allclose(
        completeness_gap(make_explanations()),
        [[0, np.nan], [1 / 10, 0], [0, 0]],
        atol=1e-12,
        equal_nan=True,
    )
    assert np.isnan(completeness_gap(make_explanations("saliency"))).all()
    zero = completeness_gap(make_explanations(maps=np.zeros((3, 2, 2, 2))))
    assert np.isnan(zero).all()


def test_arrays_are_copies_and_read_only():
    maps = MAPS.copy()
    e = make_explanations(maps=maps)
    maps[0, 0] = 99
    assert e.maps[0, 0, 0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        e.maps[0] = 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "magic"}, "method must be one of .*'saliency'.* got 'magic'"),
        ({"maps": MAPS[:2]}, r"maps must have shape \(3, 2, 2, 2\), got \(2, 2, 2, 2\)"),
        ({"targets": (1,)}, r"targets must have shape \(2,\), got \(1,\)"),
        ({"targets": (1, 9)}, r"targets must be classes that were learned, got \[9\]"),
        ({"scores": np.zeros((2, 3))}, r"scores must have shape \(3, 2\), got \(2, 3\)"),
        ({"task_names": ()}, "must not be empty, got 2 and 0"),
        ({"classes": ((0, 1),) * 2}, "probabilities and classes must be of 3 tasks and 2 images"),
        ({"classes": ((0, 1),) * 3}, "probabilities and classes must be of 3 tasks and 2 images"),
        ({"images": np.zeros((2, 2, 2), np.uint8)}, r"images must have shape \(2, 2, 2, 3\)"),
    ],
)
def test_parts_that_do_not_fit_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        make_explanations(**changes)


@pytest.mark.parametrize(
    ("image", "after", "message"),
    [
        (2, None, "image must be between 0 and 1, got 2"),
        (-1, None, "image must be between 0 and 1, got -1"),
        (0, 3, r"after must be between 0 and 2, got 3"),
        (0, -1, r"after must be between 0 and 2, got -1"),
    ],
)
def test_images_and_moments_that_do_not_exist_are_named(image, after, message):
    with pytest.raises(ValueError, match=message):
        top_classes(make_explanations(), image, after)


def test_an_unknown_comparison_is_named():
    with pytest.raises(
        ValueError, match="since must be one of .*'learned', 'previous'.*, got 'ever'"
    ):
        attribution_movement(make_explanations(), since="ever")
