"""Two tasks looked at closely: every principal angle, the overlap, and all chance levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmlora_kit.analysis.chance import SIDES, WITHIN, expected_overlap, random_angles, room
from fmlora_kit.analysis.ranks import place
from fmlora_kit.analysis.subspaces import ENERGY, directions, principal_angles, update_cosine
from fmlora_kit.analysis.updates import shared_bases
from fmlora_kit.record import Record


@dataclass(frozen=True, eq=False)
class TaskPair:
    """How two tasks' updates lie to each other, at one layer or as the mean over all.

    Attributes:
        earlier: number of the task learned first, from 0.
        later: number of the task learned after it.
        layer: name of the adapted map; None: mean over all layers.
        sizes: (2,) directions compared of the earlier and of the later update.
        angles: by side ("output", "input"), (n,) principal angles in degrees, ascending. Over all
            layers: mean over those that have as many.
        angles_chance: by side, (n,) the same for a random later update.
        overlap: by side, mean cos^2 of the angles.
        overlap_chance: by side and by where chance draws from (`analysis.chance.WITHIN`; "space"
            only for methods without shared bases).
        cosine: Frobenius cosine between the two updates.
    """

    earlier: int
    later: int
    layer: str | None
    sizes: np.ndarray
    angles: dict[str, np.ndarray]
    angles_chance: dict[str, np.ndarray]
    overlap: dict[str, float]
    overlap_chance: dict[str, dict[str, float]]
    cosine: float


def task_pair(
    record: Record,
    first: int | str,
    second: int | str,
    *,
    layer: int | str | None = None,
    energy: float = ENERGY,
    within: str = "open",
) -> TaskPair:
    """Angles, overlaps and their chance levels for two tasks.

    Args:
        record: a run of a method with low-rank updates.
        first: one task, by name or place from 0.
        second: another task; which of the two came later is seen from the record.
        layer: an adapted map, by name or place; None: mean over all layers.
        energy: share of an update's energy that the compared directions hold.
        within: where the random later updates of `angles_chance` come from.

    Raises:
        ValueError: an argument is unknown, both tasks are the same, or the method has no low-rank
            updates.
    """
    numbers = sorted(place(task, record.task_names, "task") for task in (first, second))
    earlier, later = numbers
    if earlier == later:
        raise ValueError(f"first and second must be two different tasks; got {first!r} twice")
    maps = range(len(record.layers))
    maps = maps if layer is None else [place(layer, record.layers, "layer")]
    table = directions(record, energy)
    places = WITHIN if shared_bases(record) else WITHIN[:1]
    found = {
        side: [_one_layer(record, table, numbers, k, side, within, energy) for k in maps]
        for side in SIDES
    }
    return TaskPair(
        earlier,
        later,
        None if layer is None else record.layers[maps[0]],
        np.mean([[table[t][k].k for t in numbers] for k in maps], axis=0),
        {side: _mean_of_ragged([angles for angles, _ in found[side]]) for side in SIDES},
        {side: _mean_of_ragged([chance for _, chance in found[side]]) for side in SIDES},
        {side: _overlap([angles for angles, _ in found[side]]) for side in SIDES},
        {
            side: {name: _chance(record, table, numbers, maps, side, name) for name in places}
            for side in SIDES
        },
        float(_known_mean(update_cosine(record)[list(maps), earlier, later])),
    )


def _one_layer(record, table, numbers, k, side, within, energy) -> tuple[np.ndarray, np.ndarray]:
    """Principal angles of one map, and the mean ones of a random later update."""
    old, new = (getattr(table[t][k], side) for t in numbers)
    where = room(record, numbers[1], k, side, within)
    angles = principal_angles(record, *numbers, k, side, energy=energy)
    return angles, random_angles(old, new.shape[1], where).mean(axis=0)


def _chance(record, table, numbers, maps, side: str, within: str) -> float:
    earlier, later = numbers
    levels = [
        expected_overlap(
            getattr(table[earlier][k], side),
            table[later][k].k,
            room(record, later, k, side, within),
        )
        for k in maps
    ]
    return _known_mean(np.array(levels))


def _overlap(rows: list[np.ndarray]) -> float:
    return _known_mean(
        np.array([np.mean(np.cos(np.radians(row)) ** 2) if len(row) else np.nan for row in rows])
    )


def _mean_of_ragged(rows: list[np.ndarray]) -> np.ndarray:
    """Mean of the k-th entries of the rows that have one."""
    longest = max(map(len, rows))
    return np.array([np.mean([row[k] for row in rows if len(row) > k]) for k in range(longest)])


def _known_mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")
