"""Principal angles, distances, overlaps and shares of updates whose geometry was set by hand."""

import numpy as np
import pytest
from helpers.records import (
    PAIRS,
    flora_record,
    lora_record,
    make_record,
    orthonormal,
    random_record,
)
from scipy.linalg import subspace_angles

from fmlora_kit.analysis.subspaces import (
    _angles,
    directions,
    pair_table,
    principal_angles,
    share_in_earlier,
    task_pair,
    update_cosine,
)
from fmlora_kit.analysis.updates import Update, task_updates
from fmlora_kit.figures.updates import subspace_pair

Q, V = 0, 1  # the layers of the hand-made record
NAN = np.nan
# By some BLAS kernels an angle of 0 is the arccos of 1 - eps: sqrt(2 eps), 1.2e-6 degrees.
DEGREES = 1e-5


def symmetric(a01, a02, a12):
    return np.array([[NAN, a01, a02], [a01, NAN, a12], [a02, a12, NAN]])


@pytest.mark.parametrize(
    ("layer", "side", "tasks", "degrees"),
    [
        ("blocks.0.q", "output", (0, 1), [45]),
        ("blocks.0.q", "output", (0, 2), [0]),
        ("blocks.0.q", "output", (1, 2), [45]),
        ("blocks.0.q", "input", ("task A", "task B"), [90]),
        (Q, "input", (1, 2), [0]),
        (V, "output", (0, 1), [90, 90]),
        (V, "input", (1, 0), [0, 90]),
        (V, "input", (0, 2), []),
    ],
)
def test_principal_angles_that_were_chosen(layer, side, tasks, degrees):
    found = principal_angles(flora_record(), *tasks, layer, side)
    np.testing.assert_allclose(found, degrees, atol=DEGREES)


def test_angles_in_the_whole_space_are_those_inside_the_core():
    record = flora_record()
    inside = [subspace_angles(PAIRS["blocks.0.q"][t][0], PAIRS["blocks.0.q"][1][0]) for t in (0, 2)]
    found = [principal_angles(record, t, 1, Q, "output") for t in (0, 2)]
    np.testing.assert_allclose(found, np.degrees(inside), atol=DEGREES)


def test_pairs_by_hand():
    output, put_in = (
        pair_table(flora_record(), side, within="core") for side in ("output", "input")
    )
    right = np.pi / 2
    np.testing.assert_allclose(output.angle[Q], symmetric(45, 0, 45), atol=DEGREES)
    np.testing.assert_allclose(put_in.angle[V], symmetric(45, NAN, NAN), atol=DEGREES)
    np.testing.assert_allclose(
        output.grassmann[V], symmetric(right * np.sqrt(2), NAN, NAN), atol=1e-6
    )
    np.testing.assert_allclose(put_in.grassmann[V], symmetric(right, NAN, NAN), atol=1e-6)
    np.testing.assert_allclose(output.overlap[Q], symmetric(0.5, 1, 0.5), atol=1e-9)
    np.testing.assert_allclose(put_in.overlap[V], symmetric(0.5, NAN, NAN), atol=1e-9)
    np.testing.assert_array_equal(output.sizes, [[1, 2], [1, 2], [2, 0]])


@pytest.mark.parametrize(
    ("side", "within", "expected"),
    [
        ("output", "space", (1 / 6, 2 / 6, 2 / 6)),  # max(k, l) / d
        ("output", "core", (1 / 4, 2 / 4, 2 / 4)),
        ("input", "space", (1 / 5, 2 / 5, 2 / 5)),
        # e1 is guarded: task 0's e1 cannot be met; task 1's e2 is one of three directions left
        ("input", "open", (0, 0, 2 / 3)),
    ],
)
def test_chance_levels_by_hand(side, within, expected):
    found = pair_table(flora_record(), side, within=within)
    np.testing.assert_allclose(found.overlap_chance[Q], symmetric(*expected), atol=1e-12)


