"""InfLoRA: new updates keep out of old inputs' directions, and all of them are evaluated."""

import numpy as np
import pytest
import torch
from helpers import models
from torch.nn import functional as F

import fmlora_kit as fk
from fmlora_kit.adapters.sites import base_weight
from fmlora_kit.methods import HeadOptions
from fmlora_kit.methods.inflora import InfLoRA

IMAGES = models.noise(6)
BUDGET = models.BUDGET


def build(backbone=None, n_classes=9, **options):
    small = {"rank": 4, "n_tasks": 3, "threshold": 0.5, "head": HeadOptions("cosine")}
    options = {**small, **options}
    return InfLoRA(models.vit() if backbone is None else backbone, n_classes, **options)


def moments_by_hand(model, images):
    """Mean x x^T of what the first norm of each block gives out, from a plain ViT."""
    vit = model.to_timm()
    x = torch.tensor(images.transpose(0, 3, 1, 2)).to(model.pixel_mean) / 255
    moments = []
    with torch.no_grad():
        tokens = vit._pos_embed(vit.patch_embed((x - 0.5) / 0.5))
        for block in vit.blocks:
            z = block.norm1(tokens).reshape(-1, 32).double().numpy()
            moments.append(z.T @ z / len(z))
            tokens = block(tokens)
    return moments


def test_defaults_are_the_published_ones_but_for_rate_and_head():
    model = InfLoRA(models.vit(), 9)
    assert (model.rank, model.threshold, model.n_tasks) == (10, 0.95, 10)
    assert (model.lr, model.head.kind) == (5e-3, "lda")  # ours
    assert model.layers == ("blocks.0.k", "blocks.0.v", "blocks.1.k", "blocks.1.v")
    assert all(u.total.shape == (32, 32) for u in model.updates.values())


def test_a_is_the_projected_moments_leading_directions_over_the_root_of_three():
    stream, model = models.stream(), build(models.vit().double())
    for task in stream[:2]:
        fk.train_task(model, task, stream, BUDGET)
    moments = moments_by_hand(model, stream[2].train_images)
    memories = {path: memory.old.numpy() for path, memory in model.memories.items()}
    model.begin_task(stream[2])
    for i, x in enumerate(moments):
        old = memories[f"blocks.{i}.attn.qkv"]
        assert 0 < old.shape[1] < 28
        u = np.linalg.svd(x - old @ old.T @ x)[0][:, :4]
        for name in (f"blocks.{i}.k", f"blocks.{i}.v"):
            a = model.updates[name].a.numpy()
            np.testing.assert_allclose(a @ a.T, np.eye(4) / 3, atol=1e-12)
            np.testing.assert_allclose(np.abs(np.diag(a @ u)), 1 / np.sqrt(3), atol=1e-8)
            assert model.updates[name].b.shape == (32, 4) and model.updates[name].b.abs().max() == 0


def test_the_first_a_holds_the_top_directions_of_the_inputs():
    model, task = build(models.vit().double()), models.stream()[0]
    model.begin_task(task)
    for i, x in enumerate(moments_by_hand(build(models.vit().double()), task.train_images)):
        u = np.linalg.eigh(x)[1][:, ::-1][:, :4]
        a = model.updates[f"blocks.{i}.v"].a.numpy()
        np.testing.assert_allclose(np.abs(a @ u), np.eye(4) / np.sqrt(3), atol=1e-8)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_inputs_in_the_memory_are_mapped_as_before(dtype, tolerance):
    stream, model = models.stream(), build(models.vit().to(dtype), lr=0.05)
    for task in stream:
        before = {n: u.total.clone() for n, u in model.updates.items()}
        old = {path: memory.old.to(dtype) for path, memory in model.memories.items()}
        fk.train_task(model, task, stream, BUDGET)
        for site in model.sites:
            change = model.updates[site.name].total - before[site.name]
            weights = torch.randn(old[site.path].shape[1], 5, generator=models.generator())
            x = old[site.path] @ weights.to(dtype)
            assert change.norm() > 0.05
            assert model.n_tasks_done == 1 or x.norm() > 1
            assert x.numel() == 0 or (change @ x).abs().max() < tolerance
            other = torch.randn(32, 5, generator=models.generator()).to(dtype)
            assert (change @ other).abs().max() > 0.01


def test_the_memory_holds_the_share_of_every_task():
    stream, model = models.stream(), build(models.vit().double(), threshold=0.9, n_tasks=4)
    for t, task in enumerate(stream):
        result = fk.train_task(model, task, stream, BUDGET)
        share = 0.9 + 0.1 * t / 4
        assert result.scalars["threshold"] == pytest.approx(share)
        for i, x in enumerate(moments_by_hand(model, task.train_images)):
            old = model.memories[f"blocks.{i}.attn.qkv"].old.numpy()
            held = np.linalg.norm(old.T @ x) ** 2 / np.linalg.norm(x) ** 2
            u = np.linalg.svd(old.T @ x)[0]
            less = np.linalg.norm(u[:, :-1].T @ old.T @ x) ** 2 / np.linalg.norm(x) ** 2
            assert held >= share - 1e-9
            assert t or less < share
    taken = [m.old.shape[1] / 32 for m in model.memories.values()]
    assert result.scalars["memory_share"] == pytest.approx(np.mean(taken))


