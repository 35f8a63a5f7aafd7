"""One loop for every method: steps, a task, a whole stream."""

from fmlora_kit.training.device import pick_device
from fmlora_kit.training.loop import Budget, Step, TrainingError, train_steps, train_task
from fmlora_kit.training.run import run, start_record

__all__ = [
    "Budget",
    "Step",
    "TrainingError",
    "pick_device",
    "run",
    "start_record",
    "train_steps",
    "train_task",
]
