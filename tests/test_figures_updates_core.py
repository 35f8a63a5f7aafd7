"""The core's panels, by their numbers."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.records import NOTHING, flora_record, lora_record

from fmlora_kit.figures import complexity_and_rank, core_contents, core_energy, rank_allocation


def test_a_panel_per_task_each_on_its_own_scale():
    figure = core_contents(flora_record(), "blocks.0.q")
    a, b, c = (np.asarray(trace.z) for trace in figure.data)
    first = np.zeros((4, 4))
    first[0, 0] = 1  # 2 e1 e1' over 2
    np.testing.assert_allclose(a, first, atol=1e-9)
    second = np.zeros((4, 4))
    second[:2, 1] = 1  # 3 (e1 + e2) e2' / sqrt 2 over 3 / sqrt 2
    np.testing.assert_allclose(b, second, atol=1e-9)
    third = np.zeros((4, 4))
    third[0, 1], third[2, 0] = 0.5, 1  # e1 e2' + 2 e3 e1' over 2
    np.testing.assert_allclose(c, third, atol=1e-9)
    titles = [annotation.text for annotation in figure.layout.annotations]
    assert titles == [
        "<b>task A</b>, largest 2",
        "<b>task B</b>, largest 2.1",
        "<b>task C</b>, largest 2",
    ]
    assert [trace.showscale for trace in figure.data] == [True, False, False]
    assert all((trace.zmin, trace.zmax) == (-1, 1) for trace in figure.data)


def test_a_task_that_added_nothing_is_white():
    last = core_contents(flora_record(), "blocks.0.v").data[2]
    assert NOTHING[0].shape == (4, 0) and not np.asarray(last.z).any()


def test_a_method_without_a_core_is_named():
    state = {"blocks.0.q.a": np.ones((4, 1)), "blocks.0.q.b": np.ones((1, 5))}
    with pytest.raises(ValueError, match="shared core, got 'sequential_lora'"):
        core_contents(lora_record([state]))
    with pytest.raises(ValueError, match="layer must be one of"):
        core_contents(flora_record(), 9)


def test_figures_of_ranks_and_of_energy_say_which_tasks_found_a_full_core():
    record = flora_record()
    said = "core is full in some maps, which then add nothing, in task B, task C"
    scalars = {"difficulty": 0.2, "novelty": 0.5, "complexity": 0.35}
    ranks, candidates = np.array([1, 1]), {"drs.candidates": np.arange(5)}
    tasks = [
        replace(task, ranks=ranks, scalars=dict(scalars), state={**task.state, **candidates})
        for task in record.tasks
    ]
    room = replace(record, tasks=tuple(tasks))
    for k in (1, 2):
        tasks[k] = replace(tasks[k], scalars={**scalars, "core_full": 0.5})
    full = replace(record, tasks=tuple(tasks))
    for draw in (core_energy, rank_allocation, complexity_and_rank):
        assert said in draw(full).layout.title.subtitle.text
        assert "core is full" not in draw(room).layout.title.subtitle.text
