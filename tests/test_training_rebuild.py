"""Time travel: any method, as it was after any task, from the record alone."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import models
from safetensors.torch import save_file

import fmlora_kit as fk
from fmlora_kit.methods import HeadOptions
from fmlora_kit.record.card import PIXELS, WORDS
from fmlora_kit.training.rebuild import replay

IMAGES = models.noise(6)


def cropped(task, width):
    """The task with the left part of every picture."""
    sides = {side: getattr(task, side)[:, :, :width] for side in ("train_images", "test_images")}
    return replace(task, **sides)


def finished(name="fmlora", **options):
    stream = models.stream()
    model = models.build(name, **options)
    return model, models.record_of(model, stream, models.learn(model, stream))


@pytest.mark.parametrize("name", ["fmlora", "first_task_lora", "full_finetuning"])
def test_from_disk_it_is_the_same_model(name, tmp_path):
    model, record = finished(name, head=HeadOptions("linear"), lr=3e-3)
    record.save(tmp_path / "run")
    back = fk.from_record(fk.Record.load(tmp_path / "run"), backbone=models.vit())
    np.testing.assert_array_equal(back.logits(IMAGES), model.logits(IMAGES))
    assert back.describe() == model.describe() and back.lr == 3e-3
    assert type(back) is type(model) and not back.vit.training


def test_options_that_are_off_stay_off():
    model, record = finished(drs=False, dmp=False, max_rank=4)
    back = fk.from_record(record, backbone=models.vit())
    assert back.drs is None and back.dmp is None and back.flora == model.flora


def test_after_no_task_it_is_the_fresh_model():
    _, record = finished()
    back = fk.from_record(record, 0, backbone=models.vit())
    assert back.n_tasks_done == 0 and back.seen == ()
    stream = models.stream()
    assert fk.train_task(back, stream[0], stream, models.BUDGET).same_as(record.tasks[0])


def test_the_backbone_is_loaded_by_its_name():
    stream = models.stream(1)
    model = fk.NearestClassMean(fk.load_backbone(), 3)
    record = models.record_of(model, stream, models.learn(model, stream))
    np.testing.assert_array_equal(fk.from_record(record).logits(IMAGES), model.logits(IMAGES))


def test_size_and_input_range_are_those_of_the_record():
    stream = models.stream(1)
    stream = replace(stream, tasks=tuple(cropped(task, 24) for task in stream))
    model = fk.NearestClassMean(fk.load_backbone(input_range="unit", image_size=(32, 24)), 3)
    record = models.record_of(model, stream, models.learn(model, stream))
    images = IMAGES[:, :, :24]
    np.testing.assert_array_equal(fk.from_record(record).logits(images), model.logits(images))


def test_a_backbone_from_a_file_must_be_given(tmp_path):
    save_file(fk.load_backbone().state_dict(), tmp_path / "mine.safetensors")
    model = fk.NearestClassMean(fk.load_backbone(weights=tmp_path / "mine.safetensors"), 3)
    stream = models.stream(1)
    record = models.record_of(model, stream, models.learn(model, stream))
    with pytest.raises(
        ValueError, match="must be given .* here mine.safetensors, SHA-256 [0-9a-f]"
    ):
        fk.from_record(record)
    back = fk.from_record(record, backbone=fk.load_backbone())  # the same weights
    np.testing.assert_array_equal(back.logits(IMAGES), model.logits(IMAGES))


@pytest.mark.parametrize("after", [-1, 4])
def test_only_recorded_tasks_can_be_travelled_to(after):
    _, record = finished("frozen_backbone")
    with pytest.raises(ValueError, match=f"between 0 and the 3 tasks recorded, got {after}"):
        fk.from_record(record, after, backbone=models.vit())


def test_an_unknown_method_is_refused():
    class Mine(fk.SequentialLoRA):
        name = "mine"

    record = fk.start_record(Mine(models.vit(), 9, rank=4), models.stream(), models.BUDGET)
    with pytest.raises(ValueError, match=r"method of the record must be .* fk\.register.*'mine'"):
        fk.from_record(record, backbone=models.vit())


def test_another_backbone_is_refused():
    """Other weights under the same name would give another model without a word."""
    _, record = finished("frozen_backbone")
    with pytest.raises(ValueError, match="the same method"):
        fk.from_record(record, backbone=models.vit(seed=1))


def changed(record, **facts):
    """The record with other facts of the method; None takes one away."""
    method = {**record.config["method"], **facts}
    method = {k: v for k, v in method.items() if k not in facts or v is not None}
    return replace(record, config={**record.config, "method": method})


@pytest.mark.parametrize("name", ["fmlora", "ranpac", "task_lora"])
def test_words_of_the_run_card_are_no_options(name):
    """An older record has none of them, and another version may put them better."""
    model, record = finished(name)
    for facts in (dict.fromkeys((*WORDS, *PIXELS, "tag")), dict.fromkeys(WORDS, "put better")):
        back = fk.from_record(changed(record, **facts), backbone=models.vit())
        np.testing.assert_array_equal(back.logits(IMAGES), model.logits(IMAGES))


def test_another_normalisation_is_refused():
    _, record = finished("frozen_backbone")
    with pytest.raises(ValueError, match="the same method.*0.25"):
        fk.from_record(changed(record, pixel_mean=[0.25, 0.5, 0.5]), backbone=models.vit())


@pytest.mark.parametrize("options", [{"seed": 5}, {"rank": 2}, {"lr": 1.0}])
def test_replaying_onto_another_method_is_refused(options):
    _, record = finished("sequential_lora")
    with pytest.raises(ValueError, match="record must come from the same method"):
        replay(models.build("sequential_lora", **options), record)


def test_replaying_onto_a_model_that_has_learned_is_refused():
    model, record = finished("sequential_lora")
    with pytest.raises(ValueError, match="model must be fresh, got one that has learned 3 tasks"):
        replay(model, record)
