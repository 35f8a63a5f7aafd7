"""DualPrompt: its formula recomputed image by image, what it freezes, faults of public codes."""

import numpy as np
import pytest
import torch
from helpers import models
from torch.nn import functional as F

import fmlora_kit as fk
from fmlora_kit.methods import HeadOptions
from fmlora_kit.methods.dualprompt import DualPrompt

IMAGES = models.noise(6)


def build(backbone=None, n_classes=9, **options):
    options = {"g_blocks": (0,), "e_blocks": (1,), "head": HeadOptions("cosine"), **options}
    return DualPrompt(models.vit() if backbone is None else backbone, n_classes, **options)


def learned(**options):
    stream, model = models.stream(), build(**options)
    return model, models.learn(model, stream)


def by_hand(model, image, own):
    """The feature of one image under G and the prefix E of task ``own``."""
    prefixes = {b: tuple(model.shared[i]) for i, b in enumerate(model.g_blocks)}
    prefixes |= {b: tuple(model.own[own][i]) for i, b in enumerate(model.e_blocks)}
    return models.class_token(model.vit, image, prefixes)


def queries(images, backbone=None):
    with torch.no_grad():
        x = (torch.tensor(images.transpose(0, 3, 1, 2)) / 255.0 - 0.5) / 0.5
        return (backbone or models.vit())(x)


def nearest(model, images):
    """The task whose key has the largest cosine to the image's query, one image at a time."""
    keys = np.stack([key.detach().numpy() for key in model.keys])
    q = queries(images).numpy()
    cosines = q @ keys.T / np.linalg.norm(q, axis=1)[:, None] / np.linalg.norm(keys, axis=1)
    return cosines, cosines.argmax(1)


def test_published_lengths_blocks_and_pull():
    model = DualPrompt(models.vit(depth=6), 4)
    card = model.describe()
    assert (card["g_length"], card["e_length"], card["pull"]) == (5, 5, 1.0)
    assert (card["g_blocks"], card["e_blocks"]) == ([0, 1], [2, 3, 4])
    model.begin_task(models.stream()[0])
    assert model.shared.shape == (2, 2, 5, 32) and model.own[0].shape == (3, 2, 5, 32)
    for p in (model.shared, model.own[0], model.keys[0]):
        assert -1 <= p.min() < -0.7 and 0.7 < p.max() <= 1 and abs(p.mean()) < 0.2
    assert len({p.flatten()[0].item() for p in (model.shared, model.own[0], model.keys[0])}) == 3


