"""The loop: order, labels, losses, evaluation, and what happens when training breaks."""

import io
import math
import sys
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import models
from torch.utils._python_dispatch import TorchDispatchMode

import fmlora_kit as fk
from fmlora_kit.training import Budget, TrainingError, loop
from fmlora_kit.training.loop import _batches

IMAGES = models.noise(6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"clip": 0}, "clip must be above 0, got 0"),
        ({"clip": float("nan")}, "clip must be a finite number above 0, got nan"),
    ],
)
def test_bad_budgets(options, message):
    with pytest.raises(ValueError, match=message):
        Budget(**options)


@pytest.mark.parametrize(("n", "steps"), [(1, 3), (16, 3), (17, 6), (48, 9)])
def test_steps_of_a_budget(n, steps):
    assert Budget(epochs=3, batch_size=16).n_steps(n) == steps


def test_batches_show_every_picture_once_an_epoch_in_an_order_of_seed_and_task():
    budget = Budget(epochs=2, batch_size=4)
    batches = [b.tolist() for b in _batches(10, budget, 0, 1)]
    assert [len(b) for b in batches] == [4, 4, 2, 4, 4, 2]
    first, second = sum(batches[:3], []), sum(batches[3:], [])
    assert sorted(first) == sorted(second) == list(range(10)) and first != second
    assert batches == [b.tolist() for b in _batches(10, budget, 0, 1)]
    for seed, place in ((1, 1), (0, 2)):
        assert batches != [b.tolist() for b in _batches(10, budget, seed, place)]


def test_tasks_are_learned_in_the_streams_order():
    stream = models.stream()
    model = models.build("frozen_backbone")
    with pytest.raises(ValueError, match="next one, number 1 of 3, got 'Greek'"):
        fk.train_task(model, stream[1], stream, models.BUDGET)
    models.learn(model, stream)
    with pytest.raises(ValueError, match="left to learn, got one that has learned 3"):
        fk.train_task(model, stream[0], stream, models.BUDGET)


def test_a_model_left_in_the_middle_of_a_task_is_refused():
    stream = models.stream()
    model = models.build("sequential_lora")
    steps = fk.train_steps(model, stream[0], stream, models.BUDGET)
    assert [next(steps).phase for _ in range(2)] == ["preparing", "training"]
    with pytest.raises(ValueError, match="model must have finished its task .*from_record"):
        fk.train_task(model, stream[0], stream, models.BUDGET)


def test_every_step_says_where_it_is_and_is_recorded():
    stream = models.stream()
    steps = fk.train_steps(models.build("sequential_lora"), stream[0], stream, models.BUDGET)
    seen = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as end:
            result = end.value
            break
    training = [s for s in seen if s.phase == "training"]
    assert [s.index for s in training] == [0, 1, 2, 3] and {s.n_steps for s in training} == {4}
    np.testing.assert_array_equal(result.losses, [s.loss for s in training])
    assert result.seconds > 0 and result.name == "Latin"


def phases(model, task, stream):
    """Phase, place and length of everything that learning a task yields."""
    steps = fk.train_steps(model, task, stream, models.BUDGET)
    return [(s.phase, s.index, s.n_steps, math.isnan(s.loss)) for s in steps]


def test_whoever_iterates_gets_a_breath_before_after_and_between_the_tests():
    stream, model = models.stream(), models.build("sequential_lora")
    train = [("training", k, 4, False) for k in range(4)]
    start, end = [("preparing", 0, 1, True)], [("finishing", 0, 1, True)]
    for t in range(3):
        tests = [("testing", i, t + 1, True) for i in range(t + 1)]
        assert phases(model, stream[t], stream) == start + train + end + tests


def test_the_result_keeps_the_true_classes_of_its_test_images_and_what_was_watched():
    stream, model = models.stream(), models.fmlora()
    for task in stream:
        result = fk.train_task(model, task, stream, models.BUDGET)
        np.testing.assert_array_equal(result.test_labels, task.test_labels)
        own = result.predictions[-len(task.test_labels) :]
        assert np.mean(own == result.test_labels) == result.accuracy[model.n_tasks_done - 1]
        probabilities = result.traces["drs.probabilities"]  # half of four steps choose ranks
        assert probabilities.shape == (2, len(model.sites), len(model.candidates))
        np.testing.assert_allclose(probabilities.sum(axis=2), 1, rtol=1e-6)
        candidates = result.state["drs.candidates"]
        np.testing.assert_array_equal(candidates, model.candidates)
        expected = (probabilities * candidates).sum(axis=2)
        np.testing.assert_allclose(result.traces["drs.expected_rank"], expected, rtol=1e-6)
        np.testing.assert_allclose(result.traces["drs.temperature"], [2.0, 2 * 0.15**0.5])


