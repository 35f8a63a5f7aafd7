"""Numbers from records: metrics with their definitions, intervals over seeds, summaries.

Here `metrics` is the function that gives every metric of a record by name; the module of the same
name is reached with `from fmlora_kit.analysis.metrics import ...`, and all of its functions stand
here too.
"""

from fmlora_kit.analysis.colour import accuracy_by_colour
from fmlora_kit.analysis.comparison import (
    Comparison,
    Row,
    compare_records,
    difference,
    place,
    tied,
)
from fmlora_kit.analysis.confusion import (
    ClassConfusion,
    ClassHistory,
    LostImages,
    class_confusion,
    class_history,
    lost_images,
    task_confusion,
)
from fmlora_kit.analysis.cost import N_IMAGES, decoded_gigabytes, expected_hours
from fmlora_kit.analysis.embedding import (
    Embedding,
    embed,
    feature_neighbours_kept,
    own_task_share,
)
from fmlora_kit.analysis.explanations import (
    ATTRIBUTION_METHODS,
    Explanations,
    attribution_movement,
    completeness_gap,
    movement_between_images,
    top_classes,
)
from fmlora_kit.analysis.features import (
    FeatureHistory,
    cka_consecutive,
    cka_since_learned,
    linear_cka,
)
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
from fmlora_kit.analysis.parts import accuracy_parts
from fmlora_kit.analysis.prompts import (
    PromptEffect,
    PromptMoves,
    feature_similarity,
    prompt_moves,
    prompt_similarity,
)
from fmlora_kit.analysis.published import beside
from fmlora_kit.analysis.ranks import GateTrace, RankTable, expected_ranks, gate_trace, rank_table
from fmlora_kit.analysis.render import csv, latex, markdown
from fmlora_kit.analysis.similarity import TaskSimilarity, errors_by_closeness, task_similarity
from fmlora_kit.analysis.standing import by_name, standing
from fmlora_kit.analysis.steps import before_learning, step_changes
from fmlora_kit.analysis.stored import Stored, per_task, stored
from fmlora_kit.analysis.subspaces import (
    Pairs,
    directions,
    pairs,
    principal_angles,
    share_in_earlier,
    update_cosine,
)
from fmlora_kit.analysis.summary import count, paired_metric, summarise, table
from fmlora_kit.analysis.task_pair import TaskPair, task_pair
from fmlora_kit.analysis.truncation import TruncationTable
from fmlora_kit.analysis.updates import (
    Update,
    core_changes,
    core_energy,
    share_in_bases,
    share_in_factors,
    shared_bases,
    task_updates,
    update_energy,
)

__all__ = [
    "ATTRIBUTION_METHODS",
    "DEFINITIONS",
    "N_IMAGES",
    "ClassConfusion",
    "ClassHistory",
    "Comparison",
    "Embedding",
    "Explanations",
    "FeatureHistory",
    "GateTrace",
    "Interval",
    "LostImages",
    "Pairs",
    "PromptEffect",
    "PromptMoves",
    "RankTable",
    "Row",
    "Stored",
    "TaskPair",
    "TaskSimilarity",
    "TruncationTable",
    "Update",
    "accuracy_by_colour",
    "accuracy_parts",
    "attribution_movement",
    "average_accuracy",
    "average_anytime_accuracy",
    "backward_transfer",
    "before_learning",
    "beside",
    "cka_consecutive",
    "cka_since_learned",
    "by_name",
    "class_confusion",
    "class_history",
    "compare_records",
    "competition",
    "completeness_gap",
    "core_changes",
    "core_energy",
    "count",
    "csv",
    "decoded_gigabytes",
    "difference",
    "directions",
    "drift_forgetting",
    "embed",
    "errors_by_closeness",
    "expected_hours",
    "expected_ranks",
    "feature_neighbours_kept",
    "feature_similarity",
    "final_accuracy",
    "forgetting_curve",
    "forgetting_first",
    "forgetting_max",
    "forgetting_step",
    "forward_transfer",
    "gate_trace",
    "latex",
    "learning_accuracy",
    "linear_cka",
    "lost_images",
    "markdown",
    "mean_ci95",
    "metrics",
    "movement_between_images",
    "own_task_share",
    "paired_difference",
    "paired_metric",
    "pairs",
    "per_task",
    "place",
    "principal_angles",
    "prompt_moves",
    "prompt_similarity",
    "rank_table",
    "share_in_bases",
    "share_in_earlier",
    "share_in_factors",
    "shared_bases",
    "standing",
    "step_changes",
    "stored",
    "summarise",
    "table",
    "task_confusion",
    "task_forgetting",
    "task_pair",
    "task_similarity",
    "task_updates",
    "tied",
    "top_classes",
    "update_cosine",
    "update_energy",
]
