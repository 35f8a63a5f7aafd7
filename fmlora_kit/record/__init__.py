"""The record of a run: what learning each task left behind, as plain numpy and on disk."""

from fmlora_kit.record.archive import Shelf, load_briefs, load_records, save_briefs
from fmlora_kit.record.card import run_card
from fmlora_kit.record.record import Record
from fmlora_kit.record.storage import RecordError
from fmlora_kit.record.task import TaskResult

__all__ = [
    "Record",
    "RecordError",
    "Shelf",
    "TaskResult",
    "load_briefs",
    "load_records",
    "run_card",
    "save_briefs",
]
