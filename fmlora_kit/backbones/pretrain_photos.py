"""Pre-train ``photo_vit``: ``fmlora pretrain photo_vit --images FOLDER``.

A small timm `VisionTransformer` learns the 200 classes of Tiny-ImageNet: first at 24 pixels, which
is quick, then at 36.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from pathlib import Path

import numpy as np
import torch
from timm.data import Mixup
from timm.loss import SoftTargetCrossEntropy
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from tqdm.auto import trange

from fmlora_kit.backbones import tiny_imagenet
from fmlora_kit.backbones.pretrain import make_card, normalise, top_1, warmed_cosine
from fmlora_kit.backbones.random_crops import random_views

log = logging.getLogger(__name__)

ARCHITECTURE = {
    "img_size": tiny_imagenet.SIDE,
    "patch_size": 6,
    "embed_dim": 192,
    "depth": 9,
    "num_heads": 3,
    "num_classes": 200,
}
EARLY_SIDE = 24
TERMS = (
    "Learned from Tiny-ImageNet (Stanford CS231n), a part of ImageNet (ILSVRC): images collected "
    "from the web, for non-commercial research and education; no image is contained"
)


def pretrain(
    folder: str | Path,
    *,
    early_steps: int,
    steps: int,
    batch_size: int = 128,
    lr: float = 2e-3,
    seed: int = 0,
    device: str = "cpu",
) -> dict:
    """Train from scratch; return the weights (key "model") and what the card says (key "card").

    Muon for the matrices of the blocks and AdamW for the rest, weight decay 0.05, warm-up over 1000
    steps (at most a tenth of all), cosine decay, random crops and mirrors, mixup 0.2 or CutMix 1 on
    half of the batches, label smoothing 0.1, bfloat16 autocast.

    Args:
        folder: where Tiny-ImageNet lies: see `tiny_imagenet.LAYOUT`.
        early_steps: of them at 24 pixels.
        steps: all steps.
        batch_size: images per step.
        lr: highest learning rate of Muon, on AdamW's scale; AdamW has half of it.
        seed: of weights, order, crops and mixtures.
        device: a torch device.

    Raises:
        ValueError: ``steps`` below 1, or ``early_steps`` not below ``steps``.
        FileNotFoundError: Tiny-ImageNet is not in ``folder``.
        RuntimeError: torch before 2.9, which has no Muon.
    """
    if not 0 <= early_steps < steps:
        most = f"steps - 1 = {steps - 1}"
        raise ValueError(f"early_steps must be from 0 to {most}, got {early_steps}")
    if not hasattr(torch.optim, "Muon"):
        needed = "photo_vit is pre-trained with torch 2.9 or later"
        raise RuntimeError(f"{needed}, got {torch.__version__}")
    started = time.perf_counter()
    images, labels, _ = tiny_imagenet.read(folder, "train")
    held_out, held_out_labels, _ = tiny_imagenet.read(folder, "val")
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - timm's Mixup draws from it
    rng = np.random.default_rng(seed)
    model = VisionTransformer(**ARCHITECTURE, dynamic_img_size=True).to(device)
    for block in model.blocks:
        block.attn.fused_attn = False  # in bfloat16 on CPUs the fused one is slower
    mix = Mixup(0.2, 1.0, prob=0.5, label_smoothing=0.1, num_classes=ARCHITECTURE["num_classes"])
    optimisers = _optimisers(model, lr)
    schedules = [warmed_cosine(optimiser, steps, warm_up=1000) for optimiser in optimisers]
    for step in trange(steps, desc="pre-training", mininterval=30):
        batch = rng.integers(len(labels), size=batch_size)
        side = EARLY_SIDE if step < early_steps else tiny_imagenet.SIDE
        views = random_views(normalise(_channels_first(images[batch])).to(device), side, rng)
        views, targets = mix(views, torch.from_numpy(labels[batch]).to(device))
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            loss = SoftTargetCrossEntropy()(model(views).float(), targets)
        model.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for each in (*optimisers, *schedules):
            each.step()
        if (step + 1) % 1000 == 0:
            log.info("step %d of %d: loss %.3f", step + 1, steps, loss.item())
    # Half precision is what is shipped, so it is also what is measured.
    model.half().float()
    batches = math.ceil(len(held_out) / 500)
    accuracy = top_1(model, _channels_first(held_out), held_out_labels, batches)
    facts = {
        "data": "Tiny-ImageNet, 200 classes, 36 pixels",
        "training_images": len(labels),
        "terms": TERMS,
        "training_images_sha256": hashlib.sha256(images.tobytes()).hexdigest(),
        "steps": steps,
        "of_these_at_24_pixels": early_steps,
        "batch_size": batch_size,
        "optimisers": "Muon for the matrices of the blocks, AdamW for the rest",
        "learning_rate": lr,
        "seed": seed,
        "top_1": round(accuracy, 4),
        "top_1_of": f"{len(held_out_labels)} validation images",
        "device": device,
        "seconds": round(time.perf_counter() - started),
    }
    command = f"photo_vit --images FOLDER --early-steps {early_steps} --steps {steps} --seed {seed}"
    return {"model": model, "card": make_card(model, ARCHITECTURE, facts, command)}


def _optimisers(model: VisionTransformer, lr: float) -> list[torch.optim.Optimizer]:
    """Muon (Jordan et al. 2024) for what it takes, matrices, and AdamW for the rest."""
    matrices = [p for p in model.blocks.parameters() if p.ndim == 2]
    of_muon = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in of_muon]
    return [
        torch.optim.Muon(matrices, lr, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr / 2, weight_decay=0.05),
    ]


def _channels_first(images: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))
