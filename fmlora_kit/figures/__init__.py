"""Figures of records: each function takes a record, or records by label, and returns a figure.

`record` is one run, finished or not; `records` are a record or records by label, where a label may
have several, one per seed: then means are drawn, with 95% intervals. A task or a layer is given by
its index from 0 or its name. What is called a table returns a `figures.table.Table`. Nothing here
shows, prints or reads a file. What cannot be drawn raises ValueError, in a sentence that says what
the argument must be: no record, a choice, task, layer or image that there is not, records that do
not compare, have too few finished tasks or not what the figure shows.

A figure of your own: any plotly figure takes the look of these from ``TEMPLATE``, and the colours
of tasks from `figures.style`. With a ``record``, as the last lines of a cell:

    import plotly.graph_objects as go
    from fmlora_kit.figures.style import task_colors

    known = 100 * record.accuracy[-1]  # of each task, after the last one
    figure = go.Figure(go.Bar(x=record.task_names, y=known, marker_color=task_colors(len(known))))
    figure.update_layout(template=fk.figures.TEMPLATE, title="What is left after the last task")
    figure.update_yaxes(title="accuracy (%)", range=[0, 100])
"""

from fmlora_kit.figures.accuracy import accuracy_curves, accuracy_matrix, accuracy_parts
from fmlora_kit.figures.accuracy_by_size import accuracy_by_size
from fmlora_kit.figures.attribution import attribution_methods, attribution_over_time
from fmlora_kit.figures.attribution_shift import explanation_at, explanation_movement
from fmlora_kit.figures.comparison import comparison_dots, comparison_table, metrics_table
from fmlora_kit.figures.confusion import (
    class_confusion,
    class_forgetting,
    forgotten_to,
    task_confusion,
)
from fmlora_kit.figures.features import embedding, feature_drift
from fmlora_kit.figures.forgetting import fall_per_step, forgetting_curves, forgetting_definitions
from fmlora_kit.figures.prompts import meta_prompt_similarity, prompt_effect, prompt_movement
from fmlora_kit.figures.ranks import complexity_and_rank, gate_probabilities, rank_allocation
from fmlora_kit.figures.run import run_card_table, training_progress
from fmlora_kit.figures.similarity import class_distances, task_similarity
from fmlora_kit.figures.storage import parameters_stored, storage_growth, storage_table
from fmlora_kit.figures.stream import samples
from fmlora_kit.figures.style import TEMPLATE
from fmlora_kit.figures.subspaces import subspace_map
from fmlora_kit.figures.truncation import what_if
from fmlora_kit.figures.updates import core_contents, core_energy, subspace_pair

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
    "comparison_dots",
    "comparison_table",
    "complexity_and_rank",
    "core_contents",
    "core_energy",
    "embedding",
    "explanation_at",
    "explanation_movement",
    "fall_per_step",
    "feature_drift",
    "forgetting_curves",
    "forgetting_definitions",
    "forgotten_to",
    "gate_probabilities",
    "meta_prompt_similarity",
    "metrics_table",
    "parameters_stored",
    "prompt_effect",
    "prompt_movement",
    "rank_allocation",
    "run_card_table",
    "samples",
    "storage_growth",
    "storage_table",
    "subspace_map",
    "subspace_pair",
    "task_confusion",
    "task_similarity",
    "training_progress",
    "what_if",
]