def test_chance_angles_of_two_lines_in_four_dimensions():
    # The angle t between two random lines in R^4 has density (4 / pi) sin^2 t on 0..pi/2; the
    # integral of t times that is pi / 4 + 1 / pi.
    mean = np.degrees(np.pi / 4 + 1 / np.pi)
    found = pair_table(flora_record(), "output", within="core")
    assert found.angle_chance[Q, 1, 0] == pytest.approx(mean, abs=1)
    assert found.grassmann_chance[Q, 1, 0] == pytest.approx(np.radians(mean), abs=0.02)
    # cos^2 between them is distributed as Beta(1/2, 3/2): variance 1/16
    assert found.overlap_spread[Q, 1, 0] == pytest.approx(1 / 4)
    assert found.grassmann_spread[Q, 1, 0] == pytest.approx(np.radians(found.angle_spread[Q, 1, 0]))


def test_only_the_strong_directions_count():
    record = flora_record()  # task 2 at q: e1 e2' + 2 e3 e1', energies 1 and 4
    assert directions(record, 0.8)[2][Q].k == 1
    assert directions(record, 0.81)[2][Q].k == 2
    np.testing.assert_allclose(directions(record, 0.8)[2][Q].values, [2, 1])
    angle = principal_angles(record, 0, 2, Q, "output", energy=0.8)  # e1 against e3
    np.testing.assert_allclose(angle, [90])


def test_update_cosine_by_hand():
    expected = symmetric(0, 0, 1 / np.sqrt(10))
    np.fill_diagonal(expected, 1)
    np.testing.assert_allclose(update_cosine(flora_record())[Q], expected, atol=1e-12)
    assert np.isnan(update_cosine(flora_record())[V, 2]).all()


def test_an_update_that_is_taken_back_has_cosine_minus_one():
    a, b = orthonormal(4, 1, 0), orthonormal(5, 1, 1).T
    states = [{"blocks.0.q.a": a * k, "blocks.0.q.b": b} for k in (1, 0)]
    record = lora_record(states)
    assert update_cosine(record)[0, 0, 1] == pytest.approx(-1)
    np.testing.assert_allclose(principal_angles(record, 0, 1, 0, "input"), [0], atol=DEGREES)


def test_share_in_earlier_by_hand():
    share, chance = share_in_earlier(flora_record(), "output", within="core")
    np.testing.assert_allclose(share, [[NAN, NAN], [0.5, 0], [0.2, NAN]], atol=1e-9)
    np.testing.assert_allclose(chance, [[NAN, NAN], [1 / 4, 2 / 4], [2 / 4, NAN]])
    share, chance = share_in_earlier(flora_record(), "input", within="open")
    np.testing.assert_allclose(share, [[NAN, NAN], [0, 0.5], [1, NAN]], atol=1e-9)
    np.testing.assert_allclose(chance, [[NAN, NAN], [0, 1 / 3], [1 / 3, NAN]], atol=1e-12)
    whole = share_in_earlier(flora_record(), "input", within="space")[1]
    np.testing.assert_allclose(whole, [[NAN, NAN], [1 / 5, 2 / 5], [2 / 5, NAN]])


def test_a_pair_looked_at_closely():
    pair = task_pair(flora_record(), "task B", "task A", layer="blocks.0.v")
    assert (pair.earlier, pair.later, pair.layer) == (0, 1, "blocks.0.v")
    np.testing.assert_allclose(pair.sizes, [2, 2])
    np.testing.assert_allclose(pair.angles["input"], [0, 90], atol=DEGREES)
    assert pair.overlap == pytest.approx({"output": 0, "input": 0.5})
    assert pair.overlap_chance["output"] == pytest.approx(
        {"space": 2 / 6, "core": 0.5, "open": 0.5}
    )
    # open: of task 0's e1 and e2 only e2 can be met: 2 * 1 / 3 / 2
    assert pair.overlap_chance["input"] == pytest.approx({"space": 0.4, "core": 0.5, "open": 1 / 3})
    assert pair.cosine == pytest.approx(0)
    # A random plane among e2, e3, e4 against the plane e1, e2: one right angle always.
    assert pair.angles_chance["input"][1] == pytest.approx(90)


