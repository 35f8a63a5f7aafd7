"""The sides of the bench: the limit, methods at their k-th task, and what a step costs."""

from contextlib import nullcontext
from functools import cache
from importlib.util import find_spec

import pytest
import torch
from helpers import models
from timm.models.vision_transformer import VisionTransformer

from fmlora_kit.commands.bench_measure import flops, peak_bytes
from fmlora_kit.commands.bench_sides import (
    LIMIT,
    MEASURED,
    NO_STEP,
    PEFT_ALL,
    PEFT_WIDE,
    SAME_STEP,
    SHORT_LIMIT,
    SMALL,
    SMALL_NO_PROMPT,
    VARIANTS,
    classes_of,
    few_images,
    make_sides,
    merged,
)
from fmlora_kit.methods import METHODS

CPU = torch.device("cpu")
BATCH, TOKENS, D, R, DEPTH = 1, 197, 768, 32, 2
# Without a prompt nothing trains before the first fused map: its input has no gradient taken.
SAVED = 2 * BATCH * TOKENS * D * 3 * D

needs_peft = pytest.mark.skipif(not find_spec("peft"), reason="peft is optional")


def sides_of(backbone, tasks, batch_size=2):
    """The sides by their keys."""
    made = make_sides(backbone, tasks, batch_size=batch_size, device=CPU, precision=nullcontext)
    return {side.key: side for side in made}


@cache
def wide():
    """Two blocks of a ViT-B/16 at 224 pixels, and sides on it."""
    torch.manual_seed(0)
    vit = VisionTransformer(depth=DEPTH, num_heads=12, embed_dim=D, num_classes=0).eval()
    tasks = {LIMIT: (1,), SHORT_LIMIT: (1,), SMALL_NO_PROMPT: (1, 2, 50), SMALL: (1, 50)}
    tasks["fmlora"] = (1, 2)
    if find_spec("peft"):
        tasks |= {PEFT_WIDE: (1,), PEFT_ALL: (1,)}
    return vit.requires_grad_(False), sides_of(vit, tasks, BATCH)


@cache
def counted(key):
    return flops(wide()[1][key].step)


def test_every_method_is_measured_or_said_to_need_no_measurement():
    assert {*MEASURED, *SAME_STEP, *NO_STEP} == {*METHODS, *VARIANTS}


@pytest.mark.parametrize("name", MEASURED)
def test_each_method_is_in_the_middle_of_its_task_and_takes_a_step(name):
    sides = sides_of(models.vit(depth=5, embed_dim=64), {name: (1, 3)})
    assert list(sides) == [f"{name}@1", f"{name}@3"]
    for side in sides.values():
        assert side.model.n_tasks_done == side.task - 1
        assert side.model.head.current == list(classes_of(side.task))
        before = side.model.head.rows.detach().clone()
        side.step()
        assert not torch.equal(side.model.head.rows, before)


def test_what_grows_has_grown():
    sides = sides_of(
        models.vit(depth=5), {"sd_lora": (1, 4), "task_lora": (4,), "dualprompt": (4,)}
    )
    assert [len(sides[f"sd_lora@{k}"].model.magnitudes.values) for k in (1, 4)] == [1, 4]
    update = sides["sd_lora@4"].model.updates["blocks.0.q"]
    assert update.past_a.shape == (32, 30) and update.past_a.abs().sum() > 0
    assert len(sides["task_lora@4"].model.updates["blocks.0.q"].tasks) == 4
    assert len(sides["dualprompt@4"].model.own) == 4


def test_fmlora_learns_its_bases_on_the_first_task_and_a_pair_of_full_rank_later():
    sides = wide()[1]
    first, last = (sides[f"{SMALL_NO_PROMPT}@{k}"].model.updates["blocks.1.v"] for k in (1, 50))
    assert first.learning_bases and first.b.requires_grad and first.m.numel() == 0
    assert not last.learning_bases and not last.b.requires_grad
    assert last.m.shape == (R, R) and last.n.shape == (R, R)
    assert len(sides[f"{SMALL}@50"].model.subspaces) == 49


def test_the_limit_goes_back_through_every_block_and_trains_the_head_alone():
    side = sides_of(models.vit(), {LIMIT: (1,)})[f"{LIMIT}@1"]
    reached = []
    for block in side.model.vit.blocks:
        block.register_full_backward_hook(lambda m, into, out: reached.append(into[0] is not None))
    side.step()
    assert reached == [True, True]
    trained = [name for name, p in side.model.named_parameters() if p.grad is not None]
    assert trained == ["head.rows"]


def test_frozen_weights_are_the_backbones_own_and_trained_ones_are_not():
    vit = models.vit()
    pointers = {p.untyped_storage().data_ptr() for p in vit.parameters()}
    sides = sides_of(vit, {"sequential_lora": (1,), "full_finetuning": (1,)})
    lora = sides["sequential_lora@1"].model
    frozen = [p for p in lora.vit.parameters() if not p.requires_grad]
    assert len(frozen) == len(pointers)
    assert {p.untyped_storage().data_ptr() for p in frozen} == pointers
    full = sides["full_finetuning@1"].model.vit
    assert not pointers & {p.untyped_storage().data_ptr() for p in full.parameters()}


