"""L2P: prompts chosen for each image on its own, prepended, pooled; and what its keys learn."""

import numpy as np
import pytest
import torch
from helpers import models
from timm.models.vision_transformer import VisionTransformer

import fmlora_kit as fk
from fmlora_kit.adapters.dmp import add_prompt, prompt_of
from fmlora_kit.methods import HeadOptions
from fmlora_kit.methods.l2p import L2P

IMAGES = models.noise(6)


def l2p(backbone=None, n_classes=9, **options):
    """A small pool, and the published head, unless said otherwise."""
    small = {"pool_size": 6, "prompt_length": 2, "top_k": 3, "lr": 5e-3, **options}
    small.setdefault("head", HeadOptions("linear"))
    return L2P(models.vit() if backbone is None else backbone, n_classes, **small)


def pixels(images):
    return (torch.tensor(images.transpose(0, 3, 1, 2)) / 255.0 - 0.5) / 0.5


def chosen_by_hand(model, images):
    """Which prompts, in numpy, from the class token of the plain ViT."""
    with torch.no_grad():
        q = models.vit().forward_features(pixels(images))[:, 0].double().numpy()
    k = model.pool.keys.detach().double().numpy()
    cos = q @ k.T / np.linalg.norm(q, axis=1, keepdims=True) / np.linalg.norm(k, axis=1)
    return np.argsort(-cos, axis=1)[:, : model.pool.top_k], cos


def features_by_hand(model, images, backbone=models.vit):
    """One image at a time, its prompts put in as timm's own register tokens."""
    rows = []
    for image, chosen in zip(pixels(images), model.selection(images), strict=True):
        vit, prompts = backbone(), model.pool.prompts.detach()[chosen].flatten(0, 1)
        first = vit.num_prefix_tokens
        add_prompt(vit, len(prompts), models.generator())
        with torch.no_grad():
            prompt_of(vit, len(prompts)).copy_(prompts)
            outputs = vit.forward_features(image[None])[0, first : first + len(prompts)]
            rows.append(vit.fc_norm(outputs.mean(0)))
    return torch.stack(rows)


def trained(**options):
    stream, model = models.stream(), l2p(**options)
    return model, stream, models.learn(model, stream)


def test_the_published_constants_are_the_defaults():
    card = L2P(models.vit(), 9).describe()
    kept = ("method", "pool_size", "prompt_length", "top_k", "pull")
    assert [card[k] for k in kept] == ["l2p", 10, 5, 5, 0.1]
    assert card["lr"] == 1e-2 and card["head"]["kind"] == "cosine"  # our own


def test_the_query_is_the_class_token_of_the_frozen_vit_without_prompts():
    model, _, _ = trained()
    with torch.no_grad():
        tokens = models.vit().forward_features(pixels(IMAGES))
    torch.testing.assert_close(model.query(torch.tensor(IMAGES)), tokens[:, 0])


def test_the_selection_is_that_of_numpy():
    model, stream, _ = trained()
    for images in (IMAGES, stream[0].train_images):
        np.testing.assert_array_equal(model.selection(images), chosen_by_hand(model, images)[0])


def test_features_are_the_mean_output_of_prompts_behind_the_class_token():
    model, _, _ = trained()
    torch.testing.assert_close(
        model.extract(IMAGES), features_by_hand(model, IMAGES), atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"reg_tokens": 2},
        {"no_embed_class": True},
        {"pos_embed": "none"},
        {"pre_norm": True},
        {"dynamic_img_size": True},
        {"global_pool": "avg"},
        {"global_pool": "avg", "class_token": False},
    ],
)
def test_other_layouts_of_tokens(changes):
    if changes == {"dynamic_img_size": True}:
        model = l2p(models.vit(**changes))  # patches come as a grid; else the same ViT
        torch.testing.assert_close(model.extract(IMAGES), l2p().extract(IMAGES))
        return
    model = l2p(models.vit(**changes))
    by_hand = features_by_hand(model, IMAGES, lambda: models.vit(**changes))
    torch.testing.assert_close(model.extract(IMAGES), by_hand, atol=1e-5, rtol=1e-4)


def test_prompts_are_chosen_per_image_not_by_a_vote_of_the_batch():
    """A known fault: a vote over a test batch, all of one task, tells the model which task it is.

    google-research/l2p issue 28: here an image's company changes neither choice nor prediction.
    """
    model, stream, _ = trained()
    image = stream[0].test_images[:1]
    alone, choice = model.logits(image), model.selection(image)
    seen = set()
    for task in stream:
        batch = np.concatenate([task.test_images, image])
        np.testing.assert_array_equal(model.selection(batch)[-1:], choice)
        np.testing.assert_allclose(model.logits(batch)[-1:], alone, atol=1e-5)
        seen |= {tuple(sorted(row)) for row in model.selection(batch)}
    assert len(seen) > 1  # a vote would give the batch one choice


