"""LoRA per task: kept apart, the task guessed image by image or given."""

import numpy as np
import pytest
import torch
from helpers import models
from timm.models.vision_transformer import VisionTransformer
from torch.nn import functional as F

import fmlora_kit as fk
from fmlora_kit.adapters.task_guess import TaskChoice
from fmlora_kit.methods import HeadOptions
from fmlora_kit.methods.task_lora import OUTSIDE, TaskLoRA
from fmlora_kit.training.loop import evaluate
from fmlora_kit.training.rebuild import replay

IMAGES = models.noise(6)


def build(backbone=None, n_classes=9, **options):
    options = {"rank": 4, "lr": 5e-3, **options}
    return TaskLoRA(models.vit() if backbone is None else backbone, n_classes, **options)


@pytest.fixture(scope="module")
def finished():
    stream, model = models.stream(), build()
    return model, models.record_of(model, stream, models.learn(model, stream))


def features_by_hand(vit, images):
    with torch.no_grad():
        return vit((torch.tensor(images.transpose(0, 3, 1, 2)) / 255 - 0.5) / 0.5)


def vit_of_task(state, scale=1.0):
    """A plain ViT with one task's pairs added to its q and v weights, by hand."""
    vit = models.vit()
    for block in range(2):
        for kind, rows in (("q", slice(0, 32)), ("v", slice(64, 96))):
            a, b = (state[f"blocks.{block}.{kind}.{part}"] for part in "ab")
            with torch.no_grad():
                vit.blocks[block].attn.qkv.weight[rows] += torch.from_numpy(scale * a @ b)
    return vit


def tasks_by_hand(stream, images, n_tasks, shrinkage=0.1):
    """Streaming LDA over all classes of the frozen backbone's features; the class's task."""
    x, y = [], []
    for task in stream.tasks[:n_tasks]:
        x.append(features_by_hand(models.vit(), task.train_images).double().numpy())
        y.append(task.train_labels)
    x, y = np.concatenate(x), np.concatenate(y)
    means = np.stack([x[y == k].mean(0) for k in range(3 * n_tasks)])
    s = (x - means[y]).T @ (x - means[y]) / len(x)
    s = (1 - shrinkage) * s + shrinkage * np.trace(s) / 32 * np.eye(32)
    inverse = np.linalg.inv(s)
    tests = features_by_hand(models.vit(), images).double().numpy()
    distance = [[(f - m) @ inverse @ (f - m) for m in means] for f in tests]
    return np.argmin(distance, axis=1) // 3


# --- the mechanism -------------------------------------------------------------------------------
def test_each_image_is_judged_by_the_adapter_and_rows_of_its_guessed_task(finished):
    model, record = finished
    images = np.concatenate([task.test_images for task in models.stream()])
    tasks, logits = tasks_by_hand(models.stream(), images, 3), model.logits(images)
    assert len(set(tasks.tolist())) == 3
    np.testing.assert_array_equal(model.choose_task(images), tasks)
    for t, state in enumerate(task.state for task in record.tasks):
        features = F.normalize(features_by_hand(vit_of_task(state), images[tasks == t]))
        rows = F.normalize(torch.tensor(state["head.rows"]))
        own = slice(3 * t, 3 * t + 3)
        by_hand = 16 * features @ rows.T
        np.testing.assert_allclose(logits[tasks == t, own], by_hand, atol=1e-3)
        others = np.delete(logits[tasks == t], range(3 * t, 3 * t + 3), axis=1)
        assert (others == OUTSIDE).all()
    assert set(record.tasks[2].predictions[tasks == 1]) <= {3, 4, 5}


def test_every_task_starts_from_the_frozen_backbone():
    """Kept apart: the second task learns the same whatever the first was."""
    stream = models.stream()
    model, fresh = build(), build()
    fk.train_task(model, stream[0], stream, models.BUDGET)
    for m in (model, fresh):
        m.begin_task(stream[1])
    x, y = torch.tensor(stream[1].train_images), torch.tensor(stream[1].train_labels)
    assert model.loss(x, y).item() == fresh.loss(x, y).item()
    torch.testing.assert_close(
        model.features(x), features_by_hand(models.vit(), stream[1].train_images)
    )
    assert len(model.parts()) == 8 and all((p == 0).all() for p in model.parts()[::2])


def test_one_task_is_plain_lora():
    stream = models.stream()
    model, lora = build(), fk.SequentialLoRA(models.vit(), 9, rank=4, lr=5e-3)
    start = model.generator(0, 0)
    with torch.no_grad():
        for update in lora.updates.values():
            bound = 1 / np.sqrt(32)
            update.b.copy_(torch.rand(4, 32, generator=start) * 2 * bound - bound)
    mine, theirs = (fk.train_task(m, stream[0], stream, models.BUDGET) for m in (model, lora))
    np.testing.assert_allclose(mine.losses, theirs.losses, rtol=1e-6)
    np.testing.assert_allclose(model.logits(IMAGES), lora.logits(IMAGES), atol=1e-5)
    assert mine.accuracy[0] == theirs.accuracy[0]