def test_a_pair_over_all_layers_is_the_mean():
    pair = task_pair(flora_record(), 0, 1)
    np.testing.assert_allclose(pair.sizes, [1.5, 1.5])
    np.testing.assert_allclose(pair.angles["output"], [(45 + 90) / 2, 90], atol=DEGREES)
    np.testing.assert_allclose(pair.overlap["output"], (0.5 + 0) / 2, atol=1e-9)
    assert pair.overlap_chance["output"]["space"] == pytest.approx((1 / 6 + 2 / 6) / 2)
    assert task_pair(flora_record(), 1, 2).cosine == pytest.approx(1 / np.sqrt(10))  # q alone


def test_tables_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        pair_table(flora_record()).angle[0, 0, 1] = 1


def test_an_update_that_is_zero_is_unknown_not_zero():
    states = [{"blocks.0.q.a": np.ones((4, 1)), "blocks.0.q.b": np.ones((1, 5))}] * 2
    record = lora_record(states, method="first_task_lora")
    assert task_updates(record)[1][0].energy == 0
    assert np.isnan(pair_table(record).angle).all()
    assert np.isnan(share_in_earlier(record)[0]).all()
    assert len(task_pair(record, 0, 1).angles["output"]) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: directions(r, 0), "energy must be above 0 and at most 1, got 0"),
        (lambda r: pair_table(r, "top"), "side must be one of .* got 'top'"),
        (lambda r: pair_table(r, within="attic"), "within must be one of .* got 'attic'"),
        (lambda r: share_in_earlier(r, "top"), "side must be one of .* got 'top'"),
        (lambda r: principal_angles(r, 0, 3, 0), "task must be one of .* got 3"),
        (lambda r: principal_angles(r, 0, 1, "x"), "layer must be one of .* got 'x'"),
        (lambda r: task_pair(r, 1, "task B"), "two different tasks, got 1 twice"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(flora_record())


def test_other_methods_and_short_records_are_named():
    with pytest.raises(ValueError, match="got 'frozen_backbone'"):
        pair_table(make_record(method="frozen_backbone"))
    with pytest.raises(ValueError, match="at least 2 finished tasks, got 1"):
        pair_table(
            lora_record([{"blocks.0.q.a": np.ones((4, 1)), "blocks.0.q.b": np.ones((1, 5))}])
        )


def test_an_update_too_small_to_square_changed_nothing():
    tiny = {k: [(m, 1e-200 * n) for m, n in v] for k, v in PAIRS.items()}
    share, chance = share_in_earlier(flora_record(tiny))
    assert np.isnan(share).all() and np.isnan(chance).all()


def test_two_tasks_cost_the_decompositions_of_two(monkeypatch):
    record, calls, svd = random_record(6, n_layers=2, seed=77), [], Update.svd
    monkeypatch.setattr(Update, "svd", lambda *args: calls.append(1) or svd(*args))
    subspace_pair(record, 1, 4)
    assert len(calls) == 2 * 2


def test_one_layer_of_the_table_is_that_of_the_whole():
    record = random_record(4, n_layers=3, seed=5)
    whole, one = pair_table(record), pair_table(record, layer=1)
    for name in ("angle", "overlap_chance", "grassmann_spread"):
        np.testing.assert_array_equal(getattr(one, name)[1], getattr(whole, name)[1])
        assert np.isnan(getattr(one, name)[[0, 2]]).all()


@pytest.mark.parametrize(("k", "other"), [(3, 3), (2, 5), (5, 2)])
def test_angles_are_exact_between_spaces_close_to_each_other_too(k, other):
    frame = orthonormal(20, 6, 1)
    one = frame[:, :k]
    assert _angles(one, orthonormal(20, other, 2)) == pytest.approx(
        np.degrees(subspace_angles(one, orthonormal(20, other, 2)))[::-1], abs=DEGREES
    )
    tiny = 1e-9  # radians: the arccos of such a cosine is 0
    turned = np.hstack([one[:, :1] + tiny * frame[:, 5:], one[:, 1:]])
    assert _angles(one, turned)[-1] == pytest.approx(np.degrees(tiny), rel=1e-3)
