"""Pre-train ``glyph_vit``: ``fmlora pretrain glyph_vit`` (``make pretrain``).

A small timm `VisionTransformer` learns 500 printed symbols (arrows, mathematics, punctuation,
ornaments), light ink on dark paper. None of them is a class of any stream, and the streams' styles
are not among what it sees.
"""

from __future__ import annotations

import json
import logging
import math
import time
from pathlib import Path

import numpy as np
import timm
import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from tqdm.auto import trange

from fmlora_kit.streams.rendering import IMAGE_SIZE, PRETRAINING_SYMBOLS, render

log = logging.getLogger(__name__)

ARCHITECTURE = {
    "img_size": IMAGE_SIZE,
    "patch_size": 8,
    "embed_dim": 128,
    "depth": 6,
    "num_heads": 4,
    "num_classes": 0,
}
MEAN = STD = (0.5, 0.5, 0.5)


def symbol_images(n_per_class: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Printed symbols: uint8 (n, 3, 32, 32) and labels int64 (n,), classes in order."""
    rng = np.random.default_rng(seed)
    labels = np.arange(len(PRETRAINING_SYMBOLS)).repeat(n_per_class)
    images = np.stack([render(PRETRAINING_SYMBOLS[k], "print", rng) for k in labels])
    return images.transpose(0, 3, 1, 2), labels


def normalise(images: np.ndarray) -> Tensor:
    """Bytes 0..255 to floats -1..1 (mean and standard deviation 0.5)."""
    return torch.from_numpy(images).float().div(127.5).sub(1)


def pretrain(*, steps: int, batch_size: int = 128, lr: float = 1e-3, seed: int = 0) -> dict:
    """Train from scratch; return the weights (key "model") and what the card says (key "card").

    AdamW, weight decay 0.05, linear warm-up over 300 steps, cosine decay, label smoothing 0.1.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    started = time.perf_counter()
    images, labels = symbol_images(120, seed=seed + 1)
    held_out, held_out_labels = symbol_images(6, seed=seed + 2)
    torch.manual_seed(seed)
    order = np.random.default_rng(seed)
    vit = VisionTransformer(**ARCHITECTURE)
    model = nn.Sequential(vit, nn.Linear(vit.embed_dim, len(PRETRAINING_SYMBOLS)))
    optimiser = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.05)
    schedule = warmed_cosine(optimiser, steps, warm_up=300)
    for step in trange(steps, desc="pre-training", mininterval=5):
        batch = order.integers(len(labels), size=batch_size)
        logits, targets = model(normalise(images[batch])), torch.from_numpy(labels[batch])
        loss = nn.functional.cross_entropy(logits, targets, label_smoothing=0.1)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if (step + 1) % 500 == 0 or step + 1 == steps:
            accuracy = top_1(model, held_out, held_out_labels)
            log.info("step %d: held-out accuracy %.3f", step + 1, accuracy)
    facts = {
        "classes": len(PRETRAINING_SYMBOLS),
        "style": "print",
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": lr,
        "seed": seed,
        "held_out_accuracy": round(accuracy, 4),
        "seconds": round(time.perf_counter() - started),
    }
    command = f"glyph_vit --steps {steps} --seed {seed}"
    return {"model": vit, "card": make_card(vit, ARCHITECTURE, facts, command)}


def make_card(vit: VisionTransformer, architecture: dict, facts: dict, command: str) -> dict:
    """What `load_backbone` and people must know of weights; ``command`` begins with their name."""
    return {
        "name": command.split()[0],
        "architecture": {"class": "timm VisionTransformer", **architecture},
        "normalisation": {"mean": MEAN, "std": STD},
        "parameters": sum(p.numel() for p in vit.parameters()),
        **facts,
        "threads": torch.get_num_threads(),
        "versions": {"torch": torch.__version__.split("+")[0], "timm": timm.__version__},
        "command": f"python -m fmlora_kit pretrain {command}",
    }


def warmed_cosine(optimiser: torch.optim.Optimizer, steps: int, warm_up: int) -> LambdaLR:
    """Linear warm-up (``warm_up`` steps, at most a tenth of all) times cosine decay over all."""
    warm_up = max(1, min(warm_up, steps // 10))
    return LambdaLR(
        optimiser, lambda k: min(1, (k + 1) / warm_up) * (1 + math.cos(math.pi * k / steps)) / 2
    )


@torch.inference_mode()
def top_1(model: nn.Module, images: np.ndarray, labels: np.ndarray, n_batches: int = 16) -> float:
    """Share of uint8 ``images`` (n, 3, H, W) whose highest logit is their label."""
    where = next(model.parameters()).device
    model.eval()
    parts = np.array_split(images, n_batches)
    guesses = [model(normalise(part).to(where)).argmax(1).cpu().numpy() for part in parts]
    model.train()
    return float(np.mean(np.concatenate(guesses) == labels))


def save(vit: VisionTransformer, card: dict, folder: Path) -> None:
    """Write ``<name>.safetensors`` and ``<name>.json`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{card['name']}.safetensors"
    save_file({name: p.cpu().contiguous() for name, p in vit.state_dict().items()}, path)
    path.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    log.info("wrote %s: %s", path, card)
