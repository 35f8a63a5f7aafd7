"""What a task is called, and where labels stand, so that they cover nothing.

The name alone is the label: names such as "0 and 1" cannot be read behind a number. Its order is
that of the axis or of the legend; where a moment is told, its number stands there too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from fmlora_kit.figures.style import short

_LETTER, _LINE, _GAP = 6.3, 14, 8  # pixels of a label, and from it to the next
_POINT = 7  # pixels from the middle of a point to its edge
_SIDES = [(dx, dy) for dx in (1, -1) for dy in (0, 12, -12)] + [(0, 17), (0, -17)]
_SIDES += [(dx, dy) for dy in (24, -24, 36, -36) for dx in (0, 1, -1)]

Box = tuple[float, float, float, float]  # left, low, right and high end, in pixels


def task_label(name: str, longest: int = 18) -> str:
    """What a tick, a legend or a panel calls a task: "Latin"; cut if it is long."""
    return short(name, longest)


def task_words(index: int, name: str) -> str:
    """What a title or a hover text calls a task that was learned: "task 3, Cyrillic"."""
    return f"task {index + 1}, {name}"


def move_apart(heights: Sequence[float], gap: float, *, low: float = -math.inf) -> list[float]:
    """Heights moved as little as needed, so that labels are `gap` or more apart, none too low."""
    order = sorted(range(len(heights)), key=lambda k: heights[k])
    groups: list[list[float]] = []  # [middle, how many]: labels that touch move as one
    for k in order:
        groups.append([heights[k], 1])
        while len(groups) > 1:
            (a, n), (b, m) = groups[-2:]
            if b - a >= gap * (n + m) / 2:
                break
            groups[-2:] = [[(a * n + b * m) / (n + m), n + m]]
    moved = [middle + gap * (j - (n - 1) / 2) for middle, n in groups for j in range(int(n))]
    found = {k: max(moved[j], low + gap * j) for j, k in enumerate(order)}
    return [found[k] for k in range(len(heights))]


def place_beside(
    points: Sequence[tuple[float, float]], names: Sequence[str], lines: Iterable[Box], width: float
) -> list[tuple[int, int]]:
    """The side of each point at which its name covers least of points, lines and earlier names.

    Points are (x, y) in pixels, `lines` boxes around what else names should not cover; a name
    outside the drawing's `width` is the last resort.
    Returns for each -1, 0 or 1 (left of the point, on it, or right), and pixels upwards.
    """
    taken = [(x - _POINT, y - _POINT, x + _POINT, y + _POINT) for x, y in points]
    taken += lines
    sides = []
    for (x, y), name in zip(points, names, strict=True):
        boxes = [_label_box(x, y, side, _LETTER * len(name) + _GAP) for side in _SIDES]
        best = min(range(len(boxes)), key=lambda k: _covered_area(boxes[k], taken, width))
        taken.append(boxes[best])
        sides.append(_SIDES[best])
    return sides


def _label_box(x: float, y: float, side: tuple[int, int], width: float) -> Box:
    """The box of a label beside (or above, below) its point."""
    middle = x + side[0] * (10 + width / 2)
    return middle - width / 2, y + side[1] - _LINE / 2, middle + width / 2, y + side[1] + _LINE / 2


def _covered_area(box: Box, taken: Iterable[Box], width: float) -> float:
    """Square pixels of a label that lie on others, or outside the drawing, which count more."""
    total = max(0.0, box[2] - width - 40) * 100 + max(0.0, -box[0]) * 100
    for other in taken:
        wide = min(box[2], other[2]) - max(box[0], other[0])
        high = min(box[3], other[3]) - max(box[1], other[1])
        total += max(0.0, wide) * max(0.0, high)
    return total
