"""The live panel: it advances a generator, shows its losses, and stops between two steps."""

import asyncio
import math
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.records import THREE_TASKS, THREE_TASKS_ORACLE, make_record, make_task
from nbval_tolerance import as_numbers

from fmlora_kit.figures.show import PLOTLY
from fmlora_kit.widgets import LiveTraining

STREAM = [SimpleNamespace(name=name) for name in ("Latin", "Greek", "Hebrew")]
LOSSES = [3.0, 2.5, 2.25, 1.5]


def step(phase, index, n_steps, loss=math.nan, **traces):
    return SimpleNamespace(phase=phase, index=index, n_steps=n_steps, loss=loss, traces=traces)


def result(t, losses=LOSSES):
    return make_task(
        t, THREE_TASKS[t], THREE_TASKS_ORACLE[t], (10, 20, 10)[: t + 1], losses=np.array(losses)
    )


def train(t, losses=LOSSES, *, before_step=lambda k: None, log=None):
    """What `train_steps` yields and returns, without a model; `log` hears that it was closed."""
    try:
        yield step("preparing", 0, 1)
        for k, loss in enumerate(losses):
            before_step(k)
            yield step("training", k, len(losses), loss)
        yield step("finishing", 0, 1)
        for i in range(t + 1):
            yield step("testing", i, t + 1)
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
    assert panel.status.value == (
        "Stopped in task 2 of 3, Greek. The record keeps 1 finished task. "
        "Run the cell again to go on."
    )
    assert panel.progress.value == 1
    assert drawn(panel)[0] == [LOSSES, LOSSES[:2]]  # what was learned of it stays in sight


def test_stop_in_the_first_task_says_that_there_is_nothing_yet():
    panel = LiveTraining(STREAM)
    record = learn(
        panel, make_record(n_done=0), train(0, before_step=lambda k: panel.button.click())
    )
    assert record.tasks == () and panel.stopped
    assert "The record has no finished task yet." in panel.status.value


def test_a_click_after_the_last_test_stops_after_the_finished_task_is_kept():
    panel = LiveTraining(STREAM)

    def steps():
        yield step("testing", 0, 1)
        panel.button.click()  # after the last test
        return result(0)

    record = learn(panel, make_record(n_done=0), steps())
    assert len(record.tasks) == 1 and panel.stopped
    said = "Stopped after task 1 of 3, Latin. The record keeps 1 finished task."
    assert panel.status.value.startswith(said)


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


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, asyncio.CancelledError])
def test_an_interrupt_of_the_kernel_stops_as_the_button_does(interrupt):
    def press(k):
        if k == 1:
            raise interrupt

    panel, log, record = LiveTraining(STREAM), [], make_record(n_done=1)
    assert learn(panel, record, train(1, before_step=press, log=log)) is record
    assert panel.stopped and panel.button.disabled and log == ["closed 1"]
    assert panel.status.value == (
        "Interrupted in task 2 of 3, Greek. The record keeps 1 finished task. "
        "Run the cell again to go on."
    )


def test_a_method_without_steps_is_learned_at_once():
    panel = LiveTraining(STREAM)
    record = learn(panel, make_record(n_done=1), train(1, losses=[]))
    assert len(record.tasks) == 2 and panel.progress.value == 2


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="redraw_every must be at least 1, got 0"):
        LiveTraining(STREAM, redraw_every=0)
    with pytest.raises(ValueError, match="stream must be at least one task, got"):
        LiveTraining([])
    with pytest.raises(ValueError, match="stream of 2 tasks, got 3"):
        learn(LiveTraining(STREAM[:2]), make_record(n_done=1), train(1))
    with pytest.raises(ValueError, match="task left to learn, got all 3"):
        learn(LiveTraining(STREAM), make_record(), train(2))


@pytest.mark.parametrize("phase", ["preparing", "finishing", "testing"])
def test_stop_is_heard_in_every_phase(phase):
    panel, log = LiveTraining(STREAM), []

    def steps():
        yield step(phase, 0, 3)
        panel.button.click()
        log.append("one more")
        yield step(phase, 1, 3)
        log.append("too many")

    record = learn(panel, make_record(n_done=1), steps())
    assert panel.stopped and len(record.tasks) == 1 and log == ["one more"]


def test_the_status_says_what_is_tested():
    panel, seen = LiveTraining(STREAM), []

    def steps():
        yield step("finishing", 0, 1)
        seen.append(panel.status.value)
        yield step("testing", 0, 2)
        seen.append(panel.status.value)
        yield step("testing", 1, 2)
        return result(1)

    learn(panel, make_record(n_done=1), steps())
    assert seen == ["Testing after task 2 of 3, Greek", "Testing 1 of 2 after task 2 of 3, Greek"]


def test_the_ranks_being_chosen_are_shown_and_stay_when_they_are_fixed():
    panel, seen = LiveTraining(STREAM, redraw_every=1), []

    def look():
        traces = panel.box.outputs[0]["data"][PLOTLY]["data"]
        seen.append(
            [np.asarray(as_numbers(t["x"])).tolist() for t in traces if t["name"] == "rank"]
        )

    def steps():
        yield step("training", 0, 3, 2.0, **{"drs.expected_rank": np.array([4.0, 6.5])})
        look()
        yield step("training", 1, 3, 2.0, **{"drs.expected_rank": np.array([3.0, 7.0])})
        look()
        yield step("training", 2, 3, 2.0)
        look()
        return result(0)

    learn(panel, make_record(n_done=0), steps())
    assert seen == [[[4.0, 6.5]], [[3.0, 7.0]], [[3.0, 7.0]]]
