"""Which device to train on, in which precision, and whether somebody watches."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import torch

from fmlora_kit.backbones.batches import autocasts, precision
from fmlora_kit.checks import instance

__all__ = ["describe_device", "import_extra", "is_watched", "pick_device", "precision"]


def pick_device(name: str = "auto") -> torch.device:
    """CUDA if there is one, else Apple's MPS, else the CPU; or the device ``name``, if there."""
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    there = {"cpu": True, "cuda": cuda, "mps": mps}
    if instance("device", name, str, "a text") == "auto":
        return torch.device(next(d for d in ("cuda", "mps", "cpu") if there[d]))
    kind, _, number = name.partition(":")
    n_devices = torch.cuda.device_count() if kind == "cuda" else 1
    numbered = not number or (number.isdigit() and int(number) < n_devices)
    if not there.get(kind, False) or not numbered:
        available = [d for d in there if there[d]]
        raise ValueError(f"device must be 'auto' or one of {available}, got {name!r}")
    return torch.device(name)


def import_extra(package: str, need: str) -> ModuleType:
    """A package of the extra "scale"; the ImportError says who needs it and how to install it."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(f"{need}: pip install 'fmlora_kit[scale]'") from error


def describe_device(device: torch.device, dtype: torch.dtype) -> dict[str, str]:
    """What a record says of where a model of this ``dtype`` trains, and in which numbers."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    numbers = str(dtype).removeprefix("torch.")
    if autocasts(device) and dtype == torch.float32:  # autocast leaves float64 as it is
        numbers = "float32, bfloat16 autocast"
    return {"device": name, "numbers": numbers}


def is_watched() -> bool:
    """Whether bars of progress would be seen to move: in a terminal, or in a notebook's kernel."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel") or (sys.stderr is not None and sys.stderr.isatty())
