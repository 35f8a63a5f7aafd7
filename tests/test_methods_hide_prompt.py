"""HiDe-Prompt: its three losses recomputed, the guessed task, and a head over all tasks."""

import numpy as np
import pytest
import torch
from helpers import models
from torch.nn import functional as F

import fmlora_kit as fk
from fmlora_kit.adapters.class_gaussians import ClassGaussians
from fmlora_kit.methods import HeadOptions, hide_prompt
from fmlora_kit.methods.hide_prompt import HiDePrompt, contrastive
from fmlora_kit.streams import Stream, Task

IMAGES = models.noise(6)


def build(backbone=None, n_classes=9, **options):
    head = HeadOptions(options.pop("head", "cosine"))
    options = {"length": 3, "samples": 8, "sample_epochs": 5, "head": head, **options}
    return HiDePrompt(models.vit() if backbone is None else backbone, n_classes, **options)


def learned(**options):
    stream, model = models.stream(), build(**options)
    return model, models.learn(model, stream)


def by_hand(model, images, prompt):
    """Features of uint8 images under a prefix (blocks, 2, length, d), one image at a time."""
    prefixes = {b: tuple(prompt[i].detach()) for i, b in enumerate(model.blocks)}
    one = [models.class_token(model.vit, torch.tensor(x), prefixes) for x in images]
    return torch.stack(one)


def plain(images):
    """Features of the frozen ViT without a prefix."""
    with torch.no_grad():
        return models.vit()((torch.tensor(images.transpose(0, 3, 1, 2)) / 255.0 - 0.5) / 0.5)


def nearest_task(model, centres):
    """Make TII guess for every image the task whose centre (d,) is nearest to its plain feature."""
    weight, bias = torch.zeros(9, 32).double(), torch.full((9,), -1e9).double()
    for task, centre in enumerate(centres.double()):
        weight[3 * task + 1], bias[3 * task + 1] = 2 * centre, -centre.square().sum()
    model.guess = (weight, bias)


def shades():
    """Two tasks that any backbone tells apart: two stripes, on black and then on white."""
    rng = np.random.default_rng(0)

    def pictures(task, n):
        images = np.full((2, n, 32, 32, 3), 200 * task, dtype=np.uint8)
        images[0, :, :8], images[1, :, :, :8] = 120, 120
        noise = rng.integers(0, 30, images.shape, dtype=np.uint8)
        return (images + noise).reshape(-1, 32, 32, 3), np.repeat([2 * task, 2 * task + 1], n)

    tasks = [
        Task(name, (2 * t, 2 * t + 1), ("top", "left"), *pictures(t, 10), *pictures(t, 6))
        for t, name in enumerate(("black", "white"))
    ]
    return Stream("shades", "class-incremental", tuple(tasks), 0)


# --- constants ------------------------------------------------------------------------------------
def test_published_numbers_are_the_defaults():
    card = HiDePrompt(models.vit(depth=7), 4).describe()
    assert card["blocks"] == [0, 1, 2, 3, 4] and card["length"] == 5
    assert (card["ensemble"], card["contrast"], card["temperature"]) == (0.01, 0.1, 0.8)
    assert (card["sample_epochs"], card["sample_lr"], card["samples"]) == (30, 0.005, 24)
    assert HiDePrompt(models.vit(), 4).describe()["blocks"] == [0, 1]


def test_both_layers_draw_as_many_features_a_class_as_the_text_says(monkeypatch):
    drawn, sample = {}, ClassGaussians.sample

    def watched(gaussians, n, generator):
        drawn.setdefault(id(gaussians), set()).add(n)
        return sample(gaussians, n, generator)

    monkeypatch.setattr(ClassGaussians, "sample", watched)
    model = HiDePrompt(models.vit(), 9, sample_epochs=1, head=HeadOptions("cosine"))
    models.learn(model, models.stream())
    assert drawn == {id(model.uninstructed): {model.samples}, id(model.instructed): {model.samples}}
    said = f"``samples`` a class for TAP too, {model.samples} (there: 24 for TII, 120 for TAP)"
    assert said in " ".join(hide_prompt.__doc__.split())


