"""Figures of records: each function takes a record, or records by label, and returns a figure.

Nothing here shows, prints or reads a file.
"""

from fmlora_kit.figures.accuracy import (
    accuracy_curves,
    accuracy_matrix,
    accuracy_parts,
    domain_curves,
)
from fmlora_kit.figures.accuracy_by_size import accuracy_by_size
from fmlora_kit.figures.attribution import attribution_methods, attribution_over_time
from fmlora_kit.figures.attribution_shift import (
    class_probabilities,
    explanation_at,
    explanation_movement,
    photo_scores,
)
from fmlora_kit.figures.comparison import comparison_dots, comparison_table, metrics_table
from fmlora_kit.figures.confusion import (
    class_confusion,
    class_forgetting,
    forgotten_to,
    task_confusion,
)
from fmlora_kit.figures.features import embedding, feature_drift
from fmlora_kit.figures.forgetting import (
    fall_per_step,
    forgetting_curves,
    forgetting_definitions,
    forward_transfer,
)
from fmlora_kit.figures.prompts import meta_prompt_similarity, prompt_effect, prompt_movement
from fmlora_kit.figures.ranks import (
    complexity_and_rank,
    expected_rank,
    gate_probabilities,
    rank_allocation,
)
from fmlora_kit.figures.run import run_card_table, training_progress
from fmlora_kit.figures.similarity import class_distances, errors_to_nearest, task_similarity
from fmlora_kit.figures.storage import parameters_stored, storage_growth, storage_table
from fmlora_kit.figures.stream import samples
from fmlora_kit.figures.style import TEMPLATE, method_styles, task_colors
from fmlora_kit.figures.subspaces import grassmann_distance, subspace_angles, subspace_overlap
from fmlora_kit.figures.truncation import truncation_curves, what_if
from fmlora_kit.figures.updates import (
    core_contents,
    core_energy,
    earlier_span,
    singular_values,
    subspace_pair,
)

__all__ = [
    "TEMPLATE",
    "accuracy_by_size",
    "accuracy_curves",
    "accuracy_matrix",
    "accuracy_parts",
    "attribution_methods",
    "attribution_over_time",
    "class_confusion",
    "class_distances",
    "class_forgetting",
    "class_probabilities",
    "comparison_dots",
    "comparison_table",
    "complexity_and_rank",
    "core_contents",
    "core_energy",
    "domain_curves",
    "earlier_span",
    "embedding",
    "errors_to_nearest",
    "expected_rank",
    "explanation_at",
    "explanation_movement",
    "fall_per_step",
    "feature_drift",
    "forgetting_curves",
    "forgetting_definitions",
    "forgotten_to",
    "forward_transfer",
    "gate_probabilities",
    "grassmann_distance",
    "meta_prompt_similarity",
    "method_styles",
    "metrics_table",
    "parameters_stored",
    "photo_scores",
    "prompt_effect",
    "prompt_movement",
    "rank_allocation",
    "run_card_table",
    "samples",
    "singular_values",
    "storage_growth",
    "storage_table",
    "subspace_angles",
    "subspace_overlap",
    "subspace_pair",
    "task_colors",
    "task_confusion",
    "task_similarity",
    "training_progress",
    "truncation_curves",
    "what_if",
]
