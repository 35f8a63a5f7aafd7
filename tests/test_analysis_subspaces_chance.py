"""What random subspaces share: rooms, the exact expectation, and draws that agree with it."""

import numpy as np
import pytest
from helpers import models
from helpers.records import E1, E2, E3, MOMENTS, flora_record, lora_record, random_record

from fmlora_kit.analysis import chance
from fmlora_kit.analysis.chance import expected_overlap, measures, random_angles
from fmlora_kit.analysis.subspaces import directions, open_directions, pair_table, room
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


@pytest.mark.parametrize(
    ("p", "k", "n_earlier"), [(4, 1, 1), (12, 3, 5), (12, 5, 3), (12, 9, 7), (12, 4, 12)]
)
def test_inside_a_room_angles_are_drawn_as_those_of_drawn_subspaces(p, k, n_earlier):
    draws = 4000
    found = chance._measures_inside(p, *sorted((k, n_earlier)), draws)
    drawn = measures(random_angles(np.eye(p)[:, :n_earlier], k, None, draws))
    error = drawn.std(axis=1) / draws**0.5 + 1e-6  # degrees that rounding makes of none
    np.testing.assert_array_less(abs(found.mean(axis=1) - drawn.mean(axis=1)), 5 * error)
    np.testing.assert_allclose(found.std(axis=1), drawn.std(axis=1), rtol=0.06, atol=1e-6)
    problem = chance._Problem(p, k, n_earlier)
    np.testing.assert_allclose(problem.overlap()[1], drawn[2].std(), rtol=0.06, atol=1e-6)


def test_levels_and_spreads_are_those_of_many_draws():
    record = random_record(n_tasks=5, n_layers=1, width=16, d=20, rank=5)
    table = pair_table(record, "input")  # protected: the room holds a part of earlier updates
    columns = [row[0].input for row in directions(record)]
    for later, earlier in [(1, 0), (4, 2)]:
        where = room(record, later, 0, "input")
        drawn = measures(random_angles(columns[earlier], columns[later].shape[1], where, 4000))
        at = (0, later, earlier)
        levels = [table.angle_chance[at], table.grassmann_chance[at], table.overlap_chance[at]]
        spreads = [table.angle_spread[at], table.grassmann_spread[at], table.overlap_spread[at]]
        off = abs(levels - drawn.mean(axis=1)) / drawn.std(axis=1)
        np.testing.assert_array_less(off, 0.12)  # of 100 plain draws it is 0.1 on average
        np.testing.assert_allclose(spreads, drawn.std(axis=1), rtol=0.12)


@pytest.mark.parametrize("within", ["core", "open"])
def test_of_a_few_draws_those_of_neighbours_make_a_hundred(within, monkeypatch):
    record = random_record(n_tasks=9, n_layers=1, width=16, d=20, rank=6)
    columns = [row[0].input for row in directions(record)]
    columns[3] = columns[3][:, :2]
    rooms = [room(record, t, 0, "input", within) for t in range(9)]
    many = chance.chance_levels(columns, rooms)
    asked, draw = [], chance._Problem.draw
    monkeypatch.setattr(chance, "_ENTRIES", 1)
    monkeypatch.setattr(chance._Problem, "draw", lambda *a: asked.append(a[1]) or draw(*a))
    few = chance.chance_levels(columns, rooms)
    assert len(set(asked)) == 1 and asked[0] < 100 <= sum(asked)
    off = (few[:3] - many[:3]) / many[3:]
    assert np.sqrt(np.mean(off**2)) < 0.15 and abs(off).max() < 0.6
    np.testing.assert_allclose(few[3:], many[3:], rtol=0.25)
    np.testing.assert_allclose(few[2::3], many[2::3])  # of the overlap both are exact


def test_a_room_that_the_later_update_fills_leaves_nothing_to_chance():
    columns, where = [np.eye(4)[:, :2], np.eye(4)[:, 1:4]], np.eye(4)[:, 1:4]
    for rooms in ([None, where], [None, np.eye(4)[:, :1]]):  # no update is wider than its room
        levels = chance.chance_levels(columns, rooms)[:, 0]
        np.testing.assert_allclose(levels[3:], 0, atol=1e-12)
        assert levels[2] == pytest.approx(expected_overlap(columns[0], 3, rooms[1]))
    assert levels[2] == 1 and np.isnan(chance.chance_levels([columns[0][:, :0]] * 2, rooms)).all()
