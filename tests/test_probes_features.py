"""Features over time: the same bits as those of the model rebuilt by hand."""

import numpy as np
import pytest
from helpers import models
from helpers.records import make_record

import fmlora_kit as fk
from fmlora_kit.probes import features_now, features_over_time


def finished(name="fmlora", stream=None):
    stream = models.stream() if stream is None else stream
    model = models.build(name, n_classes=stream.n_classes)
    return models.record_of(model, stream, models.learn(model, stream)), stream


@pytest.mark.parametrize("name", ["fmlora", "sequential_lora"])
def test_features_are_those_of_the_merged_model_of_that_moment_bit_for_bit(name):
    record, stream = finished(name)
    history = features_over_time(record, stream, backbone=models.vit())
    assert history.learned.tolist() == [1, 2, 3]
    for k in range(3):
        model = fk.from_record(record, after=k + 1, backbone=models.vit())
        for i, task in enumerate(stream):
            apart = model.extract(task.test_images).numpy()
            with model.merged():
                expected = model.extract(task.test_images).numpy()
            np.testing.assert_array_equal(history.of_task(i, k), expected)
            np.testing.assert_allclose(expected, apart, rtol=0, atol=1e-5)
    assert not np.array_equal(history.features[0], history.features[2])


def test_labels_tasks_and_names_belong_to_the_images():
    record, stream = finished()
    history = features_over_time(record, stream, backbone=models.vit(), label="ours")
    np.testing.assert_array_equal(history.labels, np.repeat(np.arange(9), 4))
    np.testing.assert_array_equal(history.tasks, np.repeat([0, 1, 2], 12))
    assert history.names[::4] == sum((task.class_names for task in stream), ())
    assert history.task_names == tuple(task.name for task in stream)
    assert history.label == "ours"
    np.testing.assert_array_equal(history.seen(1), history.tasks < 2)


def test_per_class_takes_the_first_images_of_each_class():
    record, stream = finished()
    whole = features_over_time(record, stream, backbone=models.vit())
    part = features_over_time(record, stream, 2, backbone=models.vit())
    rows = np.flatnonzero(np.arange(36) % 4 < 2)
    np.testing.assert_array_equal(part.labels, whole.labels[rows])
    np.testing.assert_allclose(part.features, whole.features[:, rows], rtol=1e-4, atol=1e-5)


def test_an_unfinished_run_has_the_tasks_it_has():
    stream = models.stream()
    model = models.build("fmlora")
    results = [fk.train_task(model, task, stream, models.BUDGET) for task in stream[:2]]
    record = models.record_of(model, stream, results)
    history = features_over_time(record, stream, backbone=models.vit())
    assert history.features.shape[:2] == (2, 24) and len(history.task_names) == 2


def test_domain_incremental_tasks_share_their_classes():
    record, stream = finished("sequential_lora", models.styles())
    history = features_over_time(record, stream, 1, backbone=models.vit())
    np.testing.assert_array_equal(history.labels, [0, 1, 2, 3] * 3)
    np.testing.assert_array_equal(history.tasks, np.repeat([0, 1, 2], 4))


def test_features_now_are_the_backbones_own_before_anything_is_learned():
    stream, model = models.stream(), models.build("nearest_class_mean")
    history = features_now(model, stream, 3, split="train", label="frozen")
    assert history.learned.tolist() == [0] and not history.seen(0).any()
    for i, task in enumerate(stream):
        rows = np.concatenate([np.flatnonzero(task.train_labels == c)[:3] for c in task.classes])
        expected = model.extract(task.train_images[rows]).numpy()
        np.testing.assert_array_equal(history.of_task(i, 0), expected)
    assert history.label == "frozen"


def test_bad_arguments_are_named():
    record, stream = finished("frozen_backbone")
    model = models.build("nearest_class_mean")
    with pytest.raises(ValueError, match="per_class must be at least 1, got 0"):
        features_over_time(record, stream, 0, backbone=models.vit())
    with pytest.raises(ValueError, match="split must be one of .*, got 'validation'"):
        features_now(model, stream, split="validation")
    with pytest.raises(ValueError, match="stream must have the record's tasks"):
        features_over_time(record, models.styles(), backbone=models.vit())
    with pytest.raises(ValueError, match="must have a finished task, got none"):
        features_over_time(make_record(n_done=0), stream)
