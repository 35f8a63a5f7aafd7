"""Which of FM-LoRA's decisions matter: variants of it, compared on seeds of their own.

Studies: "defaults" is every combination of bases x protect x DRS x DMP, then one change to the
defaults at a time (head, fold, prompt update, ranks per task), then sequential LoRA's own learning
rates and heads, on the first four tasks of glyphs. "domains" is single changes and those that let
FM-LoRA move most, beside full fine-tuning, on glyph_styles. "near-duplicate" asks if a task that
resembles an earlier one gets less rank: Greek letters with a bar beneath close two streams; in one
plain Greek came before, in the other Hebrew did. "learning-STREAM" gives FM-LoRA one outer step for
core and prompt, and others the same head, on the comparison's seeds. Writes OUT/STUDY.md and
OUT/STUDY.json; what is finished is not done again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fmlora_kit.adapters.flora import BASES
from fmlora_kit.adapters.sites import MAPS
from fmlora_kit.analysis import Comparison, compare_records, difference
from fmlora_kit.analysis.comparison import make_rows
from fmlora_kit.analysis.names import display_name
from fmlora_kit.analysis.tables import VARIANTS, markdown, markdown_grid
from fmlora_kit.commands.arguments import attempt, make_parser, out_folder, whole
from fmlora_kit.commands.results import SHIPPED, fill_marks, progress_bar, write_files
from fmlora_kit.methods import DMP, DRS, FLoRA, HeadOptions
from fmlora_kit.record import Record
from fmlora_kit.streams.catalogue import STREAMS
from fmlora_kit.training import Budget, sweep
from fmlora_kit.training.pool import Job, run_many
from fmlora_kit.training.sweep import COMMON_HEAD

EXAMPLE = "fmlora ablation --study near-duplicate --seeds 2 --epochs 1 --out build/near"
PROTECT = FLoRA().protect
NEAR, NOVEL = "near-duplicate", "novel"
BEFORE = {NEAR: ("Latin", "Greek", "Cyrillic"), NOVEL: ("Latin", "Hebrew", "Cyrillic")}
MEASURES: dict[str, Callable[[Record], float]] = {
    "rank": lambda record: float(record.ranks[-1].mean()),
    "novelty": lambda record: float(record.tasks[-1].scalars["novelty"]),
}


def variants() -> Iterator[tuple[str, str, dict]]:
    """Label, method and options of every row: the grid, single changes, the competitor's own."""
    for bases, protect, drs, dmp in itertools.product(
        BASES, (PROTECT, 0.0), (DRS(), None), (DMP(), None)
    ):
        on = ["on" if part else "off" for part in (protect, drs, dmp)]
        label = "{}, protect {}, DRS {}, DMP {}".format(bases, *on)
        flora = FLoRA(bases=bases, protect=protect)
        yield label, "fmlora", {"flora": flora, "drs": drs, "dmp": dmp}
    for kind in ("cosine", "linear"):
        yield f"defaults, but head {kind}", "fmlora", {"head": HeadOptions(kind)}
    for fold in (0.5, 1.0):
        yield f"defaults, but fold {fold}", "fmlora", {"flora": FLoRA(fold=fold)}
    yield "defaults, but prompt update slow", "fmlora", {"dmp": DMP(update="slow")}
    yield "defaults, but one rank per task", "fmlora", {"drs": DRS(per_layer=False)}
    for kind, lr in itertools.product(("cosine", "lda"), (5e-4, 1e-3, 2e-3)):
        options = {"head": HeadOptions(kind), "lr": lr}
        yield f"sequential LoRA, head {kind}, lr {lr:g}", "sequential_lora", options


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


def learning_variants() -> Iterator[tuple[str, str, dict]]:
    """FM-LoRA with one outer step for core and prompt, beside others with the same head."""
    flora = FLoRA(max_rank=64, maps=MAPS, protect=0.0)
    recipe = {"flora": flora, "step": "1/sqrt(t)", "head": COMMON_HEAD}
    yield "FM-LoRA, outer step 1/sqrt(t)", "fmlora", recipe
    yield "FM-LoRA, defaults (its own head)", "fmlora", {}
    for method in ("first_task_lora", "sequential_lora", "inflora", "joint"):
        yield display_name(method), method, {"head": COMMON_HEAD}


def compare_last_tasks(records: Mapping[str, Sequence[Record]]) -> Comparison:
    """Rank (mean over the adapted maps) and novelty of the last task, a row per stream."""
    rows = make_rows(records, MEASURES)
    return Comparison("glyphs, Greek barred at the end", "class-incremental", rows)


