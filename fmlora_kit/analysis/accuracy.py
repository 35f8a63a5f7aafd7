"""Continual-learning metrics of the accuracy matrix, every definition under its own name.

`accuracy` is (T, T): a[t, i] is the accuracy (fraction) on the test set of task i after training
task t, 0-based; NaN where it was not evaluated. Rows of tasks not finished yet are NaN throughout,
and every metric is measured over the finished ones. In the formulas below t and i count from 1 and
T is the last finished task. Forgetting and transfer need two tasks: with fewer they are NaN, not 0.

In class-incremental learning a task's accuracy falls for two reasons: its features and head rows
moved (*forgetting by drift*), or more classes compete for the arg-max (*competition*).
`drift_forgetting` and `competition` tell them apart, `accuracy_parts` does it for accuracies;
`step_changes` says what every single step of a stream did to the tasks before it.
"""

from __future__ import annotations

import numpy as np

from fmlora_kit import checks
from fmlora_kit.analysis.arguments import check_accuracy, check_record
from fmlora_kit.record import Record

DEFINITIONS = {
    "final_accuracy": "A_T with A_t = sum_{i<=t} n_i a[t,i] / sum_{i<=t} n_i (micro)",
    "final_accuracy_macro": "A_T with A_t = mean_{i<=t} a[t,i] (macro)",
    "average_anytime_accuracy": "mean_t A_t (micro)",
    "average_anytime_accuracy_macro": "mean_t A_t (macro)",
    "forgetting": "mean_{i<T} (max_{t<T} a[t,i] - a[T,i])",
    "forgetting_first": "mean_{i<T} (a[i,i] - a[T,i])",
    "forgetting_step": "1/(T-1) sum_{t>=2} 1/(t-1) sum_{i<t} (a[t-1,i] - a[t,i])",
    "backward_transfer": "mean_{i<T} (a[T,i] - a[i,i])",
    "forward_transfer": "mean_{i>1} (a[i-1,i] - chance_i), task identity given",
    "learning_accuracy": "mean_i a[i,i]",
    "drift_forgetting": "forgetting of the accuracy with task identity given",
    "competition": "forgetting - drift_forgetting",
}


def average_accuracy(
    accuracy: np.ndarray, n_test: np.ndarray | None = None, *, average: str = "micro"
) -> np.ndarray:
    """A_t, accuracy over the tasks seen so far, after each; NaN where one was not evaluated.

    micro: A_t = sum_{i<=t} n_i a[t,i] / sum_{i<=t} n_i (all test images count alike; the PyCIL
    family: PILOT, SD-LoRA, InfLoRA). macro: A_t = mean_{i<=t} a[t,i] (all tasks count alike;
    CODA-Prompt, HiDe-Prompt, L2P, mammoth).

    Args:
        accuracy: (T, T) accuracy matrix.
        n_test: (T,) or (tasks finished,) test images per task; needed for micro only.
        average: "micro" or "macro".

    Returns:
        (tasks finished,) fractions.
    """
    checks.choice("average", average, ("micro", "macro"))
    done = _finished(accuracy)
    n = len(done)
    weights = np.ones(n) if average == "macro" else _test_sizes(n_test, n)
    return np.array([np.average(done[t, : t + 1], weights=weights[: t + 1]) for t in range(n)])


def final_accuracy(
    accuracy: np.ndarray, n_test: np.ndarray | None = None, *, average: str = "micro"
) -> float:
    """A_T, average accuracy after the last finished task (see `average_accuracy`)."""
    per_step = average_accuracy(accuracy, n_test, average=average)
    return float(per_step[-1]) if per_step.size else float("nan")


def average_anytime_accuracy(
    accuracy: np.ndarray, n_test: np.ndarray | None = None, *, average: str = "micro"
) -> float:
    """mean_t A_t: SD-LoRA's "AAA", PyCIL's "Average Accuracy", or average incremental accuracy."""
    return mean_known(average_accuracy(accuracy, n_test, average=average))


def forgetting_max(accuracy: np.ndarray) -> float:
    """mean_{i<T} (max_{t<T} a[t,i] - a[T,i]): the fall from each task's best accuracy.

    Chaudhry et al., "Riemannian Walk for Incremental Learning", arXiv 1801.10112: the best is one
    from before the last task, so that the fall is below zero where a task ends at its best. The
    codes of PILOT, SD-LoRA, HiDe-Prompt and mammoth take the best of t <= T: never below zero.
    Entries above the diagonal (a task tested before it was learned) do not count: one cannot forget
    what one has not learned.
    """
    return mean_known(_falls(_finished(accuracy)))


