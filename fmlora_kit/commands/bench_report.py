"""What was measured, as a JSON-able summary and as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fmlora_kit.commands.bench_measure import spread
from fmlora_kit.commands.bench_sides import (
    LIMIT,
    NO_PROMPT,
    NO_STEP,
    PEFT,
    PEFT_ALL,
    PEFT_WIDE,
    SAME_STEP,
    SHORT_LIMIT,
    SMALL,
    SMALL_NO_PROMPT,
)
from fmlora_kit.streams.catalogue import N_IMAGES, expected_hours

GROWTH_TARGET, MERGED_TARGET, MEMORY_TARGET = 1.02, 1.01, 1.02
# What a step of each side of FM-LoRA is held against, and at most how many times that: the small
# ones the limit that saves what this package saves; on all maps no low-rank update can be near it,
# so the peer's step is the bound.
BOUNDS = dict.fromkeys((NO_PROMPT, "fmlora"), (PEFT_ALL, 1.05))
BOUNDS |= {SMALL_NO_PROMPT: (SHORT_LIMIT, 1.02), SMALL: (SHORT_LIMIT, 1.04)}
# The peers that its memory is held against.
AGAINST = dict.fromkeys((NO_PROMPT, "fmlora"), (PEFT_ALL,))
AGAINST |= dict.fromkeys((SMALL_NO_PROMPT, SMALL), (PEFT, PEFT_WIDE))
GIGABYTE = 1e9
PROFILE_ROWS = 12
Row = dict[str, object]


def step_rows(
    limits: Sequence[float],
    took: Mapping[str, Sequence[float]],
    ratios: Mapping[str, Sequence[float]],
    counted: Mapping[str, Mapping[str, int]],
) -> list[Row]:
    """One row per side, the limit first.

    ``limits``, ``took`` and ``ratios`` are what `take_turns` gives, by "method@task"; ``counted``
    has "flops", "peak_bytes" and "resident_bytes" of each side and of the limit.
    """
    limit = counted[f"{LIMIT}@1"]
    took, ratios = {f"{LIMIT}@1": limits, **took}, {f"{LIMIT}@1": [1.0], **ratios}
    rows: list[Row] = []
    for side, seconds in took.items():
        (name, _, task), found = side.partition("@"), counted[side]
        rows.append(
            {
                "side": name,
                "task": int(task),
                **_timing(seconds, ratios[side], limits),
                "flops": found["flops"],
                "flops_ratio": found["flops"] / limit["flops"],
                "peak_bytes": found["peak_bytes"] + found["resident_bytes"],
                "peak_bytes_of_step": found["peak_bytes"],
            }
        )
    return rows


def inference_rows(
    plain: Sequence[float],
    took: Mapping[str, Sequence[float]],
    ratios: Mapping[str, Sequence[float]],
    flops: Mapping[str, int],
    batch_size: int,
) -> list[Row]:
    """One row per side, plain timm first: images per second, seconds, and ratio to plain timm."""
    return [
        {
            "side": name,
            "images_per_second": batch_size / spread(seconds)["median"],
            **_timing(seconds, ratios.get(name, [1.0]), plain),
            "flops_ratio": flops[name] / flops["plain_timm"],
        }
        for name, seconds in {"plain_timm": plain, **took}.items()
    ]


def _timing(seconds: Sequence[float], ratios: Sequence[float], base: Sequence[float]) -> Row:
    fastest = min(seconds) / min(base)
    return {"seconds": spread(seconds), "ratio": spread(ratios), "ratio_of_fastest": fastest}


def cifar100_hours(rows: Sequence[Row], batch_size: int, epochs: int) -> dict[str, float]:
    """Hours of training steps for all tasks of CIFAR-100 together, by side."""
    how = N_IMAGES["cifar100"][0], epochs, batch_size
    return {_key(row): expected_hours(row["seconds"]["median"], *how) for row in rows}


def targets(rows: Sequence[Row], inference: Sequence[Row]) -> list[Row]:
    """What was aimed at, what came out, and whether it is met; only what was measured."""
    step = {_key(row): row for row in rows}
    found: list[Row] = []

    def aim(what: str, value: float, most: float) -> None:
        found.append({"what": what, "value": value, "at_most": most, "met": value <= most})

    for name, peers in AGAINST.items():
        mine = {row["task"]: row["ratio"]["median"] for row in rows if row["side"] == name}
        bound, at_most = BOUNDS[name]
        for task, ratio in mine.items() if f"{bound}@1" in step else ():
            most = step[f"{bound}@1"]["ratio"]["median"]
            aim(f"{name}, step at task {task} / {bound}", ratio / most, at_most)
        if len(mine) > 1:
            first, *_, last = mine
            what = f"{name}, step at task {last} / task {first}"
            aim(what, mine[last] / mine[first], GROWTH_TARGET)
        for peer in peers:
            if mine and f"{peer}@1" in step:
                most = max(row["peak_bytes"] for row in rows if row["side"] == name)
                peak = step[f"{peer}@1"]["peak_bytes"]
                aim(f"{name}, peak memory / {peer}", most / peak, MEMORY_TARGET)
    for row in inference:
        if row["side"] in (f"{NO_PROMPT}_merged", "fmlora_merged"):
            aim(f"{row['side']}, inference / plain timm", row["ratio"]["median"], MERGED_TARGET)
    return found


def markdown(summary: Mapping) -> str:
    """The summary's tables."""
    made = summary["made"]
    attention = "fused" if made["fused_attention"] else "unfused"
    same = ", ".join(f"{name} as {other}" for name, other in SAME_STEP.items())
    parts = [
        f"One training step of {made['backbone']}, {made['image_size']} px, batch "
        f"{made['batch_size']}, {made['device']}, {made['threads']} threads, {made['numbers']}, "
        f"{attention} attention, median of {made['rounds']} rounds.",
        _step_table(summary["steps"], summary["expected_hours"]),
        f"Steps not timed twice: {same}. No step by gradient: {', '.join(NO_STEP)}.",
        _table(
            *("inference", "images per second", "/ plain timm", "quartiles"),
            "multiplications / plain",
            rows=[
                (row["side"], f"{row['images_per_second']:.3g}", *_ratio_cells(row))
                for row in summary["inference"]
            ],
        ),
        _table(
            *("target", "measured", "at most", "met"),
            rows=[
                (t["what"], f"{t['value']:.3f}", str(t["at_most"]), "yes" if t["met"] else "no")
                for t in summary["targets"]
            ],
        ),
        _profile_table(summary["profile"]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(*header: str, rows: Sequence[Sequence[str]]) -> str:
    """Rows in Markdown, numbers in all columns but the first. Empty without rows."""
    head, *cells = (f"| {' | '.join(row)} |" for row in (header, *rows))
    return "\n".join([head, f"|:--{'|--:' * (len(header) - 1)}|", *cells]) if rows else ""


def _ratio_cells(row: Row) -> tuple[str, str, str]:
    ratio = row["ratio"]
    quartiles = f"{ratio['q25']:.3f} to {ratio['q75']:.3f}"
    return f"{ratio['median']:.3f}", quartiles, f"{row['flops_ratio']:.3f}"


def _step_table(rows: Sequence[Row], hours: Mapping[str, float]) -> str:
    peft = next((row["peak_bytes"] for row in rows if row["side"] == PEFT), None)
    header = ("step", "task", "/ limit", "quartiles", "multiplications / limit", "seconds")
    cells = [
        (
            *(row["side"], str(row["task"]), *_ratio_cells(row)),
            f"{row['seconds']['median']:.3g}",
            f"{row['peak_bytes'] / GIGABYTE:.2f}",
            "–" if peft is None else f"{row['peak_bytes'] / peft:.3f}",
            f"{hours[_key(row)]:.2f}",
        )
        for row in rows
    ]
    return _table(*header, "peak, GB", "/ PEFT", "CIFAR-100, hours", rows=cells)


def _profile_table(profile: Mapping[str, Mapping[str, float]]) -> str:
    """Milliseconds of the operators that take longest, and of all the others together."""
    import pandas as pd  # slow to load

    took = 1e3 * pd.DataFrame(profile).fillna(0)
    took = took.loc[took.max(axis=1).sort_values(ascending=False, kind="stable").index]
    shown = {f"`{name}`": row for name, row in took[:PROFILE_ROWS].iterrows()}
    shown["all others"] = took[PROFILE_ROWS:].sum()
    cells = [(name, *map("{:.1f}".format, row)) for name, row in shown.items()]
    return _table("ms of one step, profiled", *profile, rows=cells)


def _key(row: Row) -> str:
    return f"{row['side']}@{row['task']}"
