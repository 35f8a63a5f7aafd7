"""What if a task had got less rank? Accuracies measured in advance, to be looked up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmlora_kit.analysis.ranks import place

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

        Args:
            task: place from 0, or name.
            layer: place or name of an adapted map; None or "all layers" for all at once. There
                the last level is the largest chosen rank: a map with less keeps what it has.

        Raises:
            ValueError: no such task or layer.
        """
        t, where = self._where(task, layer)
        return (*sorted(self._index.get((t, where), {})), self._highest(t, where))

    def accuracy_at(
        self, task: int | str, layer: int | str | None = None, rank: int | None = None
    ) -> np.ndarray:
        """(T,) accuracy of every task with one task's pair cut to ``rank`` columns.

        Args:
            task: see `levels`.
            layer: see `levels`.
            rank: one of `levels`; None for the chosen rank.

        Raises:
            ValueError: no such task or layer, or a rank that was not measured.
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
        """Place of a cut; None for the chosen rank."""
        t, where = self._where(task, layer)
        found = self._index.get((t, where), {})
        if rank is None or rank == self._highest(t, where):
            return None
        if rank not in found:
            raise ValueError(f"rank must be one of {self.levels(task, layer)}; got {rank}")
        return found[rank]

    def _where(self, task: int | str, layer: int | str | None) -> tuple[int, int]:
        t = place(task, self.task_names, "task")
        return t, -1 if layer in (None, ALL_LAYERS) else place(layer, self.layers, "layer")

    def _highest(self, t: int, layer: int) -> int:
        return int(self.ranks[t].max() if layer < 0 else self.ranks[t, layer])
