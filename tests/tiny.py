"""What tests of torch code share: a small random ViT, streams of a few pictures, a short budget."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import torch
from timm.models.vision_transformer import VisionTransformer

import fmlora_kit as fk
from fmlora_kit.methods import METHODS, HeadOptions
from fmlora_kit.streams import Stream, Task
from fmlora_kit.training import Budget

BUDGET = Budget(epochs=2, batch_size=16)
SMALL = {  # what a method of this name needs on a ViT of two blocks
    "fmlora_ridge": {"flora": fk.FLoRA(max_rank=8)},
    "dualprompt": {"g_blocks": (0,), "e_blocks": (1,)},
    "coda_prompt": {"components": 12, "n_tasks": 3, "length": 4, "blocks": (0, 1)},
    "hide_prompt": {"length": 3, "samples": 8, "sample_epochs": 5},
    "inflora": {"rank": 4, "n_tasks": 3},
    "sd_lora": {"rank": 4},
    "sd_lora_rr": {"rank": 4, "later_ranks": (3, 2), "tasks_per_rank": 1},
    "task_lora": {"rank": 4},
    "ranpac": {"projections": 50},
}


def vit(seed=0, **changes):
    """A random ViT of width 32 and depth 2, in evaluation mode."""
    options = {
        "img_size": 32,
        "patch_size": 8,
        "embed_dim": 32,
        "depth": 2,
        "num_heads": 2,
        "num_classes": 0,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = VisionTransformer(**{**options, **changes})
        for name, p in model.named_parameters():
            if p.ndim > 1:  # timm's 0.02 leaves a random ViT nearly blind to its input
                torch.nn.init.normal_(p, std=0.15)
            elif name.endswith("bias"):
                torch.nn.init.normal_(p, std=0.05)
    return model.eval()


@cache
def stream(n_tasks=3, *, n_classes=3, n_train=8, n_test=4, seed=0):
    """The first classes of each glyph task: class-incremental, ids 0.. in order."""
    full = fk.streams.glyphs(n_tasks, seed, n_train=n_train, n_test=n_test)
    tasks = []
    for t, task in enumerate(full):
        a, b = n_classes * n_train, n_classes * n_test
        ids = range(t * n_classes, (t + 1) * n_classes)
        tasks.append(
            Task(
                task.name,
                tuple(ids),
                task.class_names[:n_classes],
                task.train_images[:a],
                np.repeat(np.array(ids), n_train),
                task.test_images[:b],
                np.repeat(np.array(ids), n_test),
            )
        )
    return Stream("tiny glyphs", "class-incremental", tuple(tasks), seed)


@cache
def styles(n_tasks=3):
    """Domain-incremental: four letters, another style in every task."""
    return fk.streams.glyph_styles(n_tasks, characters="AKMS", n_train=6, n_test=3)


def fmlora(backbone=None, n_classes=9, *, drs=True, dmp=True, **changes):
    """FM-LoRA with R = 8 and two prompt tokens; `changes` beginning with a FLoRA field go there."""
    flora = {k: changes.pop(k) for k in list(changes) if k in fk.FLoRA.__dataclass_fields__}
    return fk.FMLoRA(
        vit() if backbone is None else backbone,
        n_classes,
        flora=fk.FLoRA(**{"max_rank": 8, **flora}),
        drs=(fk.DRS() if drs is True else drs or None),
        dmp=(fk.DMP(length=2) if dmp is True else dmp or None),
        **changes,
    )


def learn(model, tasks, budget=BUDGET):
    """Train on every task of a stream; the results."""
    return [fk.train_task(model, task, tasks, budget) for task in tasks]


def advance(steps, n):
    """Go to the `n`-th training step of the generator that `train_steps` gave; return that step."""
    training = (step for step in steps if step.phase == "training")
    return next(itertools.islice(training, n - 1, None))


def noise(n=4, size=32, seed=0):
    """Random pictures, uint8 (n, size, size, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


def generator(seed=0):
    """A seeded torch generator."""
    return torch.Generator().manual_seed(seed)


def build(name, backbone=None, n_classes=9, **options):
    """Any method by its name, small; every head is the cosine head unless another is asked for."""
    options = {"head": HeadOptions("cosine"), **options}
    if name == "fmlora":
        return fmlora(backbone, n_classes, **options)
    if issubclass(METHODS[name], fk.SequentialLoRA):
        options = {"rank": 4, **options}
    options = {**SMALL.get(name, {}), **options}
    return METHODS[name](vit() if backbone is None else backbone, n_classes, **options)


def record_of(model, tasks, results):
    """The record of a run, kept in memory."""
    record = fk.start_record(model, tasks, BUDGET)
    for result in results:
        record = record.with_task(result)
    return record
