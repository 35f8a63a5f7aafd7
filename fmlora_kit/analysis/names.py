"""What titles and tables call methods and runs."""

from __future__ import annotations

from fmlora_kit.record import Record
from fmlora_kit.record.names import NAMES

OURS = "fmlora"
BOUND = "joint"  # trained on all tasks at once: no stream, and so no competitor


def display_name(method: str) -> str:
    """What people call a method: `sequential_lora` is sequential LoRA."""
    return NAMES.get(method, method.replace("_", " "))


def run_name(record: Record) -> str:
    """What a title calls a run: FM-LoRA on glyphs."""
    return f"{display_name(record.method)} on {record.stream}"
