"""One run by several processes: data parallelism through `accelerate` (Hugging Face).

Every process builds the same method from the same seed, and all go on alike: each takes its share
of every batch, gradients are added up, and features of many images are extracted in shares and put
together. There is no wrapper around the model, because methods change their parameters from task to
task, and what is added up is few low-rank numbers. Only the main process writes.

    def learn(accelerator):
        stream = fk.streams.glyphs()
        model = fk.FMLoRA(fk.load_backbone(), stream.n_classes)
        fk.run(model, stream, folder="runs/a", accelerator=accelerator)

    fk.training.parallel.launch(learn, n_processes=2)                  # in a notebook

`python -m fmlora_kit train` is the same as a program, under ``accelerate launch`` or ``torchrun``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from fmlora_kit.checks import fail, integer
from fmlora_kit.methods.base import Method
from fmlora_kit.methods.encoder import EVALUATION_BATCH
from fmlora_kit.training.device import import_extra

if TYPE_CHECKING:
    from accelerate import Accelerator

LOST = ("Connection closed", "Connection reset", "Broken pipe")  # what gloo then says
PATIENCE = 10.0  # s that a process waits when another is gone: the one that failed is to be named


class Group:
    """The processes that learn together, as one of them sees them."""

    def __init__(self, accelerator: Accelerator):
        self.accelerator = accelerator
        self.rank, self.size = accelerator.process_index, accelerator.num_processes

    def share(self, model: Method, *batch: Tensor) -> tuple[float, Sequence[Tensor]]:
        """This process's images of a batch, and what its mean loss counts in the batch's.

        A method whose loss is no mean over images gets the whole batch in every process, and a
        process for which no image is left gets one that counts nothing: see `Method.loss_by_image`.
        The batch is images and labels, (n, ..) each.
        """
        n = len(batch[0])
        if not model.loss_by_image:
            return 1 / self.size, batch
        mine = [part[self.rank :: self.size] for part in batch]
        if len(mine[0]):
            return len(mine[0]) / n, mine
        return 0.0, [part[:1] for part in batch]

    def backward(self, loss: Tensor, weight: float, parameters: Sequence[nn.Parameter]) -> Tensor:
        """Gradients of the whole batch's loss in every process; that loss, detached.

        ``loss`` is over this process's share, of that ``weight``. A parameter without a gradient
        must be so in every process.
        """
        (weight * loss).backward()
        gradients = [p.grad for p in parameters if p.grad is not None]
        mine = nn.utils.parameters_to_vector([*gradients, weight * loss.detach()])
        added = self.accelerator.reduce(mine, "sum")
        nn.utils.vector_to_parameters(added[:-1], gradients)
        return added[-1]

    def extract(self, model: Method, images: np.ndarray) -> Tensor:
        """`Method.extract`, in shares of whole batches: the same features in every process."""
        rows = model.rows(images, whole=False)
        shares = torch.arange(len(images)).split(EVALUATION_BATCH)[self.rank :: self.size]
        own = [(share, model.features(rows[share])) for share in shares]
        width = own[0][1].shape[1] if self.rank == 0 else 0  # the first process has the first batch
        width = int(self.accelerator.reduce(torch.tensor(width, device=model.device), "sum"))
        features = torch.zeros(len(images), width).to(model.pixel_mean)
        for share, part in own:
            features[share] = part.to(features)
        return self.accelerator.reduce(features, "sum").cpu()  # the others' rows are zero here

    def agree(self, facts: dict) -> None:
        """Raise ValueError unless all processes hold the same ``facts``."""
        from accelerate.utils import gather_object

        first, *others = gather_object([facts])
        for number, other in enumerate(others, 1):
            for what, mine in first.items():
                if other.get(what) != mine:
                    given = f"{mine!r} in process 0 and {other.get(what)!r} in process {number}"
                    raise ValueError(f"{what} must be the same in every process, got {given}")


def group_of(accelerator: Accelerator | None) -> Group | None:
    """The processes of ``accelerator``, or None if there is only this one."""
    if accelerator is not None and not hasattr(accelerator, "num_processes"):
        raise fail("accelerator", "an Accelerator, or None", accelerator)
    return Group(accelerator) if accelerator is not None and accelerator.num_processes > 1 else None


@contextmanager
def together(model: Method, accelerator: Accelerator | None) -> Generator[None, None, None]:
    """Inside, all processes train and test ``model`` together; each must do the same there."""
    model.group = group_of(accelerator)
    try:
        yield
    finally:
        model.group = None


def launch(
    function: Callable[[Accelerator], None], *, n_processes: int, cpu: bool | None = None
) -> None:
    """Call ``function(accelerator)`` in processes of their own, from a notebook or a script.

    `accelerate.notebook_launcher`, with a free port. It forks: begin it before this process has
    used a GPU. What ``function`` returns is lost: let it save. accelerate says "CUDAs" on the CPU
    too. Processes have a GPU each, or one thread each on the CPU; ``cpu`` stays there even if there
    is a CUDA GPU.

    Raises:
        ImportError: accelerate is not installed.
        RuntimeError: a process failed, which ends the others; says which, and why.
    """
    accelerate = import_accelerate()
    from accelerate.utils import is_cuda_available  # leaves the GPU untouched, for the forks
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    integer("n_processes", n_processes, 1)
    try:
        given = function, not is_cuda_available() if cpu is None else cpu
        where = {"rdzv_backend": "c10d", "rdzv_endpoint": "127.0.0.1:0"}
        accelerate.notebook_launcher(_begin, given, num_processes=n_processes, **where)
    except ChildFailedError as error:
        reasons = {rank: _reason(one.message) for rank, one in sorted(error.failures.items())}
        own = [rank for rank, reason in reasons.items() if not _lost(reason)]
        rank = own[0] if own else error.get_first_failure()[0]
        raise RuntimeError(f"process {rank} failed: {reasons[rank]}") from error


def import_accelerate() -> ModuleType:
    """The package `accelerate`; raise ImportError, which says how to install it, if it is not."""
    return import_extra("accelerate", "one run in several processes needs accelerate")


def _begin(function: Callable[[Accelerator], None], cpu: bool) -> None:
    if cpu:
        torch.set_num_threads(1)  # threads do not survive the fork
    accelerator = import_accelerate().Accelerator(cpu=cpu)
    try:
        function(accelerator)
    except RuntimeError as error:
        if _lost(str(error)):
            time.sleep(PATIENCE)
        raise
    accelerator.end_training()


def _lost(reason: str) -> bool:
    """Did a process fail for want of another one?"""
    return any(words in reason for words in LOST)


def _reason(message: str | dict) -> str:
    text = message["message"] if isinstance(message, dict) else message
    if "fork" in text:
        text += "; restart the notebook's kernel, and launch before anything uses the GPU"
    return text
