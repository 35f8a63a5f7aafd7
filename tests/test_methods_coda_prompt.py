"""CODA-Prompt: weights, prefixes and orthogonality recomputed; earlier components never move."""

import numpy as np
import pytest
import torch
from helpers import models
from torch.nn import functional as F

import fmlora_kit as fk
from fmlora_kit.methods import HeadOptions
from fmlora_kit.methods.coda_prompt import KINDS, CODAPrompt, orthonormal_rows

IMAGES = models.noise(6)
SMALL = {"components": 13, "n_tasks": 3, "length": 4, "blocks": (0, 1)}  # four a task


def build(backbone=None, n_classes=9, **options):
    options = {"head": HeadOptions("cosine"), **SMALL, **options}
    return CODAPrompt(models.vit() if backbone is None else backbone, n_classes, **options)


def learned(**options):
    stream, model = models.stream(), build(**options)
    return model, models.learn(model, stream)


def begun(**options):
    """A model that has learned one task, at a high rate, and has begun the next."""
    stream, model = models.stream(), build(**{"lr": 3e-2, **options})
    fk.train_task(model, stream[0], stream, models.BUDGET)
    model.begin_task(stream[1])
    return model, stream[1]


def pool(model):
    """Keys, attentions (blocks, m, d) and prompts (blocks, m, length, d), float64 numpy."""
    k, a, p = (
        np.concatenate([x.detach().double().numpy() for x in model.pool[kind]], axis=1)
        for kind in KINDS
    )
    return k, a, p.reshape(*p.shape[:2], model.length, -1)


def weights_by_hand(model, images):
    """cos(q * A_m, K_m), one image, block and component at a time: (n, blocks, m)."""
    with torch.no_grad():
        x = (torch.tensor(images.transpose(0, 3, 1, 2)) / 255.0 - 0.5) / 0.5
        queries = models.vit()(x).double().numpy()
    keys, attentions, _ = pool(model)
    weights = np.zeros((len(images), *keys.shape[:2]))
    for place in np.ndindex(weights.shape):
        seen, key = queries[place[0]] * attentions[place[1:]], keys[place[1:]]
        weights[place] = seen @ key / np.linalg.norm(seen) / np.linalg.norm(key)
    return weights


