"""Attribution maps of the same images over the tasks, and how far they moved.

The maps come from live models, in the room `probes`; here they are plain arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fmlora_kit import checks
from fmlora_kit.analysis.accuracy import mean_known

ATTRIBUTION_METHODS = {
    "integrated_gradients": "integrated gradients",
    "saliency": "saliency",
    "grad_cam": "Grad-CAM",
    "attention_rollout": "attention rollout",
}
SIGNED = ("integrated_gradients",)  # the others only say where, not for or against


@dataclass(frozen=True, eq=False)
class Explanations:
    """The same images, explained by the model as it was after every task.

    T tasks learned, n images of height H and width W. What is known of an image only once its
    class was learned is NaN before that. Arrays are read-only.

    Args:
        method: of attribution, a name in `ATTRIBUTION_METHODS`.
        run: what was explained, e.g. "fmlora on glyphs".
        task_names: (T,) the tasks learned.
        images: uint8 (n, H, W, 3).
        targets: (n,) the class whose score is explained, a global id.
        maps: (T, n, H, W) the attributions.
        scores: (T, n) logit of the target.
        baseline_scores: (T, n) logit of the target for the baseline picture; NaN for methods
            without one.
        classes: (T,) the classes seen by then, as global ids.
        probabilities: (T,) arrays (n, classes seen by then), softmax of the logits. For the head
            "lda" logits are log-posteriors up to a constant, so these are its posteriors; for the
            other heads they are no calibrated probabilities.
        class_names: name of every class by id.
        n_tasks: length of the whole stream; default: T.

    Raises:
        ValueError: a part has another shape than it must, or a target is never learned.
    """

    method: str
    run: str
    task_names: tuple[str, ...]
    images: np.ndarray
    targets: np.ndarray
    maps: np.ndarray
    scores: np.ndarray
    baseline_scores: np.ndarray
    classes: tuple[tuple[int, ...], ...]
    probabilities: tuple[np.ndarray, ...]
    class_names: Mapping[int, str] = field(repr=False)
    n_tasks: int = 0

    def __post_init__(self) -> None:
        """Check the parts against each other."""
        checks.choice("method", self.method, ATTRIBUTION_METHODS)
        n, t = len(self.images), len(self.task_names)
        if not n or not t:
            raise ValueError(f"images and task_names must not be empty, got {n} and {t}")
        pixels = np.shape(self.images)[1:3]
        self._copy("images", (n, *pixels, 3), np.uint8)
        self._copy("targets", (n,), np.int64)
        self._copy("maps", (t, n, *pixels), float)
        self._copy("scores", (t, n), float)
        self._copy("baseline_scores", (t, n), float)
        seen = tuple(tuple(int(c) for c in classes) for classes in self.classes)
        object.__setattr__(self, "classes", seen)
        if len(seen) != t or [np.shape(p) for p in self.probabilities] != [
            (n, len(classes)) for classes in seen
        ]:
            raise ValueError(f"probabilities and classes must be of {t} tasks and {n} images")
        unknown = sorted(set(self.targets.tolist()) - set(seen[-1]))
        if unknown:
            raise ValueError(f"targets must be classes that were learned, got {unknown[:5]}")
        object.__setattr__(self, "n_tasks", self.n_tasks or t)

    def _copy(self, name: str, shape: tuple[int, ...], dtype: type) -> None:
        """Put a read-only copy of a part in its place."""
        array = np.array(getattr(self, name), dtype=dtype)
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
        array.flags.writeable = False
        object.__setattr__(self, name, array)

    @property
    def signed(self) -> bool:
        """Whether the sign tells for from against; otherwise maps are never negative."""
        return self.method in SIGNED

    @property
    def learned(self) -> np.ndarray:
        """(n,) the task, from 0, in which each image's class was first learned."""
        return np.array([self.task_of(target) for target in self.targets.tolist()])

    @property
    def predictions(self) -> np.ndarray:
        """(T, n) the most probable class seen, as a global id."""
        pairs = zip(self.classes, self.probabilities, strict=True)
        return np.array([np.array(classes)[p.argmax(axis=1)] for classes, p in pairs])

    @property
    def target_probability(self) -> np.ndarray:
        """(T, n) probability of the target; NaN before its class was learned."""
        result = np.full(self.scores.shape, np.nan)
        for t, (classes, p) in enumerate(zip(self.classes, self.probabilities, strict=True)):
            for i, target in enumerate(self.targets.tolist()):
                if target in classes:
                    result[t, i] = p[i, classes.index(target)]
        return result

    def task_of(self, target: int) -> int:
        """The task, from 0, in which a class was first learned."""
        return next(t for t, classes in enumerate(self.classes) if target in classes)

    def check(self, image: int, after: int | None = None) -> int:
        """The index of moment ``after`` (default: the last), if it and ``image`` exist."""
        t, n = self.scores.shape
        checks.integer("image", image, 0, n - 1)
        return t - 1 if after is None else checks.integer("after", after, 0, t - 1)


