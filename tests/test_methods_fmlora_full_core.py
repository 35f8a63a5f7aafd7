"""A small core that earlier tasks fill: later tasks add nothing, and the record says so."""

import numpy as np
from helpers import models

from fmlora_kit.commands.demo import aligned
from fmlora_kit.record import run_card


def test_a_full_core_is_said_by_the_record_the_card_and_the_summary_line():
    tasks = models.stream()
    model = models.fmlora(max_rank=2, protect=1.0, drs=None)
    record = models.record_of(model, tasks, models.learn(model, tasks))
    added = [
        sum(
            np.square(task.state[f"{name}.m"] @ task.state[f"{name}.n"]).sum()
            for name in record.layers
        )
        for task in record.tasks
    ]
    assert added[0] > 1e-3 > max(added[1:]) and record.ranks[1:].all()
    assert "core_full" not in record.tasks[0].scalars
    assert [task.scalars["core_full"] for task in record.tasks[1:]] == [1.0, 1.0]
    assert run_card(record)["core"].endswith(f"in {tasks[1].name}, {tasks[2].name}")
    assert "  core full in 100% of the maps" in record.summary_line()
    assert aligned(f"run: {record.summary_line()}", (3, 9)).endswith(
        "core full in 100% of the maps"
    )


def test_a_core_with_room_says_nothing():
    tasks = models.stream()
    model = models.fmlora(protect=0.0)
    record = models.record_of(model, tasks, models.learn(model, tasks))
    assert not any("core_full" in task.scalars for task in record.tasks)
    assert "core" not in run_card(record) and "core" not in record.summary_line()
