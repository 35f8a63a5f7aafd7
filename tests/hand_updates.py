"""Records whose updates were chosen by hand, so that angles and energies are known; no torch."""

from __future__ import annotations

import numpy as np
from hand_made import make_record

from fmlora_kit.record import Record

E1, E2, E3, E4 = np.eye(4)
DIAGONAL = (E1 + E2) / np.sqrt(2)
NOTHING = (np.zeros((4, 0)), np.zeros((0, 4)))
# Per layer and task the pair (M, N) inside a core of width 4.
PAIRS = {
    "blocks.0.q": [
        (np.stack([E1], axis=1), np.stack([2 * E1])),  # 2 e1 e1'
        (np.stack([DIAGONAL], axis=1), np.stack([3 * E2])),  # 3 (e1 + e2) e2' / sqrt 2
        (np.stack([E1, E3], axis=1), np.stack([E2, 2 * E1])),  # e1 e2' + 2 e3 e1'
    ],
    "blocks.0.v": [
        (np.stack([E1, E2], axis=1), np.stack([E1, E2])),
        (np.stack([E3, E4], axis=1), np.stack([E1, E3])),
        NOTHING,
    ],
}
# Second moments after tasks 0, 1, 2; with protect = 0.5 each of them guards e1 alone.
MOMENTS = [np.diag(m) for m in ([1.0, 0, 0, 0], [0.6, 0.4, 0, 0], [0.6, 0.2, 0.2, 0])]


def orthonormal(rows, columns, seed):
    """A matrix with orthonormal columns."""
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((rows, columns))).Q


def flora_record(pairs=PAIRS, *, alpha=None, d_out=6, d_in=5, moments=MOMENTS, protect=0.5):
    """A record of FM-LoRA with the given pairs (M, N) by layer and task, three tasks unless told.

    The core of width R sits in (d_out, d_in) by random orthonormal bases.
    """
    layers = tuple(pairs)
    width = len(next(iter(pairs.values()))[0][0])
    states = [{} for _ in next(iter(pairs.values()))]
    for number, layer in enumerate(layers):
        states[0][f"{layer}.a"] = orthonormal(d_out, width, 2 * number)
        states[0][f"{layer}.b"] = orthonormal(d_in, width, 2 * number + 1).T
        for state, (m, n), moment in zip(states, pairs[layer], moments, strict=True):
            state |= {f"{layer}.m": m, f"{layer}.n": n, f"{layer}.moment": moment}
    flora = {"max_rank": width, "alpha": alpha, "protect": protect}
    return with_states(states, layers, method="fmlora", config={"method": {"flora": flora}})


def lora_record(states, *, method="sequential_lora", rank=1, alpha=1.0, layers=("blocks.0.q",)):
    """A record of LoRA with the given snapshots, {layer}.a and {layer}.b after each task."""
    config = {"method": {"rank": rank, "alpha": alpha}}
    return with_states(states, layers, method=method, config=config)


def with_states(states, layers, **changes) -> Record:
    """A record with these snapshots, as many tasks as there are."""
    n = len(states)
    accuracy = np.where(np.tri(n, dtype=bool), 0.5, np.nan)
    made = make_record(accuracy, accuracy, n_test=[10] * n, layers=layers, **changes)
    record = make_record(accuracy, accuracy, n_test=[10] * n, layers=layers, n_done=0, **changes)
    for task, state in zip(made.tasks, states, strict=True):
        values = {name: getattr(task, name) for name in task.__dataclass_fields__}
        record = record.with_task(type(task)(**{**values, "state": state}))
    return record


def random_record(n_tasks=6, n_layers=12, width=32, d=128, rank=12, seed=0):
    """A record of FM-LoRA of the size of the notebooks' series, with random pairs."""
    rng = np.random.default_rng(seed)
    pairs = {
        f"blocks.{k // 2}.{'qv'[k % 2]}": [
            (rng.standard_normal((width, rank)), rng.standard_normal((rank, width)))
            for _ in range(n_tasks)
        ]
        for k in range(n_layers)
    }
    moments = [np.diag(np.arange(width, 0.0, -1) ** 3)] * n_tasks
    return flora_record(pairs, d_out=d, d_in=d, moments=moments, protect=0.9)
