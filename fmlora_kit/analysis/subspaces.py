"""Do two tasks' updates share a subspace? Principal angles between them, against chance.

Of every update dW = U S V^T only the leading singular directions count, the fewest that hold a
share `energy` of |dW|_F^2; singular values up to `tolerance` of the largest are numerically zero.
"output" compares column spaces (what an update writes), "input" row spaces (what it looks at).
Subspaces of dimensions k and l have min(k, l) principal angles (Bjorck and Golub, "Numerical
Methods for Computing Angles Between Linear Subspaces", 1973); for k != l they say how far the
smaller one is from lying inside the larger (Ye and Lim, "Schubert Varieties and Distances between
Subspaces of Different Dimensions", arXiv 1407.0900). Pooled always means: averaged over layers.

`pair_table` measures every two tasks of a record, `task_pair` looks at two of them closely.

What two updates would share by chance is the reference that angles and overlaps are read against.
Two random subspaces are never quite apart: of dimensions k and l inside d dimensions they overlap
by max(k, l) / d on average, which is much if d is small. The later update of a pair is taken at
random from the directions where its method left it room, the earlier one as it is. `WITHIN` names
how much of the method is taken for granted:

space   all directions of the layer
core    FM-LoRA: the span of the shared bases, outside of which no update can lie
open    FM-LoRA: of that, on the input side, what the protection of earlier tasks leaves open;
        without protection, the default, the same as "core"

For methods without shared bases all three are the whole space.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fmlora_kit import checks
from fmlora_kit.analysis.accuracy import mean_known
from fmlora_kit.analysis.arguments import check_record, index_of
from fmlora_kit.analysis.chance import (
    DRAWS,
    chance_levels,
    expected_overlap,
    measures,
    pair_measures,
    random_angles,
)
from fmlora_kit.analysis.updates import (
    SIDES,
    check_updates,
    shared_bases,
    task_updates,
    updates_of,
)
from fmlora_kit.record import Record

ENERGY = 0.95
TOLERANCE = 1e-6
WITHIN = ("space", "core", "open")
_MANY_MAPS, _LEAST_DRAWS = 4, 4  # of one pair; for more of them fewer are drawn: their mean is told


@dataclass(frozen=True, eq=False)
class Directions:
    """Singular directions of one update.

    Attributes:
        output: (d_out, k) leading left singular vectors.
        input: (d_in, k) leading right singular vectors.
        values: (numerical rank,) all singular values, from the largest down.
    """

    output: np.ndarray
    input: np.ndarray
    values: np.ndarray

    @property
    def k(self) -> int:
        """How many leading directions count."""
        return self.output.shape[1]


@dataclass(frozen=True, eq=False)
class PairTable:
    """How close the updates of every two tasks are, per layer, and how close chance would bring.

    All arrays are (L, T, T), symmetric, NaN on the diagonal and where a task changed nothing.

    Attributes:
        side: "output" or "input".
        within: where the chance levels draw from, see `WITHIN`.
        sizes: (T, L) dimensions compared; 0 in layers that were not asked for.
        angle: mean of the min(k, l) principal angles, degrees.
        grassmann: Grassmann distance, root of the sum of the squared angles, radians.
        overlap: mean cos^2 of the principal angles; 1: one space holds the other, 0: orthogonal.
        angle_chance: the same if the later update were drawn at random (mean over draws).
        grassmann_chance: likewise.
        overlap_chance: likewise, exactly.
        angle_spread: standard deviation of the random ones.
        grassmann_spread: likewise.
        overlap_spread: likewise.
    """

    side: str
    within: str
    sizes: np.ndarray
    angle: np.ndarray
    grassmann: np.ndarray
    overlap: np.ndarray
    angle_chance: np.ndarray
    grassmann_chance: np.ndarray
    overlap_chance: np.ndarray
    angle_spread: np.ndarray
    grassmann_spread: np.ndarray
    overlap_spread: np.ndarray


def directions(
    record: Record, energy: float = ENERGY, tolerance: float = TOLERANCE
) -> tuple[tuple[Directions, ...], ...]:
    """Leading singular directions of every update, [task][layer].

    Args:
        record: a run of a method with low-rank updates.
        energy: share, in (0, 1], of an update's energy that the directions must hold; 1 takes all.
        tolerance: singular values up to this share of the largest count as zero.
    """
    energy = checks.number("energy", energy, above=0, high=1)
    rows = range(len(check_updates(check_record(record)).tasks))
    return tuple(directions_of(record, t, energy, tolerance=tolerance) for t in rows)


def directions_of(
    record: Record,
    t: int,
    energy: float = ENERGY,
    *,
    tolerance: float = TOLERANCE,
    layers: Iterable[int] | None = None,
) -> tuple[Directions, ...]:
    """Leading singular directions of one task's updates on some layers, by number, or on all.

    See `directions`.
    """
    energy = checks.number("energy", energy, above=0, high=1)
    layers = range(len(record.layers)) if layers is None else layers
    return tuple(_keep_leading(*_svd(record, t, k, tolerance), energy) for k in layers)


@lru_cache(maxsize=2048)  # two long records, or many short ones
def _svd(record: Record, t: int, k: int, tolerance: float) -> tuple[np.ndarray, ...]:
    (update,) = updates_of(record, t, [k])
    return update.svd(tolerance)


def principal_angles(
    record: Record,
    first: int | str,
    second: int | str,
    layer: int | str,
    side: str = "output",
    *,
    energy: float = ENERGY,
) -> np.ndarray:
    """(min(k, l),) principal angles between the updates of two tasks, degrees, ascending.

    Tasks and layer by name or index from 0; `energy`: see `directions`.
    """
    checks.choice("side", side, SIDES)
    k = index_of(layer, check_record(record).layers, "layer")
    one, other = (index_of(task, record.task_names, "task") for task in (first, second))
    pair = [directions_of(record, t, energy, layers=[k])[0] for t in (one, other)]
    return _angles(*(getattr(each, side) for each in pair))


def pair_table(
    record: Record,
    side: str = "output",
    energy: float = ENERGY,
    within: str = "open",
    layer: int | str | None = None,
) -> PairTable:
    """Angles, Grassmann distances and overlaps of every two tasks, and their chance levels.

    `side` is "output" or "input"; `energy`: see `directions`; `within`, see `WITHIN`, is where
    chance draws from. With a layer, by name or index, the others are NaN.
    """
    checks.choice("side", side, SIDES)
    checks.choice("within", within, WITHIN)
    layers = range(len(check_record(record, 2).layers))
    layers = tuple(layers) if layer is None else (index_of(layer, record.layers, "layer"),)
    energy = checks.number("energy", energy, above=0, high=1)
    return _pair_table(record, side, energy, within, layers)


@lru_cache(maxsize=32)
def _pair_table(
    record: Record, side: str, energy: float, within: str, layers: tuple[int, ...]
) -> PairTable:
    n, n_layers = len(record.tasks), len(record.layers)
    sizes = np.zeros((n, n_layers), dtype=int)
    found = np.full((9, n_layers, n, n), np.nan)
    bases = None if within == "space" else shared_bases(record)
    later, earlier = np.tril_indices(n, -1)
    for k in layers:
        table = [directions_of(record, t, energy, layers=[k])[0] for t in range(n)]
        sizes[:, k] = [one.k for one in table]
        columns, rooms = [getattr(one, side) for one in table], [None] * n
        if bases is not None:  # inside the core are the same angles, in fewer coordinates
            inside = bases[k][0].T if side == "output" else bases[k][1]
            columns = [inside.astype(float) @ one for one in columns]
            rooms = [_core_room(record, t, k, side, within) for t in range(n)]
        found[:, k, later, earlier] = found[:, k, earlier, later] = [
            *pair_measures(columns),
            *chance_levels(columns, rooms, len(layers)),
        ]
    found.flags.writeable = False  # kept, and handed out again
    return PairTable(side, within, sizes, *found)


def update_cosine(record: Record) -> np.ndarray:
    """(L, T, T) Frobenius cosine <dW_i, dW_j> / (|dW_i| |dW_j|) between the updates themselves.

    1: the same change up to its size, 0: unrelated, negative: one takes back what the other did.
    NaN where a task changed nothing.
    """
    table = task_updates(record)
    inner = np.array(
        [
            [[one[k].inner(other[k]) for other in table] for one in table]
            for k in range(len(record.layers))
        ]
    )
    size = np.sqrt(np.diagonal(inner, axis1=1, axis2=2))  # (L, T)
    size = np.where(size > 0, size, np.nan)
    return inner / size[:, :, None] / size[:, None, :]


def _cosines(record: Record, numbers: list[int], maps: Iterable[int]) -> list[float]:
    """The Frobenius cosine of two tasks' updates on each of some maps."""
    first, second = (updates_of(record, t, maps) for t in numbers)
    sizes = [(a.energy * b.energy) ** 0.5 for a, b in zip(first, second, strict=True)]
    inner = [a.inner(b) for a, b in zip(first, second, strict=True)]
    return [a / size if size > 0 else np.nan for a, size in zip(inner, sizes, strict=True)]


