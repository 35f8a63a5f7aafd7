"""What an update shares by chance with subspaces of other updates: random ones, drawn in a room.

The room is where a later update could lie, p of the d directions of a layer. An earlier update of
l directions is taken as it is, a later one of k directions at random. Where the room holds the
earlier one, p, k and l say all: cos^2 of the angles between two random subspaces are a beta-Jacobi
ensemble, the squared singular values of a bidiagonal matrix of independent entries (Edelman and
Sutton, "The Beta-Jacobi Matrix Model, the CS Decomposition, and Generalized Singular Value
Problems", 2008), which are drawn at no cost in d. Elsewhere subspaces themselves are drawn.

The overlap, mean cos^2, has an exact mean and an exact spread by chance. A uniformly random
projection P of rank k in p dimensions has the mean k/p, and its part without trace the same size
in all of the (p - 1) (p + 2) / 2 directions that it may point to, whence

    Var tr(M P) = 2 k (1 - k/p) (tr M^2 - (tr M)^2 / p) / ((p - 1) (p + 2)).

Angles vary with the overlap. Drawn are therefore their slope against it, and how much more of them
there is; level and spread follow from the exact ones of the overlap.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

DRAWS = 100  # that a level and its spread rest on
_LEAST_DRAWS = 8  # of a pair that rests on those of its neighbours, too
_ENTRIES = 20_000_000  # of all matrices drawn for a table, so that work is bounded
_HELD = 1e-5  # share of an earlier update outside the room that float32 makes of nothing


def expected_overlap(earlier: np.ndarray, k: int, where: np.ndarray | None) -> float:
    """Mean cos^2 of the principal angles to a random subspace of k dimensions, at most p, exactly.

    k |Q^T S|_F^2 / (p min(k, l)) for Q (d, l) the earlier directions and S (d, p) the room; inside
    a room that holds Q this is max(k, l) / p. NaN where either has no direction.
    """
    seen, inside = _in_room(earlier, where)
    n_earlier, p = seen.shape
    k = min(k, p)
    return k * inside / p / min(k, n_earlier) if min(k, n_earlier) else float("nan")


def random_angles(
    earlier: np.ndarray, k: int, where: np.ndarray | None, draws: int = DRAWS
) -> np.ndarray:
    """(draws, min(k, l)) principal angles in degrees, ascending, to random subspaces of the room.

    Of dimension k, at most p; `earlier` (d, l) and the room `where` (d, p; None: all d) are
    orthonormal directions.
    """
    seen, _ = _in_room(earlier, where)
    n_earlier, p = seen.shape
    k = min(k, p)
    if not min(k, n_earlier):
        return np.zeros((draws, 0))
    cosines = np.linalg.svd(seen @ _random_subspaces(p, k, draws), compute_uv=False)
    return np.degrees(np.arccos(np.clip(cosines, 0, 1)))


def _in_room(earlier: np.ndarray, where: np.ndarray | None) -> tuple[np.ndarray, float]:
    """(l, p) Q^T S, the earlier directions in coordinates of the room, and |Q^T S|_F^2."""
    if where is None:
        return earlier.T, float(earlier.shape[1])
    seen = earlier.T @ where
    return seen, float(np.sum(seen**2))


@lru_cache(maxsize=16)  # in 768 dimensions up to 70 MB each
def _random_subspaces(p: int, k: int, draws: int) -> np.ndarray:
    """(draws, p, k) orthonormal columns, uniformly at random; the same ones in every call."""
    noise = np.random.default_rng([p, k]).standard_normal((draws, p, k))
    return np.linalg.qr(noise).Q


def measures(angles: np.ndarray) -> np.ndarray:
    """(3, ...) mean angle (degrees), Grassmann distance (radians), overlap of (..., n) angles."""
    if not angles.shape[-1]:
        return np.full((3, *angles.shape[:-1]), np.nan)
    radians = np.radians(angles)
    distance = np.sqrt(np.sum(radians**2, axis=-1))
    return np.stack([angles.mean(axis=-1), distance, np.mean(np.cos(radians) ** 2, axis=-1)])


def angles_of(inner: np.ndarray) -> np.ndarray:
    """(..., min(k, l)) angles in degrees, ascending, from (..., l, k) inner products of directions.

    From eigenvalues, in half the time of singular values; to within 1e-5 degrees in float64.
    """
    if inner.shape[-2] > inner.shape[-1]:
        inner = inner.swapaxes(-1, -2)
    inner = inner.astype(float, copy=False)
    squares = np.linalg.eigvalsh(inner @ inner.swapaxes(-1, -2))[..., ::-1]
    return np.degrees(np.arccos(np.sqrt(np.clip(squares, 0, 1))))


def pair_measures(columns: list[np.ndarray]) -> np.ndarray:
    """(3, pairs) `measures` of every two subspaces, in the order of ``np.tril_indices(n, -1)``."""
    ends = np.cumsum([0, *(one.shape[1] for one in columns)])
    whole = np.hstack(columns[:-1])
    found = []
    for later, new in enumerate(columns):
        inner = whole[:, : ends[later]].T @ new
        blocks = (inner[ends[i] : ends[i + 1]] for i in range(later))
        found += [measures(angles_of(block)) for block in blocks]
    return np.transpose(found)


@dataclass(frozen=True, eq=False)
class _Problem:
    """A random subspace in a room, and an earlier one.

    Attributes:
        p: dimension of the room.
        k: dimension of the random one, at most p.
        n_earlier: dimension l of the earlier one.
        seen: (l, p) the earlier one in coordinates of the room; None: inside it, as good as any.
    """

    p: int
    k: int
    n_earlier: int
    seen: np.ndarray | None = None

    @property
    def n(self) -> int:
        """How many angles there are."""
        return min(self.k, self.n_earlier)

    def overlap(self) -> tuple[float, float]:
        """Mean and standard deviation of the overlap, exactly."""
        p, k = self.p, self.k
        inside = square = self.n_earlier
        if self.seen is not None:
            inside, square = np.sum(self.seen**2), np.sum((self.seen @ self.seen.T) ** 2)
        apart = max(0.0, square - inside**2 / p)
        variance = 2 * k * (1 - k / p) * apart / ((p - 1) * (p + 2)) if k < p else 0.0
        return k * inside / p / self.n, variance**0.5 / self.n

    def draw(self, draws: int) -> np.ndarray:
        """(3, draws) `measures` of random ones."""
        if self.seen is None:
            return _measures_inside(self.p, *sorted((self.k, self.n_earlier)), draws)
        return measures(angles_of(self.seen @ _random_subspaces(self.p, self.k, draws)))


@lru_cache(maxsize=4096)
def _measures_inside(p: int, small: int, large: int, draws: int) -> np.ndarray:
    """(3, draws) `measures` of random subspaces of two dimensions inside p."""
    both = max(0, small + large - p)  # directions that any two have in common
    drawn = _jacobi(p, p - large, p - small, draws) if both else _jacobi(p, small, large, draws)
    squares = np.concatenate([drawn, np.ones((draws, both))], axis=1)
    return measures(np.degrees(np.arccos(np.sqrt(np.clip(squares, 0, 1)))))


def _jacobi(p: int, k: int, l: int, draws: int) -> np.ndarray:  # noqa: E741
    """(draws, k) cos^2 of the angles of random subspaces, k <= l and k + l <= p, ascending."""
    rng, i = np.random.default_rng([p, k, l]), np.arange(k, 0, -1)
    c = rng.beta((l - k + i) / 2, (p - k - l + i) / 2, (draws, k))
    d = rng.beta(i[1:] / 2, (p - 2 * k + 1 + i[1:]) / 2, (draws, k - 1)) if k > 1 else c[:, :0]
    rows = np.arange(k)
    diagonal, beside = c.copy(), (1 - c[:, :-1]) * d  # squares of a bidiagonal matrix' entries
    diagonal[:, 1:] *= 1 - d
    square = np.zeros((draws, k, k))
    square[:, rows, rows] = diagonal
    square[:, rows[:-1], rows[:-1]] += beside
    square[:, rows[1:], rows[:-1]] = np.sqrt(beside * diagonal[:, 1:])  # the lower half is read
    return np.linalg.eigvalsh(square)


def chance_levels(
    columns: list[np.ndarray], rooms: list[np.ndarray | None], n_tables: int = 1
) -> np.ndarray:
    """(6, pairs) what every two subspaces would share by chance, and by how much that varies.

    Mean angle, Grassmann distance and overlap, then their standard deviations; NaN where there is
    no direction. Pairs are in the order of ``np.tril_indices(n, -1)``; of a pair the later one is
    drawn from its room.

    Args:
        columns: (d, k) orthonormal directions of each subspace, in the order of time.
        rooms: for each of them (d, p) orthonormal directions; None: all d.
        n_tables: how many tables there are to be, so that the work for all is bounded. At least
            `DRAWS` are in every level and spread; in long tables some of them are of neighbours.
    """
    table, order = {}, []
    for key, problem in _problems(columns, rooms):
        order.append(key)
        if problem.n:
            table.setdefault(key, problem)
    found = dict.fromkeys(order, np.full(6, np.nan))
    if table:
        draws = _ENTRIES // n_tables // sum(problem.n**2 for problem in table.values())
        draws = max(_LEAST_DRAWS, -(-DRAWS // len(table)), min(DRAWS, draws))
        found |= zip(table, _levels(list(table.values()), draws), strict=True)
    return np.transpose([found[key] for key in order])


def _problems(columns, rooms) -> Iterator[tuple[tuple[int, ...], _Problem]]:
    """For each pair its problem, and a key that is the same for the same problem."""
    ends = np.cumsum([0, *(one.shape[1] for one in columns)])
    whole = np.hstack(columns[:-1])
    for later in range(1, len(columns)):
        where = rooms[later]
        p = len(whole) if where is None else where.shape[1]
        k = min(columns[later].shape[1], p)
        seen = None if where is None else whole[:, : ends[later]].T @ where
        for i in range(later):
            n_earlier = columns[i].shape[1]
            own = None if seen is None else seen[ends[i] : ends[i + 1]]
            if own is None or np.sum(own**2) >= n_earlier * (1 - _HELD):
                yield (p, *sorted((k, n_earlier))), _Problem(p, k, n_earlier)
            else:
                yield (later, i), _Problem(p, k, n_earlier, own)


def _levels(problems: list[_Problem], draws: int) -> np.ndarray:
    """(problems, 6) levels and spreads, from so many draws of each."""
    from scipy.ndimage import uniform_filter1d

    drawn = np.stack([problem.draw(draws) for problem in problems])  # (problems, 3, draws)
    exact, spread = np.transpose([problem.overlap() for problem in problems])[:, :, None]
    roots = np.sqrt([problem.n for problem in problems])
    drawn[:, 1] /= roots[:, None]  # the root of a mean, not of a sum: alike for any n
    mean = drawn.mean(axis=2)
    apart = drawn - mean[:, :, None]
    with_overlap = np.stack([np.sum(apart * apart[:, 2:], axis=2), np.sum(apart**2, axis=2)])
    # As far as the nearest `DRAWS` on either side; at the ends they are counted twice.
    with_overlap = uniform_filter1d(with_overlap, 2 * -(-DRAWS // draws) - 1, axis=1)
    own = with_overlap[0, :, 2:]
    slope, wider = np.divide(with_overlap, own, out=np.zeros_like(with_overlap), where=own > 0)
    levels = mean + slope * (exact - mean[:, 2:])
    spreads = np.sqrt(wider) * spread
    levels[:, 1] *= roots
    spreads[:, 1] *= roots
    return np.hstack([levels, spreads])
