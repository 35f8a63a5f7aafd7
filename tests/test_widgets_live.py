"""The live panel: it advances a generator, shows its losses, and stops between two steps."""

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest
from hand_made import THREE_TASKS, THREE_TASKS_ORACLE, make_record, make_task
from nbval_tolerance import as_numbers

from fmlora_kit.widgets import LiveTraining
from fmlora_kit.widgets.figure_box import PLOTLY

STREAM = [SimpleNamespace(name=name) for name in ("Latin", "Greek", "Hebrew")]
LOSSES = [3.0, 2.5, 2.25, 1.5]


def result(t, losses=LOSSES):
    return make_task(
        t, THREE_TASKS[t], THREE_TASKS_ORACLE[t], (10, 20, 10)[: t + 1], losses=np.array(losses)
    )


def train(t, losses=LOSSES, *, before_step=lambda k: None, log=None):
    """What `train_steps` yields and returns, without a model; `log` hears that it was closed."""
    try:
        for k, loss in enumerate(losses):
            before_step(k)
            yield SimpleNamespace(index=k, n_steps=len(losses), loss=loss)
        return result(t, losses)
    finally:
        if log is not None:
            log.append(f"closed {t}")


def learn(panel, record, steps):
    return asyncio.run(panel.learn(record, steps))


def drawn(panel):
    """The figure in the box: the losses drawn per task, and the accuracies."""
    traces = panel.box.outputs[0]["data"][PLOTLY]["data"]
    losses = [np.asarray(as_numbers(t["y"])).tolist() for t in traces if t.get("mode") == "lines"]
    (bars,) = [t for t in traces if t["type"] == "bar"]
    return losses, np.asarray(as_numbers(bars["x"])).tolist() if len(bars["x"]) else []


def test_learning_all_tasks_gives_their_record_and_shows_it():
    async def loop(panel, record):
        for t in range(3):
            record = await panel.learn(record, train(t))
            assert not panel.stopped
            assert panel.progress.value == t + 1
        return record

    panel = LiveTraining(STREAM)
    record = asyncio.run(loop(panel, make_record(n_done=0)))
    assert record.same_as(
        make_record(n_done=0).with_task(result(0)).with_task(result(1)).with_task(result(2))
    )
    losses, accuracy = drawn(panel)
    assert losses == [LOSSES] * 3
    np.testing.assert_allclose(accuracy, [50, 90, 60])
    assert panel.status.value == "All 3 tasks learned."
    assert panel.button.disabled


def test_between_tasks_the_button_waits_for_a_click():
    panel = LiveTraining(STREAM)
    learn(panel, make_record(n_done=0), train(0))
    assert panel.status.value == "1 of 3 tasks learned."
    assert not panel.button.disabled


def test_while_it_trains_every_redraw_shows_the_losses_so_far():
    panel, seen = LiveTraining(STREAM, redraw_every=2), []

    def look(k):
        if k:
            seen.append((drawn(panel)[0], panel.progress.value, panel.status.value))

    learn(panel, make_record(n_done=1), train(1, before_step=look))
    first = np.linspace(2, 1, 4).tolist()
    assert [losses for losses, _, _ in seen] == [
        [first, LOSSES[:1]],
        [first, LOSSES[:1]],
        [first, LOSSES[:3]],
    ]
    assert [value for _, value, _ in seen] == [1.25, 1.25, 1.75]
    assert seen[-1][2] == "In task 2 of 3, Greek: step 3 of 4, loss 2.250"


def test_stop_ends_before_the_next_step_and_keeps_the_finished_tasks():
    panel, log, ran = LiveTraining(STREAM), [], []

    async def loop():
        record = await panel.learn(make_record(n_done=0), train(0))

        def click(k):
            ran.append(k)
            if k == 1:
                asyncio.get_running_loop().call_soon(panel.button.click)

        return record, await panel.learn(record, train(1, before_step=click, log=log))

    before, after = asyncio.run(loop())
    assert panel.stopped and panel.button.disabled
    assert ran == [0, 1] and log == ["closed 1"]
    assert after is before and len(after.tasks) == 1
    assert panel.status.value == "Stopped in task 2 of 3, Greek. The record keeps 1 finished task."
    assert panel.progress.value == 1
    assert drawn(panel)[0] == [LOSSES]


def test_stop_in_the_first_task_says_that_there_is_nothing_yet():
    panel = LiveTraining(STREAM)
    record = learn(
        panel, make_record(n_done=0), train(0, before_step=lambda k: panel.button.click())
    )
    assert record.tasks == () and panel.stopped
    assert "The record has no finished task yet." in panel.status.value


def test_a_click_during_the_last_step_stops_after_the_finished_task_is_kept():
    panel = LiveTraining(STREAM)

    def steps():
        yield SimpleNamespace(index=0, n_steps=1, loss=1.0)
        panel.button.click()  # while the task is being tested
        return result(0)

    record = learn(panel, make_record(n_done=0), steps())
    assert len(record.tasks) == 1 and panel.stopped
    assert (
        panel.status.value == "Stopped after task 1 of 3, Latin. The record keeps 1 finished task."
    )


def test_learning_goes_on_after_a_stop():
    panel = LiveTraining(STREAM)
    record = learn(
        panel, make_record(n_done=1), train(1, before_step=lambda k: panel.button.click())
    )
    record = learn(panel, record, train(1))
    assert len(record.tasks) == 2 and not panel.stopped


def test_an_error_in_a_step_is_shown_and_passed_on():
    def fail(k):
        if k == 2:
            raise ArithmeticError("loss must be finite, got <nan>")

    panel, log, record = LiveTraining(STREAM), [], make_record(n_done=2)
    with pytest.raises(ArithmeticError, match="finite"):
        learn(panel, record, train(2, before_step=fail, log=log))
    assert panel.status.value == (
        "Failed in task 3 of 3, Hebrew: loss must be finite, got &lt;nan&gt;. "
        "The record keeps 2 finished tasks."
    )
    assert panel.button.disabled and not panel.stopped and log == ["closed 2"]
    assert len(record.tasks) == 2


def test_an_interrupt_is_shown_too():
    def interrupt(k):
        raise KeyboardInterrupt

    panel = LiveTraining(STREAM)
    with pytest.raises(KeyboardInterrupt):
        learn(panel, make_record(n_done=1), train(1, before_step=interrupt))
    assert panel.status.value.startswith("Failed in task 2 of 3, Greek: KeyboardInterrupt.")


def test_a_method_without_steps_is_learned_at_once():
    panel = LiveTraining(STREAM)
    record = learn(panel, make_record(n_done=1), train(1, losses=[]))
    assert len(record.tasks) == 2 and panel.progress.value == 2


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="redraw_every must be at least 1 step, got 0"):
        LiveTraining(STREAM, redraw_every=0)
    with pytest.raises(ValueError, match="at least one task, got none"):
        LiveTraining([])
    with pytest.raises(ValueError, match="stream of 2 tasks, got 3"):
        learn(LiveTraining(STREAM[:2]), make_record(n_done=1), train(1))
    with pytest.raises(ValueError, match="task left to learn, got all 3"):
        learn(LiveTraining(STREAM), make_record(), train(2))
