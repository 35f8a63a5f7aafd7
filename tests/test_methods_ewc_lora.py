"""EWC on LoRA: the Fisher diagonal and the penalty by hand, and the two ends of lambda."""

import numpy as np
import pytest
import torch
from helpers import models
from torch.nn import functional as F

import fmlora_kit as fk
from fmlora_kit.methods import HeadOptions, SequentialLoRA
from fmlora_kit.methods.ewc_lora import EWCLoRA

IMAGES = models.noise(6)
BUDGET = models.BUDGET


def build(backbone=None, n_classes=9, **options):
    options = {"rank": 4, "head": HeadOptions("cosine"), **options}
    return EWCLoRA(models.vit() if backbone is None else backbone, n_classes, **options)


def tensors(task):
    return torch.tensor(task.train_images), torch.tensor(task.train_labels)


def finished_but_open(strength=100.0, **options):
    """A double-precision model at the end of its first task's steps, the task not yet finished."""
    model, task = build(models.vit().double(), strength=strength, **options), models.stream()[0]
    model.begin_task(task)
    with torch.no_grad():
        for p in model.parts():
            p += 0.1 * torch.randn(p.shape, generator=models.generator()).double()
    return model, task


def log_p_by_hand(vit, head_rows, image):
    x = torch.tensor(image.transpose(2, 0, 1)[None]).double() / 255
    feature = F.normalize(vit((x - 0.5) / 0.5))
    logits = 16 * feature @ F.normalize(head_rows).T
    return logits[0] - logits[0].exp().sum().log()


def with_factors(model, factors):
    """A plain ViT whose weights hold W0 + A B, built without the method's own forward."""
    vit = models.vit().double()
    with torch.no_grad():
        for site in model.sites:
            update = factors[f"{site.name}.a"] @ factors[f"{site.name}.b"]
            vit.get_submodule(site.path).weight[site.rows] += update
    return vit


def test_defaults():
    model = EWCLoRA(models.vit(), 9)
    assert (model.strength, model.decay, model.fisher_images) == (1000.0, 1.0, 100)
    assert (model.lr, model.head.kind) == (SequentialLoRA(models.vit(), 9).lr, "lda")
    assert not any(f.any() for f in model.fisher.values())


def test_the_fisher_diagonal_by_finite_differences():
    """One gradient per image, of a label drawn from the model; not of a batch, not of its truth."""
    model, task = finished_but_open(fisher_images=5)
    draw = model.generator(11, 0)
    chosen = torch.randperm(len(task.train_labels), generator=draw)[:5].tolist()
    factors = {name: p.detach().clone() for name, p in model.factors().items()}
    rows = model.head.rows.detach().clone()
    vit = with_factors(model, factors)
    with torch.no_grad():
        p = [log_p_by_hand(vit, rows, task.train_images[k]).exp() for k in chosen]
    labels = [int(torch.multinomial(each, 1, generator=draw)) for each in p]
    model.end_task(task)
    for name, place in [
        ("blocks.0.q.a", (3, 1)),
        ("blocks.1.v.b", (2, 7)),
        ("blocks.1.q.b", (0, 0)),
    ]:
        squares = []
        for k, label in zip(chosen, labels, strict=True):
            ends = []
            for step in (1e-5, -1e-5):
                moved = {n: f.clone() for n, f in factors.items()}
                moved[name][place] += step
                with torch.no_grad():
                    here = log_p_by_hand(with_factors(model, moved), rows, task.train_images[k])
                ends.append(float(here[label]))
            squares.append(((ends[0] - ends[1]) / 2e-5) ** 2)
        assert model.fisher[name][place].item() == pytest.approx(np.mean(squares), rel=1e-4)
        assert np.mean(squares) > 0


