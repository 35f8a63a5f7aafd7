"""Numbers from records: metrics with their definitions, intervals over seeds, what moved and where.

The most used functions stand here; the others, and the values that they return, are imported from
their modules, such as `fmlora_kit.analysis.confusion`.

A task or a layer is given by its index from 0 or its name. What does not fit raises ValueError, in
a sentence that says what it must be: a choice, task, layer or image that there is not, a matrix
that is not square, a record with too few finished tasks or without what is measured (low-rank
updates, ranks, a prompt, labels). Docstrings name what else.
"""

from fmlora_kit.analysis.accuracy import (
    DEFINITIONS,
    accuracy_parts,
    average_accuracy,
    forgetting_curve,
    metrics,
)
from fmlora_kit.analysis.attribution import (
    ATTRIBUTION_METHODS,
    attribution_movement,
    completeness_gap,
)
from fmlora_kit.analysis.comparison import Comparison, compare_records, difference, tied
from fmlora_kit.analysis.confusion import (
    class_confusion,
    class_history,
    lost_images,
    task_confusion,
)
from fmlora_kit.analysis.embedding import embed, feature_neighbours_kept, own_task_share
from fmlora_kit.analysis.features import cka_since_learned, linear_cka
from fmlora_kit.analysis.intervals import Interval, mean_ci95, paired_difference
from fmlora_kit.analysis.prompts import feature_similarity, prompt_similarity
from fmlora_kit.analysis.ranks import gate_trace, rank_table
from fmlora_kit.analysis.similarity import task_similarity
from fmlora_kit.analysis.storage import measure_storage
from fmlora_kit.analysis.subspaces import principal_angles, task_pair, update_cosine
from fmlora_kit.analysis.updates import core_energy, task_updates, update_energy

__all__ = [
    "ATTRIBUTION_METHODS",
    "Comparison",
    "DEFINITIONS",
    "Interval",
    "accuracy_parts",
    "attribution_movement",
    "average_accuracy",
    "cka_since_learned",
    "class_confusion",
    "class_history",
    "compare_records",
    "completeness_gap",
    "core_energy",
    "difference",
    "embed",
    "feature_neighbours_kept",
    "feature_similarity",
    "forgetting_curve",
    "gate_trace",
    "linear_cka",
    "lost_images",
    "mean_ci95",
    "measure_storage",
    "metrics",
    "own_task_share",
    "paired_difference",
    "principal_angles",
    "prompt_similarity",
    "rank_table",
    "task_confusion",
    "task_pair",
    "task_similarity",
    "task_updates",
    "tied",
    "update_cosine",
    "update_energy",
]
