"""FM-LoRA on a tiny stream: its three parts do what method.md says, exactly and rebuildably."""

import numpy as np
import pytest
import torch
from helpers import models
from timm.layers import SwiGLU

import fmlora_kit as fk
from fmlora_kit.adapters.flora import BASES
from fmlora_kit.adapters.sites import MAPS, base_weight
from fmlora_kit.methods import HeadOptions

IMAGES = models.noise(6)
STEPS = models.BUDGET.n_steps(24)


def learned(**options):
    stream = models.stream()
    model = models.fmlora(**options)
    return model, models.learn(model, stream)


def test_it_adapts_the_linear_maps_that_there_are():
    model = fk.FMLoRA(models.vit(embed_dim=64, mlp_layer=SwiGLU), 6)
    assert model.flora.maps == ("q", "k", "v", "proj", "fc2")
    assert model.describe()["flora"]["maps"] == model.flora.maps
    models.learn(model, models.stream(2))


def test_by_default_it_learns_on_with_all_maps_and_follows_its_features():
    model = fk.FMLoRA(models.vit(embed_dim=64), 6)
    assert model.flora == fk.FLoRA(
        max_rank=64, alpha=None, bases="task1", protect=0.0, fold=0.25, maps=MAPS, blocks=None
    )
    assert (model.drs, model.dmp, model.step) == (fk.DRS(), fk.DMP(length=4), "difficulty")
    assert model.default_head == HeadOptions("mda", modes=2, max_modes=8, compensate=True)
    stream = models.stream(2)
    record = fk.run(model, stream, models.BUDGET)
    assert record.layers == tuple(f"blocks.{i}.{name}" for i in range(2) for name in MAPS)
    scalars = record.tasks[1].scalars
    share = min(1, scalars["difficulty"] / 0.25)
    assert scalars["outer_step"] == pytest.approx(share * 0.5**0.5)
    back = fk.from_record(record, backbone=models.vit(embed_dim=64))
    np.testing.assert_array_equal(back.logits(IMAGES), model.logits(IMAGES))


@pytest.mark.parametrize("bases", BASES)
@pytest.mark.parametrize("drs", [True, False, fk.DRS(scaling="lora", first_task=False)])
@pytest.mark.parametrize("dmp", [True, False, fk.DMP(length=1, update="slow")])
def test_the_model_is_rebuilt_after_every_task_bit_for_bit(bases, drs, dmp):
    stream = models.stream()
    model = models.fmlora(bases=bases, drs=drs, dmp=dmp, seed=4)
    results, then, predictions = [], [], []
    for task in stream:
        results.append(fk.train_task(model, task, stream, models.BUDGET))
        then.append(model.logits(IMAGES))
        predictions.append(model.logits(task.test_images).argmax(1))
    record = models.record_of(model, stream, results)
    for k, task in enumerate(stream, 1):
        back = fk.from_record(record, k, backbone=models.vit())
        np.testing.assert_array_equal(back.logits(IMAGES), then[k - 1])
        np.testing.assert_array_equal(back.logits(task.test_images).argmax(1), predictions[k - 1])
    again = fk.train_task(
        fk.from_record(record, 2, backbone=models.vit()), stream[2], stream, models.BUDGET
    )
    assert again.same_as(results[2])


@pytest.mark.parametrize("bases", BASES)
def test_the_deployed_weight_is_w0_plus_the_sum_of_the_tasks_pairs(bases):
    model, results = learned(bases=bases, alpha=4.0)
    for site in model.sites:
        a, b = (results[0].state[f"{site.name}.{k}"].astype(float) for k in "ab")
        pairs = [(r.state[f"{site.name}.m"], r.state[f"{site.name}.n"]) for r in results]
        core = sum(m.astype(float) @ n for m, n in pairs)
        delta = 4.0 / 8 * a @ core @ b
        np.testing.assert_allclose(model.updates[site.name].delta(), delta, atol=1e-5)
        np.testing.assert_allclose(a.T @ a, np.eye(8), atol=1e-5)
        assert torch.equal(base_weight(model.vit, site), base_weight(models.vit(), site))
        assert all(np.abs(m).max() > 0 for m, _ in pairs)


def test_pairs_are_as_wide_as_the_ranks_chosen():
    model, results = learned()
    for result in results:
        assert set(result.ranks) <= set(model.candidates)
        for site, r in zip(model.sites, result.ranks, strict=True):
            assert result.state[f"{site.name}.m"].shape == (8, r)
            assert result.state[f"{site.name}.n"].shape == (r, 8)


