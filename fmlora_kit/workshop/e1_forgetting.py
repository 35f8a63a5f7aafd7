"""E1: how much was forgotten, by three definitions: `analysis.accuracy` has their sources.

a[t, i]: accuracy on task i after task t; NaN, or a number that does not count, above the diagonal.
"""

from __future__ import annotations

import numpy as np

from fmlora_kit.analysis import accuracy as kit
from fmlora_kit.workshop.judge import Asked, Mistake, compare, digits

NO = np.nan  # not measured
TWO = np.array([[0.9, NO], [0.6, 0.8]])
FALLING = np.array([[0.9, NO, NO], [0.7, 0.8, NO], [0.4, 0.5, 0.7]])
LATE_BEST = np.array([[0.5, NO, NO], [0.75, 0.8, NO], [0.6, 0.7, 0.9]])
ENDS_BEST = np.array([[0.5, NO], [0.7, 0.9]])
STEPS = np.array([[0.9, NO, NO], [0.6, 0.8, NO], [0.5, 0.6, 0.9]])
TESTED_BEFORE = np.array([[0.9, 0.95, 0.2], [0.7, 0.8, 0.85], [0.4, 0.5, 0.7]])


def maximum(ask: Asked) -> int:
    """mean_{i<T} (max_{t<T} a[t, i] - a[T, i])."""
    _basics(ask, "the fall from its best accuracy")
    got = _number(ask, LATE_BEST)
    first = kit.forgetting_first(LATE_BEST)
    compare(
        got,
        kit.forgetting_max(LATE_BEST),
        {
            "Task 0 got better after it was learned, from 0.5 to 0.75. You measure its fall from "
            "0.5, when it was just learned: which accuracy does this definition start from?": first
        },
        f"Where a task got better after it was learned you get {digits(got)}. From which of a "
        "task's accuracies do you measure its fall?",
    )
    got = _number(ask, ENDS_BEST)
    compare(
        got,
        kit.forgetting_max(ENDS_BEST),
        {
            "A task that ends at its best has a forgetting below zero. You get 0: does your best "
            "look at the last row too, or do you cut at zero?": 0.0,
            "A task that ends at its best has a forgetting below zero; yours is above. Do you take "
            "the size of the fall without its direction?": 0.2,
        },
        f"Of two tasks the first rose from 0.5 to 0.7; you get {digits(got)}.",
    )
    got = _number(ask, TESTED_BEFORE)
    compare(
        got,
        kit.forgetting_max(TESTED_BEFORE),
        {
            "Task 1 was tested before it was learned (0.95, above the diagonal), and your best "
            "counts that. Can one forget what one has not learned?": np.mean([0.5, 0.45])
        },
        f"With numbers above the diagonal you get {digits(got)}: they should not matter.",
    )
    return 5 + _random(ask, kit.forgetting_max)


def first(ask: Asked) -> int:
    """mean_{i<T} (a[i, i] - a[T, i])."""
    _basics(ask, "its fall since it was learned")
    got = _number(ask, LATE_BEST)
    compare(
        got,
        kit.forgetting_first(LATE_BEST),
        {
            "You measure the fall from a task's best accuracy; here it starts from the accuracy "
            "when the task was just learned. Where in the matrix does that stand?": (
                kit.forgetting_max(LATE_BEST)
            )
        },
        f"Where a task got better after it was learned you get {digits(got)}. Where does the fall "
        "start?",
    )
    got = _number(ask, TESTED_BEFORE)
    compare(
        got,
        kit.forgetting_first(TESTED_BEFORE),
        {
            "You start every task from the first row; but after task 0 only task 0 had been "
            "learned.": np.mean(TESTED_BEFORE[0, :2] - TESTED_BEFORE[2, :2])
        },
        f"With numbers above the diagonal you get {digits(got)}: they should not matter.",
    )
    return 4 + _random(ask, kit.forgetting_first)


def step(ask: Asked) -> int:
    """1/(T-1) sum_{t>=2} 1/(t-1) sum_{i<t} (a[t-1, i] - a[t, i])."""
    _two_tasks(ask, "the mean fall of a step")
    got = _number(ask, STEPS)
    compare(
        got,
        kit.forgetting_step(STEPS),
        {
            "You count all falls alike; but a late step has more of them. Which two means does the "
            "formula take, one inside the other?": np.mean([0.3, 0.1, 0.2]),
            "You add up the steps. How many of them are there, and what would make long and short "
            "streams comparable?": 0.45,
            "Within a step you add up the tasks' falls, which telescopes into the definition "
            "`first`. How many tasks does step t have behind it?": 0.3,
            "You add up every fall of every step. Two numbers are missing, one for the tasks of a "
            "step and one for the steps.": 0.6,
            "The steps are divided by the number of tasks, but two tasks have one step between "
            "them.": 0.15,
        },
        f"In three tasks the first step costs 0.3, the second 0.1 and 0.2; you get {digits(got)}.",
    )
    got = _number(ask, TESTED_BEFORE)
    compare(
        got,
        kit.forgetting_step(TESTED_BEFORE),
        {},
        f"With numbers above the diagonal you get {digits(got)}: only the tasks that were learned "
        "before a step can fall in it.",
    )
    return 3 + _random(ask, kit.forgetting_step)


def _number(ask: Asked, a: np.ndarray) -> np.ndarray:
    got = ask(a, shape=())
    if np.isnan(got):
        raise Mistake(
            "You get NaN. Above the diagonal nothing was measured, and it says so: which entries "
            "does your function touch that it should not?"
        )
    return got


def _two_tasks(ask: Asked, what: str) -> None:
    """One fall, of 0.3: what is wrong here is the sign, the divisor, NaN, or the unit."""
    got = _number(ask, TWO)
    compare(
        got,
        0.3,
        {
            "The sign is turned round: a task that fell from 0.9 to 0.6 should have a forgetting "
            "above zero (below zero it is called backward transfer).": -0.3,
            "You divide by the number of tasks. Of two tasks, how many can have been forgotten?": (
                0.15
            ),
            "You get percent; the kit's accuracies, and what it makes of them, are fractions.": 30,
            "You give an accuracy, not a fall: what is it compared with?": 0.6,
        },
        f"Of two tasks the first fell from 0.9 to 0.6. You get {digits(got)} as {what}.",
    )


def _basics(ask: Asked, what: str) -> None:
    _two_tasks(ask, what)
    got = _number(ask, FALLING)  # two falls, 0.5 and 0.3, by either definition
    compare(
        got,
        0.4,
        {
            "You add up the falls of the tasks. With twice as many tasks, would twice as much be "
            "forgotten?": 0.8,
            "You give the fall of one task only: what about the others?": 0.5,
            "You give the largest or the last of the falls: what do the others say?": 0.3,
            "You take the mean fall of a step: this definition looks only at where each task "
            "starts and where it ends.": kit.forgetting_step(FALLING),
        },
        f"Of three tasks the first two fell by 0.5 and by 0.3, the last is fresh. You get "
        f"{digits(got)} as {what}, mean over tasks.",
    )


def _random(ask: Asked, right) -> int:
    """Six tasks, whose numbers nobody chose."""
    random = np.random.default_rng(1)
    a = np.where(np.tri(6, dtype=bool), random.uniform(0.2, 0.9, (6, 6)), np.nan)
    got = _number(ask, a)
    compare(
        got,
        right(a),
        {},
        f"Two and three tasks are right, six are not: you get {digits(got)}, and it is "
        f"{digits(right(a))}. Is a number of tasks written into your function?",
    )
    return 1
