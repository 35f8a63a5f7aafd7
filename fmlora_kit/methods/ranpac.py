"""RanPAC: LoRA on the first task, then ridge regression on random projections, from running sums.

McDonnell et al. 2023, "RanPAC: Random Projections and Pre-trained Models for Continual Learning",
arXiv 2307.02251, algorithm 1: adapters learn on the first task alone (its first-session adaptation,
section 4.3) and are frozen; all rows of the head are solved from sums over all images, which do not
know the order of tasks (the formulas: `adapters.ridge`, the head "ridge").

[ours]: LoRA is the adapter, and while it learns rows start at class means; M = 1000 instead of the
published 10000, for a width of 128 instead of 768 (its Gram matrix takes 4 MB of a record a task).
"""

from __future__ import annotations

from fmlora_kit.methods.base import HeadOptions
from fmlora_kit.methods.sequential_lora import FirstTaskLoRA


class RanPAC(FirstTaskLoRA):
    """First-task LoRA with the head "ridge".

    Without adaptation it is `FrozenBackbone` with the same head; M and lambda are the head's:
    `HeadOptions("ridge", projections=10000)`.
    """

    name = "ranpac"
    default_head = HeadOptions("ridge")
