"""Where a method stands among others, in a sentence that was computed."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from fmlora_kit.analysis.comparison import Comparison, place, tied
from fmlora_kit.analysis.names import BOUND, OURS, display_name
from fmlora_kit.record import Record


def standing(
    comparison: Comparison, method: str = OURS, *, among: Collection[str] | None = None
) -> str:
    """A sentence: `FM-LoRA is 2nd of 12 by mean; tied for first: RanPAC · FM-LoRA`.

    Args:
        comparison: the methods on one stream.
        method: whose place it is.
        among: look at those of these methods that are compared; default: all.

    Raises:
        ValueError: `method` is not compared, or is joint training, which has no place.
    """
    compared = [row.method for row in comparison.rows if row.method != BOUND]
    some = compared if among is None else [m for m in compared if m in among or m == method]
    nth, leaders = place(comparison, method, among=some), tied(comparison, among=some)
    if max(len(comparison.row(m).seeds) for m in some) == 1:
        how = "first (one seed: ties are not known)"
    else:
        how = "tied for first" if len(leaders) > 1 else "first alone"
    names = " · ".join(map(display_name, leaders))
    return f"{display_name(method)} is {_ordinal(nth)} of {len(some)} by mean; {how}: {names}."


def by_name(
    records: Iterable[Record], methods: Iterable[str] | None = None
) -> dict[str, tuple[Record, ...]]:
    """Records by what people call their method, as figures take them; joint training left out.

    Args:
        records: of many methods and seeds.
        methods: these alone, in this order, as far as they are there; default: all.
    """
    records = [record for record in records if record.method != BOUND]
    there = dict.fromkeys(record.method for record in records)
    wanted = there if methods is None else [method for method in methods if method in there]
    return {display_name(m): tuple(r for r in records if r.method == m) for m in wanted}


def _ordinal(n: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th") if n % 100 not in (11, 12, 13) else "th"
    return f"{n}{ending}"
