"""Which of FM-LoRA's decisions matter: ``python -m fmlora_kit ablation`` (``make ablation``).

Every combination of bases x protect x DRS x DMP, then one change to the defaults at a time (head,
fold, prompt update, ranks per task), then sequential LoRA's own learning rates and
heads: on the first four tasks of ``glyphs``, three seeds that no comparison uses. With ``--stream
glyph_styles`` instead: single changes and those that let FM-LoRA move most, beside full
fine-tuning. Writes ``<out>/ablation.md`` and ``<out>/ablation.json``; what is finished is not done
again.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

from fmlora_kit.adapters.flora import BASES
from fmlora_kit.adapters.sites import MAPS
from fmlora_kit.analysis.accuracy import metrics
from fmlora_kit.analysis.intervals import mean_ci95
from fmlora_kit.methods import DMP, DRS, FLoRA, HeadOptions
from fmlora_kit.record import Record
from fmlora_kit.training import Budget
from fmlora_kit.training.pool import Job, run_many

SEEDS = (100, 101, 102)
PROTECT = FLoRA().protect
COLUMNS = ("final_accuracy", "learning_accuracy", "forgetting", "drift_forgetting")


def variants() -> Iterator[tuple[str, str, dict]]:
    """Label, method and options of every row: the grid, single changes, the competitor's own."""
    for bases, protect, drs, dmp in itertools.product(
        BASES, (PROTECT, 0.0), (DRS(), None), (DMP(), None)
    ):
        label = f"{bases}, protect {_on(protect)}, DRS {_on(drs)}, DMP {_on(dmp)}"
        flora = FLoRA(bases=bases, protect=protect)
        yield label, "fmlora", {"flora": flora, "drs": drs, "dmp": dmp}
    for change, options in single_changes():
        yield f"defaults, but {change}", "fmlora", options
    for kind, lr in itertools.product(("cosine", "lda"), (5e-4, 1e-3, 2e-3)):
        options = {"head": HeadOptions(kind), "lr": lr}
        yield f"sequential LoRA, head {kind}, lr {lr:g}", "sequential_lora", options


def single_changes() -> Iterator[tuple[str, dict]]:
    """One departure from FM-LoRA's defaults each."""
    for kind in ("cosine", "linear"):
        yield f"head {kind}", {"head": HeadOptions(kind)}
    for fold in (0.5, 1.0):
        yield f"fold {fold}", {"flora": FLoRA(fold=fold)}
    yield "prompt update slow", {"dmp": DMP(update="slow")}
    yield "one rank per task", {"drs": DRS(per_layer=False)}


def domain_variants() -> Iterator[tuple[str, str, dict]]:
    """What could let FM-LoRA follow a stream of domains: label, method and options of every row."""
    ridge, cosine = HeadOptions("ridge"), HeadOptions("cosine")
    free = {"fold": 1.0, "protect": 0.0}
    yield "defaults", "fmlora", {}
    for bases in BASES:
        if bases != FLoRA().bases:
            yield f"bases {bases}", "fmlora", {"flora": FLoRA(bases=bases)}
    for label, changes in (
        ("protect off", {"protect": 0.0}),
        ("fold 1.0", {"fold": 1.0}),
        ("protect off, fold 1.0", free),
        ("rank 64", {"max_rank": 64}),
        ("all maps", {"maps": MAPS}),
    ):
        yield label, "fmlora", {"flora": FLoRA(**changes)}
        yield f"ridge head, {label}", "fmlora", {"flora": FLoRA(**changes), "head": ridge}
    yield "DRS off", "fmlora", {"drs": None}
    yield "DMP off", "fmlora", {"dmp": None}
    everything = FLoRA(**free, maps=MAPS, max_rank=64)
    for head in (cosine, ridge):
        yield f"{head.kind} head", "fmlora", {"head": head}
        yield f"{head.kind} head, all of these", "fmlora", {"head": head, "flora": everything}
        yield f"full fine-tuning, {head.kind} head", "full_finetuning", {"head": head}


def _on(value: object) -> str:
    return "on" if value else "off"


VARIANTS = {"glyphs": variants, "glyph_styles": domain_variants}


def jobs(
    out: Path, n_tasks: int, epochs: int, seeds: tuple[int, ...], stream: str = "glyphs"
) -> list[Job]:
    """All runs of the ablation on ``stream``."""
    return [
        Job(
            label,
            method,
            seed,
            out / "records" / label.replace(", ", "_").replace(" ", "-") / f"seed_{seed}",
            stream=stream,
            stream_options={"n_tasks": n_tasks},
            options=options,
            budget=Budget(epochs=epochs),
        )
        for label, method, options in VARIANTS[stream]()
        for seed in seeds
    ]


def rows(records: dict[str, list[Record]]) -> list[dict]:
    """One row per variant, best final accuracy first: mean and 95% half-width of each metric."""
    table = []
    for label, runs in records.items():
        measured = [metrics(record) for record in runs]
        row = {"variant": label, "seeds": len(runs)}
        for name in COLUMNS:
            row[name] = mean_ci95([m[name] for m in measured]).to_json()
        table.append(row)
    return sorted(table, key=lambda row: -row["final_accuracy"]["mean"])


def markdown(table: list[dict]) -> str:
    """The rows as a Markdown table, in percent."""
    lines = ["| variant | " + " | ".join(name.replace("_", " ") + " %" for name in COLUMNS) + " |"]
    lines.append("|---" * (len(COLUMNS) + 1) + "|")
    for row in table:
        cells = [_percent(row[name]) for name in COLUMNS]
        lines.append(f"| {row['variant']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _percent(value: dict) -> str:
    width = "" if value["ci95"] is None else f" ± {100 * value['ci95']:.1f}"
    return f"{100 * value['mean']:.1f}{width}"


def main(arguments: list[str] | None = None) -> None:
    """Command line: see ``--help``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("build/ablation"))
    parser.add_argument("--stream", choices=tuple(VARIANTS), default="glyphs")
    parser.add_argument("--tasks", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=Budget().epochs)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--workers", type=int, default=None)
    options = parser.parse_args(arguments)
    todo = jobs(options.out, options.tasks, options.epochs, tuple(options.seeds), options.stream)
    records = run_many(todo, workers=options.workers)
    table = rows(records)
    (options.out / "ablation.json").write_text(json.dumps(table, indent=2) + "\n")
    (options.out / "ablation.md").write_text(markdown(table))
    print(markdown(table))


if __name__ == "__main__":
    main()
