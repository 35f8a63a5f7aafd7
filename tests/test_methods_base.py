"""What all methods share: features, the local loss, rows of the head, sizes, bad input, seeds."""

import numpy as np
import pytest
import torch
from helpers import models
from torch.nn import functional as F

import fmlora_kit as fk
from fmlora_kit.methods import HeadOptions
from fmlora_kit.methods.base import Method

IMAGES = models.noise(6)


def features_by_hand(vit, images):
    x = torch.tensor(images.transpose(0, 3, 1, 2)) / 255.0
    with torch.no_grad():
        return vit((x - 0.5) / 0.5)


def test_features_are_those_of_the_vit_on_normalised_pictures():
    model = models.build("frozen_backbone")
    features = model.extract(IMAGES)
    torch.testing.assert_close(features, features_by_hand(models.vit(), IMAGES))


def test_normalisation_is_the_backbones_own():
    vit = models.vit()
    vit.pretrained_cfg = {"architecture": "mine", "mean": (0.1, 0.2, 0.3), "std": (1.0, 2.0, 4.0)}
    model = Method(vit, 3)
    x = torch.tensor(IMAGES.transpose(0, 3, 1, 2)) / 255.0
    x = (x - torch.tensor([0.1, 0.2, 0.3])[:, None, None]) / torch.tensor([1.0, 2, 4])[
        :, None, None
    ]
    with torch.no_grad():
        torch.testing.assert_close(model.extract(IMAGES), vit(x))
    assert model.describe()["backbone"] == "mine"


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_the_loss_is_cross_entropy_over_the_current_classes_alone(kind):
    stream = models.stream()
    model = models.build("frozen_backbone", head=HeadOptions(kind, scale=7.0))
    fk.train_task(model, stream[0], stream, models.BUDGET)
    task = stream[1]
    model.begin_task(task)
    with torch.no_grad():
        model.head.rows += torch.randn(model.head.rows.shape, generator=models.generator())
    loss = model.loss(torch.tensor(task.train_images), torch.tensor(task.train_labels))
    x, w = features_by_hand(models.vit(), task.train_images), model.head.rows.detach()
    logits = 7 * F.normalize(x) @ F.normalize(w).T if kind == "cosine" else x @ w.T
    logp = logits.double() - logits.double().logsumexp(1, keepdim=True)
    by_hand = -logp[range(len(x)), task.train_labels - 3].mean()
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-4)


def test_new_rows_start_at_the_class_means():
    task = models.stream()[0]
    model = models.build("sequential_lora")
    model.begin_task(task)
    unit = F.normalize(features_by_hand(models.vit(), task.train_images))
    means = torch.stack([unit[task.train_labels == k].mean(0) for k in task.classes])
    torch.testing.assert_close(model.head.rows.detach(), means, atol=1e-5, rtol=1e-4)
    linear = models.build("sequential_lora", head=HeadOptions("linear"))
    linear.begin_task(task)
    assert linear.head.rows.abs().max() == 0


def test_deployed_size_by_hand():
    backbone = sum(p.numel() for p in models.vit().parameters())
    assert models.build("frozen_backbone").n_deployed == backbone + 9 * 32
    linear = models.build("frozen_backbone", head=HeadOptions("linear"))
    assert linear.n_deployed == backbone + 9 * 33
    lora = models.build("sequential_lora")
    assert lora.n_deployed == backbone + 9 * 32 + 2 * 2 * (32 * 4 + 4 * 32)
    fmlora = models.build("fmlora")
    positions = 2 * 32  # empty ones of the prompt
    adapters = 2 * 2 * (32 * 8 + 8 * 32 + 8 * 8)
    assert fmlora.n_deployed == backbone + 9 * 32 + adapters + 2 * 32 + positions


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES.astype(np.float32), "images must be uint8 .*torch.float32"),
        (models.noise(size=16), r"images must be \(n, 32, 32, 3\), got \(4, 16, 16, 3\)"),
        (IMAGES[0], r"images must be \(n, 32, 32, 3\), got \(32, 32, 3\)"),
        (IMAGES[..., :1], r"images must be \(n, 32, 32, 3\), got \(6, 32, 32, 1\)"),
    ],
)
def test_bad_images(images, message):
    model = models.build("frozen_backbone")
    with pytest.raises(ValueError, match=message):
        model.features(torch.from_numpy(images))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, "lr must be at least 0, or None, got -1.0"),
        ({"head_lr": float("nan")}, "head_lr must be a finite number at least 0, got nan"),
        ({"n_classes": 0}, "n_classes must be at least 1, got 0"),
        (
            {"head": {"kind": "lda"}},
            "head must be an instance of HeadOptions, or None, got {.kind.: .lda.}",
        ),
        ({"backbone": torch.nn.Linear(2, 2)}, "timm VisionTransformer, got Linear"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        Method(**{"backbone": models.vit(), "n_classes": 3, **options})


def test_randomness_depends_on_seed_and_purpose_alone():
    draws = [
        torch.rand(3, generator=Method(models.vit(), 3, seed=s).generator(*purpose)).tolist()
        for s, purpose in [(0, (1, 2)), (0, (1, 2)), (1, (1, 2)), (0, (2, 1)), (0, (1,))]
    ]
    assert draws[0] == draws[1] and len({tuple(d) for d in draws}) == 4
