"""What two updates would share by chance: the reference that angles and overlaps are read against.

Two random subspaces are never quite apart: of dimensions k and l inside d dimensions they overlap
by max(k, l) / d on average, which is much if d is small. The later update of a pair is taken at
random from the directions where its method left it room, the earlier one as it is. `WITHIN` names
how much of the method is taken for granted:

space   all directions of the layer
core    FM-LoRA: the span of the shared bases, outside of which no update can lie
open    FM-LoRA: of that, on the input side, what the protection of earlier tasks leaves open

For methods without shared bases all three are the whole space.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from fmlora_kit.analysis.updates import shared_bases
from fmlora_kit.record import Record

WITHIN = ("space", "core", "open")
SIDES = ("output", "input")
_DRAWS = 100


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise ValueError, naming the parameter, unless `value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {choices}; got {value!r}")


def room(record: Record, t: int, layer: int, side: str, within: str = "open") -> np.ndarray | None:
    """Where the update of task `t` could lie: orthonormal columns (d, p); None: everywhere.

    Args:
        record: a run.
        t: number of the task, from 0.
        layer: number of the adapted map, from 0.
        side: "output" (column space, d = d_out) or "input" (row space, d = d_in).
        within: one of `WITHIN`.

    Raises:
        ValueError: `side` or `within` is unknown.
    """
    check_choice("side", side, SIDES)
    check_choice("within", within, WITHIN)
    bases = shared_bases(record)
    if bases is None or within == "space":
        return None
    a, b = bases[layer]
    if side == "output":
        return a
    if within == "core" or t == 0:
        return b.T
    share = record.config["method"]["flora"]["protect"]
    moment = record.tasks[t - 1].state[f"{record.layers[layer]}.moment"]
    return b.T @ open_directions(moment, share)


def open_directions(moment: np.ndarray, share: float) -> np.ndarray:
    """(R, p) directions of the core that `adapters.protect.protection` leaves to a new update.

    Args:
        moment: (R, R) second moment of z = B x over earlier tasks.
        share: share of its energy that is protected.
    """
    energy, vectors = np.linalg.eigh(np.asarray(moment, dtype=float))
    energy, vectors = np.clip(energy[::-1], 0, None), vectors[:, ::-1]
    if share == 0 or energy.sum() == 0:
        return np.eye(len(energy))
    held_before = (np.cumsum(energy) - energy) / energy.sum()
    return vectors[:, held_before >= share - 1e-9]


def expected_overlap(earlier: np.ndarray, k: int, where: np.ndarray | None) -> float:
    """Mean cos^2 of the principal angles to a random k-dimensional subspace, exactly.

    k |Q^T S|_F^2 / (p min(k, l)) for Q (d, l) the earlier directions and S (d, p) the room; inside
    a room that holds Q this is max(k, l) / p. NaN where either has no direction.
    """
    n_earlier = earlier.shape[1]
    p = len(earlier) if where is None else where.shape[1]
    if not min(k, n_earlier, p):
        return float("nan")
    inside = n_earlier if where is None else np.sum((earlier.T @ where) ** 2)
    return float(k * inside / p / min(k, n_earlier))


def random_angles(earlier: np.ndarray, k: int, where: np.ndarray | None) -> np.ndarray:
    """(draws, min(k, l)) principal angles in degrees, ascending, to random subspaces of the room.

    Args:
        earlier: (d, l) orthonormal directions of the earlier update.
        k: dimension of the random subspaces.
        where: (d, p) orthonormal directions of the room; None: all d. At most p of k are drawn.
    """
    p = len(earlier) if where is None else where.shape[1]
    k = min(k, p)
    if not min(k, earlier.shape[1]):
        return np.zeros((_DRAWS, 0))
    seen = earlier.T if where is None else earlier.T @ where  # (l, p)
    cosines = np.linalg.svd(seen @ _random_subspaces(p, k), compute_uv=False)
    return np.degrees(np.arccos(np.clip(cosines, 0, 1)))


@lru_cache(maxsize=64)
def _random_subspaces(p: int, k: int) -> np.ndarray:
    """(draws, p, k) orthonormal columns, uniformly at random; the same ones in every call."""
    noise = np.random.default_rng([p, k]).standard_normal((_DRAWS, p, k))
    return np.linalg.qr(noise).Q
