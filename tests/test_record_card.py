"""The run card, line by line, against what the record was made with."""

import json
import zlib
from dataclasses import replace

import numpy as np
import pytest
from helpers import models
from helpers.records import make_record, make_task

import fmlora_kit as fk
from fmlora_kit.methods import METHODS, HeadOptions
from fmlora_kit.record import Record, run_card
from fmlora_kit.record.card import NOT_RECORDED, PIXELS, WORDS, flat

LABELS = [
    "method",
    "seed",
    "stream",
    "tasks",
    "class order",
    "split",
    "pixels",
    "backbone",
    "input size",
    "normalisation",
    "augmentation",
    "adapted layers",
    "trained",
    "frozen",
    "kept of earlier tasks",
    "other classes masked in training",
    "at test",
    "head",
    "optimiser",
    "learning rates",
    "other options",
    "device",
    "numbers",
    "versions",
]


def card_of(name="fmlora", n_done=1, stream=None, **options):
    """The card of a run of a small method, after `n_done` tasks."""
    stream = models.stream() if stream is None else stream
    model = models.build(name, n_classes=stream.n_classes, **options)
    record = fk.start_record(model, stream, fk.Budget(epochs=2, batch_size=16))
    for task in stream[:n_done]:
        record = record.with_task(fk.train_task(model, task, stream, models.BUDGET))
    return run_card(record)


def with_config(record, part, **facts):
    """The record with other facts in one part of its configuration; None takes one away."""
    kept = {**record.config.get(part, {}), **facts}
    kept = {k: v for k, v in kept.items() if k not in facts or v is not None}
    return replace(record, config={**record.config, part: kept})


def test_the_card_of_fmlora_says_it_all():
    stream = models.stream()
    card = card_of(head=HeadOptions("lda"))
    assert list(card) == LABELS
    assert card["method"] == "fmlora" and card["seed"] == "0"
    assert card["stream"] == "tiny glyphs, class-incremental, 3 tasks, 9 classes, seed 0"
    assert card["tasks"] == ", ".join(task.name for task in stream)
    names = ", ".join(f"{k} {n}" for k, n in enumerate(stream[0].class_names))
    assert card["class order"].startswith(f"{names} (3 of 9 classes so far, CRC-32 ")
    assert card["split"] == "train images 24 in each task, test images 12 in each task"
    assert card["pixels"] == f"CRC-32 {stream.describe()['crc32']}"
    weights = models.build("fmlora").describe()["weights"]
    assert card["backbone"] == f"custom, weights CRC-32 {weights}"
    assert card["input size"] == "32 × 32 pixels"
    assert card["normalisation"] == (
        "bytes / 255, minus mean (0.5, 0.5, 0.5), divided by std (0.5, 0.5, 0.5)"
    )
    assert card["augmentation"] == "none"
    assert card["adapted layers"] == "q, v of blocks 0 to 1 (4 maps)"
    assert card["frozen"].startswith("the backbone; the shared bases once set")
    assert card["kept of earlier tasks"].startswith("at most 3 feature directions")
    assert card["other classes masked in training"].startswith("yes: only the current task's")
    assert card["at test"] == "arg-max over all classes seen so far; no task identity"
    assert card["head"].startswith("lda (scale 16, shrinkage 0.1): rows start at class means; ")
    assert card["optimiser"] == (
        "AdamW, weight decay 0, learning rate cosine per task, gradient norm at most 1, "
        "images per batch 16, epochs per task 2"
    )
    assert card["learning rates"] == "lr 0.002, head_lr 0.005, drs.lr 0.1, dmp.lr 0.005"
    assert "flora.max_rank 8, flora.alpha None, flora.bases task1" in card["other options"]
    assert "dmp.length 2" in card["other options"] and "lr" not in card["other options"]
    assert (card["device"], card["numbers"]) == ("cpu", "float32")
    assert f"fmlora_kit {fk.__version__}" in card["versions"] and "torch " in card["versions"]
    assert "timm " in card["versions"] and NOT_RECORDED not in card.values()


def test_weights_of_a_file_and_raw_pixels_are_told():
    vit = models.vit()
    vit.pretrained_cfg = {
        "architecture": "mine",
        "mean": (0.0,) * 3,
        "std": (1.0,) * 3,
        "input_range": "unit",
        "weights_file": "w.npz",
        "weights_sha256": "ab12",
    }
    card = card_of("sequential_lora", backbone=vit)
    assert card["backbone"].startswith("mine, weights CRC-32 ")
    assert card["backbone"].endswith(", from the file w.npz, SHA-256 ab12")
    assert card["normalisation"] == (
        "bytes / 255, minus mean (0, 0, 0), divided by std (1, 1, 1): not as in the backbone's "
        "training"
    )
    assert "unit" not in card["other options"] and "w.npz" not in card["other options"]


@pytest.mark.parametrize("name", METHODS)
def test_nothing_is_missing_for_any_method(name):
    card = card_of(name, n_done=1)
    assert list(card) == LABELS and NOT_RECORDED not in card.values()
    for fact in (*WORDS, *PIXELS, "tag"):
        assert fact not in card["other options"].split(", ")
        assert not any(part.startswith(f"{fact} ") for part in card["other options"].split(", "))


def test_a_method_without_gradient_has_no_optimiser():
    card = card_of("nearest_class_mean")
    assert card["optimiser"] == card["learning rates"] == "none: nothing is trained by gradient"
    assert card["adapted layers"] == card["other options"] == "none"
    assert card["trained"] == "nothing"
    assert card["head"] == "cosine (scale 16): rows of new classes start at class means"