def test_only_b_and_the_head_rows_are_trained():
    stream, model = models.stream(), build()
    first = fk.train_task(model, stream[0], stream, BUDGET)
    assert first.n_trainable == 4 * 32 * 4 + 3 * 32
    model.begin_task(stream[1])
    trained = {id(p) for group in model.parameter_groups() for p in group["params"]}
    assert trained == {id(u.b) for u in model.updates.values()} | {id(model.head.rows)}
    loss = model.loss(torch.tensor(stream[1].train_images), torch.tensor(stream[1].train_labels))
    loss.backward()
    assert all(p.grad is None for n, p in model.vit.named_parameters() if not n.endswith(".b"))
    assert all(u.b.grad.abs().max() > 0 for u in model.updates.values())


def test_the_sum_of_all_branches_is_what_is_evaluated():
    """The named fault: evaluation that drops earlier tasks' terms."""
    stream, model = models.stream(), build(models.vit().double())
    results = models.learn(model, stream)
    plain = models.vit().double()
    for site in model.sites:
        rows = site.rows
        total = sum(r.state[f"{site.name}.b"] @ r.state[f"{site.name}.a"] for r in results)
        assert np.linalg.norm(total) > np.linalg.norm(
            results[-1].state[f"{site.name}.b"] @ results[-1].state[f"{site.name}.a"]
        )
        np.testing.assert_allclose(model.updates[site.name].total, total, atol=1e-14)
        weight = plain.get_submodule(site.path).weight
        with torch.no_grad():
            weight[rows] += torch.from_numpy(total)
    x = torch.tensor(IMAGES.transpose(0, 3, 1, 2)).double() / 255
    with torch.no_grad():
        features = F.normalize(plain((x - 0.5) / 0.5))
    logits = 16 * features @ F.normalize(model.head.weight).T
    np.testing.assert_allclose(model.logits(IMAGES), logits, atol=1e-9)


def test_the_branch_in_training_and_the_folded_one_are_the_same_map():
    stream, model = models.stream(), build(models.vit().double(), lr=0.05)
    model.begin_task(stream[0])
    with torch.no_grad():
        for update in model.updates.values():
            update.b += torch.randn(32, 4, generator=models.generator()).double()
    open_features = model.extract(IMAGES)
    plain = model.to_timm()
    model.end_task(stream[0])
    torch.testing.assert_close(model.extract(IMAGES), open_features, atol=1e-10, rtol=0)
    torch.testing.assert_close(
        base_weight(plain, model.sites[1]),
        base_weight(model.to_timm(), model.sites[1]),
        atol=1e-12,
        rtol=0,
    )


def test_sizes():
    stream, model = models.stream(), build()
    backbone = sum(p.numel() for p in models.vit().parameters())
    for result in models.learn(model, stream):
        assert result.n_deployed == backbone + 9 * 32
        bases = [v.size for k, v in result.state.items() if k.endswith((".old", ".free"))]
        assert len(bases) == 2 and result.n_training_state == sum(bases) <= 2 * 32 * 16
    assert sum(p.numel() for p in model.to_timm().parameters()) == backbone


def test_with_lambda_one_the_memory_is_full_in_the_end_and_nothing_is_free():
    stream, model = models.stream(), build(threshold=1.0)
    results = models.learn(model, stream)
    assert results[2].state["blocks.1.attn.qkv.free"].shape == (32, 0)


def test_other_maps_have_memories_of_their_own():
    stream, model = models.stream(), build(maps=("q", "k", "proj", "fc2"))
    models.learn(model, stream)
    widths = {p: len(m.basis) for p, m in model.memories.items() if p.startswith("blocks.1")}
    assert widths == {"blocks.1.attn.qkv": 32, "blocks.1.attn.proj": 32, "blocks.1.mlp.fc2": 128}


def test_a_task_too_many_is_refused():
    stream, model = models.stream(), build(n_tasks=2)
    for task in stream[:2]:
        fk.train_task(model, task, stream, BUDGET)
    with pytest.raises(
        ValueError,
        match="n_tasks must be at least the stream's number of tasks, got 2 and one more task",
    ):
        model.begin_task(stream[2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 0}, "rank must be at least 1, got 0"),
        ({"rank": 33}, "rank must be .* got 33"),
        ({"threshold": 1.1}, "threshold must be between 0 and 1, got 1.1"),
        ({"threshold": float("nan")}, "threshold must be a finite number between 0 and 1, got nan"),
        ({"n_tasks": 0}, "n_tasks must be at least 1, got 0"),
        ({"maps": ("w",)}, "maps must be among .*'w'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)
