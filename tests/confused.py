"""Small records whose predictions are known image by image: who is taken for whom, by hand."""

from __future__ import annotations

import numpy as np
from hand_made import make_task

from fmlora_kit.record import Record

# Three tasks of two classes, two test images a class. Per task learned: what is said of each image.
LABELS = ([0, 0, 1, 1], [2, 2, 3, 3], [4, 4, 5, 5])
SAID = (
    ([0, 0, 1, 0],),
    ([0, 2, 1, 1], [2, 2, 3, 0]),
    ([4, 4, 1, 1], [2, 3, 5, 0], [4, 4, 5, 1]),
)
SAME_LABELS = ([0, 0, 1, 1],) * 3
SAME_SAID = (
    ([0, 0, 1, 1],),
    ([0, 1, 1, 1], [0, 0, 1, 0]),
    ([1, 1, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]),
)


def confused(*, domains=False, labelled=True, n_done=3, **changes):
    """The record of these predictions, its accuracies counted from them."""
    labels, said = (SAME_LABELS, SAME_SAID) if domains else (LABELS, SAID)
    values = {
        "method": "fmlora",
        "stream": "hand made",
        "scenario": "domain-incremental" if domains else "class-incremental",
        "n_tasks": 3,
        "n_classes": 2 if domains else 6,
        "seed": 0,
        "config": {},
        "versions": {},
    }
    record = Record(**{**values, **changes})
    for t in range(n_done):
        accuracy = np.full(3, np.nan)
        accuracy[: t + 1] = [
            np.mean(np.equal(s, truth)) for s, truth in zip(said[t], labels, strict=False)
        ]
        result = make_task(
            t,
            accuracy,
            accuracy,
            [4] * (t + 1),
            classes=(0, 1) if domains else None,
            predictions=np.concatenate(said[t]),
            test_labels=np.array(labels[t]) if labelled else np.zeros(0, dtype=np.int64),
        )
        record = record.with_task(result)
    return record
