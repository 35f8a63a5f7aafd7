"""E2: the core. C + M N, and the update s A C B inside the frozen weight and out again.

A: (d_out, R), B: (R, d_in), C: (R, R), M: (R, r), N: (r, R); `adapters.flora` has the method.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fmlora_kit.workshop.judge import Asked, compare


def _made(*sizes: tuple[int, int]) -> list[Tensor]:
    noise = torch.Generator().manual_seed(2)
    return [torch.randn(size, generator=noise, dtype=torch.float64) for size in sizes]


def fold(ask: Asked) -> int:
    """C + M N, a new matrix."""
    core, m, n = _made((3, 3), (3, 3), (3, 3))  # a full pair: M N and N M are both possible
    zero = torch.zeros_like(core)
    got = ask(zero, m, n, shape=(3, 3))
    compare(
        got,
        m @ n,
        {
            "You get N M. Which of the two meets the inputs first, and which has as many rows as "
            "the core?": n @ m,
            "You multiply entry by entry; a product of matrices is needed.": m * n,
            "Nothing of the pair arrives in the core.": zero,
            "The pair is taken away from the core. Does the task not add to it?": -(m @ n),
            "You get a sum of M and N; they make the update together, as a product.": m + n,
        },
        "An empty core that takes in a pair should be that pair's product, and yours is not.",
    )
    got = ask(core, m, n, shape=(3, 3))
    compare(
        got,
        core + m @ n,
        {
            "The core of the earlier tasks is gone: the new pair has taken its place. What would "
            "become of what they learned?": m @ n,
            "The earlier core is taken away from the pair.": m @ n - core,
            "The earlier core counts twice.": 2 * core + m @ n,
        },
        "An empty core is right, a core with something in it is not: what becomes of that?",
    )
    core, m, n = _made((5, 5), (5, 2), (2, 5))
    right = core + m @ n
    compare(ask(core, m, n, shape=(5, 5)), right, {}, "A pair of rank 2 in a core of 5 goes wrong.")
    return 3


def merge(ask: Asked) -> int:
    """W0 + s A C B, a new matrix."""
    weight, a, core, b = _made((3, 3), (3, 3), (3, 3), (3, 3))
    zero = torch.zeros_like(core)
    compare(
        ask(weight, a, zero, b, 1.0, shape=(3, 3)),
        weight,
        {
            "The frozen weight is lost: with an empty core the map should be what it was.": zero,
            "The core is empty, and still A and B change the weight. Where does the core stand?": (
                weight + a @ b
            ),
        },
        "With an empty core the map should be what it was, and it is not.",
    )
    update = a @ core @ b
    compare(
        ask(weight, a, core, b, 1.0, shape=(3, 3)),
        weight + update,
        {
            "The order is turned round: you get B C A. What meets the inputs first?": (
                weight + b @ core @ a
            ),
            "The update is in there twice: merged already, and merged again?": weight + 2 * update,
            "The update is taken away where it should be added.": weight - update,
            "The core is transposed on its way.": weight + a @ core.T @ b,
            "The core is missing: A and B alone know nothing of the tasks.": weight + a @ b,
            "The core has no place between A and B: you add them up or multiply entry by entry.": (
                weight + a * core * b
            ),
        },
        "The weight with scale 1 is not the frozen one plus A C B.",
    )
    compare(
        ask(weight, a, core, b, 0.25, shape=(3, 3)),
        weight + update / 4,
        {
            "The scale is forgotten: with a quarter of it the update is as large as before.": (
                weight + update
            ),
            "The scale is in there twice.": weight + update / 16,
            "You divide by the scale.": weight + update * 4,
            "The scale has shrunk the frozen weight too. What does it belong to?": (
                (weight + update) / 4
            ),
            "The scale has shrunk the frozen weight instead of the update.": weight / 4 + update,
        },
        "With scale 1 it is right, with 0.25 it is not: what does the scale multiply?",
    )
    weight, a, core, b = _made((6, 4), (6, 3), (3, 3), (3, 4))
    right = weight + 0.5 * a @ core @ b
    wide = ask(weight, a, core, b, 0.5, shape=(6, 4))
    compare(wide, right, {}, "A map of 4 inputs and 6 outputs goes wrong, a square one is right.")
    return 4


def unmerge(ask: Asked) -> int:
    """The frozen weight again, from W0 + s A C B."""
    weight, a, core, b = _made((6, 4), (6, 3), (3, 3), (3, 4))
    update = a @ core @ b
    for scale, what in ((1.0, "With scale 1"), (0.25, "With scale 0.25")):
        merged = weight + scale * update
        compare(
            ask(merged, a, core, b, scale, shape=(6, 4)),
            weight,
            {
                "It merges a second time: the update is now in there twice.": (
                    merged + scale * update
                ),
                "What comes out is what went in: the update is still there.": merged,
                "The scale was in there when it was merged, and is forgotten when it leaves.": (
                    merged - update
                ),
                "You get the update, not the weight without it.": scale * update,
                "The frozen weight comes back with its sign turned round.": -weight,
                "The core is missing: A B is taken out, A C B had been put in.": (
                    merged - scale * a @ b
                ),
            },
            f"{what}, the frozen weight does not come back.",
        )
    return 2
