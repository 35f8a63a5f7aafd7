"""PEFT is optional: it is imported when an adapter goes out or comes in."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


def load_peft() -> ModuleType:
    """The library `peft`.

    Raises:
        ImportError: it is not installed (says how to).
    """
    try:
        return import_module("peft")
    except ImportError as error:
        raise ImportError(
            f"PEFT adapters need the library peft: pip install fmlora_kit[interchange] ({error})"
        ) from error