def test_without_drs_every_task_gets_the_full_rank():
    _, results = learned(drs=False)
    assert all(result.ranks.tolist() == [8] * 4 for result in results)


def test_complexity_drives_the_ranks():
    """A repeated task is not novel: it gets a smaller rank than when it was seen first."""
    task = models.stream()[0]
    again = fk.streams.Stream(
        "twice", "domain-incremental", (task, type(task)(**{**vars(task), "name": "again"})), 0
    )
    results = models.learn(models.fmlora(n_classes=3), again)
    novelty = [r.scalars["novelty"] for r in results]
    assert novelty[0] == 1 and novelty[1] < 0.2
    assert results[1].ranks.mean() < results[0].ranks.mean()
    for result in results:
        both = result.scalars["difficulty"] + result.scalars["novelty"]
        assert result.scalars["complexity"] == pytest.approx(both / 2)


def test_the_rank_penalty_is_in_the_loss_while_ranks_are_chosen():
    task = models.stream()[0]
    images, labels = torch.tensor(task.train_images), torch.tensor(task.train_labels)
    losses, share = {}, None
    for weight in (0.0, 0.7):
        model = models.fmlora(drs=fk.DRS(weight=weight), dmp=False)
        model.begin_task(task)
        losses[weight] = [model.loss(images, labels, p).item() for p in (0.1, 0.9)]
        share = model.selector.expected_share().item()
    assert losses[0.7][0] - losses[0.0][0] == pytest.approx(0.7 * share, rel=1e-4)
    assert losses[0.7][1] == losses[0.0][1]


def test_the_choice_is_fixed_after_the_warm_up():
    stream = models.stream()
    model = models.fmlora(drs=fk.DRS(warm_up=0.5))
    steps = fk.train_steps(model, stream[0], stream, models.BUDGET)
    choices = []
    for step in steps:
        if step.phase == "training" and step.index >= STEPS / 2:
            choices.append([int(u.gates.sum()) for u in model.updates.values()])
    assert len(choices) == STEPS / 2
    assert all(choice == model.ranks for choice in choices)


@pytest.mark.parametrize(("scaling", "power"), [("fixed", 0), ("rslora", 0.5), ("lora", 1)])
@pytest.mark.parametrize("bases", ["task1", "random"])
def test_a_pair_is_scaled_by_its_rank_while_it_learns_and_when_it_is_folded(scaling, power, bases):
    """Open columns are (R/r)^p times as large: what was trained is what is kept."""
    stream = models.stream()
    model = models.fmlora(bases=bases, drs=fk.DRS(scaling=scaling), dmp=False, alpha=4.0)
    for task in stream:
        before = {name: update.delta().detach() for name, update in model.updates.items()}
        for step in fk.train_steps(model, task, stream, models.BUDGET):
            if step.phase == "training":
                learned = {name: u.delta().detach() for name, u in model.updates.items()}
                gates = [u.gates.detach().clone() for u in model.updates.values()]
        for r, gate in zip(model.ranks, gates, strict=True):
            assert gate.tolist() == pytest.approx([(8 / r) ** power] * r + [0] * (8 - r))
        for name, update in model.updates.items():
            step = model.scalars["outer_step"] * (learned[name] - before[name])
            torch.testing.assert_close(update.delta() - before[name], step, rtol=1e-4, atol=1e-6)


def test_a_first_task_without_a_choice_gets_the_full_rank_and_says_so_in_the_record():
    model, results = learned(drs=fk.DRS(first_task=False))
    assert results[0].ranks.tolist() == [8] * 4
    assert min(result.ranks.min() for result in results[1:]) < 8
    assert model.describe()["drs"]["first_task"] is False
    record = models.record_of(model, models.stream(), results)
    assert fk.analysis.rank_table(record).lowest[0] == 8
    first, taken, second, *_ = fk.figures.gate_probabilities(record).data
    assert (len(first.x), taken.y[0]) == (0, 8) and len(second.x) > 0


def test_an_older_record_is_of_pairs_of_a_fixed_scale():
    model, results = learned(drs=fk.DRS(scaling="fixed"))
    assert not {"first_task", "scaling"} & model.describe()["drs"].keys()
    assert models.fmlora().describe()["drs"]["scaling"] == "rslora"
    record = models.record_of(model, models.stream(), results)
    back = fk.from_record(record, backbone=models.vit())
    assert back.drs == model.drs and back.described == model.described


