"""The one training loop: learn a task step by step or in one call, then test it.

Accuracy on test sets is class-incremental, and with the task given. Training images may be cropped
and mirrored at random, as the published codes do; off by default.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property, wraps
from inspect import signature
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from fmlora_kit.backbones.batches import Rows
from fmlora_kit.backbones.random_crops import random_views
from fmlora_kit.checks import Count, Positive, check_fields, checked, flag, instance, one_of, shown
from fmlora_kit.methods.base import Method
from fmlora_kit.methods.encoder import TrainingError
from fmlora_kit.record import TaskResult
from fmlora_kit.streams.task import Stream, Task
from fmlora_kit.training.device import precision

AUGMENTATIONS = {
    "none": "none",
    "crop_flip": "crops of area 0.05 to 1 and ratio 3/4 to 4/3, half of them mirrored",
}


@dataclass(frozen=True)
class Budget:
    """How long every method trains on every task, and on what: the same for all compared."""

    epochs: Count = 6  # passes over a task's training images
    batch_size: Count = 32  # images per step
    clip: Positive = 1.0  # largest norm of the gradient
    augmentation: Annotated[str, one_of(AUGMENTATIONS)] = "none"  # or "crop_flip": see `crop_flip`

    def __post_init__(self) -> None:
        check_fields(self)

    def n_steps(self, n_images: int) -> int:
        """Steps for a task of ``n_images``: the last batch of an epoch may be smaller."""
        return self.epochs * math.ceil(n_images / self.batch_size)


@dataclass(frozen=True)
class Step:
    """One step of learning a task.

    Whoever looks at `loss` or `traces` waits for the device; whoever does not lets it run ahead.
    """

    phase: str  # "preparing", "training", "finishing" or "testing"
    index: int  # its place in the phase, from 0
    n_steps: int  # how many the phase has
    on_device: Tensor | float = math.nan  # the loss, where it was computed
    # What `Method.watch` gave:
    watched: Mapping[str, np.ndarray] | Callable[[], Mapping[str, np.ndarray]] = field(
        default_factory=dict
    )

    @cached_property
    def loss(self) -> float:
        """Of this step; NaN unless training."""
        return float(self.on_device)

    @cached_property
    def traces(self) -> Mapping[str, np.ndarray]:
        """What the method watched, see `Method.watch`."""
        return self.watched() if callable(self.watched) else self.watched


def takes_budget(function: Callable) -> Callable:
    """Decorate a function that takes a budget: who gives it ``epochs`` is told where they go."""
    known, inside = signature(function).parameters, [each.name for each in fields(Budget)]

    @wraps(function)
    def call(*args, **options):
        for name in options:
            if name in inside and name not in known:
                there = f"budget=fk.Budget({name}={shown(options[name])})"
                raise TypeError(f"{function.__name__} takes {name} in its budget: {there}")
        return function(*args, **options)

    return call


@takes_budget
def train_steps(
    model: Method,
    task: Task,
    stream: Stream,
    budget: Budget | None = None,
    *,
    check_every: int | None = None,
) -> Generator[Step, None, TaskResult]:
    """Learn ``task``, yielding after every step; the generator's return value is the result.

    Steps of training come between one of preparing, one of finishing, and one of testing for each
    test set, so that whoever iterates never waits long, and can stop at any step: the unfinished
    task leaves no result behind, and `from_record` gives the model as it was before it.

    The model has learned the stream's earlier tasks. Whether the losses are finite is looked at
    every ``check_every`` steps, which waits for the device; default: 1 on the CPU, where nothing
    waits, else 50.

    Raises:
        ValueError: ``task`` is not the stream's next one, or an earlier try of it was given up.
        TrainingError: the loss is not finite, or the weights are not after the last step.
    """
    instance("model", model, Method, "a method")
    instance("task", task, Task, "a task of the stream")
    instance("stream", stream, Stream, "a Stream")
    budget = checked("budget", budget, Budget | None) or Budget()
    place = _place(model, task, stream)
    if checked("check_every", check_every, Count | None) is None:
        check_every = 1 if model.device.type == "cpu" else 50
    started = time.perf_counter()
    model.hold(task.train_images, urgent=True)
    model.begin_task(task)
    yield Step("preparing", 0, 1)
    groups = model.parameter_groups()
    steps: list[Step] = []
    if groups:
        for step in _optimise(model, task, groups, budget, place, check_every):
            steps.append(step)
            yield step
    model.end_task(task)
    model.release(task.train_images)
    seconds = time.perf_counter() - started
    yield Step("finishing", 0, 1)
    tested = yield from _test(model, stream, place)
    n_trainable = sum(p.numel() for group in groups for p in group["params"])
    return _result(model, task, tested, steps, n_trainable=n_trainable, seconds=seconds)


@takes_budget
def train_task(
    model: Method,
    task: Task,
    stream: Stream,
    budget: Budget | None = None,
    *,
    show_progress: bool = False,
) -> TaskResult:
    """Learn ``task`` in one call: see `train_steps`."""
    instance("task", task, Task, "a task of the stream")
    flag("show_progress", show_progress)
    steps = train_steps(model, task, stream, budget)
    with tqdm(desc=task.name, unit="step", disable=not show_progress, leave=False) as bar:
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                return end.value
            if step.phase == "training":
                bar.total = step.n_steps
                if bar.update():  # it was drawn: only then is the loss asked for
                    bar.set_postfix(loss=f"{step.loss:.3f}", refresh=False)


def _place(model: Method, task: Task, stream: Stream) -> int:
    place = model.n_tasks_done
    if place >= len(stream):
        raise ValueError(
            f"model must have a task of the stream's {len(stream)} left to learn, got one that has "
            f"learned {place}: build it anew, or take an earlier one from the record (from_record)"
        )
    if stream[place] is not task:
        rule = f"the stream's next one, number {place + 1} of {len(stream)}"
        raise ValueError(f"task must be {rule}, got {task.name!r}")
    if model.head.current:
        raise ValueError(
            f"model must have finished its task before {task.name!r} begins, got one left in the "
            "middle of it; build it again, or take it from the record with from_record"
        )
    return place


def _optimise(
    model: Method, task: Task, groups: list[dict], budget: Budget, place: int, check_every: int
) -> Generator[Step, None, None]:
    plain = budget.augmentation == "none"  # what is held of the images is of them as they are
    images = model.rows(task.train_images) if plain else Rows(task.train_images, model.device)
    labels = Rows(task.train_labels, model.device)
    n_steps = budget.n_steps(len(labels))
    optimiser = torch.optim.AdamW(groups, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda k: (1 + math.cos(math.pi * k / n_steps)) / 2
    )
    parameters = [p for group in groups for p in group["params"]]
    recent: list[Tensor] = []
    for k, batch in enumerate(_batches(len(labels), budget, model.seed, place)):
        weight, shares = 1.0, (images[batch], labels[batch])
        if not plain:
            views = crop_flip(shares[0], np.random.default_rng([model.seed, 8, place, k]))
            shares = (views, shares[1])
        if model.group is not None:
            weight, shares = model.group.share(model, *shares)
        with precision(model.device):
            loss = model.loss(*shares, k / n_steps)
        optimiser.zero_grad()
        if model.group is None:
            loss.backward()
        else:
            loss = model.group.backward(loss, weight, parameters)
        recent.append(loss := loss.detach().clone())
        if len(recent) == check_every or k + 1 == n_steps:
            _check(recent, k + 1, n_steps, task.name, groups[0]["initial_lr"])
            recent = []
        nn.utils.clip_grad_norm_(parameters, budget.clip)
        optimiser.step()
        schedule.step()
        yield Step("training", k, n_steps, loss, model.watch())
    if not torch.stack([torch.isfinite(p).all() for p in parameters]).all():
        raise TrainingError(
            f"weights must be finite after task {task.name!r}, got some that are not; a smaller lr "
            f"(now {groups[0]['initial_lr']}) may help"
        )


def _check(recent: Sequence[Tensor], done: int, n_steps: int, name: str, lr: float) -> None:
    """Raise TrainingError for the first of the last losses, up to step ``done``, that is none."""
    losses = torch.stack(list(recent)).cpu().numpy()
    wrong = np.flatnonzero(~np.isfinite(losses))
    if len(wrong):
        step = done - len(losses) + 1 + wrong[0]
        late = f" (looked at after step {done})" if step < done else ""
        raise TrainingError(
            f"loss must be finite, got {losses[wrong[0]]} at step {step} of {n_steps} of task "
            f"{name!r}{late}; a smaller lr (now {lr}) may help"
        )


def _batches(n: int, budget: Budget, seed: int, place: int) -> Generator[torch.Tensor, None, None]:
    rng = np.random.default_rng([seed, 7, place])
    for _ in range(budget.epochs):
        order = torch.from_numpy(rng.permutation(n))
        yield from order.split(budget.batch_size)


def _test(
    model: Method, stream: Stream, place: int
) -> Generator[Step, None, dict[str, np.ndarray]]:
    """Every task seen and, where classes stay the same, the next one too."""
    accuracy, oracle = np.full((2, len(stream)), np.nan)
    ahead = stream.scenario == "domain-incremental" and place + 1 < len(stream)
    predictions = []
    for i in range(place + 1 + ahead):
        scores = evaluate(model, stream[i])
        accuracy[i], oracle[i] = scores.accuracy, scores.oracle_accuracy
        if i <= place:
            predictions.append(scores.predictions)
        yield Step("testing", i, place + 1 + ahead)
    found = {"accuracy": accuracy, "oracle_accuracy": oracle}
    return found | {"predictions": np.concatenate(predictions)}


def _result(
    model: Method, task: Task, tested: dict[str, np.ndarray], steps: list[Step], **measured: float
) -> TaskResult:
    watched = [step.traces for step in steps if step.traces]
    return TaskResult(
        name=task.name,
        classes=task.classes,
        class_names=task.class_names,
        n_test=len(task.test_labels),
        **tested,
        losses=np.array([step.loss for step in steps], dtype=float),
        ranks=np.asarray(model.ranks, dtype=np.int64),
        n_deployed=model.n_deployed,
        n_training_state=model.n_training_state,
        scalars=model.scalars,
        state=model.snapshot(),
        test_labels=task.test_labels,
        traces={name: np.stack([w[name] for w in watched]) for name in (*watched, {})[0]},
        **measured,
    )


def describe(budget: Budget) -> dict:
    """For the record's run card."""
    facts = asdict(budget)
    last = {"augmentation": AUGMENTATIONS[facts.pop("augmentation")]}
    how = {"optimiser": "AdamW", "weight_decay": 0.0, "schedule": "cosine per task"}
    return facts | how | last


