"""The same images, explained by the model of every moment."""

from functools import cache

import numpy as np
import pytest
import torch
from helpers import models

import fmlora_kit as fk
from fmlora_kit.methods import HeadOptions
from fmlora_kit.probes import attribute, explain_over_time
from fmlora_kit.probes.scores import swap_head_rows


@cache
def finished(name="fmlora", head="lda"):
    stream = models.stream()
    model = models.build(name, models.vit().double(), head=HeadOptions(head))
    return models.record_of(model, stream, models.learn(model, stream))


def moments(record):
    return fk.models_over_time(record, models.vit().double())


def pictures():
    """All test images of the first two tasks; classes 0 to 5, four images each."""
    stream = models.stream()
    images = np.concatenate([task.test_images for task in stream[:2]])
    return images, np.concatenate([task.test_labels for task in stream[:2]])


@pytest.mark.parametrize("method", ["saliency", "grad_cam", "attention_rollout"])
@pytest.mark.parametrize("name", ["fmlora", "sequential_lora", "first_task_lora"])
def test_each_moment_is_the_rebuilt_model(name, method):
    record, (images, labels) = finished(name), pictures()
    keep = [0, 13]
    e = explain_over_time(record, images[keep], labels[keep], method=method, models=moments(record))
    assert e.maps.shape == (3, 2, 32, 32) and e.method == method
    assert np.isnan(e.maps[0, 1]).all() and np.isfinite(e.maps[1:]).all()
    for t in range(3):
        model = fk.from_record(record, t + 1, models.vit().double())
        known = [0] if t == 0 else [0, 1]
        mine = [keep[k] for k in known]
        expected = attribute(model, images[mine], labels[mine], method=method)
        np.testing.assert_allclose(e.maps[t, known], expected, rtol=1e-9, atol=1e-12)
        logits = model.logits(images[keep])
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        np.testing.assert_allclose(
            e.probabilities[t], weights / weights.sum(axis=1, keepdims=True), rtol=1e-9
        )
        np.testing.assert_allclose(e.scores[t, 0], logits[0, labels[0]], rtol=1e-12)
        assert e.classes[t] == model.seen
    assert np.isnan(e.scores[0, 1]) and np.isnan(e.baseline_scores).all()


@pytest.mark.parametrize("head", ["lda", "cosine"])
def test_predictions_are_those_in_the_record(head):
    record, (images, labels) = finished(head=head), pictures()
    e = explain_over_time(
        record, images, labels, method="attention_rollout", models=moments(record)
    )
    np.testing.assert_array_equal(e.predictions[1], record.tasks[1].predictions)
    np.testing.assert_array_equal(e.predictions[2], record.tasks[2].predictions[: len(labels)])
    np.testing.assert_array_equal(e.predictions[0, :12], record.tasks[0].predictions)


def test_integrated_gradients_bring_the_score_of_the_baseline():
    record, (images, labels) = finished(), pictures()
    keep = [0, 13]
    e = explain_over_time(record, images[keep], labels[keep], models=moments(record), steps=150)
    assert e.method == "integrated_gradients"
    gap = fk.analysis.completeness_gap(e)
    assert np.isnan(gap[0, 1]) and np.nanmax(gap) < 1e-3
    assert np.isfinite(np.delete(gap.ravel(), 1)).all()


def test_what_the_record_says_comes_along():
    record, (images, labels) = finished("streaming_lda"), pictures()
    e = explain_over_time(record, images[:1], labels[:1], method="saliency", models=moments(record))
    assert e.run == "streaming LDA on tiny glyphs"
    assert e.task_names == record.task_names and e.n_tasks == 3
    assert e.class_names[4] == record.tasks[1].class_names[1] and len(e.class_names) == 9
    np.testing.assert_array_equal(e.images, images[:1])
    # nothing trained: only the head moves on, and the later classes shift its covariance
    np.testing.assert_allclose(e.maps[0] > 0, True)


def test_a_frozen_model_with_fixed_rows_never_moves():
    record, (images, labels) = finished("nearest_class_mean", head="cosine"), pictures()
    for method in ("saliency", "grad_cam", "attention_rollout"):
        e = explain_over_time(record, images[:2], labels[:2], method=method, models=moments(record))
        np.testing.assert_allclose(fk.analysis.attribution_movement(e), 0, atol=1e-12)


