"""Every method on every stream, over several seeds: ``python -m fmlora_kit compare``.

    python -m fmlora_kit compare --out build/compare          (make compare)
    python -m fmlora_kit compare --streams pacs,cub200,cifar100 --data /my/images
    python -m fmlora_kit compare --cluster tcp://host:8786        (see `training.cluster`)

Every run is recorded task by task under OUT/records: what was stopped goes on there, what is
finished is not done again, and a run that fails is told and costs no other. Then OUT/summary.json
holds the numbers, OUT/tables.md, .tex and .csv and OUT/index.html are that file rendered, and
OUT/STREAM.json has the records without their arrays, which the notebooks read.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm.auto import tqdm

from fmlora_kit.analysis import Comparison, compare_records
from fmlora_kit.backbones.load import DATA_FOLDERS
from fmlora_kit.figures import comparison
from fmlora_kit.methods import METHODS
from fmlora_kit.record import Record, RecordError, load_briefs
from fmlora_kit.record.archive import save_briefs
from fmlora_kit.training import sweep
from fmlora_kit.training.loop import Budget

SHIPPED = next((f for f in DATA_FOLDERS if f.exists()), DATA_FOLDERS[1]) / "compare"


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare; return 0, or 1 if a run failed or nothing could be compared, which is then said."""
    arguments = sys.argv[1:] if arguments is None else arguments
    asked = _parse(arguments)
    started = time.perf_counter()
    try:
        done = _run(asked)
        tables = {name: compare_records(runs) for name, runs in done.records.items() if runs}
        seconds = time.perf_counter() - started
        _write(asked, tables, done, _made(arguments, done, seconds))
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on where it was.", file=sys.stderr)
        return 1
    except (RecordError, ValueError, OSError, ImportError) as error:
        print(f"\nThe comparison could not be finished: {error}", file=sys.stderr)
        return 1
    for name, reason in done.failed.items():
        print(f"failed: {name}: {reason}", file=sys.stderr)
    print(f"{seconds:.0f} seconds in this call. Open {(asked.out / 'index.html').resolve()}")
    return 1 if done.failed else 0


def publish(folder: Path, readme: Path, shipped: Path = SHIPPED) -> None:
    """Ship the brief records in ``folder``, and render all that is shipped in the README."""
    shipped.mkdir(parents=True, exist_ok=True)
    for name in json.loads((folder / "summary.json").read_text(encoding="utf-8"))["streams"]:
        shutil.copy(folder / f"{name}.json", shipped / f"{name}.json")
    text = readme.read_text(encoding="utf-8")
    for mark, table in documented(shipped).items():
        before, _, rest = text.partition(f"<!-- {mark} -->\n")
        after = rest.partition(f"<!-- /{mark} -->")[2]
        text = f"{before}<!-- {mark} -->\n{table}\n<!-- /{mark} -->{after}"
    readme.write_text(text, encoding="utf-8")


def documented(shipped: Path = SHIPPED) -> dict[str, str]:
    """README's tables, by their marks: an overview of the main streams, and all there is."""
    files = {name: shipped / f"{name}.json" for name in sweep.SETTINGS}
    tables = {n: compare_records(load_briefs(file)) for n, file in files.items() if file.exists()}
    main = {name: table for name, table in tables.items() if name in sweep.MAIN}
    return {"overview": tables.overview(main or tables), "compare": markdown(tables)}


def tables_of(summary: Mapping) -> dict[str, Comparison]:
    """What a summary.json holds: by stream."""
    return {name: Comparison.from_json(table) for name, table in summary["streams"].items()}


