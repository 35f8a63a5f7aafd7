"""The small runs of the afternoon: three tasks, some seconds each, in double precision.

Every option that bears on a number stands here in full, so that no default of the kit moves what
the notebooks store.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated

import fmlora_kit as fk
from fmlora_kit.checks import Count, Share, checked, choice, one_of
from fmlora_kit.methods.base import HeadOptions, Method
from fmlora_kit.record import Record
from fmlora_kit.streams import Stream

BUDGET = fk.Budget(epochs=2, batch_size=16)
METHODS = ("fmlora", "sequential_lora")
REPEATED = "Latin, barred"  # the last task: Latin's letters again, as new classes


@cache
def stream() -> Stream:
    """Latin, Georgian, and Latin again with a bar beneath: ten letters each, drawn in a second."""
    return fk.streams.glyphs(
        seed=0, scripts=("Latin", "Georgian"), barred="Latin", n_train=10, n_test=8
    )


def model(
    method: str = "fmlora",
    *,
    rank: Count = 16,
    protect: Share = 0.0,
    fold: Share = 0.25,
    step: str = "novelty",
    head: Annotated[str, one_of(("lda", "cosine"))] = "lda",
) -> Method:
    """A fresh method in double precision: FM-LoRA, of which one thing may be changed, or LoRA.

    Args:
        method: "fmlora", or "sequential_lora" with rank 8, to which nothing else applies.
        rank: R, the width of the shared subspace.
        protect: share of earlier tasks' energy that a new pair keeps out of.
        fold: share of a later pair that enters the core, only for ``step="parts"``.
        step: the outer step: "novelty", "1/sqrt(t)", "1/t" or "parts".
        head: "lda" (class statistics) or "cosine" (rows that are trained).
    """
    choice("method", method, METHODS)
    backbone, n = fk.load_backbone().double(), stream().n_classes
    kind = HeadOptions(kind=checked("head", head, str), compensate=False)
    if method == "sequential_lora":
        return fk.SequentialLoRA(backbone, n, rank=8, head=HeadOptions("cosine"), lr=2e-3)
    flora = fk.FLoRA(
        max_rank=rank, bases="task1", protect=protect, fold=fold, maps=("q", "v"), blocks=None
    )
    drs = fk.DRS(weight=0.01, per_layer=True, scaling="fixed")
    dmp = fk.DMP(length=4, update="reptile", lr=5e-3)
    return fk.FMLoRA(backbone, n, flora=flora, drs=drs, dmp=dmp, step=step, head=kind, lr=5e-3)


def run(method: str = "fmlora", **change: object) -> Record:
    """The record of a fresh `model` on `stream`: some seconds."""
    return fk.run(model(method, **change), stream(), BUDGET, show_progress=False)


@cache
def reference(method: str = "fmlora") -> Record:
    """The kit's own run, made once."""
    return run(method)
