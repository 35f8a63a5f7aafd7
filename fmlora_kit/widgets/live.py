"""Watch a model learn, task by task, and stop it."""

from __future__ import annotations

import asyncio
import html
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Protocol

import ipywidgets

from fmlora_kit import checks
from fmlora_kit.figures.run import training_progress
from fmlora_kit.record import Record, TaskResult
from fmlora_kit.widgets.figure_box import FigureBox

# Seconds between two steps. A click takes three turns of the event loop and another thread to come
# through: with 0 that is three more steps, with a millisecond at most one.
_PAUSE = 0.001


class TrainingStep(Protocol):
    """What a step of learning a task tells: see `fmlora_kit.training.Step`."""

    phase: str
    index: int
    n_steps: int
    loss: float
    traces: Mapping[str, Sequence[float]]


class LiveTraining(ipywidgets.VBox):
    """A panel that trains one task at a time: loss, ranks, accuracies, progress and a Stop button.

    It only advances the generator it is given, and between two steps lets the notebook handle a
    click on Stop, also while a task is prepared or tested. The loop over tasks stays in the
    notebook's cell::

        panel = LiveTraining(stream)
        display(panel)
        model = fk.from_record(record)  # as it was after the last finished task
        for task in stream[len(record.tasks) :]:
            record = await panel.learn(record, fk.train_steps(model, task, stream))
            if panel.stopped:
                break

    Args:
        stream: its tasks' names are shown; anything that yields objects with a ``name``.
        redraw_every: steps between two drawings of the figure.

    Attributes:
        stopped: whether Stop, or an interrupt of the kernel, ended the last `learn`.

    Raises:
        ValueError: ``redraw_every`` is below 1, or the stream has no task.
    """

    def __init__(self, stream: Iterable, *, redraw_every: int = 10):
        named = checks.listed("stream", stream)
        self._names = tuple(getattr(task, "name", None) for task in named)
        if None in self._names:
            raise checks.fail("stream", "of tasks with a name", stream)
        self._redraw_every = checks.integer("redraw_every", redraw_every, 1)
        if not self._names:
            raise checks.fail("stream", "at least one task", self._names)
        self.stopped = False
        self.progress = ipywidgets.FloatProgress(
            min=0, max=len(self._names), description="Tasks", layout={"width": "320px"}
        )
        self.button = ipywidgets.Button(
            description="Stop",
            icon="stop",
            style={"button_color": "#a33c00", "text_color": "white"},
            disabled=True,
            tooltip="Stop now; finished tasks are kept. Needs the kernel that trains: "
            "after a restart, run the cell again",
        )
        self.button.on_click(self._stop)
        self.status = ipywidgets.HTML()
        self.box = FigureBox()
        super().__init__([ipywidgets.HBox([self.progress, self.button]), self.status, self.box])
        self.say(f"Ready: {len(self._names)} tasks, nothing learned yet.")

    async def learn(
        self, record: Record, steps: Generator[TrainingStep, None, TaskResult]
    ) -> Record:
        """Learn the next task; return the record with it, or unchanged if it was stopped.

        Stop and the kernel's interrupt do the same.

        Args:
            record: of the tasks learned so far.
            steps: yields after every step of training and returns the task's result, as
                `fmlora_kit.train_steps` does. It is closed in the end, whatever happens.

        Raises:
            ValueError: ``record`` is of a stream of another length, or has all its tasks.
        """
        n = len(self._names)
        if record.n_tasks != n:
            raise ValueError(f"record must be of a stream of {n} tasks, got {record.n_tasks}")
        if len(record.tasks) == n:
            raise ValueError(f"record must have a task left to learn, got all {n}")
        self.stopped = self.button.disabled = False
        try:
            result = await self._advance(record, steps)
            if result is not None:
                record = record.with_task(result)
            self._conclude(record, finished=result is not None)
        except (KeyboardInterrupt, asyncio.CancelledError):  # the notebook's own Interrupt
            self.stopped = True
            self._conclude(record, finished=False, word="Interrupted")
        except BaseException as error:
            self.button.disabled = True
            reason = str(error) or type(error).__name__
            where = self._task(len(record.tasks))
            self.say(f"Failed in {where}: {reason}. {_what_is_kept(record)}")
            raise
        finally:
            steps.close()
        return record

    def say(self, text: str) -> None:
        """Show a plain text in the status line."""
        self.status.value = html.escape(text)

    async def _advance(self, record: Record, steps) -> TaskResult | None:
        """Run ``steps`` to their end and return the result; None if Stop was pressed on the way."""
        self._going: dict[str, object] = {}  # of the task that is being learned
        losses: list[float] = []
        self.say(f"Preparing {self._task(len(record.tasks))}")
        while True:
            await asyncio.sleep(_PAUSE)  # here clicks are handled
            if self.stopped:
                return None
            try:
                step = next(steps)
            except StopIteration as end:
                await asyncio.sleep(_PAUSE)
                return end.value
            if step.phase == "training":
                self._follow(record, losses, step)
            elif step.phase in ("finishing", "testing"):
                tests = f" {step.index + 1} of {step.n_steps}" * (step.phase == "testing")
                self.say(f"Testing{tests} after {self._task(len(record.tasks))}")

    def _follow(self, record: Record, losses: list[float], step: TrainingStep) -> None:
        losses.append(step.loss)
        ranks = step.traces.get("drs.expected_rank", self._going.get("expected_rank"))
        self._going = {"losses": losses, "n_steps": step.n_steps, "expected_rank": ranks}
        done = step.index + 1
        if done < step.n_steps and step.index % self._redraw_every:
            return
        self.progress.value = len(record.tasks) + done / step.n_steps
        task = self._task(len(record.tasks))
        self.say(f"In {task}: step {done} of {step.n_steps}, loss {step.loss:.3f}")
        self.box.show(training_progress(record, task_names=self._names, **self._going))

    def _conclude(self, record: Record, *, finished: bool, word: str = "Stopped") -> None:
        done = len(record.tasks)
        complete = done == record.n_tasks
        self.button.disabled = complete or self.stopped
        self.progress.value = done
        if complete:
            self.say(f"All {done} tasks learned.")
        elif self.stopped:
            where = f"after {self._task(done - 1)}" if finished else f"in {self._task(done)}"
            self.say(f"{word} {where}. {_what_is_kept(record)} Run the cell again to go on.")
        else:
            self.say(f"{done} of {record.n_tasks} tasks learned.")
        going = {} if finished else self._going  # what was learned of it stays in sight
        self.box.show(training_progress(record, task_names=self._names, **going))

    def _task(self, index: int) -> str:
        return f"task {index + 1} of {len(self._names)}, {self._names[index]}"

    def _stop(self, _: ipywidgets.Button) -> None:
        self.stopped = self.button.disabled = True
        self.say("Stopping …")


def _what_is_kept(record: Record) -> str:
    done = len(record.tasks)
    kept = f"keeps {done} finished task{'s' * (done > 1)}" if done else "has no finished task yet"
    return f"The record {kept}."
