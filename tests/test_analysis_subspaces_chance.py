"""What random subspaces share: rooms, the exact expectation, and draws that agree with it."""

import numpy as np
import pytest
from helpers import models
from helpers.records import E1, E2, E3, MOMENTS, flora_record, lora_record, random_record

from fmlora_kit.analysis import subspaces
from fmlora_kit.analysis.subspaces import expected_overlap, open_directions, random_angles, room
from fmlora_kit.analysis.updates import shared_bases, task_updates


def projector(columns):
    return columns @ columns.T


def test_open_directions_by_hand():
    moment = np.diag([8.0, 1, 1, 0])
    np.testing.assert_allclose(projector(open_directions(moment, 0.8)), np.diag([0, 1, 1, 1]))
    np.testing.assert_allclose(projector(open_directions(moment, 0.95)), np.diag([0, 0, 0, 1]))
    np.testing.assert_array_equal(open_directions(moment, 0), np.eye(4))
    np.testing.assert_array_equal(open_directions(np.zeros((4, 4)), 0.9), np.eye(4))


def test_rooms_of_flora():
    record = flora_record()
    a, b = shared_bases(record)[0]
    assert room(record, 1, 0, "input", "space") is None
    np.testing.assert_allclose(projector(room(record, 1, 0, "output", "open")), a @ a.T)
    np.testing.assert_allclose(projector(room(record, 1, 0, "input", "core")), b.T @ b)
    np.testing.assert_allclose(projector(room(record, 0, 0, "input", "open")), b.T @ b)
    left = np.diag([0.0, 1, 1, 1])  # MOMENTS[0] guards e1
    np.testing.assert_allclose(
        projector(room(record, 1, 0, "input", "open")), b.T @ left @ b, atol=1e-12
    )


def test_lora_has_the_whole_space():
    states = [{"blocks.0.q.a": np.ones((2, 1)), "blocks.0.q.b": np.ones((1, 3))}] * 2
    record = lora_record(states)
    assert all(room(record, 1, 0, "input", within) is None for within in ("space", "core", "open"))


def test_updates_of_a_trained_model_lie_in_their_room():
    stream = models.stream(3)
    model = models.fmlora(protect=0.95)
    record = models.record_of(model, stream, models.learn(model, stream))
    for t, row in enumerate(task_updates(record)):
        for k, update in enumerate(row):
            inside = room(record, t, k, "input")
            delta = update.dense
            np.testing.assert_allclose(
                delta @ inside @ inside.T, delta, atol=1e-5 * np.abs(delta).max()
            )
    widths = [room(record, t, 0, "input").shape[1] for t in range(3)]
    assert widths[0] == 8 > widths[1]  # of what is protected, nothing is left open


@pytest.mark.parametrize(
    ("earlier", "k", "where", "expected"),
    [
        ([E1], 2, None, 2 / 4),
        ([E1, E2], 1, None, 2 / 4),
        ([E1], 1, [E1, E2], 1 / 2),
        ([E1], 1, [E2, E3], 0),
        ([E1, E2], 2, [E2, E3], 1 / 2),  # the whole room: one angle of 0, one of 90 degrees
    ],
)
def test_expected_overlap_by_hand_and_by_draws(earlier, k, where, expected):
    earlier = np.stack(earlier, axis=1)
    where = None if where is None else np.stack(where, axis=1)
    assert expected_overlap(earlier, k, where) == pytest.approx(expected)
    drawn = np.cos(np.radians(random_angles(earlier, k, where))) ** 2
    assert drawn.mean() == pytest.approx(expected, abs=0.08)


def test_draws_agree_with_the_expectation_where_room_and_earlier_update_are_askew():
    rng = np.random.default_rng(3)
    earlier, where = (np.linalg.qr(rng.standard_normal((20, n))).Q for n in (5, 9))
    drawn = np.cos(np.radians(random_angles(earlier, 4, where))) ** 2
    assert drawn.mean() == pytest.approx(expected_overlap(earlier, 4, where), abs=0.02)
    assert drawn.shape == (100, 4) and (np.diff(drawn, axis=1) <= 1e-12).all()


def test_draws_are_the_same_each_time_and_no_wider_than_the_room():
    earlier = np.stack([E1, E2], axis=1)
    np.testing.assert_array_equal(random_angles(earlier, 2, None), random_angles(earlier, 2, None))
    assert random_angles(earlier, 3, np.stack([E1], axis=1)).shape == (100, 1)
    assert random_angles(earlier, 0, None).shape == (100, 0)
    assert np.isnan(expected_overlap(earlier, 0, None))


def test_unknown_choices_are_named():
    record = flora_record(moments=MOMENTS)
    with pytest.raises(ValueError, match=r"side must be one of \('output', 'input'\), got 'left'"):
        room(record, 1, 0, "left")
    with pytest.raises(ValueError, match="within must be one of .*, got 'here'"):
        room(record, 1, 0, "input", "here")


@pytest.mark.parametrize(("rank", "draws"), [(1, 33), (2, 8), (6, 4)])
def test_of_many_pairs_those_of_many_directions_are_drawn_less_often(rank, draws, monkeypatch):
    monkeypatch.setattr(subspaces, "_MANY_PAIRS", 1)  # of 3 here, in one layer
    monkeypatch.setattr(subspaces, "_MANY_DIRECTIONS", 1)
    asked, random_angles = [], subspaces.random_angles
    monkeypatch.setattr(
        subspaces, "random_angles", lambda *a: asked.append(a[3]) or random_angles(*a)
    )
    record = random_record(n_tasks=3, n_layers=1, width=8, d=16, rank=rank)
    table = subspaces.pair_table(record, energy=1.0)
    assert (table.sizes == rank).all() and asked == [draws] * 3
