"""Complexity, chosen ranks and gate traces, on hand-made records."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.records import make_record

from fmlora_kit.analysis.ranks import candidates, expected_ranks, gate_trace, rank_table

RANKS = [[8, 4], [2, 4], [2, 2]]
SCALARS = [(0.5, 1.0), (0.25, 0.75), (0.5, 0.25)]
# Two steps, two maps, candidates 2, 4 and 8.
GATES = np.array([[[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]], [[0.25, 0.25, 0.5], [1.0, 0.0, 0.0]]])


def drs_record(**changes):
    """Three tasks of two maps with complexity, candidates and traces."""
    record = make_record(ranks=RANKS, **changes)
    tasks = [
        replace(
            task,
            scalars={"difficulty": d, "novelty": n, "complexity": (d + n) / 2},
            state={**task.state, "drs.candidates": np.array([2, 4, 8])},
            traces={"drs.temperature": np.array([2.0, 1.0]), "drs.probabilities": GATES},
        )
        for task, (d, n) in zip(record.tasks, SCALARS, strict=True)
    ]
    return replace(record, tasks=tuple(tasks))


def test_the_table_has_complexity_and_ranks_of_every_task():
    table = rank_table(drs_record())
    assert table.task_names == ("task A", "task B", "task C")
    np.testing.assert_allclose(table.difficulty, [0.5, 0.25, 0.5])
    np.testing.assert_allclose(table.novelty, [1.0, 0.75, 0.25])
    np.testing.assert_allclose(table.complexity, [0.75, 0.5, 0.375])
    np.testing.assert_allclose(table.mean, [6, 3, 2])
    np.testing.assert_array_equal(table.lowest, [4, 2, 2])
    np.testing.assert_array_equal(table.highest, [8, 4, 2])
    assert table.max_rank == 8
    np.testing.assert_allclose(table.expected, [6, 4, 3])


def test_gates_of_one_layer_by_name_or_place():
    for layer in (0, "blocks.0.q"):
        trace = gate_trace(drs_record(), "task B", layer)
        np.testing.assert_allclose(trace.probabilities, GATES[:, 0])
        np.testing.assert_allclose(trace.temperature, [2, 1])
        np.testing.assert_allclose(trace.expected_rank, [3, 5.5])
        assert (trace.n_steps, trace.chosen) == (4, 2)


def test_gates_are_averaged_over_the_layers():
    trace = gate_trace(drs_record(), 0)
    np.testing.assert_allclose(trace.probabilities, [[0.25, 0.25, 0.5], [0.625, 0.125, 0.25]])
    np.testing.assert_allclose(trace.expected_rank, [5.5, 3.75])
    assert trace.chosen == 6


def test_expected_ranks_of_every_task():
    lines = expected_ranks(drs_record())
    assert len(lines) == 3
    for line in lines:
        np.testing.assert_allclose(line, [5.5, 3.75])


def test_what_is_missing_is_named():
    with pytest.raises(
        ValueError, match="method that chooses ranks, got 'sequential_lora' without any"
    ):
        rank_table(make_record(method="sequential_lora"))
    with pytest.raises(ValueError, match="scalar 'complexity', got none of 'task A'"):
        rank_table(make_record(ranks=RANKS))
    with pytest.raises(ValueError, match="rank candidates of DRS, got 'fmlora' without"):
        candidates(make_record(ranks=RANKS))
    with pytest.raises(ValueError, match="traces of DRS, got none of task 'task A' of 'fmlora'"):
        gate_trace(make_record(ranks=RANKS), 0)


@pytest.mark.parametrize("task", [3, -1, "Latin"])
def test_a_task_that_is_not_there(task):
    with pytest.raises(ValueError, match=f"task must be one of .* from 0 to 2, got {task!r}"):
        gate_trace(drs_record(), task)


def test_a_layer_that_is_not_there():
    with pytest.raises(ValueError, match="layer must be one of .*, got 'blocks.9.q'"):
        gate_trace(drs_record(), 0, "blocks.9.q")
