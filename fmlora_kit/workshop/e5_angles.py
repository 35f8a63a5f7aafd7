"""E5: do two updates share directions? Principal angles, and what chance would give.

x: (d, k), y: (d, l), columns span the subspaces; `analysis.subspaces` has definitions and sources.
"""

from __future__ import annotations

import numpy as np

from fmlora_kit.workshop.judge import Asked, Mistake, compare, digits

ANGLE = 0.1  # degrees: the arccos of a float32 near 1 is no better
DRAWS = 0.06  # relative: who draws random subspaces instead of computing is right within this


def principal_angles(ask: Asked) -> int:
    """(min(k, l),) degrees, ascending."""
    x, y = np.array([[1.0], [0], [0]]), np.array([[0.5], [np.sqrt(0.75)], [0]])
    _one_angle(ask(x, y, shape=(1,)), 60.0)
    long = ask(3 * x, 5 * y, shape=(1,))
    if not np.allclose(long, 60, atol=ANGLE):
        raise Mistake(
            f"Longer columns change the angle: of 60 degrees they make {digits(long)}. A subspace "
            "knows no lengths: what should its columns be before you multiply them?"
        )
    leaning = np.array([[1.0, 1], [0, 1], [0, 0]])  # spans the same plane as the axes
    tilted = np.array([[1.0, 0], [0, np.sqrt(0.5)], [0, np.sqrt(0.5)]])
    compare(
        ask(leaning, tilted, shape=(2,)),
        [0, 45],
        {"The largest angle comes first; smallest first is asked for.": [45, 0]},
        "Two columns of one subspace that are not at right angles change the answer. Length 1 is "
        "not enough: what else should they be?",
        ANGLE,
    )
    _same_space(ask)
    for k, n in ((3, 2), (2, 3), (3, 3)):
        random = np.random.default_rng([k, n])
        x, y = random.standard_normal((7, k)), random.standard_normal((7, n))
        got = ask(x, y)
        if got.shape != (min(k, n),):
            raise Mistake(
                f"Subspaces of {k} and {n} dimensions have {min(k, n)} principal angles; you give "
                f"{'one number' if not got.ndim else got.shape}."
            )
        right = _angles(x, y)
        compare(
            got,
            right,
            {"The largest angle comes first; smallest first is wanted.": right[::-1]},
            f"Random subspaces of {k} and {n} dimensions: you get {digits(got)}, and it is "
            f"{digits(right)}.",
            ANGLE,
        )
    return 7


def chance_overlap(ask: Asked) -> int:
    """max(k, l) / p: mean cos^2 to a random k-dimensional subspace of the room, which holds x."""
    axes = np.eye(12)
    _ask_chance(ask, axes[:10, :3], 3, axes[:10, :10], {})
    space = (
        "That is chance in the whole space. A random update of this method cannot leave the room "
        "it is given: how many directions does that have?"
    )
    _ask_chance(ask, axes[:, :2], 2, axes[:, :4], {space: 2 / 12})
    smaller = (
        "You count the smaller of the two subspaces: in a larger one, is less found by chance, or "
        "more?"
    )
    _ask_chance(ask, axes[:, :3], 1, axes[:, :4], {smaller: 1 / 4})
    _ask_chance(ask, axes[:, :1], 3, axes[:, :4], {smaller: 1 / 4})
    turned = np.linalg.qr(np.random.default_rng(5).standard_normal((12, 8))).Q
    _ask_chance(ask, turned[:, 2:4], 5, turned, {smaller: 2 / 8})
    return 5


def _ask_chance(ask: Asked, earlier, k: int, room, causes: dict[str, float]) -> None:
    n, p, d = earlier.shape[1], room.shape[1], len(room)
    got, right = ask(earlier, k, room, shape=()), max(k, n) / p
    always = {
        "You give the angle, in degrees; the overlap is a mean of cos².": (
            np.degrees(np.arccos(np.sqrt(right)))
        ),
        "You give a cosine; the overlap is the mean of its square.": np.sqrt(right),
        "You add up the cos² of the angles; the overlap is their mean.": k * n / p,
        "You give what chance leaves over, 1 less the overlap.": 1 - right,
    }
    compare(
        got,
        right,
        causes | always,
        f"For a random {k}-dimensional subspace of {p} directions, out of {d}, and {n} earlier "
        f"ones you get {digits(got)}. If you draw, draw more often; if you compute, which three "
        "numbers does it depend on?",
        DRAWS,
    )


def _one_angle(got: np.ndarray, degrees: float) -> None:
    compare(
        got,
        [degrees],
        {
            "You give radians; degrees are asked for.": [np.radians(degrees)],
            "You give the cosine of the angle, not the angle.": [np.cos(np.radians(degrees))],
            "You take the sine for the cosine: of 60 degrees you make 30.": [90 - degrees],
            "You give the singular value squared, an overlap, not an angle.": [0.25],
        },
        f"Two lines at 60 degrees: you get {digits(got)}.",
        1e-3,
    )


def _same_space(ask: Asked) -> None:
    """Rounding makes some cosines of equal subspaces larger than 1: enough of them are tried."""
    random = np.random.default_rng(7)
    for _ in range(40):
        x = random.standard_normal((9, 3))
        got = ask(x, x @ random.standard_normal((3, 3)), shape=(3,))
        if np.isnan(got).any():
            raise Mistake(
                "A subspace and itself give NaN. Rounding makes a cosine of 1.0000000000000002: "
                "what is its arc cosine, and how do you keep it from being asked for?"
            )
        if not np.allclose(got, 0, atol=ANGLE):
            raise Mistake(f"A subspace and itself, with other columns: you get {digits(got)}.")


def _angles(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    from scipy.linalg import subspace_angles

    return np.degrees(subspace_angles(x, y))[::-1]