def test_the_penalty_is_zero_at_the_anchor_and_quadratic_around_it():
    model, task = finished_but_open(strength=6.0)
    model.end_task(task)
    following = models.stream()[1]
    model.begin_task(following)
    assert model.penalty().item() == 0
    images, labels = tensors(following)
    plain = SequentialLoRA(models.vit().double(), 9, rank=4)
    plain.restore(task.classes, model.snapshot())
    plain.begin_task(following)
    assert model.loss(images, labels).item() == plain.loss(images, labels).item()
    fisher = {name: f.numpy().copy() for name, f in model.fisher.items()}
    steps = {
        n: torch.randn(f.shape, generator=models.generator(k)).double() / 10
        for k, (n, f) in enumerate(model.factors().items())
    }
    by_hand = sum((fisher[n] * steps[n].numpy() ** 2).sum() for n in steps)
    for factor in (1, 2, -3):
        with torch.no_grad():
            for name, p in model.factors().items():
                p.copy_(model.anchor[name] + factor * steps[name])
                plain.get_parameter(f"vit.{path_of(plain, p, model)}").copy_(p)
        assert model.penalty().item() == pytest.approx(factor**2 * by_hand, rel=1e-10)
        extra = model.loss(images, labels) - plain.loss(images, labels)
        assert extra.item() == pytest.approx(6.0 / 2 * factor**2 * by_hand, rel=1e-8)


def path_of(plain, parameter, model):
    """The name inside the ViT of one of the model's factors."""
    return next(n for n, p in model.vit.named_parameters() if p is parameter)


def test_its_gradient_is_lambda_f_times_the_distance():
    model, task = finished_but_open(strength=8.0)
    model.end_task(task)
    model.begin_task(models.stream()[1])
    name, p = next(iter(model.factors().items()))
    with torch.no_grad():
        p += 0.5
    (gradient,) = torch.autograd.grad(model.strength / 2 * model.penalty(), p)
    torch.testing.assert_close(gradient, 8.0 * model.fisher[name] * 0.5)


@pytest.mark.parametrize("decay", [1.0, 0.5, 0.0])
def test_one_diagonal_for_all_old_tasks(decay):
    stream = models.stream()
    model = build(models.vit().double(), decay=decay, strength=1.0)
    fk.train_task(model, stream[0], stream, BUDGET)
    before = {name: f.clone() for name, f in model.fisher.items()}
    sole = build(models.vit().double(), decay=0.0, strength=1.0)
    fk.train_task(sole, stream[0], stream, BUDGET)
    fk.train_task(model, stream[1], stream, BUDGET)
    # The Fisher information of the second task alone, measured at the same place.
    sole.restore(stream[1].classes, model.snapshot())
    sole.n_tasks_done = 1
    sole.head.open(stream[1].classes)
    new = sole._fisher_of(stream[1])
    for name, f in model.fisher.items():
        torch.testing.assert_close(f, decay * before[name] + new[name], rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("head", ["cosine", "lda", "linear"])
def test_without_strength_it_is_sequential_lora_bit_for_bit(head):
    stream = models.stream()
    options = {"rank": 4, "head": HeadOptions(head), "seed": 2}
    plain = SequentialLoRA(models.vit(), 9, **options)
    model = EWCLoRA(models.vit(), 9, strength=0.0, **options)
    for task in stream:
        a, b = (fk.train_task(m, task, stream, BUDGET) for m in (plain, model))
        np.testing.assert_array_equal(a.losses, b.losses)
        for name, array in a.state.items():
            np.testing.assert_array_equal(array, b.state[name])
        np.testing.assert_array_equal(plain.logits(IMAGES), model.logits(IMAGES))


def distance(strength):
    """How far the second task moves the factors, each weighed by its Fisher information."""
    stream = models.stream()
    model = build(models.vit().double(), strength=strength)
    fk.train_task(model, stream[0], stream, BUDGET)
    fisher = {name: f.clone() for name, f in model.fisher.items()}
    fk.train_task(model, stream[1], stream, BUDGET)
    moved = sum(
        (fisher[n] * (p - model.anchor[n]).square()).sum() for n, p in model.factors().items()
    )
    return float(moved.detach().sqrt())


def test_the_stronger_the_penalty_the_less_the_factors_move():
    free, some, huge = distance(0.0), distance(100.0), distance(1e8)
    assert free > some > huge
    assert huge < 0.1 * free


def test_sizes():
    stream, model = models.stream(), build()
    plain = SequentialLoRA(models.vit(), 9, rank=4)
    assert model.n_deployed == plain.n_deployed
    assert {r.n_training_state for r in models.learn(model, stream)} == {4 * (32 * 4 + 4 * 32)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": -1.0}, "strength must be at least 0, got -1.0"),
        ({"strength": float("nan")}, "strength must be a finite number at least 0, got nan"),
        ({"decay": 1.5}, "decay must be between 0 and 1, got 1.5"),
        ({"fisher_images": 0}, "fisher_images must be at least 1, got 0"),
        ({"rank": 0}, "rank must be at least 1, got 0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)
