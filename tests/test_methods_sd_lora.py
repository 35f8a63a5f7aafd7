"""SD-LoRA (arXiv 2501.13198): its formula, and what is shared, frozen and reset."""

import numpy as np
import pytest
import torch
from helpers import models

import fmlora_kit as fk
from fmlora_kit.adapters.updates import DecoupledUpdate, Magnitudes
from fmlora_kit.analysis.accuracy import forgetting_max
from fmlora_kit.methods.sd_lora import SDLoRA, SDLoRARR
from fmlora_kit.training import Budget
from fmlora_kit.training.rebuild import replay

IMAGES = models.noise(6)
SITES = ("blocks.0.q", "blocks.0.v", "blocks.1.q", "blocks.1.v")


def build(cls=SDLoRA, backbone=None, n_classes=9, **options):
    options = {"rank": 4, "lr": 5e-3, **options}
    return cls(models.vit() if backbone is None else backbone, n_classes, **options)


@pytest.fixture(scope="module")
def finished():
    stream, model = models.stream(), build()
    return model, models.record_of(model, stream, models.learn(model, stream))


def update_by_hand(states, site, terms=None):
    """Delta_t of one map from the records of tasks 1..t, in numpy float64; `terms`: which j."""
    magnitudes, t = states[-1]["magnitudes"].astype(np.float64), len(states)
    total = 0
    for j, state in enumerate(states) if terms is None else [(j, states[j]) for j in terms]:
        a, b = (state[f"{site}.{part}"].astype(np.float64) for part in "ab")
        norm = 1 if j == t - 1 else np.sqrt((a**2).sum()) * np.sqrt((b**2).sum())
        total = total + magnitudes[j] * (a @ b) / norm
    return total


def plain_vit_by_hand(states, terms=None):
    """A plain ViT whose q and v weights hold the update."""
    vit = models.vit()
    for site in SITES:
        block, kind = int(site.split(".")[1]), site[-1]
        rows = slice(0, 32) if kind == "q" else slice(64, 96)
        delta = torch.from_numpy(update_by_hand(states, site, terms)).float()
        with torch.no_grad():
            vit.blocks[block].attn.qkv.weight[rows] += delta
    return vit


def features_by_hand(vit):
    with torch.no_grad():
        return vit((torch.tensor(IMAGES.transpose(0, 3, 1, 2)) / 255 - 0.5) / 0.5)


# --- the formula ---------------------------------------------------------------------------------
@pytest.mark.parametrize("t", [1, 2, 3])
def test_the_update_after_each_task_is_the_papers_sum(finished, t):
    _, record = finished
    model = build()
    replay(model, record, t)
    states = [task.state for task in record.tasks[:t]]
    for site in SITES:
        delta = model.updates[site].delta().detach().numpy()
        np.testing.assert_allclose(delta, update_by_hand(states, site), atol=1e-6)
        x = torch.randn(5, 32, generator=models.generator())
        np.testing.assert_allclose(
            model.updates[site](x).detach().numpy(), x.numpy() @ delta.T, atol=1e-5
        )


def test_evaluation_keeps_the_terms_of_earlier_tasks(finished):
    """Public evaluation code overwrites the sum by the current task's term alone."""
    model, record = finished
    states = [task.state for task in record.tasks]
    features = model.extract(IMAGES)
    torch.testing.assert_close(
        features, features_by_hand(plain_vit_by_hand(states)), atol=5e-5, rtol=0
    )
    current_alone = features_by_hand(plain_vit_by_hand(states, terms=[2]))
    assert (features - current_alone).abs().max() > 0.01
    evaluated = fk.training.loop.evaluate(model, models.stream()[0])
    np.testing.assert_array_equal(
        evaluated.predictions, model.logits(models.stream()[0].test_images).argmax(1)
    )


def test_the_first_task_is_lora_with_the_magnitude_as_its_scale():
    """W0 + alpha_1 A_1 B_1 is LoRA with alpha / r = alpha_1."""
    stream, model = models.stream(), build()
    fk.train_task(model, stream[0], stream, models.BUDGET)
    alpha = float(model.magnitudes.values[0])
    assert alpha != pytest.approx(0.8, abs=1e-4)
    lora = fk.SequentialLoRA(models.vit(), 9, rank=4, alpha=alpha * 4)
    with torch.no_grad():
        for name, update in lora.updates.items():
            update.a.copy_(model.updates[name].a)
            update.b.copy_(model.updates[name].b)
    torch.testing.assert_close(lora.extract(IMAGES), model.extract(IMAGES), atol=1e-6, rtol=1e-5)


