"""What each part of FM-LoRA is worth, compared on seeds that no comparison uses.

Studies: "parts" takes one part after another out of the defaults (outer step, compensation, modes,
DRS, DMP, protection, each base, rank, maps), and puts each of the five that let it learn on alone
into what the defaults were before; on ten tasks of glyphs. "parts-styles" and "parts-digits" ask
about some of them on glyph_styles and on five tasks of digits. "heads" crosses what adapts
(nothing, the first task, every task, FM-LoRA) with the heads. "rates" is the learning rates of
every LoRA method under the common head, "rates-own" those of every method that learns by gradient,
each with its own head; "rates-digits" is the same on five tasks of digits. "near-duplicate" asks if
a task that resembles an earlier one gets less rank and moves the core less: Greek letters with a
bar beneath close two streams; in one plain Greek came before, in the other Hebrew did.
Writes OUT/STUDY.md and OUT/STUDY.json; what is finished is not done again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from fmlora_kit.adapters.flora import BASES
from fmlora_kit.analysis import Comparison, compare_records, difference
from fmlora_kit.analysis.comparison import make_rows
from fmlora_kit.analysis.names import display_name
from fmlora_kit.analysis.tables import VARIANTS, markdown, markdown_grid
from fmlora_kit.analysis.updates import core_energy, update_energy
from fmlora_kit.commands.arguments import attempt, make_parser, out_folder, whole
from fmlora_kit.commands.results import SHIPPED, fill_marks, progress_bar, write_files
from fmlora_kit.methods import DRS, FLoRA, HeadOptions
from fmlora_kit.record import Record
from fmlora_kit.streams.catalogue import STREAMS
from fmlora_kit.training import Budget, sweep
from fmlora_kit.training.pool import Job, run_many
from fmlora_kit.training.sweep import COMMON_HEAD

EXAMPLE = "fmlora ablation --study near-duplicate --seeds 2 --epochs 1 --out build/near"
NEAR, NOVEL = "near-duplicate", "novel"
BEFORE = {NEAR: ("Latin", "Greek", "Cyrillic"), NOVEL: ("Latin", "Hebrew", "Cyrillic")}


def main_variants() -> Iterator[tuple[str, str, dict]]:
    """The defaults, and the parts that every stream is asked about: label, method, options."""
    yield "defaults", "fmlora", {}
    yield "outer step 1/sqrt(t)", "fmlora", {"step": "1/sqrt(t)"}
    yield "whole pairs, no outer step", "fmlora", {"step": "parts", "flora": FLoRA(fold=1.0)}
    yield "no compensation", "fmlora", {"head": replace(COMMON_HEAD, compensate=False)}
    yield "no DRS: full rank", "fmlora", {"drs": None}
    yield "DRS, pairs of a fixed scale", "fmlora", {"drs": DRS(scaling="fixed")}
    yield "no prompt", "fmlora", {"dmp": None}


def variants() -> Iterator[tuple[str, str, dict]]:
    """Those, and every other part changed or taken out, and each part alone."""
    yield from main_variants()
    yield "one mode a class and task", "fmlora", {"head": HeadOptions("lda", compensate=True)}
    yield "protection 0.95", "fmlora", {"flora": FLoRA(protect=0.95)}
    for bases in BASES:
        if bases != FLoRA().bases:
            yield f"bases {bases}", "fmlora", {"flora": FLoRA(bases=bases)}
    yield "rank 32", "fmlora", {"flora": FLoRA(max_rank=32)}
    yield "maps q and v", "fmlora", {"flora": FLoRA(maps=("q", "v"))}
    flora = {"max_rank": 32, "maps": ("q", "v"), "protect": 0.95}
    before = {"step": "parts", "drs": DRS(scaling="fixed"), "head": HeadOptions("lda")}
    before["flora"] = FLoRA(**flora)
    yield "before: a quarter of each pair, protected", "fmlora", before
    for label, part in (("the outer step", "step"), ("pairs scaled", "drs"), ("the head", "head")):
        kept = {name: value for name, value in before.items() if name != part}
        yield f"before, and {label}", "fmlora", kept
    for label, kept in (
        ("no protection", {k: v for k, v in flora.items() if k != "protect"}),
        ("rank 64 on all maps", {"protect": flora["protect"]}),
    ):
        yield f"before, and {label}", "fmlora", before | {"flora": FLoRA(**kept)}


def head_variants() -> Iterator[tuple[str, str, dict]]:
    """What adapts, under each head."""
    heads = {"cosine": HeadOptions("cosine"), "LDA": HeadOptions("lda")}
    heads |= {"modes": replace(COMMON_HEAD, compensate=False), "modes, compensated": COMMON_HEAD}
    heads |= {"ridge": HeadOptions("ridge")}
    for method in ("frozen_backbone", "first_task_lora", "sequential_lora", "fmlora"):
        for label, head in heads.items():
            if method != "frozen_backbone" or not head.compensate:  # features that never move
                yield f"{display_name(method)}; {label}", method, {"head": head}


def rate_variants() -> Iterator[tuple[str, str, dict]]:
    """One grid of learning rates for all."""
    methods = ("first_task_lora", "sequential_lora", "ewc_lora", "inflora", "sd_lora", "fmlora")
    for label, method, rate in _rates(methods, (5e-4, 1e-3, 2e-3, 5e-3)):
        yield label, method, {**rate, "head": COMMON_HEAD}


def own_rate_variants() -> Iterator[tuple[str, str, dict]]:
    """The same for each method with its own head; FM-LoRA's is the common one.

    What sets in where the backbone stands wants a smaller rate, prompts a larger one.
    """
    lora = ("first_task_lora", "sequential_lora", "ewc_lora", "task_lora", "inflora", "sd_lora")
    yield from _rates((*lora, "ranpac"), (5e-4, 1e-3, 2e-3, 5e-3, 1e-2))
    yield from _rates(("full_finetuning",), (1e-4, 2e-4, 5e-4, 1e-3))
    prompts = ("l2p", "dualprompt", "coda_prompt", "hide_prompt")
    yield from _rates(prompts, (3e-3, 1e-2, 3e-2, 5e-2, 1e-1, 2e-1))


def digit_rate_variants() -> Iterator[tuple[str, str, dict]]:
    """The same and FM-LoRA, for a stream of few and easy classes."""
    yield from _rates(("fmlora",), (5e-4, 1e-3, 2e-3, 5e-3))
    yield from own_rate_variants()


def _rates(methods: Iterable[str], rates: Iterable[float]) -> Iterator[tuple[str, str, dict]]:
    for method, lr in itertools.product(methods, rates):
        yield f"{display_name(method)}, lr {lr:g}", method, {"lr": lr}


def _move_of_the_core(record: Record) -> float:
    """|C_T - C_{T-1}|_F / |C_{T-1}|_F over all maps, of the last task, in %."""
    before = core_energy(record)[-2].sum()
    return 100 * float(np.sqrt(update_energy(record)[-1].sum() / before))


MEASURES: dict[str, Callable[[Record], float]] = {
    "rank": lambda record: float(record.ranks[-1].mean()),
    "move": _move_of_the_core,
    "novelty": lambda record: float(record.tasks[-1].scalars["novelty"]),
}


def compare_last_tasks(records: Mapping[str, Sequence[Record]]) -> Comparison:
    """Rank (mean over the maps), the core's move and novelty of the last task, a row a stream."""
    rows = make_rows(records, MEASURES)
    return Comparison("glyphs, Greek barred at the end", "class-incremental", rows)