def top_classes(
    explanations: Explanations, image: int, after: int | None = None, n: int = 8
) -> tuple[np.ndarray, np.ndarray]:
    """The ``n`` most probable classes seen after task ``after``: ids and probabilities, falling."""
    checks.integer("n", n, 1)
    after = _check(explanations).check(image, after)
    p = explanations.probabilities[after][image]
    order = np.argsort(-p, kind="stable")[:n]
    return np.array(explanations.classes[after])[order], p[order]


def attribution_movement(explanations: Explanations, *, since: str = "learned") -> np.ndarray:
    """How far each image's map moved: 1 - Spearman's rank correlation of its pixels, (T, n).

    0: the same order of importance; 1: unrelated; 2: the reverse order. Rank correlation is how
    Adebayo et al. (2018, arXiv 1810.03292) compare maps of one image under different models. It
    does not see the maps' scale.

    Since "learned": against the map after the class was first learned (0 there); "previous":
    against the map after the task before (NaN at the first). NaN also before the class was learned,
    and where one of the two maps is constant.
    """
    checks.choice("since", since, ("learned", "previous"))
    moved = np.full(_check(explanations).scores.shape, np.nan)
    for i, first in enumerate(explanations.learned):
        maps = explanations.maps[first:, i].reshape(len(moved) - first, -1)
        if since == "learned":
            moved[first:, i] = 1 - _spearman(maps, maps[:1])
        else:
            moved[first + 1 :, i] = 1 - _spearman(maps[1:], maps[:-1])
    return moved


def movement_between_images(explanations: Explanations) -> float:
    """Mean of 1 - Spearman's rank correlation over all pairs of different images.

    Each image's map is that of the moment its class was learned. This is what
    `attribution_movement` comes to when two maps have nothing to do with each other but the method
    and the model. Pairs with a constant map are left out; NaN if no pair is left.
    """
    n = len(_check(explanations).images)
    maps = explanations.maps[explanations.learned, np.arange(n)].reshape(n, -1)
    pairs = [1 - _spearman(maps[i + 1 :], maps[i : i + 1]) for i in range(n - 1)]
    return mean_known(np.concatenate([np.zeros(0), *pairs]))


def completeness_gap(explanations: Explanations) -> np.ndarray:
    """|sum of the map - (score - score of the baseline)| / sum of |map|, (T, n).

    Integrated gradients add up to the difference of the scores (axiom "completeness", Sundararajan
    et al. 2017, arXiv 1703.01365): the gap says how good the sum over few steps is. NaN for methods
    without a baseline, before the class was learned, and where the map is zero.
    """
    total = _check(explanations).maps.sum(axis=(2, 3))
    size = np.abs(explanations.maps).sum(axis=(2, 3))
    gap = np.abs(total - (explanations.scores - explanations.baseline_scores))
    return np.divide(gap, size, out=np.full(gap.shape, np.nan), where=size > 0)


def _check(explanations: Explanations) -> Explanations:
    return checks.instance("explanations", explanations, Explanations, "Explanations")


def _spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rank correlation of rows, ties sharing their mean rank: (k, p), (k or 1, p) -> (k,)."""
    from scipy.stats import rankdata

    a, b = (rankdata(maps, axis=1) - (maps.shape[1] + 1) / 2 for maps in (a, b))
    size = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    product = (a * b).sum(axis=1)
    return np.divide(product, size, out=np.full(len(product), np.nan), where=size > 0)