@pytest.mark.parametrize("bases", ["task1", "random"])
def test_later_updates_are_zero_on_protected_directions(bases):
    _, results = learned(bases=bases, protect=0.6)
    protected = 0
    for site in (f"blocks.{i}.{m}" for i in range(2) for m in "qv"):
        for before, after in zip(results, results[1:], strict=False):
            energy, q = np.linalg.eigh(before.state[f"{site}.moment"])
            top = np.searchsorted(np.cumsum(energy[::-1]) / energy.sum(), 0.6) + 1
            n = after.state[f"{site}.n"]
            assert np.abs(n @ q[:, -top:]).max() < 1e-5 * np.abs(n).max()
            assert top == 8 or np.abs(n @ q[:, :-top]).max() > 1e-2 * np.abs(n).max()
            protected += top
    assert protected >= 8


def test_moments_are_kept_only_to_protect():
    kept = {}
    for protect in (0.0, 0.5):
        model, results = learned(protect=protect)
        kept[protect] = results[1].n_training_state
        names = {f"{name}.moment" for name in model.layers}
        assert names & results[1].state.keys() == (names if protect else set())
        assert ("second moments" in model.describe()["stores"]) == (protect > 0)
    assert kept[0.5] - kept[0.0] == 2 * 2 * 8 * 8  # blocks, maps, R x R


def test_moments_are_of_what_the_bases_see_averaged_over_tasks():
    stream = models.stream()
    model = models.fmlora(bases="random", maps=("q",), protect=0.5)
    expected = torch.zeros(8, 8, dtype=torch.float64)
    for t, task in enumerate(stream, 1):
        fk.train_task(model, task, stream, models.BUDGET)
        x = (torch.tensor(task.train_images).permute(0, 3, 1, 2) / 255 - 0.5) / 0.5
        with torch.no_grad():
            tokens = model.vit.blocks[0].norm1(model.vit._pos_embed(model.vit.patch_embed(x)))
        z = tokens.reshape(-1, 32).double() @ model.updates["blocks.0.q"].b.T.double()
        expected += (z.T @ z / len(z) - expected) / t
        torch.testing.assert_close(model.moments["blocks.0.q"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bases", BASES)
def test_the_outer_steps_of_prompt_and_core(bases):
    """Of "parts", with an LDA head, at the end: P + eta novelty (P_t - P), fold * M_t."""
    stream = models.stream()
    options = {"step": "parts", "fold": 0.25, "dmp": fk.DMP(length=2, eta=0.5)}
    model = models.fmlora(bases=bases, drs=False, head=HeadOptions("lda"), **options)
    for t, task in enumerate(stream):
        before = model.prompt.detach().clone()
        steps = fk.train_steps(model, task, stream, models.BUDGET)
        assert models.advance(steps, STEPS).index == STEPS - 1
        fast = model.prompt.detach().clone()
        pair = model.updates["blocks.1.v"].m.detach().clone()
        assert (fast - before).abs().min() > 0
        assert {step.phase for step in steps} == {"finishing", "testing"}
        state = model.snapshot()
        eta = 1.0 if t == 0 else 0.5 * model.scalars["novelty"]
        torch.testing.assert_close(model.prompt.detach(), before + eta * (fast - before))
        np.testing.assert_array_equal(state["prompt"], model.prompt.detach())
        shift = (model.prompt.detach() - before).norm() / before.norm()
        assert model.scalars["prompt_shift"] == pytest.approx(shift.item(), rel=1e-4)
        if t > 0 or bases != "task1":
            by_hand = pair * (0.25 if t else 1.0)
            np.testing.assert_allclose(state["blocks.1.v.m"], by_hand, atol=1e-7)


@pytest.mark.parametrize("head", ["cosine", "linear"])
def test_a_trained_head_trains_on_with_what_testing_uses(head):
    """After 0.7 of the steps core and prompt are as they will be deployed; only rows move."""
    stream, budget = models.stream(), fk.Budget(epochs=10, batch_size=24)
    model = models.fmlora(head=HeadOptions(head))
    for task in stream:
        seen = []
        for step in fk.train_steps(model, task, stream, budget):
            if step.phase != "training":
                continue
            parts = [p.detach().clone() for p in (model.prompt, *model.parts())]
            seen.append((parts, model.head.rows.detach().clone(), model.extract(IMAGES)))
        prompts = [parts[0] for parts, _, _ in seen]
        assert not torch.equal(prompts[0], prompts[1])
        for x, y in zip(seen[9][0], seen[7][0], strict=True):
            assert torch.equal(x, y)
        assert not torch.equal(seen[9][1], seen[7][1])
        assert torch.equal(model.prompt, prompts[9])
        torch.testing.assert_close(model.extract(IMAGES), seen[9][2], atol=1e-4, rtol=1e-3)


def test_a_slow_prompt_trains_at_a_reduced_rate_and_is_pulled_back():
    stream = models.stream()
    shifts = {}
    for pull, eta in ((0.0, 0.5), (300.0, 0.5), (0.0, 0.01)):
        model = models.fmlora(dmp=fk.DMP(length=2, update="slow", eta=eta, pull=pull), drs=False)
        fk.train_task(model, stream[0], stream, models.BUDGET)
        before = model.prompt.detach().clone()
        fk.train_task(model, stream[1], stream, models.BUDGET)
        shifts[pull, eta] = (model.prompt.detach() - before).norm().item()
    assert 0 < shifts[300.0, 0.5] < shifts[0.0, 0.5]
    assert 0 < shifts[0.0, 0.01] < shifts[0.0, 0.5] / 10


@pytest.mark.parametrize(
    "changes",
    [
        {"reg_tokens": 2},
        {"class_token": False, "global_pool": "avg"},
        {"qk_norm": True, "init_values": 0.1},
        {"no_embed_class": True, "pre_norm": True},
    ],
)
def test_other_kinds_of_timm_vit(changes):
    stream, backbone = models.stream(), models.vit(**changes)
    model = models.fmlora(backbone)
    results = models.learn(model, stream)
    assert results[0].losses[-1] < results[0].losses[0]
    if "reg_tokens" in changes:
        assert torch.equal(model.vit.reg_token[:, :2], backbone.reg_token)
    logits = model.logits(IMAGES)
    model.merge()
    np.testing.assert_allclose(model.logits(IMAGES), logits, atol=1e-3, rtol=1e-4)


def test_a_timm_vit_by_name():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, 224, 224, 3), dtype=np.uint8)
    task = fk.streams.Task(
        "big", (0, 1), ("a", "b"), images, np.array([0, 1] * 2), images[:2], np.array([0, 1])
    )
    stream = fk.streams.Stream("big", "class-incremental", (task,), 0)
    model = models.fmlora(fk.load_backbone("vit_tiny_patch16_224", pretrained=False), 2)
    result = fk.train_task(model, task, stream, fk.Budget(epochs=1, batch_size=4))
    assert len(model.layers) == 24 and len(result.losses) == 1
    assert np.isfinite(model.logits(images)).all()