def test_one_task_with_fixed_magnitude_trains_as_lora_of_scale_0_8_does():
    stream, budget = models.stream(), Budget(epochs=3, batch_size=16, clip=1e9)
    model = build(magnitude_lr=0.0)
    lora = fk.SequentialLoRA(models.vit(), 9, rank=4, alpha=0.8 * 4, lr=5e-3)
    start = model.generator(0, 0)
    with torch.no_grad():
        for update in lora.updates.values():
            bound = 1 / np.sqrt(32)
            update.b.copy_(torch.rand(4, 32, generator=start) * 2 * bound - bound)
    mine = fk.train_task(model, stream[0], stream, budget)
    theirs = fk.train_task(lora, stream[0], stream, budget)
    np.testing.assert_allclose(mine.losses, theirs.losses, rtol=1e-4)
    assert mine.losses[-1] < mine.losses[0]
    np.testing.assert_allclose(model.logits(IMAGES), lora.logits(IMAGES), atol=1e-3)


# --- magnitudes ----------------------------------------------------------------------------------
def test_one_magnitude_per_task_is_shared_by_all_maps_and_reset_to_0_8():
    stream, model = models.stream(), build()
    for t, task in enumerate(stream, 1):
        model.begin_task(task)
        assert model.magnitudes.values.tolist() == pytest.approx([0.8] * t)
        assert {id(u.magnitudes.values) for u in model.updates.values()} == {
            id(model.magnitudes.values)
        }
        model.end_task(task)


def test_all_magnitudes_are_trained_on_every_task(finished):
    _, record = finished
    for t, task in enumerate(record.tasks, 1):
        magnitudes = task.state["magnitudes"]
        assert magnitudes.shape == (t,) and (np.abs(magnitudes - 0.8) > 1e-4).all()
    assert [task.n_trainable for task in record.tasks] == [4 * 256 + 96 + t for t in (1, 2, 3)]


def test_the_gradient_reaches_the_current_pair_and_every_magnitude_alone(finished):
    _, record = finished
    model = build()
    replay(model, record, 2)
    task = models.stream()[2]
    model.begin_task(task)
    model.loss(torch.tensor(task.train_images), torch.tensor(task.train_labels)).backward()
    reached = {name for name, p in model.named_parameters() if p.grad is not None}
    assert {name.rsplit(".", 1)[1] for name in reached} == {"a", "b", "values", "rows"}
    assert (model.magnitudes.values.grad[:2] != 0).all()
    assert model.magnitudes.values.grad[2] == 0  # A_t is zero at the start


def test_earlier_pairs_stay_as_they_were_trained_but_for_their_norm(finished):
    model, record = finished
    for site in SITES:
        update, done = model.updates[site], 0
        for task in record.tasks[:2]:
            a, b = task.state[f"{site}.a"], task.state[f"{site}.b"]
            unit = a / (np.linalg.norm(a) * np.linalg.norm(b))
            np.testing.assert_allclose(update.past_a[:, done : done + 4], unit, rtol=1e-5)
            np.testing.assert_array_equal(update.past_b[done : done + 4], b)
            done += 4
        assert update.past_a.shape == (32, 8) and not update.past_a.requires_grad


def test_published_constants():
    card = SDLoRA(models.vit(), 9).describe()
    assert (card["rank"], card["magnitude"], card["maps"]) == (10, 0.8, ["q", "v"])
    assert (card["later_ranks"], card["magnitude_lr"]) == ([], None)
    reduced = SDLoRARR(models.vit(), 9).describe()
    assert (reduced["rank"], reduced["later_ranks"], reduced["tasks_per_rank"]) == (10, [8, 6], 4)


