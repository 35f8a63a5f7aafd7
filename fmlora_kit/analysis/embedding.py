"""t-SNE of the features after each task, started from the one before so that points stay.

t-SNE (van der Maaten and Hinton 2008, JMLR 9) keeps neighbours, not distances. It starts from
somewhere and stops in a local minimum: two runs from two starts give two maps that look nothing
alike. So the map after each task starts where the one before ended; a new image starts amid its
nearest neighbours in feature space among the images already there. m moments, n images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from fmlora_kit import checks
from fmlora_kit.analysis.features import FeatureHistory, check_history

LATER_STEPS = 500
START_NEIGHBOURS = 5
_JITTER = 0.01  # of the map's size: new images with the same neighbours must not coincide


@dataclass(frozen=True, eq=False)
class Embedding:
    """A map of the images in the plane, after each task.

    Attributes:
        label: whose features.
        coordinates: (m, n, 2) points; NaN for images of tasks not learned yet. The unit is the
            root mean square distance of the last map's points from their middle.
        learned: (m,) how many tasks had been learned.
        trustworthiness: (m,) 0..1: 1 if the nearest neighbours in the map are so in feature space.
        moved: (m,) median way of the points that were there already, as a share of the map's size
            (root mean square distance from the middle) before; NaN at the first.
        neighbours_kept: (m,) mean share of those points' nearest neighbours in the map, among
            themselves, that were so in the map before; NaN at the first.
        labels: (n,) class id.
        tasks: (n,) index of the task.
        names: (n,) class name.
        task_names: (T,).
        n_neighbours: how many neighbours the three measures look at.
    """

    label: str
    coordinates: np.ndarray
    learned: np.ndarray
    trustworthiness: np.ndarray
    moved: np.ndarray
    neighbours_kept: np.ndarray
    labels: np.ndarray
    tasks: np.ndarray
    names: tuple[str, ...]
    task_names: tuple[str, ...]
    n_neighbours: int


@checks.held
def embed(
    history: FeatureHistory,
    *,
    perplexity: float = 30,
    n_neighbours: int = 10,
    warm: bool = True,
    seed: checks.Natural = 0,
) -> Embedding:
    """t-SNE of the images of the tasks learned, at each moment of a history.

    A map says the same when it is shifted or scaled; each is laid on the one before by the middle
    and the size of the points they share, and only what moves beyond that counts as moved.

    Args:
        history: features over time.
        perplexity: about how many neighbours count, above 0; at most (images - 1) / 3.
        n_neighbours: for the measures; fewer than half the images at the first moment, by which a
            task must have been learned.
        warm: start from the map before. Without it every map starts anew, for comparison.
        seed: of the random parts.
    """
    from sklearn.manifold import trustworthiness

    _check(history, perplexity, n_neighbours)
    n = len(history.labels)
    places, trust = np.full((len(history.learned), n, 2), np.nan), []
    for k in range(len(history.learned)):
        seen = history.seen(k)
        features = history.features[k, seen]
        start = _start(features, places[k - 1, seen], seed) if k and warm else None
        points = _tsne(features, start, min(perplexity, (len(features) - 1) / 3), seed)
        trust.append(trustworthiness(features, points, n_neighbors=n_neighbours))
        places[k, seen] = _align(points, places[k - 1, seen]) if k else points
    last = places[-1][history.seen(-1)]
    places = (places - last.mean(axis=0)) / _size(last)
    same = ("label", "learned", "labels", "tasks", "names", "task_names")
    return Embedding(
        **{name: getattr(history, name) for name in same},
        coordinates=places,
        trustworthiness=np.array(trust),
        moved=_over_moments(
            places, lambda a, b: np.median(np.linalg.norm(b - a, axis=1)) / _size(a)
        ),
        neighbours_kept=_over_moments(places, lambda a, b: _share_kept(a, b, n_neighbours)),
        n_neighbours=n_neighbours,
    )


def own_task_share(history: FeatureHistory, n_neighbours: int = 10) -> np.ndarray:
    """(m, T) mean share of an image's nearest neighbours in feature space from its own task.

    Among the images of the tasks learned by then; measured on the features themselves, so that it
    owes nothing to the map. NaN before a task is learned. The first moment must have more images.
    """
    _check_neighbours(history, n_neighbours)
    table = np.full((len(history.learned), len(history.task_names)), np.nan)
    for k in range(len(table)):
        seen = history.seen(k)
        near = _neighbours(history.features[k, seen], n_neighbours)
        tasks = history.tasks[seen]
        own = np.mean(tasks[near] == tasks[:, None], axis=1)
        for i in np.unique(tasks):
            table[k, i] = own[tasks == i].mean()
    return table


def feature_neighbours_kept(history: FeatureHistory, n_neighbours: int = 10) -> np.ndarray:
    """(m,) mean share of nearest neighbours in feature space that were so one moment before.

    Of the images of tasks learned by then, among themselves; NaN at the first. What
    `Embedding.neighbours_kept` says of the map, here of the features: the difference is t-SNE's.
    The first moment must have more images.
    """
    _check_neighbours(history, n_neighbours)
    kept = [np.nan]
    for k in range(1, len(history.learned)):
        seen = history.seen(k - 1)
        kept.append(_share_kept(*history.features[k - 1 : k + 1, seen], n_neighbours))
    return np.array(kept)


def _tsne(
    features: np.ndarray, start: np.ndarray | None, perplexity: float, seed: int
) -> np.ndarray:
    from sklearn.manifold import TSNE

    if start is None:
        tsne = TSNE(perplexity=perplexity, init="pca", random_state=seed)
    else:
        tsne = TSNE(
            perplexity=perplexity,
            init=start.astype(np.float32),
            early_exaggeration=1,  # it would tear the map apart
            max_iter=LATER_STEPS,
            random_state=seed,
        )
    with threadpool_limits(1):  # a small map is slower on more threads, on a busy machine 40-fold
        return tsne.fit_transform(features).astype(float)


def _start(features: np.ndarray, before: np.ndarray, seed: int) -> np.ndarray:
    """Where each image begins: at its place before, or amid its neighbours that have one."""
    from sklearn.neighbors import NearestNeighbors

    there = np.isfinite(before[:, 0])
    near = NearestNeighbors(n_neighbors=min(START_NEIGHBOURS, int(there.sum())))
    _, rows = near.fit(features[there]).kneighbors(features[~there])
    noise = np.random.default_rng(seed).normal(size=(len(rows), 2))
    start = before.copy()
    start[~there] = before[there][rows].mean(axis=1) + _JITTER * _size(before[there]) * noise
    return start


def _align(points: np.ndarray, before: np.ndarray) -> np.ndarray:
    """``points``, shifted and scaled: those on the map before keep its middle and size."""
    there = np.isfinite(before[:, 0])
    now, then = points[there], before[there]
    return (points - now.mean(axis=0)) * (_size(then) / _size(now)) + then.mean(axis=0)


def _size(points: np.ndarray) -> float:
    """Root mean square distance from the middle."""
    return float(np.sqrt(points.var(axis=0).sum()))


def _over_moments(places: np.ndarray, measure) -> np.ndarray:
    """(m,) a measure of the points two moments share, before and after; NaN at the first."""
    values = [np.nan]
    for before, after in zip(places, places[1:], strict=False):
        there = np.isfinite(before[:, 0])
        values.append(measure(before[there], after[there]))
    return np.array(values)


def _share_kept(before: np.ndarray, after: np.ndarray, n: int) -> float:
    pairs = zip(_neighbours(before, n), _neighbours(after, n), strict=True)
    return float(np.mean([len(np.intersect1d(a, b)) / n for a, b in pairs]))


def _neighbours(points: np.ndarray, n: int) -> np.ndarray:
    """(rows, n) nearest other rows of each row."""
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(n_neighbors=n).fit(points).kneighbors(return_distance=False)


def _check_neighbours(history: FeatureHistory, n_neighbours: int) -> None:
    checks.integer("n_neighbours", n_neighbours, 1, int(check_history(history).seen(0).sum()) - 1)


def _check(history: FeatureHistory, perplexity: float, n_neighbours: int) -> None:
    checks.number("perplexity", perplexity, above=0)
    first = int(check_history(history).seen(0).sum())
    if first == 0:
        raise ValueError("history must start after a learned task, got one that starts before")
    checks.integer("n_neighbours", n_neighbours)
    if not 0 < 2 * n_neighbours < first:
        rule = f"at least 1 and below half of the first moment's {first} images"
        raise checks.fail("n_neighbours", rule, n_neighbours)