BAD = {
    "bases": (lambda: fk.FLoRA(bases="svd"), "bases must be one of .*'svd'"),
    "protect": (lambda: fk.FLoRA(protect=1.2), "protect must be between 0 and 1, got 1.2"),
    "fold": (lambda: fk.FLoRA(fold=-1), "fold must be between 0 and 1, got -1"),
    "rank": (lambda: models.fmlora(max_rank=33), "max_rank must be .* width 32, got 33"),
    "scaling": (
        lambda: fk.DRS(scaling="r"),
        r"scaling must be one of \('fixed', 'rslora', 'lora'\), got 'r'",
    ),
    "rank 0": (lambda: models.fmlora(max_rank=0, drs=False), "max_rank must be .* got 0"),
    "falling": (
        lambda: models.fmlora(drs=fk.DRS(candidates=(4, 2, 8))),
        "candidates must be ranks that rise strictly",
    ),
    "end": (
        lambda: models.fmlora(drs=fk.DRS(candidates=(2, 4))),
        r"end at max_rank 8, got \(2, 4\)",
    ),
    "weight": (lambda: fk.DRS(weight=-0.1), "weight must be at least 0, got -0.1"),
    "warm_up": (lambda: fk.DRS(warm_up=1.5), "warm_up must be between 0 and 1, got 1.5"),
    "cold": (
        lambda: fk.DRS(temperatures=(1.0, 0.0)),
        r"temperatures\[1\] must be above 0, got 0",
    ),
    "update": (lambda: fk.DMP(update="fast"), "update must be one of .*'fast'"),
    "length": (lambda: fk.DMP(length=0), "length must be at least 1, got 0"),
    "eta": (lambda: fk.DMP(eta=1.1), "eta must be between 0 and 1, got 1.1"),
    "pull": (lambda: fk.DMP(pull=-1), "pull must be at least 0, got -1"),
    "map": (lambda: models.fmlora(maps=("w",)), "maps must be among .*'w'"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_options_are_refused_by_name_rule_and_value(what):
    build, message = BAD[what]
    with pytest.raises(ValueError, match=message):
        build()