def test_with_the_first_head_only_features_move_a_map():
    """Frozen features: no movement is left. A head that stays as it is anyway: no difference."""
    (images, labels), keep = pictures(), [0, 13]
    moved = fk.analysis.attribution_movement
    frozen = finished("streaming_lda")
    mine = {"method": "saliency", "models": moments(frozen)}
    assert np.nanmax(moved(explain_over_time(frozen, images[keep], labels[keep], **mine))) > 0.01
    mine = {"models": moments(frozen), "keep_head": True, "steps": 4}
    kept = explain_over_time(frozen, images[keep], labels[keep], **mine)
    np.testing.assert_allclose(moved(kept)[[0, 1, 2, 1, 2], [0, 0, 0, 1, 1]], 0, atol=1e-9)
    np.testing.assert_allclose(kept.scores[:, 0], kept.scores[0, 0], rtol=1e-9)
    np.testing.assert_allclose(kept.baseline_scores[1:, 1], kept.baseline_scores[1, 1], rtol=1e-9)
    plain = finished("sequential_lora", "cosine")
    both = [
        explain_over_time(
            plain,
            images[keep],
            labels[keep],
            method="saliency",
            models=moments(plain),
            keep_head=keep_head,
        )
        for keep_head in (False, True)
    ]
    np.testing.assert_array_equal(both[0].maps, both[1].maps)
    assert np.nanmax(moved(both[1])) > 1e-4  # the features did move


def test_the_first_head_is_put_back():
    record, (images, labels) = finished(), pictures()
    model = fk.from_record(record, 3, models.vit().double())
    before = model.logits(images)
    e = explain_over_time(
        record, images, labels, method="saliency", models=moments(record), keep_head=True
    )
    np.testing.assert_allclose(e.predictions[2], np.array(model.seen)[before.argmax(axis=1)])
    nine = (torch.zeros_like(model.head.weight[0]), torch.full_like(model.head.bias[0], 9))
    with pytest.raises(RuntimeError, match="no"), swap_head_rows(model, {0: nine}):
        np.testing.assert_array_equal(model.logits(images)[:, 0], 9)
        np.testing.assert_array_equal(model.logits(images)[:, 1:], before[:, 1:])
        raise RuntimeError("no")
    np.testing.assert_array_equal(model.logits(images), before)


def test_the_backbone_is_loaded_by_its_name():
    stream = models.stream(1)
    model = fk.StreamingLDA(fk.load_backbone(), 3)
    record = models.record_of(model, stream, models.learn(model, stream))
    images, labels = stream[0].test_images[:1], stream[0].test_labels[:1]
    e = explain_over_time(record, images, labels, method="saliency")
    np.testing.assert_allclose(
        e.maps[0], attribute(model, images, labels, method="saliency"), rtol=1e-6
    )


def test_bad_arguments_are_named():
    record, (images, labels) = finished(), pictures()
    with pytest.raises(ValueError, match="method must be one of .* got 'lime'"):
        explain_over_time(record, images, labels, method="lime")
    with pytest.raises(ValueError, match=r"one class per image \(24\), got shape \(3,\)"):
        explain_over_time(record, images, labels[:3])
    with pytest.raises(ValueError, match=r"one per finished task \(3\), got 0"):
        explain_over_time(record, images, labels, models=[])
    with pytest.raises(ValueError, match=r"targets must be classes that were learned, got \[77\]"):
        explain_over_time(record, images[:1], [77], method="saliency", models=moments(record))


@pytest.mark.parametrize("method", ["integrated_gradients", "saliency", "grad_cam"])
def test_a_method_that_chooses_for_each_image_is_refused(method):
    stream = models.stream()
    model = models.build("l2p")
    models.learn(model, stream)
    images, labels = stream[0].test_images[:1], stream[0].test_labels[:1]
    with pytest.raises(ValueError, match="one for all images to be explained, got 'l2p'"):
        fk.probes.attribute(model, images, labels, method=method)
