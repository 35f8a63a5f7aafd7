"""The checks of the exercises: each takes a participant's function and returns a `Result`.

    checks.fold(fold)    # fold is not yet: The core of the earlier tasks is gone: ..

None of them raises, whatever the function does, and none of them prints or shows a solution.
"""

from __future__ import annotations

from collections.abc import Callable

from fmlora_kit.workshop import e1_forgetting, e2_core, e3_gate, e4_outer_step, e5_angles
from fmlora_kit.workshop.judge import Result, judged

# Exercise -> the functions that are written in it, each with its probes.
PROBES = {
    "E1": {
        "forgetting_max": e1_forgetting.maximum,
        "forgetting_first": e1_forgetting.first,
        "forgetting_step": e1_forgetting.step,
    },
    "E2": {"fold": e2_core.fold, "merge": e2_core.merge, "unmerge": e2_core.unmerge},
    "E3": {"prefixes": e3_gate.prefixes, "choose": e3_gate.choose},
    "E4": {"outer_step": e4_outer_step.outer_step},
    "E5": {
        "principal_angles": e5_angles.principal_angles,
        "chance_overlap": e5_angles.chance_overlap,
    },
}
ALL = {name: probes for exercise in PROBES.values() for name, probes in exercise.items()}


def check(name: str, function: object) -> Result:
    """What the probes of the function called ``name`` say of ``function``."""
    return judged(name, function, ALL[name])


def forgetting_max(function: Callable) -> Result:
    """E1: (T, T) accuracies -> the mean fall from each earlier task's best accuracy."""
    return check("forgetting_max", function)


def forgetting_first(function: Callable) -> Result:
    """E1: (T, T) accuracies -> the mean fall since each earlier task was learned."""
    return check("forgetting_first", function)


def forgetting_step(function: Callable) -> Result:
    """E1: (T, T) accuracies -> the mean over steps of the mean fall within a step."""
    return check("forgetting_step", function)


def fold(function: Callable) -> Result:
    """E2: C (R, R), M (R, r), N (r, R) -> C + M N."""
    return check("fold", function)


def merge(function: Callable) -> Result:
    """E2: W0 (d_out, d_in), A, C, B, s -> W0 + s A C B."""
    return check("merge", function)


def unmerge(function: Callable) -> Result:
    """E2: W0 + s A C B, A, C, B, s -> W0."""
    return check("unmerge", function)


def prefixes(function: Callable) -> Result:
    """E3: ranks (K,) -> (K, R) ones where a rank opens a column."""
    return check("prefixes", function)


def choose(function: Callable) -> Result:
    """E3: logits (layers, K), uniform (layers, K), temperature -> one 1 a row, gradients soft."""
    return check("choose", function)


def outer_step(function: Callable) -> Result:
    """E4: P, P_fast, t, novelty, earlier novelties -> the prompt after the task."""
    return check("outer_step", function)


def principal_angles(function: Callable) -> Result:
    """E5: (d, k), (d, l) -> (min(k, l),) degrees, ascending."""
    return check("principal_angles", function)


def chance_overlap(function: Callable) -> Result:
    """E5: earlier (d, l), k, room (d, p) -> mean cos² by chance."""
    return check("chance_overlap", function)
