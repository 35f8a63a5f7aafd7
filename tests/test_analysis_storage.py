"""What methods keep: kinds as measured, sizes, and growth."""

import numpy as np
import pytest
from helpers.records import a_run, joint_run, storing_run, storing_runs

from fmlora_kit.analysis.storage import growth_per_task, measure_storage
from fmlora_kit.methods import METHODS
from fmlora_kit.training import lessons


def test_kinds_are_measured_and_come_in_their_order():
    kept = measure_storage(storing_runs())
    assert {method: one.kind for method, one in kept.items()} == {
        "frozen_backbone": "nothing",
        "fmlora": "statistics",
        "sd_lora": "modules per task",
        "joint": "samples",
    }
    assert list(kept) == ["frozen_backbone", "fmlora", "sd_lora", "joint"]


def test_in_a_kind_the_smallest_is_first():
    runs = [storing_run(m, (d,) * 3, (1,) * 3, (1,) * 3) for m, d in (("b", 20), ("a", 30))]
    assert list(measure_storage(runs)) == ["b", "a"]


def test_sizes_are_those_of_the_tasks():
    ours = measure_storage(storing_runs())["fmlora"]
    assert ours.deployed.tolist() == [1100, 1100, 1100]
    assert ours.training_state.tolist() == [40, 43, 46]
    assert ours.numbers.tolist() == [1140, 1143, 1146]
    assert ours.on_disk.tolist() == [300, 100, 100]


def test_seeds_are_averaged():
    runs = [storing_run("a", (k, k, k + 2), (0,) * 3, (k,) * 3, seed=k) for k in (2, 4)]
    one = measure_storage(runs)["a"]
    assert one.deployed.tolist() == [3, 3, 5]
    assert one.on_disk.tolist() == [3, 3, 3]
    assert one.kind == "modules per task"


def test_samples_are_the_pixels_of_the_images_so_far():
    joint = measure_storage(storing_runs())["joint"]
    assert joint.deployed.tolist() == [1100] * 3
    assert joint.training_state.tolist() == [20 * 2 * 5 * 3 * k for k in (1, 2, 3)]
    assert joint.on_disk.tolist() == [600 + 50, 600, 600]


def test_what_the_shipped_runs_measure_is_what_the_methods_say():
    kept = measure_storage(lessons.comparison_records("glyphs_20"))
    kept = {m: one for m, one in kept.items() if m in METHODS}  # others are of an earlier version
    assert {m for m, one in kept.items() if one.kind == "modules per task"} == {
        m for m in kept if METHODS[m].grows
    }
    assert {m for m, one in kept.items() if one.kind == "samples"} == {
        m for m in kept if METHODS[m].keeps_features
    }


def test_growth_per_task():
    assert growth_per_task(np.array([10, 11, 16])) == 3
    assert growth_per_task([10, 10]) == 0
    assert growth_per_task([7]) == 0


def test_joint_training_alone_is_refused():
    with pytest.raises(ValueError, match="a run of a stream of tasks"):
        measure_storage([joint_run()])


def test_runs_that_do_not_compare_are_refused():
    with pytest.raises(ValueError, match="one per method and seed"):
        measure_storage([a_run(), a_run()])
