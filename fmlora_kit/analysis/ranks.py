"""How the rank selector (DRS) gave each task its rank: complexity, gates and temperature.

H(T_t) = (difficulty + novelty) / 2 pulls each layer's choice towards the rank r_t = R H(T_t); the
training loss and the penalty on rank move it from there.
`TruncationTable` holds accuracies measured in advance: what if a task had got less rank?
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmlora_kit import checks
from fmlora_kit.analysis.arguments import check_record, index_of
from fmlora_kit.record import Record

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
    """Difficulty, novelty, H, and mean, smallest and largest chosen rank of every finished task."""
    ranks = check_record(record).ranks
    if not ranks.size:
        raise ValueError(
            f"record must be of a method that chooses ranks, got {record.method!r} without any"
        )
    for name in MEASURES:
        if missing := [task.name for task in record.tasks if name not in task.scalars]:
            rule = f"every task must have the scalar {name!r}"
            raise ValueError(f"{rule}, got none of {missing[0]!r}")
    return RankTable(
        task_names=record.task_names,
        **{name: np.array([task.scalars[name] for task in record.tasks]) for name in MEASURES},
        mean=ranks.mean(axis=1),
        lowest=ranks.min(axis=1),
        highest=ranks.max(axis=1),
        max_rank=int(candidates(record)[-1]),
    )


def candidates(record: Record) -> np.ndarray:
    """(K,) the ranks that DRS chose from, rising."""
    state = record.tasks[0].state if check_record(record).tasks else {}
    if "drs.candidates" not in state:
        raise ValueError(
            f"record must hold the rank candidates of DRS, got {record.method!r} without them "
            "(another method, drs=None, or no finished task)"
        )
    return np.asarray(state["drs.candidates"])


def gate_trace(record: Record, task: int | str, layer: int | str | None = None) -> GateTrace:
    """Gate probabilities and temperature over the steps in which a task's ranks were chosen.

    Of a run of FM-LoRA with DRS; without a layer the mean over the adapted maps.
    """
    result = check_record(record, 1).tasks[index_of(task, record.task_names, "task")]
    if not {"drs.temperature", "drs.probabilities"} <= set(result.traces):
        raise ValueError(
            f"record must hold the traces of DRS, got none of task {result.name!r} of "
            f"{record.method!r} (another method, drs=None, a first task that was given the full "
            "rank, or a record of an older version)"
        )
    every, chosen = np.asarray(result.traces["drs.probabilities"], dtype=float), result.ranks
    if layer is None:
        probabilities, rank = every.mean(axis=1), chosen.mean()
    else:
        where = index_of(layer, record.layers, "layer")
        probabilities, rank = every[:, where], chosen[where]
    return GateTrace(
        candidates=candidates(record),
        temperature=np.asarray(result.traces["drs.temperature"], dtype=float),
        probabilities=probabilities,
        n_steps=len(result.losses),
        chosen=float(rank),
    )


def expected_ranks(record: Record) -> list[np.ndarray]:
    """(s,) E[r] over the steps of each finished task, mean over the adapted maps.

    Empty for a first task that got the full rank without a choice.
    """
    chosen = (check_record(record).config["method"].get("drs") or {}).get("first_task", True)
    traces = [gate_trace(record, t) for t in range(0 if chosen else 1, len(record.tasks))]
    lines = [trace.expected_rank for trace in traces]
    return lines if chosen or not record.tasks else [np.zeros(0), *lines]


ALL_LAYERS = "all layers"


@dataclass(frozen=True, eq=False)
class TruncationTable:
    """Accuracy on every task when the pair M_t, N_t of one task is cut to its first r columns.

    Gates are nested, so the first r columns are what the task would have kept with the lower rank;
    nothing is trained again, and the head stays. T tasks, L adapted maps, n cuts.

    Attributes:
        method: of the run.
        task_names: (T,).
        layers: (L,) names of the adapted maps.
        ranks: (T, L) the ranks that were chosen.
        n_images: (T,) test images of each task that were used.
        full: (T,) accuracy with the chosen ranks, on those images, arg-max over all classes seen.
        cut_task: (n,) whose pair was cut.
        cut_layer: (n,) at which map; -1 for all of them at once.
        cut_rank: (n,) how many columns were left (of those that had more).
        accuracy: (n, T) accuracy after the cut.
        changed: (n, T) share of the images whose predicted class the cut changed.

    Raises:
        ValueError: sizes that do not fit together, a rank or an accuracy out of range.
    """

    method: str
    task_names: tuple[str, ...]
    layers: tuple[str, ...]
    ranks: np.ndarray
    n_images: np.ndarray
    full: np.ndarray
    cut_task: np.ndarray
    cut_layer: np.ndarray
    cut_rank: np.ndarray
    accuracy: np.ndarray
    changed: np.ndarray

    def __post_init__(self) -> None:
        """Check that the parts fit, and index the cuts."""
        n_tasks, n_layers, n = len(self.task_names), len(self.layers), len(self.cut_task)
        shapes = {
            "ranks": (n_tasks, n_layers),
            "n_images": (n_tasks,),
            "full": (n_tasks,),
            "cut_layer": (n,),
            "cut_rank": (n,),
            "accuracy": (n, n_tasks),
            "changed": (n, n_tasks),
        }
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must be {shape}, got {getattr(self, name).shape}")
        for name in ("full", "accuracy", "changed"):
            values = getattr(self, name)
            if not ((values >= 0) & (values <= 1)).all():
                raise ValueError(f"{name} must be fractions in 0..1, got {values}")
        cuts = zip(
            self.cut_task.tolist(), self.cut_layer.tolist(), self.cut_rank.tolist(), strict=True
        )
        index: dict[tuple[int, int], dict[int, int]] = {}
        for i, (t, layer, rank) in enumerate(cuts):
            if not (0 <= t < n_tasks and -1 <= layer < n_layers):
                raise ValueError(
                    f"cut_task must be below {n_tasks} and cut_layer from -1 and below "
                    f"{n_layers}, got {t} and {layer}"
                )
            if not 0 <= rank < self._highest(t, layer):
                raise ValueError(
                    f"cut_rank must be from 0 and below the chosen rank "
                    f"{self._highest(t, layer)}, got {rank}"
                )
            index.setdefault((t, layer), {})[rank] = i
        object.__setattr__(self, "_index", index)

    @property
    def layer_choices(self) -> tuple[str, ...]:
        """What can be cut: "all layers", then one map at a time."""
        return (ALL_LAYERS, *self.layers)

    def levels(self, task: int | str, layer: int | str | None = None) -> tuple[int, ...]:
        """The ranks that were measured, rising; the last one is the chosen rank, nothing cut.

        With the layer None or "all layers", that is all maps at once, the last level is the largest
        chosen rank: a map with less keeps what it has.
        """
        t, where = self._indices(task, layer)
        return (*sorted(self._index.get((t, where), {})), self._highest(t, where))

    def accuracy_at(
        self, task: int | str, layer: int | str | None = None, rank: int | None = None
    ) -> np.ndarray:
        """(T,) accuracy of every task with one task's pair cut to ``rank`` columns.

        ``rank`` is one of `levels`; None for the chosen rank.
        """
        cut = self._cut(task, layer, rank)
        return self.full if cut is None else self.accuracy[cut]

    def changed_at(
        self, task: int | str, layer: int | str | None = None, rank: int | None = None
    ) -> np.ndarray:
        """(T,) share of each task's images whose predicted class the same cut changed."""
        cut = self._cut(task, layer, rank)
        return np.zeros(len(self.full)) if cut is None else self.changed[cut]

    def _cut(self, task: int | str, layer: int | str | None, rank: int | None) -> int | None:
        """The index of a cut; None for the chosen rank."""
        t, where = self._indices(task, layer)
        found = self._index.get((t, where), {})
        if rank is None or rank == self._highest(t, where):
            return None
        if rank not in found:
            raise checks.fail("rank", f"one of {self.levels(task, layer)}", rank)
        return found[rank]

    def _indices(self, task: int | str, layer: int | str | None) -> tuple[int, int]:
        t = index_of(task, self.task_names, "task")
        return t, -1 if layer in (None, ALL_LAYERS) else index_of(layer, self.layers, "layer")

    def _highest(self, t: int, layer: int) -> int:
        return int(self.ranks[t].max() if layer < 0 else self.ranks[t, layer])