@dataclass(frozen=True)
class Scores:
    """What the model says of one test set."""

    predictions: np.ndarray  # (n,) classes, arg-max over all classes seen
    accuracy: float  # fraction right
    oracle_accuracy: float  # fraction right, arg-max over the task's own classes only


def evaluate(model: Method, task: Task) -> Scores:
    """Predict the task's test images, over all classes seen and over the task's own."""
    model.hold(task.test_images)
    with model.merged():
        features = model.extract(task.test_images)
    best = [
        np.asarray(ids, dtype=np.int64)[model.scores(features, ids).argmax(axis=1)]
        for ids in (model.seen, task.classes)
    ]
    return Scores(best[0], *(float(np.mean(found == task.test_labels)) for found in best))


def crop_flip(images: Tensor, rng: np.random.Generator) -> Tensor:
    """A random crop of every image at its old size, half of them mirrored, rounded to bytes.

    What L2P, DualPrompt, HiDe-Prompt and SD-LoRA train on (torchvision's RandomResizedCrop with
    scale 0.05 to 1, and a horizontal flip), on images already at the backbone's size: they crop the
    file, which may be larger. Letters and digits mean something else when mirrored.

    Images are uint8 (n, side, side, 3), on any device; ``rng`` is on the CPU, so that the views are
    the same on every device and in every process. ValueError if the images are not square.
    """
    n, height, width, _ = images.shape
    if height != width:
        raise ValueError(f"images must be square for crop_flip, got {height} x {width} pixels")
    views = random_views(images.permute(0, 3, 1, 2).float(), height, rng, least_area=0.05)
    return views.round_().clamp_(0, 255).to(images.dtype).permute(0, 2, 3, 1)
