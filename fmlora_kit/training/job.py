"""One run among many, named by values only."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fmlora_kit.backbones import load_backbone
from fmlora_kit.checks import as_path, choice, instance, integer, text
from fmlora_kit.methods import METHODS
from fmlora_kit.streams import Stream
from fmlora_kit.streams.catalogue import PRESETS, STREAMS, preset
from fmlora_kit.training.device import pick_device
from fmlora_kit.training.loop import Budget
from fmlora_kit.training.run import run

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True, eq=False)
class Job:
    """One run, named by values only, so that another process can do it."""

    label: str  # what the run is called beside others
    method: str  # a name in `METHODS`
    seed: int  # of the stream's images and of the method
    folder: Path  # where its record goes
    stream: str = "glyphs"  # a name in `STREAMS` or `PRESETS`
    stream_options: dict = field(default_factory=dict)  # its arguments, without the seed
    options: dict = field(default_factory=dict)  # the method's arguments
    budget: Budget = Budget()
    backbone: str = "glyph_vit"  # what `load_backbone` calls it

    @property
    def name(self) -> str:
        """What lines and errors call the run."""
        return f"{self.label}, seed {self.seed}"

    def __post_init__(self) -> None:
        text("label", self.label)
        as_path("folder", self.folder)
        choice("method", self.method, METHODS)
        choice("stream", self.stream, (*STREAMS, *PRESETS))
        integer("seed", self.seed, 0)
        instance("budget", self.budget, Budget, "a Budget")
        text("backbone", self.backbone)
        for name in ("stream_options", "options"):
            instance(name, getattr(self, name), dict, "options by name")

    def make_stream(self) -> Stream:
        """The stream, with the job's seed; "joint" gets all tasks as one."""
        options = {"seed": self.seed, **self.stream_options}
        known = self.stream in STREAMS
        stream = STREAMS[self.stream](**options) if known else preset(self.stream, **options)
        return stream.joined() if self.method == "joint" else stream


class FailedRuns(RuntimeError):
    """Some runs failed; the others are finished and kept."""

    def __init__(self, reasons: dict[str, str]):
        told = "; ".join(map(": ".join, reasons.items()))
        super().__init__(f"these runs failed (finished ones are kept): {told}")
        self.reasons = reasons  # by the run's name, why it failed


def run_job(
    job: Job,
    on_task: Callable[[str], None] = lambda line: None,
    *,
    device: str = "auto",
    accelerator: Accelerator | None = None,
    stream: Stream | None = None,
    show_progress: bool = False,
) -> Path:
    """Do one job in this process; return the folder of its record.

    ``on_task`` is told one line after every task. With ``accelerator``, this process does the job
    together with others, on its own device. ``stream`` is what `Job.make_stream` has made before.
    """
    stream = job.make_stream() if stream is None else stream
    method, options = METHODS[job.method], dict(job.options)
    if method.needs_n_tasks:
        options.setdefault("n_tasks", len(stream))
    model = method(load_backbone(job.backbone), stream.n_classes, seed=job.seed, **options)
    if accelerator is None:
        model.to(pick_device(device))
    run(
        model,
        stream,
        job.budget,
        folder=job.folder,
        on_task=lambda r: on_task(f"{job.name}: {r.summary_line()}"),
        accelerator=accelerator,
        show_progress=show_progress,
    )
    return job.folder


def listen(futures: Iterable[Future], lines: queue.Queue, say: Callable[[str], None]) -> None:
    """Say every line that comes, until all ``futures`` are done."""
    while not (all(f.done() for f in futures) and lines.empty()):
        try:
            say(lines.get(timeout=0.2))
        except queue.Empty:
            continue
