"""scikit-learn's handwritten digits as a stream: real data without a download."""

from __future__ import annotations

import numpy as np
from PIL import Image

from fmlora_kit import checks
from fmlora_kit.streams.rendering import IMAGE_SIZE
from fmlora_kit.streams.task import Stream, Task


def digits(n_tasks: int = 5, seed: int = 0) -> Stream:
    """Class-incremental: 1,797 real handwritten digits, two classes a task, 0 and 1 first.

    The 8 x 8 scans are enlarged to 32 x 32 RGB, light ink on dark paper; a quarter of each class is
    held out for testing.

    Args:
        n_tasks: how many pairs of digits, up to 5.
        seed: decides the split into training and test images.

    Raises:
        ValueError: ``n_tasks`` or ``seed`` is no whole number, or out of range.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    n_tasks = checks.integer("n_tasks", n_tasks, 1, 5)
    seed = checks.integer("seed", seed, 0, 2**32 - 1)  # what scikit-learn takes
    data = load_digits()
    grey = np.rint(data.images * (255 / 16)).astype(np.uint8)
    large = (
        Image.fromarray(scan).resize((IMAGE_SIZE, IMAGE_SIZE), Image.BILINEAR) for scan in grey
    )
    images = np.stack([np.asarray(picture.convert("RGB")) for picture in large])
    labels = data.target.astype(np.int64)
    train, test = train_test_split(
        np.arange(len(labels)), test_size=0.25, random_state=seed, stratify=labels
    )
    tasks = []
    for first in range(0, 2 * n_tasks, 2):
        pair = (first, first + 1)
        a, b = (part[np.isin(labels[part], pair)] for part in (train, test))
        names = tuple(map(str, pair))
        arrays = images[a], labels[a], images[b], labels[b]
        tasks.append(Task(" and ".join(names), pair, names, *arrays))
    return Stream("digits", "class-incremental", tuple(tasks), seed)
