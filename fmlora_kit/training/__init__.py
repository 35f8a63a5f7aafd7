"""One loop for every method: steps, a task, a whole stream, many runs.

What is not named here is imported from its module: `training.pool` (many runs at once),
`training.sweep` (the settings of comparisons), `training.parallel` (one run in several processes),
`training.loop` (steps, evaluation).
"""

from fmlora_kit.training.device import pick_device
from fmlora_kit.training.loop import Budget, TrainingError, train_steps, train_task
from fmlora_kit.training.rebuild import from_record, models_over_time
from fmlora_kit.training.register import register
from fmlora_kit.training.run import run, start_record
from fmlora_kit.training.sweep import compare

__all__ = [
    "Budget",
    "TrainingError",
    "compare",
    "from_record",
    "models_over_time",
    "pick_device",
    "register",
    "run",
    "start_record",
    "train_steps",
    "train_task",
]