def test_a_step_of_f_lora_multiplies_what_its_formula_says():
    """Later tasks: z, its product with A, its gradients; A and B see no token twice."""
    tokens = BATCH * TOKENS
    thin = 2 * tokens * D * 2 * R  # of q and v together
    for_tokens = DEPTH * 3 * thin + (DEPTH - 1) * 2 * thin  # the first block's input needs none
    core = 2 * R**3  # M N, (M N) Pi, and of the gradients those of M N, M and N
    factors = (
        2 * DEPTH * (2 * 2 * D * R * R + 5 * core)
    )  # A times the core, and the core's gradient
    selector = 2 * 2 * (2 * DEPTH) * 8 * R  # gates from the choice among 8 ranks, and back
    expected = counted(f"{SHORT_LIMIT}@1") - SAVED + for_tokens + factors + selector
    assert counted(f"{SMALL_NO_PROMPT}@50") == expected


def test_the_short_limit_takes_one_token_through_the_end_of_the_last_block():
    others = BATCH * (TOKENS - 1)
    maps = 2 * 2 * others * 9 * D * D  # output map and MLP, forwards and backwards
    attention = (2 + 5) * 2 * others * TOKENS * D  # products of their queries, both ways
    assert counted(f"{LIMIT}@1") - counted(f"{SHORT_LIMIT}@1") == maps + attention


def test_the_fiftieth_task_costs_what_the_second_costs_and_hardly_more_than_the_first():
    first, second, last = (counted(f"{SMALL_NO_PROMPT}@{k}") for k in (1, 2, 50))
    assert last == second
    assert last / first < 1.02 and counted(f"{SMALL}@50") / counted(f"{SMALL}@1") < 1.02


@pytest.mark.parametrize(
    "key", [f"{name}@{k}" for name in (SMALL_NO_PROMPT, SMALL) for k in (1, 50)]
)
def test_what_a_step_adds_is_at_most_a_twentieth_of_the_limit(key):
    """Without what the first of the two blocks saves, which is less in a deeper model."""
    products = counted(key) + (SAVED if key.startswith(SMALL_NO_PROMPT) else 0)
    assert 0 < products - counted(f"{SHORT_LIMIT}@1") < 0.05 * counted(f"{LIMIT}@1")


def test_the_merged_model_is_the_plain_one_module_by_module_and_costs_the_same():
    vit, sides = wide()
    side = sides[f"{SMALL_NO_PROMPT}@2"]
    side.model.end_task(few_images(2, (224, 224)))
    plain = merged(side.model).vit
    modules = [[(name, type(m)) for name, m in v.named_modules()] for v in (plain, vit)]
    assert modules[0] == modules[1]
    x = torch.randn(1, 3, 224, 224, generator=models.generator())
    assert flops(lambda: plain(x)) == flops(lambda: vit(x))


def peak(key):
    side = wide()[1][key]
    side.step()  # from now on the optimiser's state is there
    side.optimiser.zero_grad()
    return peak_bytes(side.step, CPU) + side.resident_bytes()


@needs_peft
def test_memory_of_a_step_is_at_most_1_02_times_that_of_peft_of_the_same_rank_and_maps():
    for peer, name, last in ((PEFT_WIDE, SMALL_NO_PROMPT, 50), (PEFT_ALL, "fmlora", 2)):
        peaks = {key: peak(key) for key in (f"{peer}@1", f"{name}@1", f"{name}@{last}")}
        assert max(peaks.values()) <= 1.02 * peaks[f"{peer}@1"], peaks


@needs_peft
def test_on_all_maps_a_step_multiplies_no_more_than_peft_of_the_same_rank():
    """What it adds, too: the last block's shortcut is no merit of the adapters."""
    peft = counted(f"{PEFT_ALL}@1")
    added = peft + SAVED - counted(f"{LIMIT}@1")  # PEFT's first map takes no input's gradient
    for task in (1, 2):
        step = counted(f"fmlora@{task}")
        assert step <= peft and 0 < step - counted(f"{SHORT_LIMIT}@1") <= added


@needs_peft
def test_peers_have_the_rank_and_the_maps_of_the_sides_beside_them():
    for peer, name in ((PEFT_WIDE, SMALL), (PEFT_ALL, "fmlora")):
        theirs, ours = (wide()[1][f"{side}@1"].model for side in (peer, name))
        inner = {k: p for k, p in theirs.vit.named_parameters() if ".lora_A." in k}
        assert {len(p) for p in inner.values()} == {ours.flora.max_rank}
        assert {k.partition(".lora_A")[0] for k in inner} == {site.path for site in ours.sites}