def test_each_image_is_computed_under_the_prefix_of_its_nearest_key():
    model, _ = learned()
    chosen = nearest(model, IMAGES)[1]
    expected = [by_hand(model, torch.tensor(IMAGES[k]), t) for k, t in enumerate(chosen)]
    torch.testing.assert_close(model.extract(IMAGES), torch.stack(expected), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(model.choice(torch.tensor(IMAGES)), chosen)


def test_prompts_of_heads_and_positions_are_not_mixed():
    """Public codes reshape (length, heads, size) without a permute; here every number has a place.

    The explicit loop of `hand_prefix` takes prefix j of head h from row j, columns of h alone.
    """
    model = build(models.vit(num_heads=4), g_length=3, e_length=2)
    model.begin_task(models.stream()[0])
    with torch.no_grad():
        for p in (model.shared, model.own[0]):
            p.copy_(torch.arange(p.numel()).view_as(p) / p.numel() * 4 - 2)
    expected = [by_hand(model, torch.tensor(image), 0) for image in IMAGES]
    torch.testing.assert_close(model.extract(IMAGES), torch.stack(expected), rtol=1e-4, atol=1e-4)


def test_an_images_prediction_does_not_depend_on_its_batch():
    """Public codes let the batch vote on one prefix, which tells the task at test time."""
    model, _ = learned()
    with torch.no_grad():
        for key, query in zip(model.keys, queries(IMAGES[:3]), strict=True):
            key.copy_(query)
    lonely = IMAGES[[0, 0, 0, 0, 0, 0, 2, 1]]
    assert model.choice(torch.tensor(lonely)).tolist() == [0] * 6 + [2, 1]
    together = model.logits(lonely)
    alone = np.concatenate([model.logits(image[None]) for image in lonely])
    np.testing.assert_allclose(together, alone, atol=1e-4)
    voted = model.head(torch.stack([by_hand(model, torch.tensor(IMAGES[2]), 0)]), model.seen)
    assert np.abs(voted.numpy() - alone[6]).max() > 1e-2  # what the majority would have made of it


def test_the_loss_is_local_cross_entropy_minus_the_cosine_to_the_own_key():
    stream, model = models.stream(), build(pull=0.7)
    fk.train_task(model, stream[0], stream, models.BUDGET)
    model.begin_task(stream[1])
    with torch.no_grad():
        model.own[1].mul_(1.5)
    images, labels = stream[1].train_images[4:9], stream[1].train_labels[4:9]
    loss = model.loss(torch.tensor(images), torch.tensor(labels))
    features = torch.stack([by_hand(model, torch.tensor(image), 1) for image in images])
    rows = model.head.rows.detach()
    logits = (16 * F.normalize(features) @ F.normalize(rows).T).double().numpy()
    logp = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    cross_entropy = -logp[range(5), labels - 3].mean()
    cosine = nearest(model, images)[0][:, 1].mean()
    assert loss.item() == pytest.approx(cross_entropy - 0.7 * cosine, rel=1e-4)


def test_a_task_trains_its_own_prefix_its_key_and_the_shared_one_alone():
    stream, model = models.stream(), build()
    kept = []
    for t, task in enumerate(stream):
        shared = model.shared.detach().clone()
        result = fk.train_task(model, task, stream, models.BUDGET)
        assert result.n_trainable == 2 * (2 * 5 * 32) + 32 + 3 * 32
        assert not torch.equal(model.shared, shared)
        kept.append((model.own[t].detach().clone(), model.keys[t].detach().clone()))
    for (own, key), now, its_key in zip(kept, model.own, model.keys, strict=True):
        assert torch.equal(own, now) and torch.equal(key, its_key)
        assert not now.requires_grad and not its_key.requires_grad
    assert not torch.equal(kept[0][0], kept[1][0]) and not torch.equal(kept[1][0], kept[2][0])


def test_earlier_prefixes_and_keys_get_no_gradient():
    stream, model = models.stream(), build()
    fk.train_task(model, stream[0], stream, models.BUDGET)
    for p in model.parameters():
        p.grad = None
    model.begin_task(stream[1])
    task = stream[1]
    model.loss(torch.tensor(task.train_images), torch.tensor(task.train_labels)).backward()
    assert model.own[0].grad is None and model.keys[0].grad is None
    assert all(p.grad.abs().max() > 0 for p in (model.own[1], model.keys[1], model.shared))


def test_a_new_prefix_is_a_copy_of_the_previous_one():
    stream, model = models.stream(), build()
    fk.train_task(model, stream[0], stream, models.BUDGET)
    model.begin_task(stream[1])
    assert torch.equal(model.own[1], model.own[0]) and not torch.equal(model.keys[1], model.keys[0])
    assert model.own[1].requires_grad and model.own[1].data_ptr() != model.own[0].data_ptr()


def test_a_tasks_key_moves_towards_its_queries():
    stream, model = models.stream(), build(pull=1.0, lr=3e-2)
    model.begin_task(stream[0])
    before = nearest(model, stream[0].train_images)[0].mean()
    model, still = build(pull=1.0, lr=3e-2), build(pull=0.0, lr=3e-2)
    for m in (model, still):
        fk.train_task(m, stream[0], stream, fk.Budget(epochs=10, batch_size=16))
    assert nearest(model, stream[0].train_images)[0].mean() > before + 0.1
    assert nearest(still, stream[0].train_images)[0].mean() == pytest.approx(before, abs=1e-6)


def test_training_images_take_their_own_tasks_prefix_test_images_choose():
    stream, model = models.stream(), build(head=HeadOptions("lda"))
    models.learn(model, stream)
    images, labels = stream[2].train_images, stream[2].train_labels
    own = torch.stack([by_hand(model, torch.tensor(image), 2) for image in images[labels == 7]])
    kept = model.head.sums.means[7].float()
    torch.testing.assert_close(kept, own.mean(0), rtol=1e-3, atol=1e-3)


def test_queries_do_not_feel_the_prompts():
    model, _ = learned()
    torch.testing.assert_close(model.query(torch.tensor(IMAGES)), queries(IMAGES))


def test_sizes_grow_by_a_prefix_and_a_key_a_task():
    backbone = sum(p.numel() for p in models.vit().parameters())
    _, results = learned(g_length=4, e_length=3)
    shared, own = 2 * 4 * 32, 2 * 3 * 32 + 32
    expected = [backbone + 9 * 32 + shared + t * own for t in (1, 2, 3)]
    assert [r.n_deployed for r in results] == expected
    assert [r.n_training_state for r in results] == [0, 0, 0]


def test_prompts_alone_lower_the_loss_of_every_task():
    stream, model = models.stream(), build(pull=0.0, lr=0.3, head_lr=0.0)
    for task in stream:
        losses = fk.train_task(model, task, stream, fk.Budget(epochs=30, batch_size=16)).losses
        assert losses[-4:].mean() < 0.9 * losses[:4].mean()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"e_blocks": (2, 3, 4)},
            r"e_blocks must be blocks of the backbone \(0 to 1\).*\(2, 3, 4\)",
        ),
        ({"g_blocks": ()}, r"g_blocks must be .* at least one, got \(\)"),
        ({"g_blocks": (0, 0)}, r"g_blocks must be .* each once, .* got \(0, 0\)"),
        ({"g_blocks": (0, 1)}, r"g_blocks must not be in e_blocks, got \(0, 1\) and \(1,\)"),
        ({"g_length": 0}, "g_length must be at least 1, got 0"),
        ({"e_length": -2}, "e_length must be at least 1, got -2"),
        ({"pull": -1.0}, "pull must be at least 0, got -1.0"),
        ({"pull": float("nan")}, "pull must be a finite number at least 0, got nan"),
        ({"start": 0.0}, "start must be above 0, got 0.0"),
        ({"lr": -1.0}, "lr must be at least 0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)
