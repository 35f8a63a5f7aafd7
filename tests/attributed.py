"""What tests of attributions share: models that learned, a linear one, and what must not stay."""

from __future__ import annotations

import copy
from functools import cache
from types import SimpleNamespace

import numpy as np
import tiny
import torch
from torch import nn

import fmlora_kit as fk
from fmlora_kit.methods import HeadOptions

NAMES = ("fmlora", "sequential_lora", "frozen_backbone", "full_finetuning", "streaming_lda")


def learned(*args, **options):
    """A tiny model of one's own that has learned two tasks (classes 0 to 5)."""
    return copy.deepcopy(_learned(*args, **options))


@cache
def _learned(name="fmlora", dtype=torch.float64, *, head="lda", **changes):
    backbone = tiny.vit(**changes).to(dtype)
    model = tiny.build(name, backbone, head=HeadOptions(head))
    stream = tiny.stream()
    for task in stream[:2]:
        fk.train_task(model, task, stream, fk.Budget(epochs=1, batch_size=16))
    return model


def pictures():
    """Three test images of classes 0, 2 and 4, and their classes."""
    stream = tiny.stream()
    images = np.concatenate([stream[0].test_images, stream[1].test_images])
    labels = np.concatenate([stream[0].test_labels, stream[1].test_labels])
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
        draw = torch.randn(2, 3, size, size, generator=tiny.generator(), dtype=torch.float64)
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
