"""How the rank selector (DRS) gave each task its rank: complexity, gates and temperature.

H(T_t) = (difficulty + novelty) / 2 pulls each layer's choice towards the rank r_t = R H(T_t); the
training loss and the penalty on rank move it from there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmlora_kit.record import Record, TaskResult

MEASURES = ("difficulty", "novelty", "complexity")


@dataclass(frozen=True, eq=False)
class RankTable:
    """Complexity and chosen rank of every task; T finished tasks.

    Attributes:
        task_names: (T,).
        difficulty: (T,) held-out error of the features as they were, 1 at chance level.
        novelty: (T,) 1 - the largest affinity with an earlier task's feature subspace.
        complexity: (T,) H, the mean of the two.
        mean: (T,) chosen rank, mean over the adapted maps.
        lowest: (T,) smallest chosen rank.
        highest: (T,) largest chosen rank.
        max_rank: R, the largest rank there is to choose.
    """

    task_names: tuple[str, ...]
    difficulty: np.ndarray
    novelty: np.ndarray
    complexity: np.ndarray
    mean: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    max_rank: int

    @property
    def expected(self) -> np.ndarray:
        """(T,) R H, the rank that complexity alone asks for."""
        return self.max_rank * self.complexity


@dataclass(frozen=True, eq=False)
class GateTrace:
    """How a task's ranks were chosen; s steps, K candidates.

    Attributes:
        candidates: (K,) ranks to choose from, rising.
        temperature: (s,) of the Gumbel-Softmax.
        probabilities: (s, K) of the gates, each row sums to 1.
        n_steps: how many steps the whole task had; the choice is fixed after the first s.
        chosen: the rank that was taken in the end (mean over the maps if they are averaged).
    """

    candidates: np.ndarray
    temperature: np.ndarray
    probabilities: np.ndarray
    n_steps: int
    chosen: float

    @property
    def expected_rank(self) -> np.ndarray:
        """(s,) E[r]."""
        return self.probabilities @ self.candidates


def rank_table(record: Record) -> RankTable:
    """Difficulty, novelty, H, and mean, smallest and largest chosen rank of every finished task.

    Raises:
        ValueError: the method chooses no ranks, or a task has no complexity.
    """
    ranks = record.ranks
    if not ranks.size:
        raise ValueError(
            f"record must be of a method that chooses ranks; {record.method!r} has none"
        )
    columns = {name: _scalar(record, name) for name in MEASURES}
    return RankTable(
        task_names=record.task_names,
        **columns,
        mean=ranks.mean(axis=1),
        lowest=ranks.min(axis=1),
        highest=ranks.max(axis=1),
        max_rank=int(candidates(record)[-1]),
    )


def candidates(record: Record) -> np.ndarray:
    """(K,) the ranks that DRS chose from, rising.

    Raises:
        ValueError: the record has no rank candidates.
    """
    state = record.tasks[0].state if record.tasks else {}
    if "drs.candidates" not in state:
        raise ValueError(
            f"record must hold the rank candidates of DRS; {record.method!r} has none "
            "(another method, drs=None, or no finished task)"
        )
    return np.asarray(state["drs.candidates"])


def gate_trace(record: Record, task: int | str, layer: int | str | None = None) -> GateTrace:
    """Gate probabilities and temperature over the steps in which a task's ranks were chosen.

    Args:
        record: a run of FM-LoRA with DRS.
        task: place from 0, or name.
        layer: place or name of an adapted map; None averages over the maps.

    Raises:
        ValueError: no such task or layer, or the record has no trace of the choice.
    """
    result = record.tasks[place(task, record.task_names, "task")]
    traces = _traces(record, result)
    every, chosen = np.asarray(traces["drs.probabilities"], dtype=float), result.ranks
    if layer is None:
        probabilities, rank = every.mean(axis=1), chosen.mean()
    else:
        where = place(layer, record.layers, "layer")
        probabilities, rank = every[:, where], chosen[where]
    return GateTrace(
        candidates=candidates(record),
        temperature=np.asarray(traces["drs.temperature"], dtype=float),
        probabilities=probabilities,
        n_steps=len(result.losses),
        chosen=float(rank),
    )


def expected_ranks(record: Record) -> list[np.ndarray]:
    """(s,) E[r] over the steps of each finished task, mean over the adapted maps.

    Raises:
        ValueError: the record has no trace of the choice.
    """
    return [gate_trace(record, t).expected_rank for t in range(len(record.tasks))]


def place(wanted: int | str, names: tuple[str, ...], what: str) -> int:
    """Place of a task or layer that is given by name, or by its place from 0.

    Args:
        wanted: name or place.
        names: all there are.
        what: "task" or "layer", for the message.

    Raises:
        ValueError: there is none of that name or at that place.
    """
    if isinstance(wanted, str):
        if wanted in names:
            return names.index(wanted)
    elif 0 <= wanted < len(names):
        return int(wanted)
    raise ValueError(
        f"{what} must be one of {names}, or a place from 0 to {len(names) - 1}; got {wanted!r}"
    )


def _scalar(record: Record, name: str) -> np.ndarray:
    missing = [task.name for task in record.tasks if name not in task.scalars]
    if missing:
        raise ValueError(f"every task must have the scalar {name!r}; {missing[0]!r} has none")
    return np.array([task.scalars[name] for task in record.tasks])


def _traces(record: Record, result: TaskResult) -> dict[str, np.ndarray]:
    if not {"drs.temperature", "drs.probabilities"} <= set(result.traces):
        raise ValueError(
            f"record must hold the traces of DRS; task {result.name!r} of {record.method!r} has "
            "none (another method, drs=None, or a record of an older version)"
        )
    return result.traces
