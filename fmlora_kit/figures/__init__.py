"""Figures of records: each function takes a record, or records by label, and returns a figure.

Nothing here shows, prints or reads a file.
"""

from fmlora_kit.figures.accuracy import accuracy_curves, accuracy_matrix, forgetting_curves
from fmlora_kit.figures.live import training_progress
from fmlora_kit.figures.parameters import parameters_stored
from fmlora_kit.figures.ranks import rank_allocation
from fmlora_kit.figures.stream import samples
from fmlora_kit.figures.template import TEMPLATE, method_styles, task_colors

__all__ = [
    "TEMPLATE",
    "accuracy_curves",
    "accuracy_matrix",
    "forgetting_curves",
    "method_styles",
    "parameters_stored",
    "rank_allocation",
    "samples",
    "task_colors",
    "training_progress",
]
