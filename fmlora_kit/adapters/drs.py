"""DRS: how complex a task is, and how much rank it gets.

H(T_t) = (difficulty + novelty) / 2, in 0..1 [ours]; the rank r_t is chosen among 0 < r_1 < .. <
r_K = R by a Gumbel-Softmax over logits that depend on H [paper]. Gates are nested: rank r_k opens
the first r_k columns of M_t, so a smaller rank is a prefix of a larger one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from fmlora_kit.backbones.batches import to_device
from fmlora_kit.checks import fail, number

# A pair of rank r is scaled by alpha / R (R / r)^p: LoRA's alpha / r (Hu et al. 2021, eq. 3), and
# its square root's middle way (Kalajdzievski 2023, arXiv 2312.03732).
SCALINGS = {"fixed": 0.0, "rslora": 0.5, "lora": 1.0}


@dataclass(frozen=True)
class Complexity:
    """How complex a task looks before it is learned; each part in 0..1."""

    difficulty: float
    novelty: float

    @property
    def h(self) -> float:
        """H(T_t), the mean of the two."""
        return (self.difficulty + self.novelty) / 2


def difficulty(features: np.ndarray, labels: np.ndarray) -> float:
    """Held-out nearest-class-mean error, 1 at chance level.

    Features (n, d) are those of the new task's training images under the current model.
    """
    from sklearn.model_selection import StratifiedKFold

    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2 or counts.min() < 2:
        return 0.0 if len(classes) < 2 else 1.0
    folds = StratifiedKFold(min(5, int(counts.min())), shuffle=True, random_state=0)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True).clip(1e-12)
    right = []
    for known, held_out in folds.split(unit, labels):
        means = np.stack([unit[known][labels[known] == k].mean(axis=0) for k in classes])
        nearness = unit[held_out] @ means.T - (means**2).sum(axis=1) / 2
        right.append(np.mean(classes[nearness.argmax(axis=1)] == labels[held_out]))
    return float(np.clip((1 - np.mean(right)) / (1 - 1 / len(classes)), 0, 1))


def feature_subspace(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Orthonormal basis of where the class means differ most: (d, k), k at most 3 and classes - 1.

    Few directions, because those that tell few classes apart are mostly noise.
    """
    means = np.stack([features[labels == k].mean(axis=0) for k in np.unique(labels)])
    _, _, v = np.linalg.svd(means - means.mean(axis=0), full_matrices=False)
    return v[: max(1, min(3, len(means) - 1))].T


def novelty(subspace: np.ndarray, earlier: list[np.ndarray]) -> float:
    """1 - the largest affinity |U^T V|_F^2 / min(k_u, k_v) with an earlier task's subspace.

    1 for the first task; 0 for a subspace seen before.
    """
    if not earlier:
        return 1.0
    k = subspace.shape[1]
    near = max(np.sum((subspace.T @ other) ** 2) / min(k, other.shape[1]) for other in earlier)
    return float(np.clip(1 - near, 0, 1))


class RankSelector(nn.Module):
    """Chooses one rank per adapted map by a straight-through Gumbel-Softmax.

    Logits are ``preference - sharpness (r_k / R - H)^2``; ``preference`` (layers, K) is learned on
    the task, the second part pulls towards ranks in proportion to the complexity H.

    Args:
        n_layers: how many adapted maps choose.
        candidates: ranks to choose from, rising, the last one R.
        complexity: H of the task, in 0..1.
        per_layer: one choice per map; else one for all maps.
        sharpness: how strongly H decides.
    """

    def __init__(
        self,
        n_layers: int,
        candidates: tuple[int, ...],
        complexity: float,
        *,
        per_layer: bool = True,
        sharpness: float = 16.0,
    ):
        super().__init__()
        check_candidates(candidates)
        complexity = number("complexity", complexity, 0, 1)
        ranks = torch.tensor(candidates, dtype=torch.float32)
        self.preference = nn.Parameter(torch.zeros(n_layers if per_layer else 1, len(candidates)))
        self.register_buffer("ranks", ranks)
        self.register_buffer("prior", -sharpness * (ranks / ranks[-1] - complexity) ** 2)
        columns = torch.arange(candidates[-1])
        self.register_buffer("nested", (columns < ranks[:, None]).float())  # (K, R)
        self.n_layers = n_layers

    def probabilities(self) -> Tensor:
        """(layers, K), rows sum to 1."""
        return torch.softmax(self.preference + self.prior, dim=1).expand(self.n_layers, -1)

    def sample(self, temperature: float, generator: torch.Generator) -> Tensor:
        """Gates (layers, R), 0 or 1 forwards; gradients flow as if they were soft."""
        logits = self.preference + self.prior
        uniform = torch.rand(logits.shape, generator=generator).clamp(1e-9, 1 - 1e-9)
        noise = to_device(-torch.log(-torch.log(uniform.to(logits.dtype))), logits.device)
        soft = torch.softmax((logits + noise) / temperature, dim=1)
        hard = torch.zeros_like(soft).scatter(1, soft.argmax(1, keepdim=True), 1.0)
        return ((hard - soft.detach() + soft) @ self.nested).expand(self.n_layers, -1)

    def expected_share(self) -> Tensor:
        """E[r] / R, averaged over layers: a scalar."""
        return (self.probabilities() @ self.ranks).mean() / self.ranks[-1]

    @torch.no_grad()
    def choice(self) -> list[int]:
        """The most probable rank of every layer."""
        return self.ranks[self.probabilities().argmax(1)].int().tolist()


def check_candidates(candidates: tuple[int, ...]) -> None:
    """Raise ValueError unless the candidate ranks rise strictly from at least 1."""
    rising = all(a < b for a, b in pairwise(candidates))
    if not candidates or candidates[0] < 1 or not rising:
        raise fail("candidates", "ranks that rise strictly from at least 1", candidates)