def test_later_tasks_change_nothing_of_earlier_ones(finished):
    """Given the task, nothing is ever forgotten."""
    model, record = finished
    early = build()
    replay(early, record, 1)
    np.testing.assert_array_equal(model.oracle_logits(IMAGES, 0), early.oracle_logits(IMAGES, 0))
    oracle = build(task_identity="oracle")
    results = models.learn(oracle, models.stream())
    for i in range(3):
        assert len({r.oracle_accuracy[i] for r in results[i:]}) == 1


def test_the_other_images_of_a_batch_say_nothing_of_an_images_task(finished):
    """Voting over a batch of one task's images, as in public prompt code, leaks the task."""
    model, _ = finished
    images = np.concatenate([task.test_images for task in models.stream()])
    tasks = model.choose_task(images)
    alone = np.concatenate([model.choose_task(image[None]) for image in images])
    np.testing.assert_array_equal(tasks, alone)
    order = np.random.default_rng(0).permutation(len(images))
    np.testing.assert_array_equal(model.choose_task(images[order]), tasks[order])
    singles = np.concatenate([model.logits(image[None]) for image in images])
    np.testing.assert_allclose(model.logits(images), singles, atol=1e-4)
    wrong_in_own = [len(set(tasks[12 * t : 12 * t + 12].tolist())) for t in range(3)]
    assert max(wrong_in_own) > 1  # a batch of one task is not voted into one


# --- the oracle ----------------------------------------------------------------------------------
def test_with_the_task_given_its_own_adapter_and_rows_judge(finished):
    model, record = finished
    images = models.stream()[1].test_images
    features = F.normalize(features_by_hand(vit_of_task(record.tasks[1].state), images))
    rows = F.normalize(torch.tensor(record.tasks[1].state["head.rows"]))
    by_hand = 16 * features @ rows.T
    np.testing.assert_allclose(model.oracle_logits(images, 1), by_hand, atol=1e-3)
    np.testing.assert_allclose(
        model.oracle_logits(images, 1, (5, 3)), by_hand[:, [2, 0]], atol=1e-3
    )


def test_the_option_oracle_makes_the_records_oracle_accuracy_that_of_the_tasks_own_adapter():
    stream = models.stream()
    guessed, given = build(), build(task_identity="oracle")
    first, second = models.learn(guessed, stream), models.learn(given, stream)
    for t, (a, b) in enumerate(zip(first, second, strict=True)):
        np.testing.assert_array_equal(a.predictions, b.predictions)  # over all classes: guessed
        np.testing.assert_array_equal(a.accuracy, b.accuracy)
        for i in range(t + 1):
            task = stream[i]
            best = np.array(task.classes)[given.oracle_logits(task.test_images, i).argmax(1)]
            assert b.oracle_accuracy[i] == np.mean(best == task.test_labels)
    np.testing.assert_allclose(given.logits(IMAGES), guessed.logits(IMAGES), atol=1e-5)
    assert given.extract(IMAGES).shape == (6, 3 * 32 + 1)
    np.testing.assert_array_equal(guessed.extract(IMAGES)[:, -1], guessed.choose_task(IMAGES))


def test_bad_oracle_questions(finished):
    model, _ = finished
    with pytest.raises(ValueError, match="task must be from 0 and below the 3 learned, got 3"):
        model.oracle_logits(IMAGES, 3)
    with pytest.raises(
        ValueError, match=r"classes must be of task 1, among \(3, 4, 5\), got \[0\]"
    ):
        model.oracle_logits(IMAGES, 1, (3, 0))
    with pytest.raises(ValueError, match="only be chosen after one has been learned"):
        build().choose_task(IMAGES)