def test_a_method_that_watches_nothing_leaves_no_traces():
    stream = models.stream()
    assert fk.train_task(models.fmlora(drs=False), stream[0], stream, models.BUDGET).traces == {}
    assert models.learn(models.build("frozen_backbone"), stream)[0].traces == {}


def test_the_first_losses_are_those_of_adamw_with_a_cosine_schedule():
    stream, budget = models.stream(), Budget(epochs=3, batch_size=24, clip=0.05)
    result = fk.train_task(models.build("frozen_backbone"), stream[0], stream, budget)
    model = models.build("frozen_backbone")
    model.begin_task(stream[0])
    images, labels = (torch.tensor(a) for a in (stream[0].train_images, stream[0].train_labels))
    losses = []
    m, v = 0, 0
    rows = model.head.rows
    for k in range(3):
        loss = model.loss(images, labels)
        (g,) = torch.autograd.grad(loss, rows)
        losses.append(loss.item())
        g = g * min(1, 0.05 / (g.norm().item() + 1e-6))
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        step = m / (1 - 0.9 ** (k + 1)) / ((v / (1 - 0.999 ** (k + 1))).sqrt() + 1e-8)
        with torch.no_grad():
            rows -= 5e-3 * (1 + math.cos(math.pi * k / 3)) / 2 * step
    np.testing.assert_allclose(result.losses, losses, rtol=1e-4)


def test_accuracy_by_hand_over_seen_classes_and_with_the_task_given():
    stream = models.stream()
    model = models.build("frozen_backbone")
    results = models.learn(model, stream)
    last = results[-1]
    scores = [model.logits(task.test_images) for task in stream]
    for i, task in enumerate(stream):
        assert last.accuracy[i] == np.mean(scores[i].argmax(1) == task.test_labels)
        own = scores[i][:, 3 * i : 3 * i + 3].argmax(1) + 3 * i
        assert last.oracle_accuracy[i] == np.mean(own == task.test_labels)
    np.testing.assert_array_equal(last.predictions, np.concatenate([s.argmax(1) for s in scores]))
    assert np.isnan(results[0].accuracy[1:]).all() and np.isnan(results[1].accuracy[2])
    assert last.oracle_accuracy.mean() > last.accuracy.mean()


def test_predictions_are_class_ids_whatever_their_order():
    """Classes that do not come in rising order are not mistaken for places."""
    task = models.stream()[0]
    turned = fk.streams.Task(
        "turned",
        (2, 0, 1),
        ("c", "a", "b"),
        task.train_images,
        task.train_labels,
        task.train_images,
        task.train_labels,
    )
    stream = fk.streams.Stream("turned", "class-incremental", (turned,), 0)
    result = fk.train_task(models.build("frozen_backbone"), turned, stream, Budget(epochs=60))
    assert result.accuracy[0] > 0.6  # taken for places, a third at most is right
    assert np.mean(result.predictions == task.train_labels) == result.accuracy[0]


def test_a_domain_incremental_stream_is_evaluated_one_task_ahead():
    stream = models.styles()
    results = models.learn(models.build("frozen_backbone", n_classes=4), stream)
    evaluated = [np.isfinite(r.accuracy).tolist() for r in results]
    assert evaluated == [[True, True, False], [True] * 3, [True] * 3]
    assert [len(r.predictions) for r in results] == [12, 24, 36]


@pytest.mark.parametrize("name", ["fmlora", "full_finetuning"])
def test_the_same_seed_gives_the_same_results_bit_for_bit(name):
    stream = models.stream()
    first, again, other = (models.learn(models.build(name, seed=s), stream) for s in (1, 1, 2))
    assert all(a.same_as(b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0].losses, other[0].losses)


def test_training_does_not_touch_global_randomness():
    stream = models.stream()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fk.train_task(models.fmlora(), stream[0], stream, models.BUDGET)
    assert torch.equal(torch.rand(3), expected)


