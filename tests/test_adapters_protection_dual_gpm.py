"""DualGPM: what the memory takes in, in which half it is kept, and what is left for new updates."""

import numpy as np
import pytest
import torch
from helpers import models

from fmlora_kit.adapters.protection import DualGPM, leading_directions, rising_share

SPECTRUM = [5.0, 3.0, 1.5, 0.5, 0.2, 0.1, 0.0, 0.0]


def moment(spectrum=SPECTRUM, seed=0):
    """A moment with these singular values, in random directions; the directions too."""
    d = len(spectrum)
    noise = torch.randn(d, d, generator=models.generator(seed), dtype=torch.float64)
    q = torch.linalg.qr(noise).Q
    return q @ torch.diag(torch.tensor(spectrum, dtype=torch.float64)) @ q.T, q


def projector(columns):
    return (columns @ columns.T).numpy()


@pytest.mark.parametrize(
    ("start", "n_tasks", "shares"),
    [(0.95, 5, [0.95, 0.96, 0.97, 0.98, 0.99]), (0.0, 4, [0, 0.25, 0.5, 0.75]), (1.0, 2, [1, 1])],
)
def test_the_share_rises_from_lambda_towards_one(start, n_tasks, shares):
    np.testing.assert_allclose([rising_share(start, t, n_tasks) for t in range(n_tasks)], shares)


# Squared singular values 25, 9, 2.25, .25, .04, .01 of 36.55: the first holds 0.684, two 0.930.
@pytest.mark.parametrize(
    ("share", "k"), [(0.0, 0), (0.6, 1), (0.69, 2), (0.93, 2), (0.94, 3), (0.99, 3), (1.0, 6)]
)
def test_the_fewest_directions_that_hold_the_share(share, k):
    """The public code drops the last one in the first task, and holds less than it should."""
    x, q = moment()
    memory = DualGPM.empty(8).grow(x, share)
    np.testing.assert_allclose(projector(memory.old), projector(q[:, :k]), atol=1e-12)
    held = np.linalg.norm(projector(memory.old) @ x.numpy()) ** 2 / np.linalg.norm(x.numpy()) ** 2
    assert held >= share - 1e-9


@pytest.mark.parametrize("n_directions", [3, 4, 5, 6])
def test_a_wide_first_task_is_never_taken_for_its_complement(n_directions):
    """The public code keeps a first task's own directions as if they were the free ones."""
    x, q = moment([1.0] * n_directions + [0.0] * (8 - n_directions))
    memory = DualGPM.empty(8).grow(x, 0.99)
    assert memory.holds == ("old" if n_directions <= 4 else "free")
    assert memory.basis.shape[1] == min(n_directions, 8 - n_directions)
    np.testing.assert_allclose(projector(memory.old), projector(q[:, :n_directions]), atol=1e-12)
    np.testing.assert_allclose(projector(memory.free), projector(q[:, n_directions:]), atol=1e-12)


def grown_by_numpy(old, x, share):
    """GPM in its plain form: directions of (I - P) X are added one by one."""
    rest = x - old @ old.T @ x
    u, s, _ = np.linalg.svd(rest)
    held, n = 1 - (s**2).sum() / (x**2).sum(), 0
    while held < share - 1e-9:
        held += s[n] ** 2 / (x**2).sum()
        n += 1
    return np.hstack([old, u[:, :n]])


def test_it_is_gpm_in_less_memory_task_after_task():
    memory, old, widths = DualGPM.empty(8), np.zeros((8, 0)), []
    for seed, share in enumerate([0.6, 0.9, 0.95, 0.97, 1.0]):
        x, _ = moment(seed=seed)
        memory, old = memory.grow(x, share), grown_by_numpy(old, x.numpy(), share)
        np.testing.assert_allclose(projector(memory.old), old @ old.T, atol=1e-10)
        np.testing.assert_allclose(projector(memory.free), np.eye(8) - old @ old.T, atol=1e-10)
        k = memory.basis.shape[1]
        np.testing.assert_allclose(memory.basis.T @ memory.basis, np.eye(k), atol=1e-12)
        assert 2 * k <= 8 and k == min(old.shape[1], 8 - old.shape[1])
        widths.append(old.shape[1])
    assert widths == sorted(widths) and widths[0] <= 4 < widths[-1]


def test_what_is_held_already_adds_nothing():
    x, _ = moment()
    memory = DualGPM.empty(8).grow(x, 0.95)
    again = memory.grow(3 * x, 0.95)
    assert again.holds == memory.holds and torch.equal(again.basis, memory.basis)
    assert memory.grow(torch.zeros(8, 8), 1.0) is memory


def test_a_full_memory_leaves_nothing():
    memory = DualGPM.empty(4).grow(torch.eye(4), 1.0)
    assert memory.free.shape == (4, 0) and memory.old.shape == (4, 4)
    assert leading_directions(torch.eye(4), memory.free, 2).abs().max() == 0
    assert memory.grow(torch.eye(4), 1.0).free.shape == (4, 0)


def test_leading_directions_are_the_singular_vectors_of_the_projected_moment():
    memory = DualGPM.empty(8).grow(moment()[0], 0.93)
    x = moment(seed=1)[0]
    rows = leading_directions(x, memory.free, 3).numpy()
    old = memory.old.numpy()
    u = np.linalg.svd(x.numpy() - old @ old.T @ x.numpy())[0][:, :3]
    np.testing.assert_allclose(np.abs(np.diag(rows @ u)), 1, atol=1e-12)
    np.testing.assert_allclose(rows @ rows.T, np.eye(3), atol=1e-12)


def test_directions_without_energy_are_orthogonal_to_old_inputs_too():
    x, _ = moment()
    memory = DualGPM.empty(8).grow(x, 1.0)  # two directions are left, and x has no energy there
    rows = leading_directions(x, memory.free, 3)
    torch.testing.assert_close(rows @ memory.old, torch.zeros(3, 6).double(), atol=1e-14, rtol=0)
    assert rows.norm(dim=1).tolist() == pytest.approx([1, 1, 0])