# --- guessing ------------------------------------------------------------------------------------
def test_well_separated_tasks_are_told_apart_and_by_covariance_where_means_alone_fail():
    draw = np.random.default_rng(0)
    spread = np.diag([10.0, 0.1])  # classes differ along the narrow direction only
    centres = np.array([[0.0, 1.0], [0.3, 1.0], [0.0, 2.0], [-0.3, 2.0]])
    x = np.concatenate([c + draw.normal(size=(200, 2)) @ spread for c in centres])
    y = np.repeat(range(4), 200)
    right = {}
    for kind in ("lda", "nearest_mean"):
        choose = TaskChoice(2, kind, 0.001)
        for t in range(2):
            mine = (y // 2) == t
            choose.learn(torch.tensor(x[mine]), torch.tensor(y[mine]), (2 * t, 2 * t + 1))
        right[kind] = np.mean(choose(torch.tensor(x)).numpy() == y // 2)
    assert right["lda"] > 0.99 and right["nearest_mean"] < 0.9


def test_nearest_mean_by_hand():
    choose = TaskChoice(2, "nearest_mean", 0.1)
    choose.learn(torch.tensor([[2.0, 0.0], [0.0, 3.0]]), torch.tensor([4, 7]), (7, 4))
    choose.learn(torch.tensor([[-1.0, 0.0], [-1.0, 0.0]]), torch.tensor([5, 5]), (5,))
    torch.testing.assert_close(choose.means[0], torch.tensor([[0.0, 1], [1, 0]]).double())
    asked = torch.tensor([[9.0, 1.0], [-0.1, 5.0], [-9.0, 1.0]])
    assert choose(asked).tolist() == [0, 0, 1]


@pytest.mark.parametrize("choice", ["lda", "nearest_mean"])
def test_size_grows_with_the_tasks(choice):
    """Measured: 4 maps x r (32 + 32), 3 head rows and 3 rows to guess by, with every task."""
    stream, model = models.stream(), build(choice=choice)
    results = models.learn(model, stream)
    offsets = 3 if choice == "lda" else 0
    grown = 4 * 4 * 64 + 3 * 32 + 3 * 32 + offsets
    base = sum(p.numel() for p in models.vit().parameters())
    assert [r.n_deployed for r in results] == [base + t * grown for t in (1, 2, 3)]
    assert {r.n_trainable for r in results} == {4 * 4 * 64 + 3 * 32}
    kept = [t * 96 + 32 * 32 + 1 for t in (1, 2, 3)] if choice == "lda" else [0, 0, 0]
    assert [r.n_training_state for r in results] == kept


# --- views and edges -----------------------------------------------------------------------------
def test_in_a_domain_incremental_stream_every_domain_has_its_own_rows():
    stream = models.styles()
    model = build(n_classes=4)
    results = models.learn(model, stream)
    assert model.seen == (0, 1, 2, 3) and model.task_classes == [(0, 1, 2, 3)] * 3
    rows = [r.state["head.rows"] for r in results]
    assert not np.allclose(rows[0], rows[1], atol=1e-2)
    images = np.concatenate([task.test_images for task in stream])
    tasks, logits = model.choose_task(images), model.logits(images)
    for t in set(tasks.tolist()):
        own = model.oracle_logits(images[tasks == t], t)
        np.testing.assert_allclose(logits[tasks == t], own, atol=1e-4)
    assert results[0].accuracy[1] == results[0].accuracy[1]  # the next domain, before its time


def test_a_fresh_model_gives_the_backbones_features():
    fresh = build().extract(IMAGES)
    torch.testing.assert_close(fresh[:, :-1], features_by_hand(models.vit(), IMAGES))
    assert (fresh[:, -1] == -1).all()


def test_each_task_has_a_plain_vit_but_the_model_has_none(finished):
    model, record = finished
    for t in range(3):
        plain = model.task_as_timm(t)
        assert type(plain) is VisionTransformer
        torch.testing.assert_close(
            features_by_hand(plain, IMAGES),
            features_by_hand(vit_of_task(record.tasks[t].state), IMAGES),
            atol=5e-5,
            rtol=1e-4,
        )
    for verb in (model.merge, model.to_timm):
        with pytest.raises(ValueError, match="needs one update for all images.*task_as_timm"):
            verb()
    model.unmerge()
    with pytest.raises(ValueError, match="task must be from 0 and below the 3 learned, got -1"):
        model.task_as_timm(-1)


def test_accuracy_is_that_of_the_logits(finished):
    model, record = finished
    for i, task in enumerate(models.stream()):
        best = np.array(model.seen)[model.logits(task.test_images).argmax(1)]
        assert record.tasks[2].accuracy[i] == np.mean(best == task.test_labels)
        np.testing.assert_array_equal(evaluate(model, task).predictions, best)


def test_the_update_is_scaled_by_alpha_over_rank():
    stream, model = models.stream(), build(alpha=2.0)
    result = fk.train_task(model, stream[0], stream, models.BUDGET)
    by_hand = features_by_hand(vit_of_task(result.state, scale=0.5), IMAGES)
    torch.testing.assert_close(model.extract(IMAGES)[:, :-1], by_hand, atol=5e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 33}, "rank must be between 1 and the layer's width 32, got 33"),
        ({"task_identity": "known"}, "task_identity must be one of .*'oracle'.*got 'known'"),
        ({"choice": "vote"}, "choice must be one of .*'lda'.*got 'vote'"),
        ({"shrinkage": 0.0}, "shrinkage must be above 0 and at most 1, got 0.0"),
        ({"maps": ("w",)}, "maps must be among .*'w'"),
        ({"head": HeadOptions("mda")}, "head must be cosine, linear or lda.* got 'mda'"),
        ({"head": HeadOptions("ridge")}, "head must be cosine, linear or lda.* got 'ridge'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)
