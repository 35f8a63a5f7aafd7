"""The outer step: how far core and prompt go towards what a task found.

    C_t = C_{t-1} + eta_t M_t N_t        P_t = P_{t-1} + eta_t (P_fast - P_{t-1})
    eta_t = min(1, difficulty_t / EASY) / sqrt(t)        by default [ours]; 1 for the first task

A and B are shared and fixed, so that stepping in the core is averaging solutions, what pairs of
plain LoRA do not allow. It is the Reptile outer step (Nichol et al. 2018, arXiv 1803.02999, alg. 1)
for both at once [ours]. With eta_t = 1/t the core is the running mean of the tasks' solutions
(averaging fine-tuned weights: Wortsman et al. 2022, arXiv 2203.05482).
"""

from __future__ import annotations

from collections.abc import Sequence

from fmlora_kit.adapters.drs import Complexity

STEPS = ("difficulty", "1/sqrt(t)", "1/t", "novelty", "parts")
EASY = 0.25  # the difficulty from which on a task is averaged in in full


def outer_step(
    schedule: str, t: int, complexity: Complexity, earlier: Sequence[float] = ()
) -> float:
    """eta_t; 1 for the first task.

    Args:
        t: number of the task, from 1.
        schedule: "1/sqrt(t)"; "1/t"; "difficulty": 1/sqrt(t), less where the features tell the
            task's classes apart before they are learned, because a step for little gain still
            moves all that was learned before; "novelty": 1/sqrt(t), less where a task is less novel
            than the later tasks before it were on average, so that a repeated task moves little
            [ours, all].
        complexity: of the task, see `adapters.drs`.
        earlier: novelties of the tasks 2 .. t - 1.
    """
    if t == 1:
        return 1.0
    if schedule == "1/t":
        return 1 / t
    share = 1.0
    if schedule == "difficulty":
        share = min(1.0, complexity.difficulty / EASY)
    if schedule == "novelty" and earlier and (usual := sum(earlier) / len(earlier)) > 0:
        share = min(1.0, complexity.novelty / usual)
    return share / t**0.5