def share_in_earlier(
    record: Record, side: str = "output", *, energy: float = ENERGY, within: str = "open"
) -> tuple[np.ndarray, np.ndarray]:
    """How much of each update lies in the span of all earlier ones, and how much would by chance.

    |P dW_t|_F^2 / |dW_t|_F^2, P projecting onto the leading directions of all earlier updates
    together (those that hold `energy` of each; the new one counts in full). By chance: the expected
    share of an update drawn at random from the room it had, see `WITHIN`.

    Returns:
        Two (tasks finished, L) arrays of fractions; NaN for the first task, and where a task
        changed nothing.
    """
    from scipy.linalg import orth

    checks.choice("side", side, SIDES)
    leading, full = directions(record, energy), directions(record, 1.0)
    n, n_layers = len(record.tasks), len(record.layers)
    share, chance = np.full((2, n, n_layers), np.nan)
    bases = shared_bases(record)
    for k in range(n_layers):
        # Where all updates lie in a core, its few coordinates hold the same angles.
        base = None if bases is None else (bases[k][0] if side == "output" else bases[k][1].T)
        inside = (lambda x: x) if base is None else base.T.__matmul__
        span = inside(getattr(leading[0][k], side))
        for t in range(1, n):
            new = full[t][k]
            if (new.values**2).any():  # squares of the tiniest numbers are zero
                seen = np.sum((span.T @ inside(getattr(new, side))) ** 2, axis=0)  # per direction
                share[t, k] = np.average(seen, weights=new.values**2)
                if base is None or within == "space":
                    p, total = len(getattr(new, side)), span.shape[1]
                else:
                    where = _core_room(record, t, k, side, within)
                    p, total = where.shape[1], np.sum((span.T @ where) ** 2)
                chance[t, k] = total / p if p else np.nan
                if span.shape[1] < len(span):  # else it is everything already
                    more = np.hstack([span, inside(getattr(leading[t][k], side))])
                    span = orth(more, rcond=TOLERANCE)
    return share, chance


