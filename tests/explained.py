"""Explanations built by hand: three tasks of two classes, 2 x 2 pixels, numbers easy to check."""

from __future__ import annotations

import numpy as np

from fmlora_kit.analysis import Explanations

NAN = np.nan
TASKS = ("Latin", "Greek", "Latin, barred")
CLASSES = ((0, 1), (0, 1, 2, 3), (0, 1, 2, 3, 4, 5))
NAMES = dict(enumerate(("A", "B", "α", "β", "A̲", "B̲")))
# Two images: one of class 1 (first task), one of class 2 (second task).
TARGETS = (1, 2)
BLANK = [[NAN, NAN], [NAN, NAN]]
MAPS = np.array(
    [
        [[[1, 2], [3, 4]], BLANK],
        [[[2, 1], [4, 3]], [[0.5, -0.5], [-1.5, 1]]],
        [[[40, 30], [20, 10]], [[1, -1], [-2, 2]]],
    ],
    dtype=float,
)
PROBABILITIES = (
    [[0.2, 0.8], [0.7, 0.3]],
    [[0.1, 0.6, 0.1, 0.2], [0.0, 0.1, 0.75, 0.15]],
    [[0.1, 0.3, 0.05, 0.05, 0.1, 0.4], [0.01, 0.02, 0.9, 0.03, 0.025, 0.015]],
)
SCORES = np.array([[10.0, NAN], [10.0, 1.0], [100.0, 3.0]])
BASELINE = np.array([[0.0, NAN], [1.0, 1.5], [0.0, 3.0]])


def make_explanations(method="integrated_gradients", **changes):
    """The numbers above; positive maps and no baseline for methods other than the first."""
    first = method == "integrated_gradients"
    values = {
        "method": method,
        "run": "fmlora on glyphs",
        "task_names": TASKS,
        "images": np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3) * 10,
        "targets": TARGETS,
        "maps": MAPS if first else np.abs(MAPS),
        "scores": SCORES,
        "baseline_scores": BASELINE if first else np.full((3, 2), NAN),
        "classes": CLASSES,
        "probabilities": [np.array(p) for p in PROBABILITIES],
        "class_names": NAMES,
    }
    return Explanations(**{**values, **changes})
