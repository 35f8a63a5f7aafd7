"""Published numbers beside one's own, protocol by protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fmlora_kit.analysis.intervals import mean_ci95
from fmlora_kit.analysis.metrics import metrics
from fmlora_kit.analysis.names import display_name
from fmlora_kit.analysis.render import percent
from fmlora_kit.record import Record

NOT_PUBLISHED, NOT_RUN = "not in our sources", "not run here"


def beside(
    presets: Iterable[str], accuracies: Iterable[Mapping], records: Iterable[Record]
) -> dict[str, dict[str, str]]:
    """Preset -> what is published with it and what was measured here, final accuracies in %.

    Of the records only finished ones count, of a stream that `streams.preset` made and that is not
    partial: a number from a part of a data set does not stand beside a published one.

    Args:
        presets: the rows.
        accuracies: published ones, each with "preset", "method", "final_accuracy" in % and
            "source", as `series.published` has them.
        records: of any streams.
    """
    theirs: dict[str, list[str]] = {}
    for entry in accuracies:
        text = f"{entry['method']} {entry['final_accuracy']:.1f} ({entry['source']})"
        theirs.setdefault(entry["preset"], []).append(text)
    ours: dict[str, dict[tuple[str, str], list[Record]]] = {}
    for record in records:
        stream = record.config.get("stream", {})
        if len(record.tasks) == record.n_tasks and not stream.get("partial"):
            which = record.method, record.config["method"].get("backbone", "a backbone")
            ours.setdefault(stream.get("preset"), {}).setdefault(which, []).append(record)
    return {
        name: {
            "published": "; ".join(theirs.get(name, [])) or NOT_PUBLISHED,
            "ours": "; ".join(_measured(*run) for run in ours.get(name, {}).items()) or NOT_RUN,
        }
        for name in presets
    }


def _measured(which: tuple[str, str], records: list[Record]) -> str:
    method, backbone = which
    mean = mean_ci95([metrics(record)["final_accuracy"] for record in records])
    runs = f"{mean.n} run" + "s" * (mean.n > 1)
    return f"{display_name(method)} {percent(mean)} ({backbone}, {runs})"