def markdown(tables: Mapping[str, Comparison]) -> str:
    """All tables, one below the other."""
    return "\n".join(tables.markdown(table) for table in tables.values())


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m fmlora_kit compare", description=(__doc__ or "").split("\n\n")[0]
    )
    add = parser.add_argument
    add("--methods", type=_names, default=tuple(METHODS), help="with commas between; default: all")
    add("--streams", type=_names, default=sweep.MAIN, help=", ".join(sweep.SETTINGS))
    add("--seeds", type=int, default=3, help="how many, from 0 on; default: %(default)s")
    add("--epochs", type=int, default=sweep.BUDGET.epochs, help="default: %(default)s")
    add("--data", type=Path, default=Path("data"), help="folder of the folders of real images")
    add("--out", type=Path, default=Path("build/compare"), help="folder; default: %(default)s")
    add("--workers", type=int, help="runs at once; default: as many as GPUs, or else cores")
    add("--cluster", help="address of a Dask scheduler, tcp://host:8786, whose workers do the runs")
    add("--publish", action="store_true", help="then put the tables into README.md and data/")
    asked = parser.parse_args(arguments)
    for what in ("seeds", "epochs", "workers"):
        if getattr(asked, what) is not None and getattr(asked, what) < 1:
            parser.error(f"--{what} must be at least 1, got {getattr(asked, what)}")
    if asked.workers is not None and asked.cluster is not None:
        parser.error("--workers must not be given with --cluster, which has its own")
    try:
        asked.jobs = sweep.jobs(asked.methods, asked.streams, (), folder=asked.out)
    except ValueError as error:
        parser.error(f"--{error}")
    return asked


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",")))


def _run(asked: argparse.Namespace) -> sweep.Compared:
    runs = len(asked.methods) * len(asked.streams) * asked.seeds
    print(
        f"{len(asked.methods)} methods x {len(asked.streams)} streams x {asked.seeds} seeds: "
        f"{runs} runs"
    )
    with tqdm(unit=" tasks", smoothing=0, mininterval=1) as bar:

        def say(line: str) -> None:
            bar.set_postfix_str(line.partition("  ")[0], refresh=False)
            bar.update()

        return sweep.compare(
            asked.methods,
            asked.streams,
            range(asked.seeds),
            folder=asked.out / "records",
            data=asked.data,
            budget=Budget(epochs=asked.epochs),
            workers=asked.workers,
            cluster=asked.cluster,
            say=say,
        )


def _made(arguments: Sequence[str], done: sweep.Compared, seconds: float) -> dict:
    """How the numbers were made."""
    runs: list[Record] = [record for each in done.records.values() for record in each]
    return {
        "command": shlex.join(["python", "-m", "fmlora_kit", "compare", *arguments]),
        "runs": len(runs),
        "seconds_in_last_call": round(seconds, 1),
        "seconds_of_training": round(float(sum(record.seconds.sum() for record in runs)), 1),
        "training": dict(runs[0].config["training"]) if runs else {},
        "versions": dict(runs[0].versions) if runs else {},
    }


def _write(
    asked: argparse.Namespace,
    tables: Mapping[str, Comparison],
    done: sweep.Compared,
    made: dict,
) -> None:
    if not tables:
        raise ValueError(f"no run was finished: {'; '.join(done.failed.values())}")
    summary = {
        "made": made,
        "failed": done.failed,
        "streams": {name: table.to_json() for name, table in tables.items()},
    }
    for name in tables:
        save_briefs(done.records[name], asked.out / f"{name}.json")
    text = json.dumps(summary, indent=1, allow_nan=False, ensure_ascii=False)
    files = {
        "summary.json": text + "\n",
        "tables.md": markdown(tables),
        "tables.tex": "\n".join(tables.latex(table) for table in tables.values()),
        "tables.csv": _csv(tables),
        "index.html": _page(tables),
    }
    for name, content in files.items():
        (asked.out / name).write_text(content, encoding="utf-8")
    if asked.publish:
        publish(asked.out, Path("README.md"))


def _csv(tables: Mapping[str, Comparison]) -> str:
    header, rows = "", []
    for table in tables.values():
        header, *lines = tables.csv(table).splitlines(keepends=True)
        rows += lines
    return "".join([header, *rows])


def _page(tables: Mapping[str, Comparison]) -> str:
    dots = comparison({table.stream: table for table in tables.values()})
    figures = [dots, *(comparison(table) for table in tables.values())]
    parts = [
        figure.to_html(full_html=False, include_plotlyjs=k == 0) for k, figure in enumerate(figures)
    ]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>FM-LoRA compared</title>'
        f'<body style="max-width:1100px;margin:auto">{"".join(parts)}</body></html>\n'
    )


if __name__ == "__main__":
    sys.exit(main())