# --- many tasks ----------------------------------------------------------------------------------
def test_no_number_of_tasks_is_built_in():
    """Public code has 20 slots for earlier tasks."""
    magnitudes = Magnitudes()
    update = DecoupledUpdate(6, 5, magnitudes)
    assert torch.equal(update.delta(), torch.zeros(5, 6))
    assert torch.equal(update(torch.ones(2, 3, 6)), torch.zeros(2, 3, 5))
    draw, expected = models.generator(), torch.zeros(5, 6)
    for t in range(25):
        magnitudes.open(0.8)
        update.open(2, draw)
        with torch.no_grad():
            update.a.copy_(torch.randn(5, 2, generator=draw))
            magnitudes.values.copy_(torch.arange(t + 1.0))
        if t < 24:
            expected += t * update.a @ update.b / (update.a.norm() * update.b.norm())
    expected += 24 * update.a @ update.b
    torch.testing.assert_close(update.delta(), expected)


def test_later_ranks_are_smaller_in_the_reduced_variant():
    model, ranks = SDLoRARR(models.vit(), 9), []
    for t in range(12):
        model.n_tasks_done = t
        ranks.append(model.next_rank)
    assert ranks == [10] * 4 + [8] * 4 + [6] * 4
    plain = SDLoRA(models.vit(), 9)
    plain.n_tasks_done = 30
    assert plain.next_rank == 10


def test_size_grows_with_the_tasks_and_less_so_with_smaller_ranks():
    """Measured: 4 maps x r (32 + 32) numbers and one magnitude more with every task."""
    stream = models.stream()
    base = sum(p.numel() for p in models.vit().parameters()) + 9 * 32
    full = [r.n_deployed for r in models.learn(build(), stream)]
    assert full == [base + t * (4 * 4 * 64 + 1) for t in (1, 2, 3)]
    reduced = build(later_ranks=(2, 1), tasks_per_rank=1)
    results = models.learn(reduced, stream)
    assert [r.n_deployed for r in results] == [
        base + r * 4 * 64 + t for t, r in ((1, 4), (2, 6), (3, 7))
    ]
    assert [r.ranks.tolist() for r in results] == [[4] * 4, [2] * 4, [1] * 4]
    assert {r.n_training_state for r in results} == {0}
    stored = sum(p.numel() for p in reduced.vit.parameters()) + 9 * 32
    stored += sum(u.past_a.numel() + u.past_b.numel() for u in reduced.updates.values())
    assert results[-1].n_deployed == stored


def test_forgetting_of_more_than_ten_tasks_is_in_number_order():
    """Public code sorts tasks as text: "10" before "2"."""
    n, rng = 12, np.random.default_rng(0)
    accuracy = np.where(np.tri(n, dtype=bool), rng.random((n, n)), np.nan)
    falls = [max(accuracy[i : n - 1, i]) - accuracy[n - 1, i] for i in range(n - 1)]
    assert forgetting_max(accuracy) == pytest.approx(np.mean(falls))
    last_as_text = max(range(n), key=str)
    assert last_as_text == 9
    wrong = [max(accuracy[i:9, i]) - accuracy[9, i] for i in range(9)]
    assert abs(np.mean(wrong) - np.mean(falls)) > 0.01


# --- edges ---------------------------------------------------------------------------------------
def test_a_pair_that_was_not_trained_has_no_direction():
    stream, model = models.stream(), build(lr=0.0)
    results = models.learn(model, stream)
    assert all(np.isfinite(r.losses).all() for r in results)
    torch.testing.assert_close(model.extract(IMAGES), features_by_hand(models.vit()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 33}, "rank must be between 1 and the layer's width 32, got 33"),
        ({"rank": 0}, "rank must be .* got 0"),
        ({"later_ranks": (8,)}, r"later_ranks must .*not grow from rank on, got \(8,\) after 4"),
        ({"later_ranks": (3, 0)}, r"later_ranks must be at least 1 .*got \(3, 0\)"),
        ({"tasks_per_rank": 0}, "tasks_per_rank must be at least 1, got 0"),
        ({"magnitude": 0.0}, "magnitude must be above 0, got 0.0"),
        ({"magnitude_lr": -1.0}, "magnitude_lr must be at least 0, or None, got -1.0"),
        ({"maps": ("w",)}, "maps must be among .*'w'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)
