"""Augmentation: bytes in, bytes out, the same views for the same seed, and said in the record."""

import numpy as np
import pytest
import torch
from helpers import models

import fmlora_kit as fk
from fmlora_kit.backbones.random_crops import random_views
from fmlora_kit.training import Budget
from fmlora_kit.training.loop import crop_flip, describe

IMAGES = torch.from_numpy(models.noise(5))


def rng(*seed):
    return np.random.default_rng(seed)


def test_bytes_are_the_rounded_views():
    seen = crop_flip(IMAGES, rng(1))
    pixels = IMAGES.permute(0, 3, 1, 2).double()
    views = random_views(pixels, 32, rng(1), least_area=0.05).permute(0, 2, 3, 1)
    assert seen.dtype == torch.uint8 and seen.shape == IMAGES.shape
    assert (seen.double() - views).abs().max() <= 0.5 + 1e-3
    assert torch.equal(seen, crop_flip(IMAGES, rng(1)))
    assert not torch.equal(seen, crop_flip(IMAGES, rng(2)))


def test_images_that_are_not_square_are_refused():
    with pytest.raises(ValueError, match="images must be square for crop_flip, got 32 x 16 pixels"):
        crop_flip(IMAGES[:, :, :16], rng(0))


class Watching(fk.SequentialLoRA):
    """Keeps what it is trained on."""

    def loss(self, images, labels, progress=0.0):
        """Note the images."""
        self.seen_images = [*getattr(self, "seen_images", []), images]
        return super().loss(images, labels, progress)


def test_every_step_has_views_of_its_own_from_seed_task_and_step():
    stream = models.stream()
    model = Watching(models.vit(), 9, rank=4, seed=3)
    model.cache_frozen_blocks(2**20)
    budget = Budget(epochs=2, batch_size=24, augmentation="crop_flip")
    results = [fk.train_task(model, task, stream, budget) for task in stream[:2]]
    order = np.random.default_rng([3, 7, 1])
    for k in range(2):  # the second task's
        images = torch.from_numpy(stream[1].train_images[order.permutation(24)])
        assert torch.equal(model.seen_images[2 + k], crop_flip(images, rng(3, 8, 1, k)))
    again = Watching(models.vit(), 9, rank=4, seed=3)
    assert fk.train_task(again, stream[0], stream, budget).same_as(results[0])


def test_the_record_says_how_images_were_changed():
    assert list(describe(Budget())) == [
        *("epochs", "batch_size", "clip", "optimiser", "weight_decay", "schedule", "augmentation")
    ]
    assert describe(Budget())["augmentation"] == "none"
    assert describe(Budget(augmentation="crop_flip"))["augmentation"].startswith("crops of area")
    with pytest.raises(ValueError, match=r"augmentation must be one of .*'crop_flip'.* got 'mix'"):
        Budget(augmentation="mix")