def render_last_tasks(comparison: Comparison) -> str:
    """Ranks and novelties by seed as Markdown, then the paired difference of the ranks."""
    near, novel = comparison.row(NEAR), comparison.row(NOVEL)
    cells = {"seed": [str(seed) for seed in near.seeds]}
    for name, digits in (("rank", 2), ("novelty", 3)):
        for row in (near, novel):
            cells[f"{name}, {row.label}"] = [f"{value:.{digits}f}" for value in row.values[name]]
    gap = difference(near, novel, "rank")
    line = f"{NEAR} minus {NOVEL}, ranks: {gap.mean:.2f} ± {gap.ci95:.2f} (95%)"
    return f"{markdown_grid(cells, [False] * len(cells))}\n\n{line}\n"


@dataclass(frozen=True)
class Study:
    """What is compared, and how it is shown."""

    variants: Callable[[], Iterator[tuple[str, str, dict]]]  # label, method, options of every row
    stream: str = "glyphs"
    n_tasks: int | None = 4  # that are learned, unless told; None: the stream is fixed
    epochs: int = Budget().epochs
    first_seed: int = 100  # an ablation's seeds are used by no comparison
    n_seeds: int = 3  # unless told
    compare: Callable[[Mapping[str, Sequence[Record]]], Comparison] = compare_records
    render: Callable[[Comparison], str] = partial(markdown, layout=VARIANTS)


STUDIES = {
    "defaults": Study(variants),
    "domains": Study(domain_variants, stream="glyph_styles"),
    NEAR: Study(
        lambda: ((label, "fmlora", {}) for label in BEFORE),
        n_tasks=None,
        first_seed=0,
        n_seeds=5,
        compare=compare_last_tasks,
        render=render_last_tasks,
    ),
}
LEARNING = ("glyphs", "moving_styles", "glyph_styles")
STUDIES |= {
    f"learning-{stream}": Study(
        learning_variants, stream, n_tasks=10, epochs=sweep.BUDGET.epochs, first_seed=0, n_seeds=5
    )
    for stream in LEARNING
}


def jobs(
    name: str, out: Path, *, seeds: int | None = None, epochs: int | None = None, **stream: int
) -> list[Job]:
    """All runs of a study, below OUT/records; ``stream``: its options, such as ``n_tasks``."""
    study = STUDIES[name]
    if study.n_tasks is not None:
        stream = {"n_tasks": study.n_tasks, **stream}
    scripts = {label: {"scripts": BEFORE[label], "barred": "Greek"} for label in BEFORE}
    return [
        Job(
            label,
            method,
            seed,
            out / "records" / name / label.replace(", ", "_").replace(" ", "-") / f"seed_{seed}",
            stream=study.stream,
            stream_options=stream | scripts.get(label, {}),
            options=options,
            budget=Budget(epochs=epochs or study.epochs),
        )
        for seed in range(study.first_seed, study.first_seed + (seeds or study.n_seeds))
        for label, method, options in study.variants()
    ]


def documented(shipped: Path = SHIPPED) -> dict[str, str]:
    """What is shipped of the studies, rendered, by their marks."""
    files = {name: shipped / "studies" / f"{name}.json" for name in STUDIES}
    return {
        name: STUDIES[name].render(Comparison.from_json(json.loads(file.read_text("utf-8"))))
        for name, file in files.items()
        if file.exists()
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a study; return 0."""
    asked = _parse(sys.argv[1:] if arguments is None else arguments)
    study = STUDIES[asked.study]
    length = {} if asked.tasks is None else {"n_tasks": asked.tasks}
    todo = jobs(asked.study, asked.out, seeds=asked.seeds, epochs=asked.epochs, **length)
    with progress_bar(todo) as say:
        records = run_many(todo, workers=asked.workers, say=say)
    found = study.compare(records)
    text = json.dumps(found.to_json(), indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    rendered = study.render(found)
    write_files(asked.out, {f"{asked.study}.json": text, f"{asked.study}.md": rendered})
    if asked.publish:
        write_files(SHIPPED / "studies", {f"{asked.study}.json": text})
        fill_marks(SHIPPED / "README.md", documented())
    print(rendered)
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = make_parser("ablation", " ".join((__doc__ or "").split()), EXAMPLE)
    add = parser.add_argument
    add("--study", choices=tuple(STUDIES), default="defaults", help="default: %(default)s")
    add("--out", type=out_folder, default=Path("build/ablation"), help="default: %(default)s")
    add("--tasks", type=whole(1), help="default: 4; of learning-... 10")
    add("--epochs", type=whole(1), help="default: 8; of learning-... 4")
    add("--seeds", type=whole(1), help="default: 3; of near-duplicate and learning-... 5")
    add("--workers", type=whole(1), help="runs at once; default: as many as there are cores")
    add("--publish", action="store_true", help="then put the table into data/compare")
    asked = parser.parse_args(arguments)
    study = STUDIES[asked.study]
    if asked.tasks is not None and study.n_tasks is None:
        parser.error(f"--tasks must not be given with {asked.study}, whose streams are fixed")
    if asked.tasks is not None:
        make = partial(STREAMS[study.stream], n_tasks=asked.tasks, n_train=1, n_test=1)
        attempt(parser, "--tasks", make)
    return asked