def _keep_leading(u: np.ndarray, values: np.ndarray, v: np.ndarray, energy: float) -> Directions:
    held = np.cumsum(values**2)
    k = int(np.sum(held < energy * held[-1] * (1 - 1e-12))) + 1 if len(values) else 0
    k = len(values) if energy == 1 else k
    return Directions(u[:, :k], v[:, :k], values)


def _angles(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Principal angles of orthonormal columns, degrees, ascending (Bjorck and Golub, sec. 3).

    `scipy.linalg.subspace_angles` makes its columns orthonormal first; these are, and a map over
    tasks needs thousands of angles.
    """
    if not min(one.shape[1], other.shape[1]):
        return np.zeros(0)
    if one.shape[1] < other.shape[1]:
        one, other = other, one
    inner = one.T @ other
    cosines = np.linalg.svd(inner, compute_uv=False)
    angles = np.arccos(np.clip(cosines, 0, 1))
    if (small := cosines**2 >= 0.5).any():  # where the cosine says little, the sine says it
        sines = np.linalg.svd(other - one @ inner, compute_uv=False)[::-1]
        angles = np.where(small, np.arcsin(np.clip(sines, 0, 1)), angles)
    return np.degrees(angles)


@dataclass(frozen=True, eq=False)
class TaskPair:
    """How two tasks' updates lie to each other, at one layer or as the mean over all.

    Attributes:
        earlier: number of the task learned first, from 0.
        later: number of the task learned after it.
        layer: name of the adapted map; None: mean over all layers.
        sizes: (2,) directions compared of the earlier and of the later update.
        angles: by side ("output", "input"), (n,) principal angles in degrees, ascending. Over all
            layers: mean over those that have as many.
        angles_chance: by side, (n,) the same for a random later update.
        overlap: by side, mean cos^2 of the angles.
        overlap_chance: by side and by where chance draws from (`WITHIN`; "space"
            only for methods without shared bases).
        cosine: Frobenius cosine between the two updates.
    """

    earlier: int
    later: int
    layer: str | None
    sizes: np.ndarray
    angles: dict[str, np.ndarray]
    angles_chance: dict[str, np.ndarray]
    overlap: dict[str, float]
    overlap_chance: dict[str, dict[str, float]]
    cosine: float


def task_pair(
    record: Record,
    first: int | str,
    second: int | str,
    *,
    layer: int | str | None = None,
    energy: float = ENERGY,
    within: str = "open",
) -> TaskPair:
    """Angles, overlaps and their chance levels for two tasks.

    Tasks and layer by name or index; which task came later is seen from the record; without a layer
    the mean over all. `energy` is the share of an update's energy that the compared directions
    hold; the random later updates of `angles_chance` come from `within`.
    """
    check_record(record)
    numbers = sorted(index_of(task, record.task_names, "task") for task in (first, second))
    earlier, later = numbers
    if earlier == later:
        raise ValueError(f"first and second must be two different tasks, got {first!r} twice")
    maps = range(len(record.layers))
    maps = maps if layer is None else [index_of(layer, record.layers, "layer")]
    table = {t: directions_of(record, t, energy, layers=maps) for t in numbers}
    rooms = WITHIN if shared_bases(record) else WITHIN[:1]
    draws = max(_LEAST_DRAWS, DRAWS * _MANY_MAPS // max(_MANY_MAPS, len(maps)))
    angles, drawn, levels = {}, {}, {}
    for side in SIDES:
        pairs = [[getattr(one, side) for one in pair] for pair in zip(*table.values(), strict=True)]
        angles[side] = [_angles(*pair) for pair in pairs]
        chance = {
            name: [
                (old, new.shape[1], room(record, later, k, side, name))
                for k, (old, new) in zip(maps, pairs, strict=True)
            ]
            for name in (*rooms, checks.choice("within", within, WITHIN))
        }
        drawn[side] = [random_angles(*each, draws).mean(axis=0) for each in chance[within]]
        levels[side] = {
            name: mean_known([expected_overlap(*each) for each in chance[name]]) for name in rooms
        }
    return TaskPair(
        earlier,
        later,
        None if layer is None else record.layers[maps[0]],
        np.mean([[one.k for one in table[t]] for t in numbers], axis=1),
        {side: _mean_of_ragged(rows) for side, rows in angles.items()},
        {side: _mean_of_ragged(rows) for side, rows in drawn.items()},
        {side: mean_known([measures(row)[2] for row in rows]) for side, rows in angles.items()},
        levels,
        mean_known(_cosines(record, numbers, maps)),
    )


def _mean_of_ragged(rows: list[np.ndarray]) -> np.ndarray:
    """Mean of the k-th entries of the rows that have one."""
    longest = max(map(len, rows))
    return np.array([np.mean([row[k] for row in rows if len(row) > k]) for k in range(longest)])


def room(record: Record, t: int, layer: int, side: str, within: str = "open") -> np.ndarray | None:
    """Where the update of task `t` could lie: orthonormal columns (d, p); None: everywhere.

    Task and layer are numbers from 0. On the side "output" (column space) d = d_out, on "input"
    (row space) d = d_in; `within` is one of `WITHIN`.
    """
    checks.choice("side", side, SIDES)
    checks.choice("within", within, WITHIN)
    bases = shared_bases(record)
    if bases is None or within == "space":
        return None
    a, b = bases[layer]
    if side == "output":
        return a
    return b.T if within == "core" else b.T @ _core_room(record, t, layer, side, within)


def _core_room(record: Record, t: int, layer: int, side: str, within: str) -> np.ndarray:
    """(R, p) `room` in the coordinates of the shared core."""
    flora = record.config["method"]["flora"]
    if side == "output" or within == "core" or t == 0 or flora["protect"] == 0:
        return np.eye(len(shared_bases(record)[layer][1]))
    moment = record.tasks[t - 1].state[f"{record.layers[layer]}.moment"]
    return open_directions(moment, flora["protect"])


def open_directions(moment: np.ndarray, share: float) -> np.ndarray:
    """(R, p) directions of the core that `adapters.protection.protection` leaves to a new update.

    `moment` is the (R, R) second moment of z = B x over earlier tasks, `share` that of its energy
    which is protected.
    """
    energy, vectors = np.linalg.eigh(np.asarray(moment, dtype=float))
    energy, vectors = np.clip(energy[::-1], 0, None), vectors[:, ::-1]
    if share == 0 or energy.sum() == 0:
        return np.eye(len(energy))
    held_before = (np.cumsum(energy) - energy) / energy.sum()
    return vectors[:, held_before >= share - 1e-9]
