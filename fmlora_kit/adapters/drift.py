"""Drift compensation: statistics of earlier classes follow the features that moved.

When a task ends, its training images are known twice: by their features before the task and after
it. A linear map fitted to the two is applied to what is kept of earlier classes, so that no image
and no feature of theirs is needed [ours: a ridge towards the identity].

    X, Y: centred features before and after, (n, d);  lambda = the mean of diag(X^T X)
    W = I + ((X^T X + lambda I)^-1 X^T (Y - X))^T
    mean    -> W (mean - mean of old) + mean of new
    scatter -> W scatter W^T

Semantic drift compensation (Yu et al. 2020, arXiv 2004.00440) moves each mean by the drift of
features near it; learnable drift compensation (Gomez-Villa et al. 2024, arXiv 2407.08536) fits such
a projection. Where a task shows known classes in another domain, its images say nothing about
where the old domain's features went: there it does harm, and `Discriminant` leaves it out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Drift:
    """Where features went while a task was learned.

    Attributes:
        map: W, (d, d).
        old: mean feature before the task, (d,).
        new: mean feature after it, (d,).
    """

    map: Tensor
    old: Tensor
    new: Tensor

    def move(self, means: Tensor) -> Tensor:
        """Means (k, d) as they are expected to lie after the task."""
        return (means - self.old) @ self.map.T + self.new

    def turn(self, scatter: Tensor) -> Tensor:
        """A scatter matrix (d, d) as it is expected to be after the task."""
        return self.map @ scatter @ self.map.T


def fit_drift(before: Tensor, after: Tensor) -> Drift:
    """The drift of one task, from the features of the same images before and after, (n, d) each."""
    old, new = before.mean(dim=0), after.mean(dim=0)
    x, y = before - old, after - new
    gram, eye = x.T @ x, torch.eye(x.shape[1], dtype=x.dtype)
    ridge = gram.diagonal().mean().clamp(min=1e-12)
    return Drift(eye + torch.linalg.solve(gram + ridge * eye, x.T @ (y - x)).T, old, new)
