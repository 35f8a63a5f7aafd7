"""The near-duplicate program compares the right streams and reports what the records say."""

import dataclasses
from pathlib import Path

import numpy as np
from helpers.records import make_record

from fmlora_kit import streams
from fmlora_kit.commands import near_duplicate


def test_the_same_last_task_closes_both_streams():
    jobs = near_duplicate.jobs(Path("out"), 1, n_train=2, n_test=2)
    near, novel = (streams.glyphs(seed=job.seed, **job.stream_options) for job in jobs)
    assert near[-1].name == novel[-1].name == "Greek, barred"
    assert np.array_equal(near[-1].train_images, novel[-1].train_images)
    assert "Greek" in [t.name for t in near] and "Greek" not in [t.name for t in novel]


def test_the_report_is_the_paired_difference_of_the_last_ranks(monkeypatch, capsys):
    records = {}
    for label, extra in (("near-duplicate", 0), ("novel", 3)):
        records[label] = [ranked(seed, 4 + seed + extra * (seed + 1)) for seed in range(2)]
    monkeypatch.setattr(near_duplicate, "run_many", lambda jobs, workers, say: records)
    near_duplicate.main(["--seeds", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert [float(x) for x in lines[1].split()] == [0, 4.0, 7.0, 0.5, 0.5]
    assert lines[3].startswith("near-duplicate minus novel, ranks: -4.50 ± ")  # -3 and -6


def ranked(seed, rank):
    result = {"scalars": {"novelty": 0.5}}
    record = make_record(n_done=2, seed=seed, ranks=[[1, 1], [rank, rank]])
    last = dataclasses.replace(record.tasks[-1], **result)
    return dataclasses.replace(record, tasks=(*record.tasks[:-1], last))
