"""RanPAC: adapt on the first task, then random projections of features and ridge regression.

McDonnell et al. 2023, "RanPAC: Random Projections and Pre-trained Models for Continual Learning",
arXiv 2307.02251, algorithm 1: the rule of `adapters.ridge` on the features of a backbone that was
adapted on the first task alone. Afterwards nothing is trained by gradient, and sums over all images
do not know the order of tasks.

Published: adapters, shifts or prompts for the first session, M = 10000. [ours]: LoRA, trained as
every method here; M = 1000, for a width of 128 instead of 768 (its Gram matrix takes 4 MB of a
record per task); lambda is chosen anew for every task.
"""

from __future__ import annotations

from fmlora_kit.methods.base import HeadOptions
from fmlora_kit.methods.sequential_lora import FirstTaskLoRA


class RanPAC(FirstTaskLoRA):
    """LoRA on the first task, then ridge regression on random projections of the features.

    Without the adaptation it is `FrozenBackbone` with the same head.

    Args:
        backbone, n_classes, options: see `SequentialLoRA`; ``head`` has ``projections``, M.
    """

    name = "ranpac"
    default_head = HeadOptions("ridge")
