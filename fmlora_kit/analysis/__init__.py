"""Numbers from records: metrics with their definitions, intervals over seeds, summaries.

Here `metrics` is the function that gives every metric of a record by name; the module of the same
name is reached with `from fmlora_kit.analysis.metrics import ...`, and all of its functions stand
here too.
"""

from fmlora_kit.analysis.intervals import Interval, mean_ci95, paired_difference
from fmlora_kit.analysis.metrics import (
    DEFINITIONS,
    average_accuracy,
    average_anytime_accuracy,
    backward_transfer,
    competition,
    drift_forgetting,
    final_accuracy,
    forgetting_curve,
    forgetting_first,
    forgetting_max,
    forgetting_step,
    forward_transfer,
    learning_accuracy,
    metrics,
    task_forgetting,
)
from fmlora_kit.analysis.summary import count, paired_metric, summarise, table

__all__ = [
    "DEFINITIONS",
    "Interval",
    "average_accuracy",
    "average_anytime_accuracy",
    "backward_transfer",
    "competition",
    "count",
    "drift_forgetting",
    "final_accuracy",
    "forgetting_curve",
    "forgetting_first",
    "forgetting_max",
    "forgetting_step",
    "forward_transfer",
    "learning_accuracy",
    "mean_ci95",
    "metrics",
    "paired_difference",
    "paired_metric",
    "summarise",
    "table",
    "task_forgetting",
]