def render_last_tasks(comparison: Comparison) -> str:
    """Ranks, moves of the core and novelties by seed as Markdown, then their paired differences."""
    near, novel = comparison.row(NEAR), comparison.row(NOVEL)
    cells = {"seed": [str(seed) for seed in near.seeds]}
    shown = {"rank": ("rank", 2), "move": ("the core's move, %", 1), "novelty": ("novelty", 3)}
    for name, (words, digits) in shown.items():
        for row in (near, novel):
            cells[f"{words}, {row.label}"] = [f"{value:.{digits}f}" for value in row.values[name]]
    gaps = {words: difference(near, novel, name) for name, (words, _) in shown.items()}
    lines = [f"{words} {gap.mean:.2f} ± {gap.ci95:.2f}" for words, gap in gaps.items()]
    said = f"{NEAR} minus {NOVEL} (95%): {'; '.join(lines)}"
    return f"{markdown_grid(cells, [False] * len(cells))}\n\n{said}\n"


@dataclass(frozen=True)
class Study:
    """What is compared, and how it is shown."""

    variants: Callable[[], Iterator[tuple[str, str, dict]]]  # label, method, options of every row
    stream: str = "glyphs"
    n_tasks: int | None = 10  # that are learned, unless told; None: the stream is fixed
    epochs: int = sweep.BUDGET.epochs
    first_seed: int = 100  # an ablation's seeds are used by no comparison
    n_seeds: int = 3  # unless told
    compare: Callable[[Mapping[str, Sequence[Record]]], Comparison] = compare_records
    render: Callable[[Comparison], str] = partial(markdown, layout=VARIANTS)


STUDIES = {
    "parts": Study(variants),
    "parts-styles": Study(main_variants, stream="glyph_styles"),
    "parts-digits": Study(main_variants, stream="digits", n_tasks=5),
    "heads": Study(head_variants),
    "rates": Study(rate_variants),
    "rates-own": Study(own_rate_variants),
    "rates-digits": Study(digit_rate_variants, stream="digits", n_tasks=5),
    NEAR: Study(
        lambda: ((label, "fmlora", {}) for label in BEFORE),
        n_tasks=None,
        first_seed=0,
        n_seeds=5,
        compare=compare_last_tasks,
        render=render_last_tasks,
    ),
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
    add("--study", choices=tuple(STUDIES), default="parts", help="default: %(default)s")
    add("--out", type=out_folder, default=Path("build/ablation"), help="default: %(default)s")
    add("--tasks", type=whole(1), help="default: 10; of digits 5")
    add("--epochs", type=whole(1), help="default: 4")
    add("--seeds", type=whole(1), help="default: 3; of near-duplicate 5")
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
