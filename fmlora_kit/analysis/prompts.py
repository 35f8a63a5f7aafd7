"""What the meta-prompt (DMP) keeps of each task: similarity of P_1 .. P_T, and how far it moves.

P_t: (L, d) is the prompt as it was left after task t. Similarity is the cosine of the *flattened*
prompts, of length L d: tokens may not stand for each other, since each has learned a part of its
own. `per="token mean"` takes the mean over the L tokens first; it shows the common direction only.
All prompts hold what came before them, so neighbours in time are alike in any case; the *moves*
P_t - P_{t-1} tell what each task asked for by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmlora_kit import checks
from fmlora_kit.analysis.arguments import check_record
from fmlora_kit.record import Record

PER = ("flat", "token mean")
OF = ("prompts", "moves")


@dataclass(frozen=True, eq=False)
class PromptMoves:
    """How far the prompt went; T finished tasks.

    Attributes:
        task_names: (T,).
        step: (T,) |P_t - P_{t-1}| / |P_{t-1}|; the first from the random start, NaN if unknown.
        from_first: (T,) |P_t - P_1| / |P_1|.
        novelty: (T,) of the task, which scales the step of the meta-update; NaN if unknown.
    """

    task_names: tuple[str, ...]
    step: np.ndarray
    from_first: np.ndarray
    novelty: np.ndarray


@dataclass(frozen=True, eq=False)
class PromptEffect:
    """Accuracy of one model with other prompts in the place of its own.

    Attributes:
        method: of the run.
        prompts: (V,) what was put in: "no prompt", "random start", or a task's name.
        own: which of them is the model's own.
        task_names: (T,) the tasks tested.
        accuracy: (V, T) fractions, arg-max over all classes seen.
        n_images: (T,) test images of each task that were used.
    """

    method: str
    prompts: tuple[str, ...]
    own: int
    task_names: tuple[str, ...]
    accuracy: np.ndarray
    n_images: np.ndarray


def prompts_over_time(record: Record) -> np.ndarray:
    """(T, L, d) the prompt after every finished task."""
    if not all("prompt" in task.state for task in check_record(record, 1).tasks):
        raise ValueError(
            f"record must be of a method with a meta-prompt, got {record.method!r} without one"
        )
    return np.stack([task.state["prompt"] for task in record.tasks])


def prompt_similarity(record: Record, *, of: str = "prompts", per: str = "flat") -> np.ndarray:
    """Cosine between the prompts after every two tasks, in -1..1.

    `of` is "prompts" P_t, or "moves" P_t - P_{t-1} from the second task on; `per` is "flat" (all L
    d numbers) or "token mean" (the mean token, d numbers).

    Returns:
        (T, T); of moves (T - 1, T - 1).
    """
    from sklearn.metrics.pairwise import cosine_similarity

    checks.choice("of", of, OF)
    checks.choice("per", per, PER)
    every = prompts_over_time(record)
    if of == "moves":
        check_record(record, 2)
        every = np.diff(every, axis=0)
    rows = every.mean(axis=1) if per == "token mean" else every.reshape(len(every), -1)
    return cosine_similarity(rows)


def feature_similarity(record: Record) -> np.ndarray:
    """(T, T) affinity |U^T V|_F^2 / min(k_u, k_v) of the tasks' feature subspaces, in 0..1.

    The subspaces are those of the class means right after each task; DRS measures novelty by the
    same affinity.
    """
    if not all("subspace" in task.state for task in check_record(record, 1).tasks):
        raise ValueError(
            f"record must hold a feature subspace of every task, got {record.method!r} without"
        )
    bases = [task.state["subspace"] for task in record.tasks]
    return np.array(
        [[np.sum((u.T @ v) ** 2) / min(u.shape[1], v.shape[1]) for v in bases] for u in bases]
    )


def prompt_moves(record: Record) -> PromptMoves:
    """How far each task moved the prompt, and how far it is by then from the first task's."""
    every = prompts_over_time(record)
    first = record.tasks[0].scalars.get("prompt_shift", np.nan)
    steps = [
        _relative_distance(after, before) for before, after in zip(every, every[1:], strict=False)
    ]
    return PromptMoves(
        task_names=record.task_names,
        step=np.array([first, *steps]),
        from_first=np.array([_relative_distance(prompt, every[0]) for prompt in every]),
        novelty=np.array([task.scalars.get("novelty", np.nan) for task in record.tasks]),
    )


def _relative_distance(after: np.ndarray, before: np.ndarray) -> float:
    return float(np.linalg.norm(after - before) / np.linalg.norm(before))
