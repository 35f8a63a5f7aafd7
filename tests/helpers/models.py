"""What tests of torch code share: a small random ViT, streams of a few pictures, a short budget.

What tests of attributions share: models that learned, a linear one, and what must not stay.

A ViT with prefixes, computed head by head and image by image: what prefix tuning must equal.
"""

from __future__ import annotations

import copy
import itertools
from functools import cache
from types import SimpleNamespace

import numpy as np
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn

import fmlora_kit as fk
from fmlora_kit.adapters.head import DISCRIMINANTS, HEADS
from fmlora_kit.methods import METHODS, HeadOptions
from fmlora_kit.streams import Stream, Task
from fmlora_kit.training import Budget

BUDGET = Budget(epochs=2, batch_size=16)
SMALL = {  # what a method of this name needs on a ViT of two blocks
    "dualprompt": {"g_blocks": (0,), "e_blocks": (1,)},
    "coda_prompt": {"components": 12, "n_tasks": 3, "length": 4, "blocks": (0, 1)},
    "hide_prompt": {"length": 3, "samples": 8, "sample_epochs": 5},
    "inflora": {"rank": 4, "n_tasks": 3},
    "sd_lora": {"rank": 4},
    "sd_lora_rr": {"rank": 4, "later_ranks": (3, 2), "tasks_per_rank": 1},
    "task_lora": {"rank": 4},
    "ranpac": {"rank": 4, "head": fk.methods.HeadOptions("ridge", projections=50)},
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
    """FM-LoRA with R = 8 on q and v, two prompt tokens; `changes` that FLoRA has go there."""
    flora = {k: changes.pop(k) for k in list(changes) if k in fk.FLoRA.__dataclass_fields__}
    return fk.FMLoRA(
        vit() if backbone is None else backbone,
        n_classes,
        flora=fk.FLoRA(**{"max_rank": 8, "maps": ("q", "v"), **flora}),
        drs=(fk.DRS() if drs is True else drs or None),
        dmp=(fk.DMP(length=2) if dmp is True else dmp or None),
        **changes,
    )


def heads_of(name):
    """The kinds of head that a method takes."""
    return [kind for kind in HEADS if name != "task_lora" or kind not in ("mda", "ridge")]


def head(kind):
    """A small head; of class statistics with drift compensation, which must survive everything."""
    moved = kind in DISCRIMINANTS
    return HeadOptions(kind, projections=50, modes=2, max_modes=3, compensate=moved)


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


NAMES = ("fmlora", "sequential_lora", "frozen_backbone", "full_finetuning", "streaming_lda")


def learned(*args, **options):
    """A tiny model of one's own that has learned two tasks (classes 0 to 5)."""
    return copy.deepcopy(_learned(*args, **options))


@cache
def _learned(name="fmlora", dtype=torch.float64, *, head="lda", **changes):
    backbone = vit(**changes).to(dtype)
    model = build(name, backbone, head=HeadOptions(head))
    tasks = stream()
    for task in tasks[:2]:
        fk.train_task(model, task, tasks, fk.Budget(epochs=1, batch_size=16))
    return model


def pictures():
    """Three test images of classes 0, 2 and 4, and their classes."""
    tasks = stream()
    images = np.concatenate([tasks[0].test_images, tasks[1].test_images])
    labels = np.concatenate([tasks[0].test_labels, tasks[1].test_labels])
    keep = [0, 8, 16]
    return images[keep], labels[keep]


def normalised(model, images):
    """Pixels as the backbone takes them, by the formula: mean and standard deviation 0.5."""
    x = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).to(model.pixel_mean)
    return x / 255 * 2 - 1


def own_logit(model, x, targets):
    """Logit of the target, by the head's weights: (n,)."""
    features = model.vit(x)
    rows = model.head.weight[targets]
    if model.head.kind != "cosine":
        return (features * rows).sum(dim=1) + model.head.bias[targets]
    return model.head.scale * nn.functional.cosine_similarity(features, rows)


def traces(model):
    """All that a method of attribution could leave behind."""
    return {
        "gradients": [p.grad for p in model.parameters()],
        "training": [p.requires_grad for p in model.parameters()],
        "modes": [m.training for m in model.modules()],
        "hooks": [
            (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks))
            for m in model.modules()
        ],
        "fused": [block.attn.fused_attn for block in model.vit.blocks],
        "modules": [name for name, _ in model.named_modules()],
        "values": [v.detach().cpu().numpy().tobytes() for v in model.state_dict().values()],
    }


class Linear(nn.Module):
    """A method whose score is a weighted sum of normalised pixels: every answer is known."""

    def __init__(self, size=4, classes=(3, 5)):
        super().__init__()
        self.seen = classes
        self.one_model = True
        draw = torch.randn(2, 3, size, size, generator=generator(), dtype=torch.float64)
        self.rows = draw
        self.register_buffer("pixel_mean", torch.full((1, 3, 1, 1), 0.5, dtype=torch.float64))
        self.register_buffer("pixel_std", torch.full((1, 3, 1, 1), 0.5, dtype=torch.float64))
        self.device = torch.device("cpu")
        self.vit = SimpleNamespace(
            patch_embed=SimpleNamespace(img_size=(size, size)),
            forward_features=lambda x: x,
            forward_head=lambda x, pre_logits: x.flatten(1),
        )

    def head(self, features, classes):
        """Logits of the two classes; the bias must not matter."""
        assert tuple(classes) == self.seen
        return features @ self.rows.flatten(1).T + 7.0


def attend(attention, x, keys, values):
    """One attention over [prefix; tokens]: x (N, d), keys and values (length, d) -> (N, d)."""
    n_heads, size = attention.num_heads, attention.head_dim
    weight, bias = attention.qkv.weight, attention.qkv.bias
    d, heads = n_heads * size, []
    for h in range(n_heads):
        rows = [slice(part * d + h * size, part * d + (h + 1) * size) for part in range(3)]
        q, k, v = (x @ weight[r].T + bias[r] for r in rows)
        mine = slice(h * size, (h + 1) * size)
        k, v = torch.cat([keys[:, mine], k]), torch.cat([values[:, mine], v])
        q, k = attention.q_norm(q), attention.k_norm(k)
        scores = q @ k.T / size**0.5
        shares = scores.exp() / scores.exp().sum(dim=1, keepdim=True)
        heads.append(shares @ v)
    return torch.cat(heads, dim=1) @ attention.proj.weight.T + attention.proj.bias


@torch.no_grad()
def class_token(vit, image, prefixes):
    """The class token's feature of one uint8 image (H, W, 3): (d,).

    prefixes: block -> keys, values.
    """
    x = (image.permute(2, 0, 1)[None] / 255 - 0.5) / 0.5
    x = vit._pos_embed(vit.patch_embed(x.to(vit.pos_embed)))[0]
    nothing = x[:0]
    for i, block in enumerate(vit.blocks):
        x = x + attend(block.attn, block.norm1(x), *prefixes.get(i, (nothing, nothing)))
        x = x + block.mlp(block.norm2(x))
    return vit.norm(x)[0]
