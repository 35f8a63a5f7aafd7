"""The same images, explained by the model as it was after every task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np
import torch

from fmlora_kit import checks
from fmlora_kit.analysis.arguments import check_record
from fmlora_kit.analysis.attribution import ATTRIBUTION_METHODS, Explanations
from fmlora_kit.analysis.names import run_name
from fmlora_kit.methods import Method
from fmlora_kit.probes.cam import grad_cam
from fmlora_kit.probes.gradients import integrated_gradients, saliency
from fmlora_kit.probes.images import merged
from fmlora_kit.probes.rollout import attention_rollout
from fmlora_kit.probes.scores import ClassScores, evaluation_mode, head_rows, pixels, swap_head_rows
from fmlora_kit.record import Record
from fmlora_kit.training import models_over_time

_BY_NAME = {each.__name__: each for each in (integrated_gradients, saliency, grad_cam)}


def attribute(
    model: Method,
    images: np.ndarray,
    targets: Sequence[int],
    *,
    method: str = "integrated_gradients",
    **options: object,
) -> np.ndarray:
    """Maps (n, H, W), float64, by the method of that name.

    Args:
        model: any method of this package that has learned a task.
        images: uint8 (n, H, W, 3).
        targets: (n,) classes that the model has seen, global ids.
        method: a name in `analysis.ATTRIBUTION_METHODS`.
        options: of the method, such as ``steps``.

    Raises:
        ValueError: the method is unknown, no or wrong images, or a target that was not seen.
        ImportError: the method needs captum, and it is not installed.
    """
    checks.choice("method", method, ATTRIBUTION_METHODS)
    if method == "attention_rollout":
        return attention_rollout(model, images, **options)
    return _BY_NAME[method](model, images, targets, **options)


def explain_over_time(
    record: Record,
    images: np.ndarray,
    targets: Sequence[int],
    *,
    method: str = "integrated_gradients",
    models: Iterable[Method] | None = None,
    keep_head: bool = False,
    **options: object,
) -> Explanations:
    """Explain the same images by the model as it was after every task of ``record``.

    An image is explained from the task on in which its target was learned: before, the head has no
    row for it.

    Args:
        record: of any method of this package, with a finished task.
        images: uint8 (n, H, W, 3).
        targets: (n,) classes, global ids, all of them learned by the end of the record.
        method: a name in `analysis.ATTRIBUTION_METHODS`.
        models: the model after task 0, 1, ..., which may be one object that moves on; default:
            `training.models_over_time`.
        keep_head: explain the score by the head's row of the target as it was when the class was
            learned, so that what moves is due to the features alone (the head "mda" sets all of its
            rows anew after every task). Probabilities are those of the real head all the same.
        options: of the method, such as ``steps``.

    Raises:
        ValueError, ImportError: see `attribute`; or not as many models as finished tasks.
    """
    checks.choice("method", method, ATTRIBUTION_METHODS)
    check_record(record, 1)
    images, targets = np.asarray(images), np.asarray(targets)
    if targets.shape != images.shape[:1]:
        rule = f"one class per image ({len(images)})"
        raise ValueError(f"targets must be {rule}, got shape {targets.shape}")
    models = merged(models_over_time(record)) if models is None else models
    moments, first = [], {}
    for model in models:
        first |= head_rows(model, set(model.seen) - set(first))
        rows = first if keep_head else {}
        moments.append(_explain_moment(model, images, targets, method, rows, options))
    if len(moments) != len(record.tasks):
        rule = f"one per finished task ({len(record.tasks)})"
        raise ValueError(f"models must be {rule}, got {len(moments)}")
    parts = {name: [moment[name] for moment in moments] for name in moments[0]}
    parts |= {name: np.array(parts[name]) for name in ("maps", "scores", "baseline_scores")}
    parts |= {name: tuple(parts[name]) for name in ("classes", "probabilities")}
    pairs = (zip(task.classes, task.class_names, strict=True) for task in record.tasks)
    return Explanations(
        method=method,
        run=run_name(record),
        task_names=record.task_names,
        images=images,
        targets=targets,
        class_names=dict(chain.from_iterable(pairs)),
        n_tasks=record.n_tasks,
        **parts,
    )


def _explain_moment(
    model: Method, images: np.ndarray, targets: np.ndarray, method: str, rows: dict, options: dict
) -> dict[str, object]:
    """What `Explanations` holds of one model; ``rows`` of the head take the place of its own."""
    from scipy.special import softmax

    n, known = len(images), np.isin(targets, model.seen)
    maps, (scores, baseline) = np.full(images.shape[:3], np.nan), np.full((2, n), np.nan)
    logits = model.logits(images).astype(np.float64)
    if known.any():
        mine = images[known], targets[known]
        column = [model.seen.index(target) for target in mine[1].tolist()]
        with swap_head_rows(model, rows):
            maps[known] = attribute(model, *mine, method=method, **options)
            scores[known] = model.logits(mine[0])[range(len(column)), column]
            if method == "integrated_gradients":
                grey = torch.zeros_like(pixels(model, images[:1]))  # its baseline
                with evaluation_mode(model), torch.no_grad():
                    baseline[known] = ClassScores(model)(grey)[0].cpu().numpy()[column]
    return {
        "maps": maps,
        "scores": scores,
        "baseline_scores": baseline,
        "classes": model.seen,
        "probabilities": softmax(logits, axis=1),
    }