def feature_by_hand(model, image):
    weights, prompts = weights_by_hand(model, image[None])[0], pool(model)[2]
    prefixes = {}
    for i, block in enumerate(model.blocks):
        p = sum(w * component for w, component in zip(weights[i], prompts[i], strict=True))
        p = torch.tensor(p, dtype=torch.float32)
        prefixes[block] = p[: model.length // 2], p[model.length // 2 :]
    return models.class_token(model.vit, torch.tensor(image), prefixes)


def gram(rows):
    flat = rows.reshape(*rows.shape[:2], -1)
    return flat @ flat.transpose(0, 2, 1)


def test_published_pool_length_blocks_and_mu():
    model = CODAPrompt(models.vit(depth=5, embed_dim=128), 9)
    card = model.describe()
    chosen = {k: card[k] for k in ("components", "n_tasks", "length", "blocks", "mu")}
    assert chosen == {
        "components": 100,
        "n_tasks": 10,
        "length": 8,
        "blocks": [0, 1, 2, 3, 4],
        "mu": 0.1,
    }
    model.begin_task(models.stream()[0])
    assert model.pool["key"][0].shape == model.pool["attention"][0].shape == (5, 10, 128)
    assert model.pool["prompt"][0].shape == (5, 10, 8 * 128)
    np.testing.assert_allclose(gram(pool(model)[2]), np.eye(10)[None].repeat(5, 0), atol=1e-6)


def test_weights_are_cosines_of_attended_queries_and_keys():
    model, _ = learned(lr=1e-2)
    ours = model.weights(model.query(torch.tensor(IMAGES))).detach()
    assert ours.shape == (6, 2, 12)
    np.testing.assert_allclose(ours, weights_by_hand(model, IMAGES), atol=1e-5)


def test_weights_keep_all_their_digits_in_half_precision():
    model, _ = learned()
    queries = model.query(torch.tensor(IMAGES))
    with torch.autocast("cpu", torch.bfloat16):
        rough = model.weights(queries)
    assert torch.equal(rough, model.weights(queries))


def test_features_are_those_under_the_weighted_sum_of_components():
    model, _ = learned(lr=1e-2)
    with torch.no_grad():
        for p in model.pool["prompt"]:
            p.mul_(10)  # so that the prompt matters
    expected = torch.stack([feature_by_hand(model, image) for image in IMAGES])
    torch.testing.assert_close(model.extract(IMAGES), expected, rtol=1e-4, atol=2e-4)
    nothing = torch.stack(
        [models.class_token(model.vit, torch.tensor(image), {}) for image in IMAGES]
    )
    assert (expected - nothing).abs().max() > 0.1


def test_new_components_are_orthonormal_and_orthogonal_to_trained_ones():
    model, _ = begun()
    for rows in pool(model):
        products = gram(rows)
        assert np.abs(products[:, :4, :4] - np.eye(4)).max() > 1e-2  # trained: they have moved
        np.testing.assert_allclose(products[:, 4:, :4], 0, atol=1e-6)
        np.testing.assert_allclose(products[:, 4:, 4:], np.eye(4)[None].repeat(2, 0), atol=1e-6)


def test_taking_trained_components_out_one_by_one_would_not_be_orthogonal():
    """Textbook Gram-Schmidt is right only as long as earlier components are orthogonal."""
    earlier = torch.randn(5, 20, generator=models.generator(), dtype=torch.float64)
    row = torch.randn(20, generator=models.generator(1), dtype=torch.float64)
    one_by_one = row - sum((row @ e) / (e @ e) * e for e in earlier)
    assert (earlier @ one_by_one).abs().max() > 0.1
    ours = orthonormal_rows(earlier, 3, models.generator(1))
    assert ours.shape == (3, 20) and (earlier @ ours.T).abs().max() < 1e-12
    torch.testing.assert_close(ours @ ours.T, torch.eye(3, dtype=torch.float64))


def test_new_components_are_orthogonal_even_to_earlier_ones_that_fell_together():
    earlier = torch.ones(4, 10, dtype=torch.float64)
    ours = orthonormal_rows(earlier, 6, models.generator())
    assert (earlier @ ours.T).abs().max() < 1e-12


def test_a_full_pool_of_the_width_of_the_backbone_is_orthogonal():
    model = build(components=32, n_tasks=2)
    stream = models.stream()
    fk.train_task(model, stream[0], stream, models.BUDGET)
    model.begin_task(stream[1])
    assert np.abs(gram(pool(model)[0])[:, 16:, :16]).max() < 1e-5


def test_earlier_components_get_no_gradient_and_stay_bit_for_bit():
    stream, model = models.stream(), build()
    kept = []
    for t, task in enumerate(stream):
        result = fk.train_task(model, task, stream, models.BUDGET)
        assert result.n_trainable == 2 * 4 * (32 + 32 + 4 * 32) + 3 * 32
        kept.append([model.pool[kind][t].detach().clone() for kind in KINDS])
    for t, before in enumerate(kept):
        for kind, rows in zip(KINDS, before, strict=True):
            assert torch.equal(model.pool[kind][t], rows) and not model.pool[kind][t].requires_grad
    model, task = begun()
    for p in model.parameters():
        p.grad = None
    model.loss(torch.tensor(task.train_images), torch.tensor(task.train_labels)).backward()
    for kind in KINDS:
        assert model.pool[kind][0].grad is None and model.pool[kind][1].grad.abs().max() > 0
    assert [id(p) for p in model.parts()] == [id(model.pool[kind][1]) for kind in KINDS]


@pytest.mark.parametrize("mu", [0.0, 0.1, 3.0])
def test_the_loss_is_local_cross_entropy_plus_the_orthogonality_of_the_pool(mu):
    model, task = begun(mu=mu)
    images, labels = task.train_images[4:9], task.train_labels[4:9]
    with torch.no_grad():
        model.pool["key"][1].add_(0.2)
        loss = model.loss(torch.tensor(images), torch.tensor(labels)).item()
    features = torch.stack([feature_by_hand(model, image) for image in images])
    rows = model.head.rows.detach()
    logits = (16 * F.normalize(features) @ F.normalize(rows).T).double().numpy()
    logp = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    cross_entropy = -logp[range(5), labels - 3].mean()
    penalty = sum(((gram(rows) - np.eye(8)) ** 2).mean(axis=(1, 2)).sum() for rows in pool(model))
    assert penalty > 0.05
    assert loss == pytest.approx(cross_entropy + mu * penalty, rel=2e-4)


def test_mu_keeps_components_orthogonal():
    off = []
    for mu in (0.0, 30.0):
        model, _ = learned(mu=mu, lr=1e-2)
        products = gram(pool(model)[0])
        off.append(((products - np.eye(12)) ** 2).mean())
    assert off[1] < 0.8 * off[0]


def test_sizes_grow_by_the_components_of_a_task():
    backbone = sum(p.numel() for p in models.vit().parameters())
    _, results = learned()
    own = 2 * 4 * (32 + 32 + 4 * 32)
    assert [r.n_deployed for r in results] == [backbone + 9 * 32 + t * own for t in (1, 2, 3)]
    assert [r.n_training_state for r in results] == [0, 0, 0]


def test_prompts_alone_lower_the_loss_of_every_task():
    stream, model = models.stream(), build(mu=0.0, lr=0.1, head_lr=0.0)
    for task in stream:
        losses = fk.train_task(model, task, stream, fk.Budget(epochs=15, batch_size=16)).losses
        assert losses[-4:].mean() < 0.9 * losses[:4].mean()


def test_a_stream_longer_than_the_pool_is_split_over_is_refused():
    stream, model = models.stream(), build(n_tasks=2)
    for task in stream[:2]:
        fk.train_task(model, task, stream, models.BUDGET)
    with pytest.raises(ValueError, match="n_tasks must be at least .* got 2 and one more task"):
        model.begin_task(stream[2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": (0, 1, 2)}, r"blocks must be blocks of the backbone \(0 to 1\).*\(0, 1, 2\)"),
        ({"length": 5}, "length must be even, got 5"),
        ({"length": 0}, "length must be at least 2, got 0"),
        ({"n_tasks": 0}, "n_tasks must be at least 1, got 0"),
        ({"components": 2}, "components must be between n_tasks 3 and .* width 32 .*, got 2"),
        ({"components": 33}, "components must be between n_tasks 3 and .* width 32 .*, got 33"),
        ({"mu": -0.1}, "mu must be at least 0, got -0.1"),
        ({"mu": float("nan")}, "mu must be a finite number at least 0, got nan"),
        ({"head_lr": -1.0}, "head_lr must be at least 0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)
