"""Attributions from gradients of the score with respect to the pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fmlora_kit import checks
from fmlora_kit.methods import Method
from fmlora_kit.probes.scores import BATCH, ClassScores, captum_attr, collect_maps


def integrated_gradients(
    model: Method, images: np.ndarray, targets: Sequence[int], *, steps: int = 20
) -> np.ndarray:
    """(x - x') * mean of the gradient on the way from x' to x, summed over the colours: (n, H, W).

    Sundararajan et al. 2017, arXiv 1703.01365, eq. 1, by Gauss-Legendre quadrature. The baseline x'
    is zero in normalised pixels: an even picture of the mean colour, for `glyph_vit` mid-grey.
    Pixels of just that grey get nothing. Positive: speaks for the target; negative: against it. The
    sum is the score of x minus the score of x'.

    ``steps``, 2 or more, are the points of the quadrature; see `analysis.completeness_gap` for what
    they leave. All else is as in `attribution.attribute`.
    """
    checks.integer("steps", steps, 2)
    attribute = captum_attr().IntegratedGradients(ClassScores(model)).attribute
    how = {"n_steps": steps, "internal_batch_size": 4 * BATCH}
    return collect_maps(
        model, images, targets, lambda x, where: attribute(x, target=where, **how).sum(dim=1)
    )


def saliency(model: Method, images: np.ndarray, targets: Sequence[int]) -> np.ndarray:
    """|d score / d pixel|, the largest of the three colours: (n, H, W), never negative.

    Simonyan et al. 2013, arXiv 1312.6034, sec. 3.1. Arguments: see `attribution.attribute`.
    """
    attribute = captum_attr().Saliency(ClassScores(model)).attribute
    return collect_maps(
        model, images, targets, lambda x, where: attribute(x.requires_grad_(), where).amax(dim=1)
    )
