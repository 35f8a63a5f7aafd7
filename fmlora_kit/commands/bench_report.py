"""What was measured, as a JSON-able summary and as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fmlora_kit.commands.bench_measure import spread
from fmlora_kit.commands.bench_sides import LIMIT, NO_STEP, PEFT, PEFT_WIDE, SAME_STEP
from fmlora_kit.streams.catalogue import N_IMAGES, expected_hours

STEP_TARGET, GROWTH_TARGET, MERGED_TARGET, MEMORY_TARGET = 1.05, 1.02, 1.01, 1.02
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

    Args:
        limits: seconds of the limit.
        took: by side ("method@task"), seconds.
        ratios: by side, ratios to the limit, one per round.
        counted: by side and for the limit, "flops", "peak_bytes" and "resident_bytes".
    """
    limit = counted[f"{LIMIT}@1"]
    rows: list[Row] = [_step_row(f"{LIMIT}@1", limits, [1.0], limit, limit, min(limits))]
    for side in took:
        rows.append(_step_row(side, took[side], ratios[side], counted[side], limit, min(limits)))
    return rows


def _step_row(side, seconds, ratios, counted, limit, fastest) -> Row:
    name, _, task = side.partition("@")
    return {
        "side": name,
        "task": int(task),
        "seconds": spread(list(seconds)),
        "ratio": spread(list(ratios)),
        "ratio_of_fastest": min(seconds) / fastest,
        "flops": counted["flops"],
        "flops_ratio": counted["flops"] / limit["flops"],
        "peak_bytes": counted["peak_bytes"] + counted["resident_bytes"],
        "peak_bytes_of_step": counted["peak_bytes"],
    }


def inference_rows(
    plain: Sequence[float],
    took: Mapping[str, Sequence[float]],
    ratios: Mapping[str, Sequence[float]],
    flops: Mapping[str, int],
    batch_size: int,
) -> list[Row]:
    """One row per side, plain timm first: images per second, seconds, and ratio to plain timm."""
    rows: list[Row] = []
    for name, seconds in {"plain_timm": plain, **took}.items():
        rows.append(
            {
                "side": name,
                "images_per_second": batch_size / spread(list(seconds))["median"],
                "seconds": spread(list(seconds)),
                "ratio": spread(list(ratios.get(name, [1.0]))),
                "ratio_of_fastest": min(seconds) / min(plain),
                "flops_ratio": flops[name] / flops["plain_timm"],
            }
        )
    return rows


def cifar100_hours(rows: Sequence[Row], batch_size: int, epochs: int) -> dict[str, float]:
    """Hours of training steps for all tasks of CIFAR-100 together, by side."""
    images = N_IMAGES["cifar100"][0]
    return {
        _key(row): expected_hours(row["seconds"]["median"], images, epochs, batch_size)
        for row in rows
    }


def targets(rows: Sequence[Row], inference: Sequence[Row]) -> list[Row]:
    """What was aimed at, what came out, and whether it is met; only what was measured."""
    step = {_key(row): row for row in rows}
    aimed: list[tuple[str, float | None, float]] = []
    for name in ("fmlora_no_prompt", "fmlora"):
        mine = [row for row in rows if row["side"] == name]
        aimed += [
            (f"{name}, step at task {row['task']} / limit", row["ratio"]["median"], STEP_TARGET)
            for row in mine
        ]
        if len(mine) > 1:
            growth = mine[-1]["ratio"]["median"] / mine[0]["ratio"]["median"]
            last, first = mine[-1]["task"], mine[0]["task"]
            aimed.append((f"{name}, step at task {last} / task {first}", growth, GROWTH_TARGET))
        for peer, rank in ((PEFT, 10), (PEFT_WIDE, 32)):
            if mine and f"{peer}@1" in step:
                most = max(row["peak_bytes"] for row in mine)
                what = f"{name}, peak memory / PEFT LoRA of rank {rank}"
                aimed.append((what, most / step[f"{peer}@1"]["peak_bytes"], MEMORY_TARGET))
    for row in inference:
        if row["side"] in ("fmlora_no_prompt_merged", "fmlora_merged"):
            what = f"{row['side']}, inference / plain timm"
            aimed.append((what, row["ratio"]["median"], MERGED_TARGET))
    return [
        {"what": what, "value": value, "at_most": most, "met": value <= most}
        for what, value, most in aimed
    ]


def markdown(summary: Mapping) -> str:
    """The summary's tables."""
    made = summary["made"]
    attention = "fused" if made["fused_attention"] else "unfused"
    parts = [
        f"One training step of {made['backbone']}, {made['image_size']} px, batch "
        f"{made['batch_size']}, {made['device']}, {made['threads']} threads, {made['numbers']}, "
        f"{attention} attention, median of {made['rounds']} rounds.",
        _step_table(summary["steps"], summary["expected_hours"]),
        _same_steps(),
        _inference_table(summary["inference"]),
        _target_table(summary["targets"]),
        _profile_table(summary["profile"]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """Rows in Markdown; columns hold numbers but for the first ``words``. Empty without rows."""
    rule = "|:--" * words + "|--:" * (len(header) - words) + "|"
    cells = [f"| {' | '.join(row)} |" for row in (header, *rows)]
    return "\n".join([cells[0], rule, *cells[1:]]) if rows else ""


def _ratio_cells(row: Row) -> tuple[str, str, str]:
    ratio = row["ratio"]
    quartiles = f"{ratio['q25']:.3f} to {ratio['q75']:.3f}"
    return f"{ratio['median']:.3f}", quartiles, f"{row['flops_ratio']:.3f}"


def _step_table(rows: Sequence[Row], hours: Mapping[str, float]) -> str:
    peft = next((row["peak_bytes"] for row in rows if row["side"] == PEFT), None)
    header = ("step", "task", "/ limit", "quartiles", "multiplications / limit", "seconds")
    header += ("peak, GB", "/ PEFT", "CIFAR-100, hours")
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
    return _table(header, cells)


def _same_steps() -> str:
    same = ", ".join(f"{name} as {other}" for name, other in SAME_STEP.items())
    return f"Steps not timed twice: {same}. No step by gradient: {', '.join(NO_STEP)}."


def _inference_table(rows: Sequence[Row]) -> str:
    header = ("inference", "images per second", "/ plain timm", "quartiles")
    header += ("multiplications / plain",)
    cells = [(r["side"], f"{r['images_per_second']:.3g}", *_ratio_cells(r)) for r in rows]
    return _table(header, cells)


def _target_table(rows: Sequence[Row]) -> str:
    cells = [
        (row["what"], f"{row['value']:.3f}", str(row["at_most"]), "yes" if row["met"] else "no")
        for row in rows
    ]
    return _table(("target", "measured", "at most", "met"), cells)


def _profile_table(profile: Mapping[str, Mapping[str, float]]) -> str:
    """Milliseconds of the operators that take longest, and of all the others together."""
    most: dict[str, float] = {}
    for took in profile.values():
        for name, seconds in took.items():
            most[name] = max(seconds, most.get(name, 0))
    shown = sorted(most, key=lambda name: -most[name])[:PROFILE_ROWS]
    cells = [
        (f"`{name}`", *(f"{1e3 * took.get(name, 0):.1f}" for took in profile.values()))
        for name in shown
    ]
    rest = (sum(took.values()) - sum(took.get(n, 0) for n in shown) for took in profile.values())
    cells.append(("all others", *(f"{1e3 * seconds:.1f}" for seconds in rest)))
    return _table(("ms of one step, profiled", *profile), cells)


def _key(row: Row) -> str:
    return f"{row['side']}@{row['task']}"
