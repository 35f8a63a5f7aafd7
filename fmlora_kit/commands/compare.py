"""Every method on every stream, over several seeds.

Every run is recorded task by task under OUT/records: what was stopped goes on there, what is
finished is not done again, and a run that fails is told and costs no other. Then OUT/summary.json
holds the numbers; OUT/tables.md, .tex and .csv and OUT/index.html are that file rendered; and
OUT/STREAM.json has the records without their arrays, which the notebooks read.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from fmlora_kit.analysis import Comparison, compare_records, tables
from fmlora_kit.commands.arguments import make_parser, names, out_folder, whole
from fmlora_kit.commands.results import SHIPPED, fill_marks, progress_bar, write_results
from fmlora_kit.methods import METHODS
from fmlora_kit.record import load_briefs
from fmlora_kit.record.archive import save_briefs
from fmlora_kit.training import sweep
from fmlora_kit.training.loop import Budget

EXAMPLE = "fmlora compare --methods fmlora,streaming_lda --streams digits --seeds 2 --epochs 1"


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare; return 0, or 1 if a run failed, which is said; ValueError if none was finished."""
    arguments = sys.argv[1:] if arguments is None else arguments
    asked = _parse(arguments)
    started = time.perf_counter()
    sizes = len(asked.methods), len(asked.streams), asked.seeds
    print("{} methods x {} streams x {} seeds".format(*sizes))
    what = {"folder": asked.out / "records", "data": asked.data}
    what["budget"] = Budget(epochs=asked.epochs)
    which = asked.methods, asked.streams, range(asked.seeds)
    with progress_bar(sweep.jobs(*which, **what)) as say:
        done = sweep.compare(*which, **what, workers=asked.workers, cluster=asked.cluster, say=say)
    found = {name: compare_records(runs) for name, runs in done.records.items() if runs}
    if not found:
        raise ValueError(f"no run was finished: {'; '.join(done.failed.values())}")
    made = "compare", arguments, (seconds := time.perf_counter() - started)
    write_results(asked.out, found, done.records, made, failed=done.failed)
    if asked.publish:
        publish(asked.out, Path("README.md"))
    for name, reason in done.failed.items():
        print(f"failed: {name}: {reason}", file=sys.stderr)
    print(f"{seconds:.0f} seconds in this call. Open {(asked.out / 'index.html').resolve()}")
    return 1 if done.failed else 0


def publish(folder: Path, readme: Path, shipped: Path = SHIPPED) -> None:
    """Ship the brief records in ``folder``, and render all that is shipped where it is documented.

    Shipped records of other methods and seeds stay: some methods can be run again alone. ``readme``
    gets the overview table, if it has marks for one; the README.md in ``shipped``, where
    brief records lie, has all tables.
    """
    shipped.mkdir(parents=True, exist_ok=True)
    for name in json.loads((folder / "summary.json").read_text(encoding="utf-8"))["streams"]:
        made, file = load_briefs(folder / f"{name}.json"), shipped / f"{name}.json"
        runs = {(run.seed, run.method): run for run in load_briefs(file)} if file.exists() else {}
        runs |= {(run.seed, run.method): run for run in made}
        save_briefs(runs.values(), file)
    texts = documented(shipped)
    for file in (readme, shipped / "README.md"):
        if file.exists():
            fill_marks(file, texts)


def documented(shipped: Path = SHIPPED) -> dict[str, str]:
    """Tables by their marks: the "overview" of the main streams, and "compare", all there are."""
    files = {name: shipped / f"{name}.json" for name in sweep.SETTINGS}
    found = {n: compare_records(load_briefs(file)) for n, file in files.items() if file.exists()}
    main = {name: table for name, table in found.items() if name in sweep.MAIN}
    every = "\n".join(map(tables.markdown, found.values()))
    return {"overview": tables.overview(main or found), "compare": every}


def tables_of(summary: Mapping) -> dict[str, Comparison]:
    """What a summary.json holds: by stream."""
    return {name: Comparison.from_json(table) for name, table in summary["streams"].items()}


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    streams = tuple(sweep.SETTINGS)
    parser = make_parser("compare", " ".join((__doc__ or "").split("\n\n")[0].split()), EXAMPLE)
    add = parser.add_argument
    add("--methods", type=names(tuple(METHODS)), default=tuple(METHODS), help="default: all")
    add("--streams", type=names(streams), default=sweep.MAIN, help=", ".join(streams))
    add("--seeds", type=whole(1), default=3, help="how many, from 0 on; default: %(default)s")
    add("--epochs", type=whole(1), default=sweep.BUDGET.epochs, help="default: %(default)s")
    add("--data", type=Path, default=Path("data"), help="folder of the folders of real images")
    add("--out", type=out_folder, default=Path("build/compare"), help="default: %(default)s")
    add("--workers", type=whole(1), help="runs at once; default: as many as GPUs, or else cores")
    add(
        "--cluster",
        help="address of a Dask scheduler, tcp://host:8786, whose workers do the runs; "
        "whoever reaches its port can run code there: see its --tls-ca-file, --tls-cert, --tls-key",
    )
    add("--publish", action="store_true", help="then renew data/compare and README's overview")
    asked = parser.parse_args(arguments)
    if asked.workers is not None and asked.cluster is not None:
        parser.error("--workers must not be given with --cluster, which has its own")
    real = [name for name in asked.streams if sweep.SETTINGS[name].folder is not None]
    if real and not asked.data.is_dir():
        parser.error(f"--data must be a folder that exists for {real[0]}, got {str(asked.data)!r}")
    return asked