def test_the_loss_is_local_cross_entropy_minus_the_pull():
    model, stream, task = l2p(), models.stream(), models.stream()[1]
    fk.train_task(model, stream[0], stream, models.BUDGET)
    model.begin_task(task)
    with torch.no_grad():
        model.head.rows += torch.randn(model.head.rows.shape, generator=models.generator())
    loss = model.loss(torch.tensor(task.train_images), torch.tensor(task.train_labels))
    x, w = features_by_hand(model, task.train_images).double(), model.head.rows.detach().double()
    logp = (x @ w.T + model.head.offsets.detach().double()).log_softmax(1)
    entropy = -logp[range(len(x)), task.train_labels - 3].mean().item()
    chosen, cos = chosen_by_hand(model, task.train_images)
    pull = np.take_along_axis(cos, chosen, axis=1).sum(1).mean()
    assert loss.item() == pytest.approx(entropy - 0.1 * pull, rel=1e-4)


def test_keys_learn_from_the_pull_alone_prompts_from_those_who_chose_them():
    task = models.stream()[0]
    for pull in (0.0, 0.1):
        model = l2p(pull=pull)
        model.begin_task(task)
        with torch.no_grad():
            model.head.rows += torch.randn(model.head.rows.shape, generator=models.generator())
        images, labels = torch.tensor(task.train_images[:2]), torch.tensor(task.train_labels[:2])
        model.loss(images, labels).backward()
        chosen = np.unique(model.selection(task.train_images[:2]))
        moved = [j for j in range(6) if model.pool.prompts.grad[j].abs().max() > 0]
        assert moved == chosen.tolist() and len(chosen) < 6
        pulled = [j for j in range(6) if model.pool.keys.grad[j].abs().max() > 0]
        assert pulled == (chosen.tolist() if pull else [])
        assert all(p.grad is None for p in model.vit.parameters())


def test_training_brings_keys_nearer_to_the_tasks_queries():
    stream, model = models.stream(), l2p(lr=2e-2)
    for task in stream:
        before = np.sort(chosen_by_hand(model, task.train_images)[1])[:, -3:].mean()
        fk.train_task(model, task, stream, fk.Budget(epochs=8, batch_size=8))
        assert np.sort(chosen_by_hand(model, task.train_images)[1])[:, -3:].mean() > before + 0.05


def test_no_prompt_is_set_aside_for_a_task():
    stream, model = models.stream(), l2p()
    pools = []
    for task in stream:
        result = fk.train_task(model, task, stream, models.BUDGET)
        pools.append(model.pool.prompts.detach().clone())
        assert result.n_trainable == 6 * 32 + 6 * 2 * 32 + 3 * 33
    second, third = ((a != b).flatten(1).any(dim=1) for a, b in zip(pools, pools[1:], strict=False))
    assert third[torch.tensor(result.state["pool.usage"] > 0)].all()
    assert (second & third).any()  # the same prompts, in task after task


def test_the_use_of_the_pool_is_in_the_record():
    model, stream, results = trained()
    expected = np.bincount(chosen_by_hand(model, stream[2].train_images)[0].ravel(), minlength=6)
    np.testing.assert_array_equal(results[2].state["pool.usage"], expected)
    share = expected[expected > 0] / (24 * 3)
    assert results[2].scalars["prompts_chosen"] == (expected > 0).sum()
    effective = np.prod(share**-share)
    assert results[2].scalars["prompts_effective"] == pytest.approx(effective)
    assert all(r.state["pool.usage"].sum() == 24 * 3 for r in results)


def test_a_collapsed_selection_is_seen():
    stream, model = models.stream(), l2p(lr=0.0)
    with torch.no_grad():
        mean = model.query(torch.tensor(stream[0].train_images)).mean(0)
        model.pool.keys.copy_(-mean.expand(6, -1))
        model.pool.keys[:3] = mean
    result = fk.train_task(model, stream[0], stream, models.BUDGET)
    np.testing.assert_array_equal(result.state["pool.usage"], [24, 24, 24, 0, 0, 0])
    assert result.scalars["prompts_chosen"] == 3
    assert result.scalars["prompts_effective"] == pytest.approx(3)


def test_sizes_by_hand():
    model, _, results = trained()
    backbone = sum(p.numel() for p in models.vit().parameters())
    pool = 6 * 32 + 6 * 2 * 32
    assert {r.n_deployed for r in results} == {backbone + pool + 9 * 33}
    assert model.n_training_state == 0
    results = models.learn(l2p(n_classes=4), models.styles())
    assert {r.n_trainable for r in results} == {pool + 4 * 33}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pull": -0.1}, "pull must be at least 0, got -0.1"),
        ({"pull": float("nan")}, "pull must be a finite number at least 0, got nan"),
        ({"top_k": 7}, "top_k must be at most pool_size 6, got 7"),
        ({"prompt_length": 0}, "prompt_length must be at least 1, got 0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        l2p(**options)


def test_a_vit_with_a_forward_pass_of_its_own_is_refused():
    own = type("Own", (VisionTransformer,), {"forward_features": lambda self, x: x})
    with pytest.raises(ValueError, match="timm's own forward_features, got Own's"):
        l2p(own(img_size=32, patch_size=8, embed_dim=32, depth=1, num_heads=2, num_classes=0))
