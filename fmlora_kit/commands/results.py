"""What demo, compare and ablation share: a bar while runs go on, how runs were made, the files."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import torch
from tqdm import tqdm

from fmlora_kit.analysis import Comparison, tables
from fmlora_kit.backbones.load import DATA_FOLDERS
from fmlora_kit.commands.pages.comparison import comparison_page
from fmlora_kit.record import Record
from fmlora_kit.record.archive import save_briefs
from fmlora_kit.record.card import options_of
from fmlora_kit.record.storage import write_atomically
from fmlora_kit.training import pick_device
from fmlora_kit.training.pool import Job

SHIPPED = next((f for f in DATA_FOLDERS if f.exists()), DATA_FOLDERS[1]) / "compare"
_BAR = "{percentage:3.0f}%|{bar}| {n:.1f}/{total:.0f} runs [{elapsed}<{remaining}{postfix}]"


@contextmanager
def progress_bar(
    jobs: Sequence[Job], show: Callable[[str], str] | None = None
) -> Iterator[Callable[[str], None]]:
    """A bar on standard error over the runs; what it gives is told one line after every task.

    What lies in the runs' folders counts as done. ``show`` makes of such a line what is printed
    above the bar.
    """
    done = sum(_share_done(job.folder) for job in jobs)
    with tqdm(total=len(jobs), initial=done, bar_format=_BAR, smoothing=0, mininterval=0.5) as bar:

        def say(line: str) -> None:
            if show is not None:
                bar.write(show(line), file=sys.stdout)
            task = re.search(r": task \d+/(\d+)", line)
            bar.set_postfix_str(line.partition(":")[0], refresh=False)
            bar.update(min(1 / int(task[1]) if task else 1, bar.total - bar.n))

        yield say


def write_results(
    out: Path,
    comparisons: Mapping[str, Comparison],
    records: Mapping[str, Sequence[Record]],
    made: tuple[str, Sequence[str], float],
    *,
    failed: Mapping[str, str] | None = None,
    streams: Mapping[str, object] | None = None,
) -> None:
    """Write summary.json; tables and page, which are that file rendered; the brief records.

    Comparisons, the records that they are of, and the streams, for the page's pictures, go by the
    name of the stream; ``made`` is the program, its arguments, and the seconds that it took;
    ``failed`` has the reasons by the names of the runs.
    """
    how = _describe_runs(*made, list(chain.from_iterable(records.values())))
    tables_by_stream = {name: each.to_json() for name, each in comparisons.items()}
    summary = {"made": how, "failed": failed or {}, "streams": tables_by_stream}
    text = json.dumps(summary, indent=1, allow_nan=False, ensure_ascii=False)
    shown = {label.replace("_", " "): text_of(v) for label, v in how.items() if label != "settings"}
    for method, each in how["settings"].items():
        shown[f"{method}: settings".replace("_", " ")] = text_of(each)
    texts = {
        "summary.json": text + "\n",
        "tables.md": "\n".join(map(tables.markdown, comparisons.values())),
        "tables.tex": "\n".join(map(tables.latex, comparisons.values())),
        "tables.csv": tables.csv(*comparisons.values()),
        "index.html": comparison_page(comparisons, records, shown, streams),
    }
    write_files(out, texts)
    for name in comparisons:
        save_briefs(records[name], out / f"{name}.json")


def write_files(folder: Path, texts: Mapping[str, str]) -> None:
    """Write files, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_atomically(folder, name, text.encode("utf-8"))


def fill_marks(file: Path, texts: Mapping[str, str]) -> None:
    """Put texts between the marks of a file, ``<!-- NAME -->`` and ``<!-- /NAME -->``."""
    whole = file.read_text(encoding="utf-8")
    for name, text in texts.items():
        start, end = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
        before, found, rest = whole.partition(start)
        _, ended, after = rest.partition(end)
        if found and ended:
            whole = f"{before}{start}{text}{end}{after}"
    write_files(file.parent, {file.name: whole})


def text_of(value: object) -> str:
    """A JSON-able value for people: `epochs 8, batch_size 32`."""
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {text_of(v)}" for k, v in value.items())
    return f"[{', '.join(map(text_of, value))}]" if isinstance(value, list | tuple) else str(value)


def _share_done(folder: Path) -> float:
    """The share of a run's tasks that lie in its folder; 0 if that cannot be read."""
    try:
        body = json.loads((Path(folder) / "record.json").read_text(encoding="utf-8"))["record"]
        return len(body["tasks"]) / body["n_tasks"]
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        return 0.0


def _describe_runs(
    command: str, arguments: Sequence[str], seconds: float, runs: Sequence[Record]
) -> dict:
    """How the numbers were made, JSON-able."""
    first = runs[0] if runs else None
    device = pick_device()
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    cards = (folder / "glyph_vit.json" for folder in DATA_FOLDERS)
    card = next((json.loads(card.read_text()) for card in cards if card.exists()), {})
    return {
        "command": shlex.join(["fmlora", command, *arguments]),
        "runs": len(runs),
        "seeds": sorted({record.seed for record in runs}),
        "seconds_in_last_call": round(seconds, 1),
        "seconds_of_training": round(float(sum(record.seconds.sum() for record in runs)), 1),
        "device": gpu or f"{device}, {os.cpu_count()} cores",
        "training": dict(first.config["training"]) if first else {},
        "versions": dict(first.versions) if first else {},
        "backbone": {k: value for k, value in card.items() if k not in ("versions", "threads")},
        "settings": {record.method: options_of(record.config["method"]) for record in runs},
    }