def test_the_card_reads_the_same_from_disk(tmp_path):
    record = fk.run(models.build("fmlora"), models.stream(), models.BUDGET, folder=tmp_path)
    assert run_card(Record.load(tmp_path)) == run_card(record)
    assert "so far" not in run_card(record)["class order"]


def test_an_older_record_lacks_what_it_did_not_hold():
    old = make_record(layers=())
    card = run_card(old)
    assert list(card) == LABELS
    for label in ("frozen", "trained", "at test", "normalisation", "device", "numbers", "head"):
        assert card[label] == NOT_RECORDED
    for label in ("kept of earlier tasks", "other classes masked in training", "backbone"):
        assert card[label] == NOT_RECORDED
    assert card["optimiser"] == "epochs per task 2" and card["adapted layers"] == "none"
    assert card["stream"].endswith("3 tasks, 6 classes, seed not recorded")
    assert card["split"] == "train images not recorded, test images 40 (10, 20, 10)"
    assert card["other options"] == "max_rank 8" and card["versions"] == "numpy 2.0.0"
    bare = run_card(replace(old, config={}, versions={}))
    assert bare["optimiser"] == bare["versions"] == bare["learning rates"] == NOT_RECORDED


def test_a_run_that_has_just_started_has_a_card():
    record = fk.start_record(models.build("fmlora"), models.stream(), models.BUDGET)
    card = run_card(record)
    assert card["class order"] == NOT_RECORDED
    assert card["tasks"] == ", ".join(task.name for task in models.stream())


def test_class_order_is_shortened_but_its_checksum_is_not():
    """The third class has another name: the words are alike, the checksums are not."""
    first = make_record(classes_per_task=2)
    order = [[t.name, list(t.classes), list(t.class_names)] for t in first.tasks]
    crc = zlib.crc32(json.dumps(order).encode())
    expected = f"0 class 0, 1 class 1, 2 class 2, … 5 class 5 (CRC-32 {crc:08x})"
    assert run_card(first)["class order"] == expected
    row = first.tasks[1]
    other = make_task(
        1, row.accuracy, row.oracle_accuracy, (10, 20), class_names=("class 2", "another")
    )
    second = replace(first, tasks=(first.tasks[0], other, first.tasks[2]))
    said = run_card(second)["class order"]
    assert said != expected and said.split(" (")[0] == expected.split(" (")[0]


def test_in_a_domain_incremental_stream_no_class_is_left_out():
    card = card_of("sequential_lora", n_done=2, stream=models.styles())
    masked = card["other classes masked in training"]
    assert masked.endswith("every task has all classes here, so that all compete")
    assert card["class order"].startswith("0 A, 1 K, 2 M, 3 S, in every task (CRC-32 ")


def test_joint_training_says_that_nothing_is_masked():
    card = card_of("joint", stream=models.stream().joined())
    assert card["other classes masked in training"].startswith("no: all tasks are given as one")
    assert card["stream"].startswith("tiny glyphs, joined, class-incremental, 1 task, 9 classes")
    assert card["split"] == "train images 72, test images 36"


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        (("blocks.0.q",), "q of block 0 (1 map)"),
        (("blocks.1.k", "blocks.1.v"), "k, v of block 1 (2 maps)"),
        (("blocks.0.q", "blocks.2.q"), "blocks.0.q, blocks.2.q (2 maps)"),
        (("blocks.0.q", "blocks.1.v"), "blocks.0.q, blocks.1.v (2 maps)"),
        (tuple("abcdef"), "a, b, c, … f (6 maps)"),
    ],
)
def test_adapted_layers_in_words(layers, words):
    assert run_card(make_record(layers=layers))["adapted layers"] == words


def test_weights_tag_partial_data_and_other_facts_of_the_stream():
    record = with_config(make_record(), "method", backbone="vit_tiny", tag="in21k", weights="0a")
    record = with_config(record, "stream", seed=3, partial="50 of 200 classes", class_order=1993)
    card = run_card(record)
    assert card["backbone"] == "vit_tiny.in21k, weights CRC-32 0a"
    assert card["stream"].endswith("seed 3, partial data: 50 of 200 classes, class_order 1993")
    card = run_card(with_config(record, "stream", partial=True, class_order=None))
    assert card["stream"].endswith("seed 3, partial data")


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ({"kind": "linear", "scale": 16.0}, "linear: new rows"),
        ({"kind": "ridge", "scale": 8.0, "projections": 50}, "ridge (scale 8, projections 50)"),
        ({"scale": 16.0}, NOT_RECORDED),
    ],
)
def test_only_the_options_that_a_head_uses_are_said(head, words):
    rows = "new rows" if head.get("kind") == "linear" else None
    assert (
        run_card(with_config(make_record(), "method", head=head, head_rows=rows))["head"] == words
    )


def test_double_precision_of_older_records():
    assert run_card(with_config(make_record(), "method", precision="float64"))["numbers"] == (
        "float64"
    )


def test_nested_settings_by_dotted_names():
    assert flat({"a": {"b": 1, "c": {"d": [2]}}, "e": None}) == {"a.b": 1, "a.c.d": [2], "e": None}


def test_a_card_changes_nothing():
    record = make_record()
    before = json.dumps(record.config)
    run_card(record)
    assert json.dumps(record.config) == before and np.array_equal(record.n_test, [10, 20, 10])
