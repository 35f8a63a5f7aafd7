"""Updates in factored form, against a real model rebuilt from its record and against hand work."""

import numpy as np
import pytest
from helpers import models
from helpers.records import DIAGONAL, E1, E2, E3, PAIRS, flora_record, lora_record, make_record

import fmlora_kit as fk
from fmlora_kit.analysis.updates import (
    Update,
    core_changes,
    core_energy,
    share_in_bases,
    share_in_factors,
    shared_bases,
    task_updates,
    update_energy,
)


@pytest.mark.parametrize("method", ["fmlora", "sequential_lora", "first_task_lora"])
def test_updates_are_what_the_rebuilt_model_gained(method):
    stream = models.stream(2)
    model = models.build(method, n_classes=6)
    record = models.record_of(model, stream, models.learn(model, stream))
    table = task_updates(record)
    before = {layer: 0.0 for layer in record.layers}
    for t, row in enumerate(table):
        then = fk.from_record(record, after=t + 1, backbone=models.vit())
        for layer, update in zip(record.layers, row, strict=True):
            delta = then.updates[layer].delta().detach().numpy()
            np.testing.assert_allclose(update.dense, delta - before[layer], atol=2e-6)
            before[layer] = delta
        moved = [update.energy for update in row]
        assert all(energy == 0 for energy in moved) == (method == "first_task_lora" and t == 1)
    deltas = [before[layer] for layer in record.layers]
    np.testing.assert_allclose(core_energy(record)[-1], [np.sum(d**2) for d in deltas], rtol=1e-4)


def test_flora_by_hand():
    record = flora_record(alpha=8.0)  # s = 8 / 4
    a, b = shared_bases(record)[0]
    task2 = np.outer(E1, E2) + 2 * np.outer(E3, E1)
    np.testing.assert_allclose(task_updates(record)[2][0].dense, 2 * a @ task2 @ b, atol=1e-12)
    # Energies inside the core, times s^2 = 4; worked out on paper from C_0, C_1, C_2.
    q = [4, 13, 18 + 3 * np.sqrt(2)]
    np.testing.assert_allclose(core_energy(record), 4 * np.stack([q, [2, 4, 4]], axis=1))
    np.testing.assert_allclose(update_energy(record), 4 * np.array([[4, 2], [9, 2], [5, 0]]))


def test_lora_updates_are_differences_with_their_scale():
    states = [
        {"blocks.0.q.a": np.array([[1.0], [0]]), "blocks.0.q.b": np.array([[1.0, 2, 0]])},
        {"blocks.0.q.a": np.array([[1.0], [1]]), "blocks.0.q.b": np.array([[1.0, 2, 3]])},
        {"blocks.0.q.a": np.array([[1.0], [1]]), "blocks.0.q.b": np.array([[1.0, 2, 3]])},
    ]
    record = lora_record(states, rank=1, alpha=3.0)
    first, second, third = (row[0] for row in task_updates(record))
    np.testing.assert_array_equal(first.dense, [[3, 6, 0], [0, 0, 0]])
    np.testing.assert_array_equal(second.dense, [[0, 0, 9], [3, 6, 9]])
    np.testing.assert_array_equal(third.dense, np.zeros((2, 3)))
    assert third.left.shape == (2, 0)
    np.testing.assert_array_equal(update_energy(record)[:, 0], [45, 207, 0])
    np.testing.assert_array_equal(core_energy(record)[:, 0], [45, 252, 252])
    assert shared_bases(record) is None


def test_svd_stops_at_the_numerical_rank():
    update = Update(np.stack([E1, E3, DIAGONAL], axis=1), np.stack([3 * E1, 1e-9 * E2, 0 * E3]))
    u, values, v = update.svd()
    np.testing.assert_allclose(values, [3.0])
    np.testing.assert_allclose(np.abs(u[:, 0]), E1, atol=1e-12)
    np.testing.assert_allclose(np.abs(v[:, 0]), E1, atol=1e-12)
    np.testing.assert_allclose(update.svd(1e-12)[1], [3.0, 1e-9])
    u, values, v = task_updates(flora_record())[2][0].svd()
    np.testing.assert_allclose(values, [2, 1])
    np.testing.assert_allclose(u * values @ v.T, task_updates(flora_record())[2][0].dense)