def forgetting_first(accuracy: np.ndarray) -> float:
    """mean_{i<T} (a[i,i] - a[T,i]) = -BWT: the fall since each task was learned (avalanche)."""
    done = _finished(accuracy)
    return mean_known((np.diag(done) - done[-1:])[:, :-1])


def forgetting_step(accuracy: np.ndarray) -> float:
    """1/(T-1) sum_{t>=2} 1/(t-1) sum_{i<t} (a[t-1,i] - a[t,i]): the mean fall per step.

    Smith et al., "CODA-Prompt", arXiv 2211.13218. A fall counts once, in the step where it happens,
    so this number is smaller than the other two on long streams.
    """
    done = _finished(accuracy)
    return mean_known([mean_known(done[t - 1, :t] - done[t, :t]) for t in range(1, len(done))])


def backward_transfer(accuracy: np.ndarray) -> float:
    """BWT, mean_{i<T} (a[T,i] - a[i,i]): positive if later tasks helped earlier ones.

    Lopez-Paz and Ranzato, "Gradient Episodic Memory", arXiv 1706.08840.
    """
    return -forgetting_first(accuracy)


def forward_transfer(accuracy: np.ndarray, chance: np.ndarray | float) -> float:
    """FWT, mean_{i>1} (a[i-1,i] - chance_i): how well a task is solved before it is trained.

    Lopez-Paz and Ranzato, "Gradient Episodic Memory", arXiv 1706.08840. NaN if no task was tested
    before it was trained.

    Args:
        accuracy: (T, T) accuracy matrix; in class-incremental learning the one with task identity
            given, since classes not seen yet are never predicted otherwise.
        chance: accuracy of guessing, one number or one per task.
    """
    done = _finished(accuracy)
    n = len(done)
    guess = np.asarray(chance)
    if guess.dtype.kind not in "iuf" or guess.ndim > 1 or (guess.ndim and len(guess) < n):
        raise checks.fail("chance", f"a number, or one for each of {n} tasks", chance)
    return mean_known(
        np.diag(done, k=1) - np.broadcast_to(guess[:n] if guess.ndim else guess, n)[1:]
    )


def learning_accuracy(accuracy: np.ndarray) -> float:
    """mean_i a[i,i], the accuracy on each task when it was just learned."""
    return mean_known(np.diag(_finished(accuracy)))


def drift_forgetting(oracle_accuracy: np.ndarray) -> float:
    """`forgetting_max` with task identity given: arg-max over the task's own classes only.

    Other classes cannot compete, so what is left is what the features and the task's own head rows
    lost.
    """
    return forgetting_max(oracle_accuracy)


def competition(accuracy: np.ndarray, oracle_accuracy: np.ndarray) -> float:
    """`forgetting_max` minus `drift_forgetting`: the fall that more classes to confuse cause."""
    return forgetting_max(accuracy) - drift_forgetting(oracle_accuracy)


FORGETTING = {"max": forgetting_max, "first": forgetting_first, "step": forgetting_step}


def forgetting_curve(accuracy: np.ndarray, *, definition: str = "max") -> np.ndarray:
    """(tasks finished,) forgetting as if the stream had ended after each; NaN after the first.

    `definition` is "max", "first" or "step".
    """
    checks.choice("definition", definition, FORGETTING)
    done = _finished(accuracy)
    return np.array([FORGETTING[definition](done[:n, :n]) for n in range(1, len(done) + 1)])


def task_forgetting(accuracy: np.ndarray) -> np.ndarray:
    """(tasks finished,) max_{t<T} a[t,i] - a[T,i] for each task i; NaN for the last one."""
    done = _finished(accuracy)
    return np.append(_falls(done), np.nan) if len(done) else np.zeros(0)


