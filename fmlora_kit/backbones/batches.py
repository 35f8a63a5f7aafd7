"""How images reach the model: from where they lie to its device, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

import numpy as np
import torch
from torch import Tensor

_AT_ONCE = 1024  # images copied to an accelerator at a time: a memory map is never read as a whole
_FULL = ContextVar("full precision", default=False)


def precision(device: torch.device) -> AbstractContextManager:
    """bfloat16 autocast on CUDA, but not within `full_precision`; full precision elsewhere."""
    return torch.autocast(device.type, torch.bfloat16, enabled=autocasts(device))


def autocasts(device: torch.device) -> bool:
    """Whether a forward pass on ``device`` computes in bfloat16 now."""
    return device.type == "cuda" and not _FULL.get()


@contextmanager
def full_precision() -> Iterator[None]:
    """Within it, forward passes compute in the model's own precision on CUDA too."""
    before = _FULL.set(True)
    try:
        yield
    finally:
        _FULL.reset(before)


def to_device(x: Tensor, device: torch.device) -> Tensor:
    """``x`` on ``device``; towards CUDA through pinned memory, so that nothing waits for it."""
    if device.type == "cuda" and x.device.type == "cpu":
        return x.pin_memory().to(device, non_blocking=True)
    return x.to(device)


class Rows:
    """Images, or what blocks made of them, of which batches are taken on the model's device.

    On the CPU they stay where they are, uncopied: of a memory map only the rows asked for are read.

    Args:
        held: (n, ...), an array or a tensor.
        device: where batches go.
        whole: move all of it to ``device`` now; default: if that is an accelerator whose free
            memory it takes at most a quarter of.
    """

    def __init__(
        self, held: np.ndarray | Tensor, device: torch.device, *, whole: bool | None = None
    ):
        whole = _fits(held, device) if whole is None else whole
        self.held = _move(held, device) if whole else held
        self.device = device

    def __len__(self) -> int:
        return len(self.held)

    def __getitem__(self, rows: Tensor) -> Tensor:
        """The rows at ``rows`` (k,), indices on the CPU: (k, ...) on the device."""
        if isinstance(self.held, np.ndarray):
            return to_device(torch.from_numpy(self.held[rows.numpy()]), self.device)
        return to_device(self.held[to_device(rows, self.held.device)], self.device)


def _fits(held: np.ndarray | Tensor, device: torch.device) -> bool:
    return device.type == "cuda" and held.nbytes <= torch.cuda.mem_get_info(device)[0] / 4


def _move(held: np.ndarray | Tensor, device: torch.device) -> Tensor:
    if isinstance(held, Tensor):
        return to_device(held, device)
    first = torch.from_numpy(np.array(held[:1]))
    whole = torch.empty(held.shape, dtype=first.dtype, device=device)
    for k in range(0, len(held), _AT_ONCE):
        whole[k : k + _AT_ONCE] = torch.from_numpy(np.array(held[k : k + _AT_ONCE]))
    return whole