def test_inner_product_is_that_of_the_matrices():
    one, other = (row[0] for row in task_updates(flora_record())[1:])
    assert one.inner(other) == pytest.approx(3 / np.sqrt(2))
    assert one.inner(other) == pytest.approx(np.sum(one.dense * other.dense))


def test_share_in_bases():
    update = Update(np.stack([E1, E3], axis=1), np.stack([E2, 2 * E1]))  # energy 1 + 4
    assert share_in_bases(update, np.eye(4), np.eye(4)) == pytest.approx(1)
    assert share_in_bases(update, np.stack([E1, E2], axis=1), np.eye(4)) == pytest.approx(0.2)
    assert share_in_bases(update, np.eye(4), np.stack([E1])) == pytest.approx(0.8)
    nothing = Update(np.zeros((4, 0)), np.zeros((0, 4)))
    assert np.isnan(share_in_bases(nothing, np.eye(4), np.eye(4)))
    record = flora_record()
    for row in task_updates(record):
        for update, bases in zip(row, shared_bases(record), strict=True):
            if update.energy:
                assert share_in_bases(update, *bases) == pytest.approx(1)


def test_share_in_the_factors_lora_had_before():
    a, b = np.eye(3)[:, :1], np.eye(4)[:1]
    turned = (3 * np.eye(4)[0] + 4 * np.eye(4)[1])[None] / 5
    states = [
        {"blocks.0.q.a": a, "blocks.0.q.b": b},
        {
            "blocks.0.q.a": 2 * a,
            "blocks.0.q.b": turned,
        },  # adds a (2 turned - b) = a (.2, 1.6, 0, 0)
        {"blocks.0.q.a": 2 * a, "blocks.0.q.b": turned},
    ]
    record = lora_record(states)
    np.testing.assert_allclose(share_in_factors(record)[:, 0], [np.nan, 1, np.nan])
    expected = 0.2**2 / (0.2**2 + 1.6**2)
    np.testing.assert_allclose(share_in_factors(record, "input")[:, 0], [np.nan, expected, np.nan])
    with pytest.raises(ValueError, match="one pair A, B, got 'fmlora'"):
        share_in_factors(flora_record())
    with pytest.raises(ValueError, match="side must be one of .*'output', 'input'.*, got 'top'"):
        share_in_factors(record, "top")


def test_core_changes_are_the_pairs():
    found = core_changes(flora_record(alpha=8.0), "blocks.0.q")
    expected = [2 * m @ n for m, n in PAIRS["blocks.0.q"]]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(np.sum(found.sum(axis=0) ** 2), 4 * (18 + 3 * np.sqrt(2)))
    with pytest.raises(ValueError, match="shared core, got 'sequential_lora'"):
        core_changes(lora_record([{"blocks.0.q.a": np.eye(2), "blocks.0.q.b": np.eye(2)}]), 0)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="low-rank updates.*got 'full_finetuning'"):
        task_updates(make_record(method="full_finetuning"))
    with pytest.raises(ValueError, match="record of 'fmlora' must hold 'flora'"):
        task_updates(make_record())
    config = {"method": {"flora": {"max_rank": 4, "alpha": None}}}
    with pytest.raises(ValueError, match=r"must hold 'blocks\.0\.q\.a'"):
        task_updates(make_record(config=config))
    with pytest.raises(ValueError, match="tolerance must be at least 0 and below 1, got 1"):
        Update(np.eye(2), np.eye(2)).svd(1)


def test_core_energy_stays_zero_where_nothing_changed():
    state = {"blocks.0.q.a": np.zeros((2, 1)), "blocks.0.q.b": np.array([[1.0, 2, 3]])}
    record = lora_record([state, state], rank=1, alpha=3.0)
    np.testing.assert_array_equal(core_energy(record), [[0], [0]])
    np.testing.assert_array_equal(update_energy(record), [[0], [0]])


@pytest.mark.parametrize("wrong", [None, "runs/fmlora", 3])
@pytest.mark.parametrize("function", [task_updates, core_energy, update_energy, shared_bases])
def test_what_is_no_record_is_named(function, wrong):
    with pytest.raises(ValueError, match="record must be a Record, got"):
        function(wrong)


def test_updates_that_are_not_finite_are_refused():
    pairs = {k: [(m, np.nan * n) for m, n in v] for k, v in PAIRS.items()}
    with pytest.raises(ValueError, match="finite updates, got NaN or infinity in blocks.0.q"):
        task_updates(flora_record(pairs))