def test_the_first_prefix_is_uniform_and_a_new_one_a_copy_of_the_last():
    stream, model = models.stream(), build(length=5)
    model.begin_task(stream[0])
    first = model.current.detach()
    assert first.shape == (2, 2, 5, 32)
    assert -1 <= first.min() < -0.9 and 0.9 < first.max() <= 1 and abs(first.mean()) < 0.1
    model = build()
    fk.train_task(model, stream[0], stream, models.BUDGET)
    model.begin_task(stream[1])
    assert torch.equal(model.current, model.own[0]) and model.current.requires_grad
    assert model.current.data_ptr() != model.own[0].data_ptr()


# --- within-task prediction -----------------------------------------------------------------------
def test_a_prefix_is_an_ensemble_with_the_mean_of_earlier_ones():
    stream, model = models.stream(), build(ensemble=0.2)
    kept = []
    for task in stream:
        model.begin_task(task)
        with torch.no_grad():
            model.current += torch.randn(model.current.shape, generator=models.generator(len(kept)))
        e = model.current.detach().numpy().copy()
        p = 0.8 * e + 0.2 * np.mean(kept, axis=0) if kept else e
        seen = model.extract(task.train_images[:3])  # while it is learned, all images take it
        expected = by_hand(model, task.train_images[:3], torch.tensor(p))
        torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-4)
        model.end_task(task)
        kept.append(p)
        for own, expected in zip(model.own, kept, strict=True):
            np.testing.assert_allclose(own.detach(), expected, rtol=1e-6, atol=1e-6)


def test_the_loss_is_local_cross_entropy_and_the_contrast_to_earlier_class_means():
    stream, model = models.stream(), build(contrast=0.7, temperature=2.0)
    fk.train_task(model, stream[0], stream, models.BUDGET)
    model.begin_task(stream[1])
    with torch.no_grad():
        model.current.mul_(1.5)
    images, labels = stream[1].train_images[4:9], stream[1].train_labels[4:9]
    loss = model.loss(torch.tensor(images), torch.tensor(labels))
    p = 0.99 * model.current.detach() + 0.01 * model.own[0]
    features, rows = by_hand(model, images, p), model.head.rows.detach()
    logits = (16 * F.normalize(features) @ F.normalize(rows).T).double().numpy()
    logp = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    cross_entropy = -logp[range(5), labels - 3].mean()
    old = by_hand(model, stream[0].train_images, model.own[0]).double().numpy()
    means = [old[stream[0].train_labels == k].mean(0) for k in range(3)]
    m = np.concatenate([means, features.double().numpy()])
    near = m @ m.T / 2.0
    near -= near.max(1, keepdims=True)
    contrast = -(near - np.log(np.exp(near).sum(1, keepdims=True)))[range(8), range(8)].mean()
    assert contrast > 0.1
    assert loss.item() == pytest.approx(cross_entropy + 0.7 * contrast, rel=1e-3)


def test_the_contrast_is_nothing_for_rows_far_apart_and_log_n_for_equal_rows():
    none = torch.zeros(0, 4)
    assert contrastive(20 * torch.eye(4), none, 0.8).item() == pytest.approx(0, abs=1e-6)
    assert contrastive(torch.ones(5, 4), none, 0.8).item() == pytest.approx(np.log(5), rel=1e-6)
    assert contrastive(torch.ones(2, 4), torch.ones(6, 4), 0.8).item() == pytest.approx(np.log(8))


def test_the_contrast_drives_features_away_from_earlier_means():
    earlier = torch.tensor([[3.0, 0.0]])
    feature = torch.tensor([[3.0, 1.0]], requires_grad=True)
    contrastive(feature, earlier, 0.8).backward()
    assert feature.grad[0, 0] > 0  # a step downhill goes away from (3, 0)


def test_a_task_trains_its_own_prefix_alone():
    stream, model = models.stream(), build()
    kept = []
    for task in stream:
        assert fk.train_task(model, task, stream, models.BUDGET).n_trainable == 2 * 2 * 3 * 32 + 96
        kept.append(model.own[-1].detach().clone())
    assert all(torch.equal(a, b) and not b.requires_grad for a, b in zip(kept, model.own, strict=1))
    assert not torch.equal(kept[0], kept[1]) and not torch.equal(kept[1], kept[2])


