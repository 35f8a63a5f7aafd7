"""Does a task that resembles an earlier one get less rank?

``python -m fmlora_kit near_duplicate`` measures it.

The same task, Greek letters with a bar beneath, closes two streams: in one, plain Greek came
before (it is a near-duplicate), in the other Hebrew did (it is novel). Prints its mean rank over
the adapted maps for each seed, and the paired difference with its 95% interval.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fmlora_kit.analysis.intervals import paired_difference
from fmlora_kit.record import Record
from fmlora_kit.training import Budget
from fmlora_kit.training.pool import Job, run_many

BEFORE = {
    "near-duplicate": ("Latin", "Greek", "Cyrillic"),
    "novel": ("Latin", "Hebrew", "Cyrillic"),
}


def jobs(out: Path, seeds: int, **images: int) -> list[Job]:
    """FM-LoRA on both streams, for every seed."""
    return [
        Job(
            label,
            "fmlora",
            seed,
            out / "records" / label / f"seed_{seed}",
            stream_options={"scripts": scripts, "barred": "Greek", **images},
            budget=Budget(),
        )
        for label, scripts in BEFORE.items()
        for seed in range(seeds)
    ]


def report(records: dict[str, list[Record]]) -> str:
    """One line per seed, then the paired difference."""
    ranks = {label: [r.ranks[-1].mean() for r in runs] for label, runs in records.items()}
    novelties = {
        label: [r.tasks[-1].scalars["novelty"] for r in runs] for label, runs in records.items()
    }
    lines = ["seed  rank near-duplicate  rank novel  novelty near-duplicate  novelty novel"]
    for k, (near, novel) in enumerate(zip(*ranks.values(), strict=True)):
        a, b = (values[k] for values in novelties.values())
        lines.append(f"{k:4d}  {near:19.2f}  {novel:10.2f}  {a:22.3f}  {b:13.3f}")
    gap = paired_difference(ranks["near-duplicate"], ranks["novel"])
    lines.append(f"near-duplicate minus novel, ranks: {gap.mean:.2f} ± {gap.ci95:.2f} (95%)")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Command line: see ``--help``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("build/near_duplicate"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=None)
    options = parser.parse_args(arguments)
    todo = jobs(options.out, options.seeds)
    print(report(run_many(todo, workers=options.workers, say=lambda line: None)))


if __name__ == "__main__":
    main()
