"""What a method says of itself in words, held against what it does."""

import inspect
from functools import cache

import numpy as np
import pytest
import torch
from helpers import models

import fmlora_kit as fk
from fmlora_kit.methods import METHODS, HeadOptions, Method
from fmlora_kit.record.card import FACTS, IDENTITY, SOURCE, options_of

GRADIENT = [name for name in METHODS if METHODS[name].trained != "nothing"]


@cache
def trained_names(name):
    """Per task: names of the backbone's weights, "rows", or "adapters" that an optimiser trains."""
    stream, model, told = models.stream(), models.build(name), []
    backbone = set(dict(models.vit().named_parameters()))
    for task in stream:
        steps = fk.train_steps(model, task, stream, models.BUDGET)
        next(steps)  # prepared
        known = {id(p): n.replace(".base.", ".") for n, p in model.vit.named_parameters()}
        kinds = set()
        for p in (p for group in model.parameter_groups() for p in group["params"]):
            assert p.requires_grad
            of_backbone = known.get(id(p)) in backbone
            rows = p is model.head.rows or p is model.head.offsets
            kinds.add("backbone" if of_backbone else "rows" if rows else "adapters")
        told.append(kinds)
        for _ in steps:
            continue
    return told, model


@pytest.mark.parametrize("name", METHODS)
def test_the_backbone_is_frozen_where_it_says_so(name):
    told, _ = trained_names(name)
    frozen = METHODS[name].frozen
    assert frozen.startswith("the backbone") == all("backbone" not in kinds for kinds in told)
    assert ("every weight of the backbone" in METHODS[name].trained) == ("backbone" in told[0])


@pytest.mark.parametrize("name", METHODS)
def test_what_is_trained_is_what_it_says(name):
    told, model = trained_names(name)
    said = model.describe()["trained"]
    assert (said == "nothing") == (told == [set()] * 3)
    assert ("head rows" in said) == all("rows" in kinds for kinds in told)
    parts = said.replace("the task's head rows", "").strip("; ")
    first_alone = "on the first task alone" in said
    if name not in ("full_finetuning", "nearest_class_mean") and not first_alone:
        assert (parts not in ("", "nothing")) == all("adapters" in kinds for kinds in told)
    assert first_alone == (["adapters" in kinds for kinds in told] == [True, False, False])


@pytest.mark.parametrize(
    ("name", "head"),
    [(name, head) for name in METHODS for head in models.heads_of(name)],
)
def test_nothing_kept_means_that_nothing_is_counted(name, head):
    stream, model = models.stream(), models.build(name, head=HeadOptions(head))
    fk.train_task(model, stream[0], stream, models.BUDGET)
    stores = model.describe()["stores"]
    kept = model.n_training_state > 0 or model.grows or model.keeps_features
    assert (stores == "nothing") == (not kept and name != "nearest_class_mean")
    assert ("class means, class counts and one scatter matrix" in stores) == (
        head == "lda" and name != "task_lora"
    )
    assert ("Gram matrix" in stores) == (head == "ridge")


@pytest.mark.parametrize("name", METHODS)
def test_what_grows_stores_something_for_every_task(name):
    model = models.build(name)
    sizes = [result.n_deployed for result in models.learn(model, models.stream())]
    assert model.grows == (sizes[2] > sizes[1] > sizes[0])
    said = model.describe()["stores"]
    assert not model.grows or "per task" in said or "and task" in said


@pytest.mark.parametrize("name", GRADIENT)
def test_other_classes_logits_are_masked_in_the_loss_where_it_says_so(name):
    """The loss does not move with the rows of classes learned before."""
    stream, model = models.stream(), models.build(name, seed=1)
    fk.train_task(model, stream[0], stream, models.BUDGET)
    task = stream[1]
    model.begin_task(task)
    images, labels = torch.tensor(task.train_images), torch.tensor(task.train_labels)

    def loss():
        if name == "fmlora":
            model.gumbel = models.generator()  # the same ranks are drawn
        return model.loss(images, labels, 0.0).item()

    before = loss()
    with torch.no_grad():
        model.head.weight += 1.0
        model.head.bias += 1.0
    assert loss() == before
    assert model.describe()["masked"].startswith("yes") or name == "joint"


