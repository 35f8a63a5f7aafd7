"""E4: the outer step. P + eta (P_fast - P), eta = 1 / sqrt(t) times the share of novelty.

The share is the task's novelty against the mean of the later tasks before it, at most 1; the second
task has none before it. `adapters.outer_step` has the method, with the schedule "novelty".
"""

from __future__ import annotations

import numpy as np
import torch

from fmlora_kit.adapters import outer_step as kit
from fmlora_kit.adapters.drs import Complexity
from fmlora_kit.workshop.judge import Asked, Mistake, compare, digits

BEFORE = torch.tensor([[1.0, 2.0], [0.0, -1.0]], dtype=torch.float64)
FAST = torch.tensor([[5.0, 10.0], [1.0, 3.0]], dtype=torch.float64)
SEVEN = (0.5,) * 7  # novelties of tasks 2 to 8
UNEVEN = (0.2, 0.6, 0.4, 0.4, 0.4, 0.3, 0.5)  # their mean is 0.4


def outer_step(ask: Asked) -> int:
    """The prompt after the task."""
    got = _step_size(ask, 1, 1.0, ())
    compare(
        got,
        1.0,
        {
            "After the first task the prompt is where it was before it: do you start from the old "
            "prompt and go towards the fast one, or the other way round?": 0.0,
            "You step away from what the task found: the sign is turned round.": -1.0,
        },
        f"Of what the first task found, {digits(got)} is kept. It has no earlier task to be "
        "careful of: how does your t count?",
    )
    got = _step_size(ask, 9, 0.5, SEVEN)
    compare(
        got,
        1 / 3,
        {
            "You step away from what the task found.": -1 / 3,
            "The ends are exchanged: task 9 leaves two thirds where one third was asked.": 2 / 3,
            "Your step falls like 1/t: a ninth at task 9. Which power of t is asked for?": 1 / 9,
            "Your step does not become smaller with the tasks.": 1.0,
            "Your step grows with the tasks.": 3.0,
            "Your t counts from 0, or from 2.": 1 / np.sqrt(8),
            "Your t counts one too far.": 1 / np.sqrt(10),
            "The novelty itself shrinks the step; task 9 is as novel as those before it were. "
            "Novel against what?": 0.5 / 3,
        },
        f"For a task 9 that is as novel as those before it, the step is {digits(got)}.",
    )
    got = _step_size(ask, 9, 0.2, UNEVEN)
    compare(
        got,
        0.5 / 3,
        {
            "The novelty is forgotten: a task that is nearly a repetition moves the prompt as far "
            "as a new one.": 1 / 3,
            "The share is upside down: the less novel a task, the farther it goes.": 2 / 3,
            "The novelty itself shrinks the step. Novel against what?": 0.2 / 3,
            "You compare with the task just before only.": 0.4 / 3,
            "You compare with the sum of the earlier novelties.": 0.2 / 2.8 / 3,
            "You compare with the most novel of the earlier tasks.": 1 / 9,
            "The share stands under the root of t as well.": np.sqrt(0.5) / 3,
        },
        f"For a task 9 half as novel as those before it on average, the step is {digits(got)}.",
    )
    got = _step_size(ask, 9, 0.8, UNEVEN)
    compare(
        got,
        1 / 3,
        {
            "A task more novel than usual goes farther than 1/sqrt(t). How much of a step can a "
            "share be, at most?": 2 / 3
        },
        f"For a task twice as novel as those before it, the step is {digits(got)}.",
    )
    got = _step_size(ask, 2, 0.3, ())
    if np.isnan(got):
        raise Mistake(
            "For the second task you get NaN: no later task came before it, so there is no mean "
            "to compare with. What share does it have then?"
        )
    compare(
        got,
        1 / np.sqrt(2),
        {
            "The second task has nothing to be compared with; still you shrink its step.": (
                0.3 / np.sqrt(2)
            )
        },
        f"For the second task the step is {digits(got)}.",
    )
    for t, novelty in ((3, 0.5), (7, 0.3)):
        earlier = UNEVEN[: t - 2]
        right = kit.outer_step("novelty", t, Complexity(1.0, novelty), earlier)
        got = _step_size(ask, t, novelty, earlier)
        compare(got, right, {}, f"Task {t} of novelty {novelty} steps by {digits(got)}.")
    return 7


def _step_size(ask: Asked, t: int, novelty: float, earlier: tuple[float, ...]) -> float:
    """eta, read off the answer: the share of the way from P to P_fast."""
    answer = ask(BEFORE, FAST, t, novelty, list(earlier), shape=tuple(BEFORE.shape))
    shares = (answer - BEFORE.numpy()) / (FAST - BEFORE).numpy()
    if np.ptp(shares) > 1e-4 * max(1.0, np.abs(shares).max()):
        raise Mistake(
            "The prompt leaves the straight line between the old and the fast one: which "
            "difference do you step along?"
        )
    return float(shares.mean())
