"""Features built by hand, for tests: classes in a row, tasks beside each other."""

import numpy as np

from fmlora_kit.analysis.features import FeatureHistory


def make_history(n_tasks=3, *, n_classes=2, per_class=12, d=6, drift=0.0, seed=0, **changes):
    """Gaussian classes of unit spread around random means; `drift` of new noise at each moment."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(n_tasks * n_classes), per_class)
    first = 4 * rng.normal(size=(n_tasks * n_classes, d))[labels]
    moments = [first + rng.normal(size=first.shape)]
    for _ in range(n_tasks - 1):
        moments.append(moments[-1] + drift * rng.normal(size=first.shape))
    values = {
        "label": "hand made",
        "features": np.stack(moments),
        "learned": np.arange(1, n_tasks + 1),
        "labels": labels,
        "tasks": labels // n_classes,
        "names": tuple(chr(65 + c) for c in labels),
        "task_names": tuple(f"task {chr(65 + i)}" for i in range(n_tasks)),
    }
    return FeatureHistory(**{**values, **changes})