def metrics(record: Record) -> dict[str, float]:
    """Every metric of a record, as fractions; `DEFINITIONS` has the formulas by the same names.

    `forgetting` is `forgetting_max`. `forward_transfer` takes the accuracy with task identity
    given, and 1 / (number of the task's classes) as chance.
    """
    check_record(record)
    a, oracle, n = record.accuracy, record.oracle_accuracy, record.n_test
    return {
        "final_accuracy": final_accuracy(a, n),
        "final_accuracy_macro": final_accuracy(a, average="macro"),
        "average_anytime_accuracy": average_anytime_accuracy(a, n),
        "average_anytime_accuracy_macro": average_anytime_accuracy(a, average="macro"),
        "forgetting": forgetting_max(a),
        "forgetting_first": forgetting_first(a),
        "forgetting_step": forgetting_step(a),
        "backward_transfer": backward_transfer(a),
        "forward_transfer": forward_transfer(
            oracle, np.array([1 / len(task.classes) for task in record.tasks])
        ),
        "learning_accuracy": learning_accuracy(a),
        "drift_forgetting": drift_forgetting(oracle),
        "competition": competition(a, oracle),
    }


def _finished(accuracy: np.ndarray) -> np.ndarray:
    """The (n, n) corner of the n finished tasks: all rows up to the last that holds a number."""
    accuracy = check_accuracy(accuracy)
    evaluated = np.flatnonzero(np.isfinite(accuracy).any(axis=1))
    n = int(evaluated[-1]) + 1 if evaluated.size else 0
    return accuracy[:n, :n]


def _test_sizes(n_test: np.ndarray | None, n: int) -> np.ndarray:
    sizes = np.asarray(n_test)
    if sizes.dtype.kind not in "iuf" or sizes.ndim != 1 or len(sizes) < n or (sizes[:n] <= 0).any():
        rule = f"a number above 0 for each of {n} tasks (test images; needed for average='micro')"
        raise checks.fail("n_test", rule, n_test)
    return sizes[:n].astype(float)


def _falls(done: np.ndarray) -> np.ndarray:
    """(n - 1,) fall of each earlier task from its best accuracy to the last row."""
    n = len(done)
    best = np.array([np.fmax.reduce(done[i : n - 1, i]) for i in range(n - 1)])
    return best - done[-1, :-1] if n else best


def mean_known(values: np.ndarray) -> float:
    """Mean of the values that are not NaN; NaN if there is none."""
    values = np.asarray(values, dtype=float)
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def step_changes(accuracy: np.ndarray) -> np.ndarray:
    """(T, T) a[t, i] - a[t-1, i]: how learning task t changed the accuracy on task i < t.

    Its mean per row, averaged over the rows and negated, is `forgetting_step`; the sum of a column
    is a[T, i] - a[i, i], so that every task's whole fall is shared out over those who caused it.
    NaN where i >= t, and where one of the two accuracies was not evaluated.
    """
    accuracy = check_accuracy(accuracy)
    changes = np.full(accuracy.shape, np.nan)
    changes[1:] = np.diff(accuracy, axis=0)
    changes[~np.tri(len(accuracy), k=-1, dtype=bool)] = np.nan
    return changes


def before_learning(record: Record) -> np.ndarray:
    """(tasks finished,) accuracy on each task just before it was learned; NaN where not tested.

    With task identity given, that is arg-max over the task's own classes. Less chance, and averaged
    over the tasks, it is the forward transfer of Lopez-Paz and Ranzato, arXiv 1706.08840.
    """
    n = len(check_record(record).tasks)
    return np.append(
        np.full(min(n, 1), np.nan), np.diag(record.oracle_accuracy, k=1)[: max(n - 1, 0)]
    )


LEARNED, GIVEN, END = "just learned, task given", "at the end, task given", "at the end"


def accuracy_parts(record: Record) -> dict[str, float]:
    """Three accuracies, means over tasks, and what lies between them; fractions.

    LEARNED is mean_i of the accuracy on task i after task i, GIVEN that after the last task, both
    with task identity given (arg-max over the task's own classes); END is the final accuracy over
    all classes. "drift" is the forgetting by drift, LEARNED - GIVEN; "competition" is GIVEN - END.
    """
    n = len(check_record(record, 1).tasks)
    oracle = record.oracle_accuracy[:n, :n]
    rows = (np.diag(oracle), oracle[-1], record.accuracy[n - 1, :n])
    learned, given, end = (float(np.mean(row)) for row in rows)
    parts = {"drift": learned - given, "competition": given - end}
    return {LEARNED: learned, GIVEN: given, END: end, **parts}
