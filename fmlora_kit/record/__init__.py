"""The record of a run: what learning each task left behind, as plain numpy and on disk.

`record.archive` writes many records without their arrays into one file (`save_briefs`).
"""

from fmlora_kit.record.archive import load_briefs, load_records
from fmlora_kit.record.card import run_card
from fmlora_kit.record.record import Record
from fmlora_kit.record.storage import RecordError
from fmlora_kit.record.task import TaskResult

__all__ = ["Record", "RecordError", "TaskResult", "load_briefs", "load_records", "run_card"]