class BreaksAt(fk.SequentialLoRA):
    """Its loss is not a number from the second step of the second task on."""

    def loss(self, images, labels, progress=0.0):
        """NaN when its time has come."""
        loss = super().loss(images, labels, progress)
        return loss * float("nan") if self.n_tasks_done == 1 and progress > 0 else loss


def test_a_loss_that_is_no_number_stops_training_and_names_the_place(tmp_path):
    stream = models.stream()
    model = BreaksAt(models.vit(), 9, rank=4, lr=0.125)
    with pytest.raises(
        TrainingError, match=r"loss must be finite, got nan at step 2 of 4 of task 'Greek'.*0\.125"
    ):
        fk.run(model, stream, models.BUDGET, folder=tmp_path / "run")
    kept = fk.Record.load(tmp_path / "run")
    assert kept.task_names == ("Latin",)
    expected = fk.train_task(
        BreaksAt(models.vit(), 9, rank=4, lr=0.125), stream[0], stream, models.BUDGET
    )
    assert kept.tasks[0].same_as(expected)


def test_losses_looked_at_late_still_name_their_step():
    stream = models.stream()
    model = BreaksAt(models.vit(), 9, rank=4, lr=0.125)
    fk.train_task(model, stream[0], stream, models.BUDGET)
    steps = fk.train_steps(model, stream[1], stream, models.BUDGET, check_every=3)
    assert math.isnan(models.advance(steps, 2).loss)
    with pytest.raises(
        TrainingError, match=r"got nan at step 2 of 4 of task 'Greek' \(looked at after step 3\)"
    ):
        next(steps)


class Waits(TorchDispatchMode):
    """Counts what would make the processor wait for an accelerator."""

    calls = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Count, and go on."""
        names = ("aten::_local_scalar_dense", "aten::nonzero", "aten::equal")
        self.calls += func.name() in names
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", ["fmlora", "sequential_lora", "sd_lora"])
def test_no_step_waits_for_the_device_unless_someone_looks(monkeypatch, name):
    monkeypatch.setattr(torch.optim, "AdamW", torch.optim.SGD)  # on CPUs AdamW reads its counters
    stream, model = models.stream(), models.build(name)
    fk.train_task(model, stream[0], stream, models.BUDGET)
    steps = fk.train_steps(model, stream[1], stream, Budget(epochs=4, batch_size=8), check_every=50)
    models.advance(steps, 1)
    with Waits() as waits:
        seen = [models.advance(steps, 1) for _ in range(4)]
        assert waits.calls == 0
        assert math.isfinite(seen[0].loss) and waits.calls == 1
    assert [s.index for s in seen] == [1, 2, 3, 4]
    if name == "fmlora":
        assert seen[0].traces["drs.expected_rank"].shape == (4,)


def test_weights_that_are_no_numbers_after_the_last_step_leave_no_result():
    stream = models.stream()
    model = models.build("sequential_lora")
    model.lr = float("inf")  # no option, and no loss after it
    with pytest.raises(TrainingError, match="weights must be finite after task 'Latin'"):
        fk.train_task(model, stream[0], stream, Budget(epochs=1, batch_size=24))


def test_progress_bars_go_to_stderr_and_only_when_asked_for(capsys, monkeypatch):
    monkeypatch.setattr(loop, "tqdm", partial(loop.tqdm, mininterval=0))
    stream = models.stream()
    model = models.build("sequential_lora")
    fk.train_task(model, stream[0], stream, models.BUDGET)
    assert capsys.readouterr() == ("", "")
    fk.train_task(model, stream[1], stream, models.BUDGET, show_progress=True)
    out, err = capsys.readouterr()
    assert out == "" and "Greek" in err and "/4" in err


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("asked", [None, False, True])
@pytest.mark.parametrize("where", ["a file", "a terminal", "a notebook"])
def test_a_run_shows_how_far_it_is_where_somebody_watches(where, asked, monkeypatch):
    stderr = Terminal() if where == "a terminal" else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    kernel = SimpleNamespace(kernel=None) if where == "a notebook" else None
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: kernel))
    how = {} if asked is None else {"show_progress": asked}
    fk.run(models.build("sequential_lora"), models.stream(), models.BUDGET, **how)
    watched = where != "a file" if asked is None else asked
    for seen in ("sequential_lora", "Greek", "/3"):
        assert (seen in stderr.getvalue()) is watched
