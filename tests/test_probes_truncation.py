"""Truncated ranks, against models rebuilt by hand from snapshots with cut pairs."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from helpers import models

import fmlora_kit as fk
from fmlora_kit.probes import truncate_ranks
from fmlora_kit.probes.images import probe_images


def backbone():
    return models.vit().double()


@cache
def trained(n_tasks=3):
    """A tiny run in double precision; its pairs are made larger, so that cuts have an effect."""
    tasks = models.stream()
    model = models.fmlora(backbone())
    record = models.record_of(model, tasks, models.learn(model, tasks)[:n_tasks])
    larger = [
        replace(task, state={k: 40 * v if k.endswith(".m") else v for k, v in task.state.items()})
        for task in record.tasks
    ]
    return replace(record, tasks=tuple(larger)), tasks


@cache
def table():
    record, tasks = trained()
    options = {"levels": (0, 1, 3, 5), "layer_levels": (0, 2)}
    return truncate_ranks(record, tasks, n_images=None, backbone=backbone(), **options)


def rebuilt_predictions(record, tasks, cut_task=None, layers=(), rank=0):
    """Predictions, task by task, of the model rebuilt from a snapshot with M and N cut by hand."""
    changed = list(record.tasks)
    if cut_task is not None:
        state = dict(changed[cut_task].state)
        for layer in layers:
            state[f"{layer}.m"] = state[f"{layer}.m"][:, :rank]
            state[f"{layer}.n"] = state[f"{layer}.n"][:rank]
        changed[cut_task] = replace(changed[cut_task], state=state)
    model = fk.from_record(replace(record, tasks=tuple(changed)), backbone=backbone())
    seen = np.array(model.seen)
    return [seen[model.logits(task.test_images).argmax(axis=1)] for task in tasks]


def accuracies(predictions, tasks):
    return [np.mean(p == task.test_labels) for p, task in zip(predictions, tasks, strict=True)]


def test_every_cut_equals_the_model_rebuilt_by_hand():
    record, tasks = trained()
    full = rebuilt_predictions(record, tasks)
    measured = table()
    assert len(measured.cut_task) > 20
    for t, k, rank, accuracy, changed in zip(
        measured.cut_task,
        measured.cut_layer,
        measured.cut_rank,
        measured.accuracy,
        measured.changed,
        strict=True,
    ):
        layers = record.layers if k < 0 else [record.layers[k]]
        ours = rebuilt_predictions(record, tasks, t, layers, rank)
        np.testing.assert_allclose(accuracy, accuracies(ours, tasks), rtol=1e-12)
        different = [np.mean(a != b) for a, b in zip(ours, full, strict=True)]
        np.testing.assert_allclose(changed, different, rtol=1e-12)


def test_the_cuts_matter_and_differ():
    measured = table()
    assert measured.changed.max() > 0.2
    assert len(np.unique(measured.changed, axis=0)) > 5


def test_all_levels_below_the_chosen_rank_are_there():
    record, _ = trained()
    measured = table()
    for t, ranks in enumerate(record.ranks):
        below = [r for r in (0, 1, 3, 5) if r < ranks.max()]
        assert measured.levels(t) == (*below, ranks.max())
        for k, chosen in enumerate(ranks):
            assert measured.levels(t, k) == (*[r for r in (0, 2) if r < chosen], chosen)


def test_full_ranks_give_exactly_the_record():
    tasks = models.stream()
    model = models.fmlora(backbone())
    record = models.record_of(model, tasks, models.learn(model, tasks))
    measured = truncate_ranks(
        record, tasks, n_images=None, levels=(0,), layer_levels=(0,), backbone=backbone()
    )
    np.testing.assert_array_equal(measured.full, record.accuracy[-1])
    np.testing.assert_array_equal(measured.n_images, record.n_test)
    assert measured.method == "fmlora" and measured.layers == record.layers


def test_an_unfinished_run_is_measured_on_the_tasks_it_has():
    record, tasks = trained(2)
    measured = truncate_ranks(
        record, tasks, n_images=None, levels=(0,), layer_levels=(0,), backbone=backbone()
    )
    assert measured.task_names == record.task_names and len(measured.full) == 2


def test_neither_the_record_nor_the_backbone_is_changed():
    record, tasks = trained()
    given = backbone()
    before = [p.clone() for p in given.parameters()]
    truncate_ranks(record, tasks, n_images=3, levels=(0,), layer_levels=(0,), backbone=given)
    assert all((a == b).all() for a, b in zip(before, given.parameters(), strict=True))
    assert record.same_as(trained()[0])


def test_some_images_of_every_class():
    record, tasks = trained()
    probe = probe_images(record, tasks, 7)
    np.testing.assert_array_equal(probe.sizes, [6, 6, 6])
    np.testing.assert_array_equal(probe.labels, np.repeat(np.arange(9), 2))
    np.testing.assert_array_equal(probe.task_of, np.repeat(np.arange(3), 6))
    images = np.concatenate(probe.batches)
    np.testing.assert_array_equal(images[2:4], tasks[0].test_images[4:6])
    np.testing.assert_allclose(probe.accuracy(np.repeat([0, 3, 6], 6)), [1 / 3] * 3)


def test_a_method_without_pairs_is_named():
    tasks = models.stream()
    model = models.build("sequential_lora")
    record = models.record_of(model, tasks, models.learn(model, tasks))
    with pytest.raises(ValueError, match="pairs M_t N_t, got 'sequential_lora'"):
        truncate_ranks(record, tasks, backbone=models.vit())
    frozen = replace(record, method="frozen_backbone", layers=())
    with pytest.raises(ValueError, match="pairs M_t N_t, got 'frozen_backbone'"):
        truncate_ranks(frozen, tasks)


def test_bad_input_is_named():
    record, tasks = trained()
    with pytest.raises(ValueError, match="n_images must be at least one per class, 3 .*, got 2"):
        truncate_ranks(record, tasks, n_images=2, backbone=backbone())
    with pytest.raises(ValueError, match="levels must be at least 0, got -1"):
        truncate_ranks(record, tasks, levels=(-1, 2), backbone=backbone())
    with pytest.raises(ValueError, match="layer_levels must be ranks from 0"):
        truncate_ranks(record, tasks, layer_levels=(), backbone=backbone())
    with pytest.raises(ValueError, match="stream must be the one of the record, 'tiny glyphs'"):
        truncate_ranks(record, models.stream(seed=1), backbone=backbone())
    with pytest.raises(ValueError, match="must have a finished task, got none"):
        truncate_ranks(replace(record, tasks=()), tasks, backbone=backbone())


@pytest.mark.parametrize("wrong", [None, "runs/fmlora", 3])
def test_what_is_no_record_or_stream_is_named(wrong):
    record, tasks = trained()
    with pytest.raises(ValueError, match="record must be a Record, got"):
        truncate_ranks(wrong, tasks)
    with pytest.raises(ValueError, match="stream must be a Stream, got"):
        truncate_ranks(record, wrong, backbone=backbone())