def test_joint_training_masks_nothing():
    joined = models.stream().joined()
    model = models.build("joint")
    model.begin_task(joined[0])
    assert model.describe()["masked"].startswith("no: all tasks are given as one")
    assert model.head.current == list(range(9)) and model.keeps_features


@pytest.mark.parametrize("name", [name for name in METHODS if name != "task_lora"])
def test_at_test_the_best_of_all_classes_seen_is_taken(name):
    stream, model = models.stream(), models.build(name)
    result = models.learn(model, stream)[-1]
    assert model.describe()["tested"].startswith("arg-max over all classes seen so far; no task id")
    images = np.concatenate([task.test_images for task in stream])
    scores = model.logits(images)
    assert scores.shape == (36, 9)
    np.testing.assert_array_equal(result.predictions, scores.argmax(1))
    one = model.logits(images[:1])  # an image alone is judged as it is among others
    np.testing.assert_allclose(one, scores[:1], atol=1e-4)


def test_lora_per_task_says_that_it_guesses_the_task():
    model = models.build("task_lora")
    assert "guessed" in model.describe()["tested"] and "oracle" not in model.describe()["tested"]
    assert "one scatter matrix" in model.describe()["stores"]
    plain = models.build("task_lora", choice="nearest_mean", task_identity="oracle").describe()
    assert "that task's own adapter" in plain["tested"] and "scatter" not in plain["stores"]


def test_fmlora_names_the_parts_that_are_on():
    full = models.fmlora(head=HeadOptions("lda")).describe()
    assert full["trained"] == (
        "on the first task the shared bases A, B, later a pair M, N per adapted map; the prompt "
        "tokens; rank preferences until 50% of a task; the task's head rows"
    )
    bare = models.fmlora(drs=False, dmp=False, bases="random", head=HeadOptions("cosine"))
    assert bare.describe()["trained"] == (
        "a pair M, N per adapted map; the task's head rows; after 70% of a task these alone"
    )


def test_ranpac_says_where_its_rows_come_from():
    ridge = METHODS["ranpac"](models.vit(), 9, rank=4).describe()
    assert ridge["head"]["kind"] == "ridge"
    assert "ridge regression" in ridge["head_rows"] and "Gram matrix" in ridge["stores"]
    means = models.build("ranpac", head=HeadOptions("cosine")).describe()
    assert means["head_rows"] == "rows of new classes start at class means"
    assert means["stores"] == "nothing"


def test_pixels_come_in_as_the_backbone_says():
    vit = models.vit()
    vit.pretrained_cfg = {"architecture": "mine", "tag": "v2", "mean": (0.1, 0.2, 0.3)}
    said = Method(vit, 3).describe()
    assert said["pixel_mean"] == [0.1, 0.2, 0.3] and said["pixel_std"] == [0.5, 0.5, 0.5]
    assert said["input_size"] == [32, 32] and (said["backbone"], said["tag"]) == ("mine", "v2")
    assert Method(models.vit(), 3).describe()["tag"] is None


@pytest.mark.parametrize("name", METHODS)
def test_facts_are_told_and_are_no_options(name):
    model = models.build(name)
    said = model.describe()
    sometimes = {"precision", *SOURCE} - {"tag"}
    assert set(FACTS) - sometimes <= set(said)
    own = {key: value for key, value in model.described.items() if key not in IDENTITY}
    assert options_of(said) == own


@pytest.mark.parametrize("name", METHODS)
def test_an_option_is_declared_in_the_signature_and_nowhere_else(name):
    """Each has a kind there, and is told to the record and kept as an attribute."""
    model = models.build(name)
    parents = [kind for kind in inspect.getmro(METHODS[name]) if issubclass(kind, Method)]
    declared = {}
    for kind in reversed(parents):
        for parameter in inspect.signature(kind.__init__).parameters.values():
            if parameter.kind is parameter.KEYWORD_ONLY:
                declared[parameter.name] = parameter.annotation
    assert not set(declared) & set(FACTS)
    assert inspect.Parameter.empty not in declared.values()
    told = set(options_of(model.describe()))
    older = {k for k, v in model.when_missing.items() if getattr(model, k, ...) == v}
    unsaid = {"seed"} | older
    assert told == set(declared) - unsaid
    for option in told - {"head"}:
        kept = getattr(model, option)
        if isinstance(kept, int | float | str):
            assert kept == model.described[option] and type(kept) is type(model.described[option])
