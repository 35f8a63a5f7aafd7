"""One loop for every method: steps, a task, a whole stream."""

from fmlora_kit.training.device import pick_device
from fmlora_kit.training.loop import Budget, Step, TrainingError, train_steps, train_task
from fmlora_kit.training.pool import FailedRuns, Job, run_many
from fmlora_kit.training.rebuild import from_record, models_over_time
from fmlora_kit.training.run import run, start_record
from fmlora_kit.training.sweep import SETTINGS, Compared, Setting, compare

__all__ = [
    "SETTINGS",
    "Budget",
    "Compared",
    "FailedRuns",
    "Job",
    "Setting",
    "Step",
    "TrainingError",
    "compare",
    "from_record",
    "models_over_time",
    "parallel",
    "pick_device",
    "run",
    "run_many",
    "start_record",
    "train_steps",
    "train_task",
]