def test_prompts_alone_lower_the_loss_of_every_task():
    stream, model = models.stream(), build(contrast=0.0, lr=0.3, head_lr=0.0)
    for task in stream:
        losses = fk.train_task(model, task, stream, fk.Budget(epochs=30, batch_size=16)).losses
        assert losses[-4:].mean() < 0.9 * losses[:4].mean()


# --- what is kept of the classes ------------------------------------------------------------------
def test_gaussians_are_those_of_features_without_and_with_the_own_prefix():
    stream, (model, results) = models.stream(), learned()
    task, state = stream[2], results[2].state
    for kind, x in (
        ("uninstructed", plain(task.train_images)),
        ("instructed", by_hand(model, task.train_images, model.own[2])),  # not the guessed one
    ):
        for k, label in enumerate((6, 7, 8)):
            mine = x[task.train_labels == label].double().numpy()
            np.testing.assert_allclose(state[f"{kind}.means"][k], mine.mean(0), atol=1e-3)
            upper = np.cov(mine.T)[np.triu_indices(32)]
            np.testing.assert_allclose(state[f"{kind}.spreads"][k], upper, rtol=0.01, atol=1e-3)


def test_sizes_grow_by_a_prefix_a_row_and_two_gaussians_per_class():
    backbone = sum(p.numel() for p in models.vit().parameters())
    own, gaussian = 2 * 2 * 3 * 32, {"covariance": 32 + 32 * 33 // 2, "variance": 32 + 32}
    for statistics, numbers in gaussian.items():
        _, results = learned(statistics=statistics)
        expected = [backbone + 9 * 32 + t * own + 3 * t * 33 for t in (1, 2, 3)]
        assert [r.n_deployed for r in results] == expected
        assert [r.n_training_state for r in results] == [2 * 3 * t * numbers for t in (1, 2, 3)]


# --- task-identity inference ----------------------------------------------------------------------
def test_each_image_is_computed_under_the_prefix_of_its_likeliest_class():
    model, results = learned()
    weight, bias = (results[2].state[f"tii.{part}"] for part in ("weight", "bias"))
    assert weight.shape == (9, 32)
    chosen = (plain(IMAGES).double().numpy() @ weight.T + bias).argmax(1) // 3
    np.testing.assert_array_equal(model.choice(torch.tensor(IMAGES)), chosen)
    nearest_task(model, plain(IMAGES[[4, 1, 0]]))
    chosen = model.choice(torch.tensor(IMAGES))
    assert chosen[[0, 1, 4]].tolist() == [2, 1, 0]
    own = [by_hand(model, IMAGES[k : k + 1], model.own[t]) for k, t in enumerate(chosen)]
    torch.testing.assert_close(model.extract(IMAGES), torch.cat(own), rtol=1e-4, atol=1e-4)


def test_well_separated_tasks_are_told_apart_image_by_image():
    stream, model = shades(), build(n_classes=4, sample_epochs=30)
    result = models.learn(model, stream)[1]
    for task in stream:
        guessed = model.choice(torch.tensor(task.test_images))
        assert guessed.tolist() == [stream.tasks.index(task)] * 12
    mixed = np.concatenate([stream[1].test_images[:1], stream[0].test_images])
    assert model.choice(torch.tensor(mixed)).tolist() == [1] + [0] * 12
    assert result.accuracy.mean() > 0.9


def test_an_images_prediction_does_not_depend_on_its_batch():
    """Public codes let the batch vote on one prefix, which tells the task at test time."""
    model, _ = learned()
    nearest_task(model, plain(IMAGES[:3]))
    crowd = IMAGES[[0, 0, 0, 0, 0, 0, 2, 1]]
    assert model.choice(torch.tensor(crowd)).tolist() == [0] * 6 + [2, 1]
    together = model.logits(crowd)
    alone = np.concatenate([model.logits(image[None]) for image in crowd])
    np.testing.assert_allclose(together, alone, atol=1e-4)
    voted = model.head(by_hand(model, IMAGES[2:3], model.own[0]), model.seen)
    assert np.abs(voted.numpy() - alone[6]).max() > 1e-2  # what the majority would have made of it


def test_the_guess_does_not_feel_the_prefixes():
    model, _ = learned()
    torch.testing.assert_close(model.query(torch.tensor(IMAGES)), plain(IMAGES))


# --- task-adaptive prediction ---------------------------------------------------------------------
@pytest.mark.parametrize("head", ["cosine", "linear"])
def test_classes_of_different_tasks_are_separated_by_the_head_trained_on_drawn_features(head):
    """Rows trained inside their tasks need not compare: here those of task 1 win everywhere."""
    model = build(n_classes=4, head=head, sample_epochs=30, samples=24)
    means = 3 * torch.eye(4, 32).double() + 3 * torch.eye(32)[8].double()
    for classes in ((0, 1), (2, 3)):
        model.instructed.take(classes, means[list(classes)], torch.zeros(2, 528).double())
    rows = means.clone().float()
    rows[:2, 8] = -1.0  # constant inside the task, so that its own loss never saw it
    model.head.weight.copy_(rows)
    model.seen, model.n_tasks_done = (0, 1, 2, 3), 2
    features = means.float()
    assert model.scores(features, (0, 1)).argmax(1)[:2].tolist() == [0, 1]
    assert (model.scores(features).argmax(1) >= 2).all()
    model._adapt_head()
    assert model.scores(features).argmax(1).tolist() == [0, 1, 2, 3]
    assert model.head.current == []


def test_heads_set_from_statistics_are_not_trained_again():
    heads = [learned(head="lda", samples=samples)[0].head.weight for samples in (2, 9)]
    assert torch.equal(*heads)
    heads = [learned(head="cosine", samples=samples)[0].head.weight for samples in (2, 9)]
    assert not torch.equal(*heads)


def test_with_one_task_there_is_nothing_to_guess_or_to_adapt():
    stream, results = models.stream(), []
    for samples in (2, 9):
        model = build(samples=samples)
        results.append(fk.train_task(model, stream[0], stream, models.BUDGET))
        assert model.choice(torch.tensor(IMAGES)).tolist() == [0] * 6
    assert results[0].same_as(results[1])


# --- domains and options --------------------------------------------------------------------------
def test_a_class_of_several_domains_has_a_row_to_guess_by_in_each_and_one_in_the_head():
    stream, model = models.styles(), build(n_classes=4)
    results = models.learn(model, stream)
    assert [r.state["tii.weight"].shape for r in results] == [(4, 32), (8, 32), (12, 32)]
    assert model.uninstructed.owners == [0] * 4 + [1] * 4 + [2] * 4
    assert model.logits(IMAGES).shape == (6, 4) and len(model.own) == 3
    assert not np.array_equal(results[0].state["head.weight"], results[1].state["head.weight"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": (1, 2)}, r"blocks must be blocks of the backbone \(0 to 1\).*\(1, 2\)"),
        ({"blocks": ()}, r"blocks must be .* at least one, got \(\)"),
        ({"length": 0}, "length must be at least 1, got 0"),
        ({"ensemble": 1.0}, "ensemble must be at least 0 and below 1, got 1.0"),
        ({"ensemble": -0.1}, "ensemble must be at least 0 and below 1, got -0.1"),
        ({"contrast": float("nan")}, "contrast must be a finite number at least 0, got nan"),
        ({"temperature": 0.0}, "temperature must be above 0, got 0.0"),
        ({"statistics": "centroids"}, "statistics must be one of .*'centroids'"),
        ({"sample_epochs": 0}, "sample_epochs must be at least 1, got 0"),
        ({"samples": -3}, "samples must be at least 1, got -3"),
        ({"sample_lr": -1.0}, "sample_lr must be at least 0, got -1.0"),
        ({"start": 0.0}, "start must be above 0, got 0.0"),
        ({"lr": -1.0}, "lr must be at least 0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)
