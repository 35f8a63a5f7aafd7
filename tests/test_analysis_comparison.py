"""Rows of a comparison and ties, recomputed by hand; and what must not be compared."""

import dataclasses
import json
import math

import numpy as np
import pytest
from helpers.records import CONFIG, THREE_TASKS, a_run, config, joint_run, make_record, runs

from fmlora_kit.analysis import Comparison, compare_records, difference, tied
from fmlora_kit.analysis.comparison import by_name

T_975_2 = 4.302652729911275  # Student's t, 2 degrees of freedom


@pytest.fixture
def comparison():
    return compare_records(runs())


def test_a_row_is_the_mean_over_seeds_with_its_interval(comparison):
    row = comparison.row("fmlora")
    assert (row.method, row.label, row.seeds) == ("fmlora", "fmlora", (0, 1, 2))
    assert row.values["final_accuracy"] == pytest.approx((0.725, 0.625, 0.675))
    assert row.final_accuracy.mean == pytest.approx(0.675)
    assert row.final_accuracy.ci95 == pytest.approx(T_975_2 * 0.05 / math.sqrt(3))
    assert row.mean("forgetting") == pytest.approx(0.15)  # falls of 0.4 and -0.1
    assert row.interval("forgetting").ci95 == pytest.approx(0, abs=1e-12)
    assert (row.frozen, row.stores) == ("the backbone", "nothing")


def test_the_gain_is_fmlora_minus_the_method_paired_by_seed(comparison):
    gain = comparison.row("ewc_lora").gain
    assert gain.mean == pytest.approx(0.11)
    assert gain.ci95 == pytest.approx(T_975_2 * 0.01 / math.sqrt(3))
    assert gain.n == 3
    assert comparison.row("l2p").gain.mean == pytest.approx(0.005 / 3)
    assert comparison.row("joint").gain.mean == pytest.approx(0.675 - 0.95)
    assert comparison.row("fmlora").gain is None


def test_without_fmlora_nothing_is_gained():
    comparison = compare_records(runs(["l2p", "ewc_lora"]))
    assert [row.gain for row in comparison.rows] == [None, None, None]


def test_rows_are_sorted_and_the_bound_is_last(comparison):
    assert [row.method for row in comparison.rows] == ["fmlora", "l2p", "ewc_lora", "joint"]
    assert comparison.stream == "hand made, 3 tasks, 6 classes"
    assert comparison.scenario == "class-incremental"
    assert comparison.devices == ("cpu",)


def test_parameters_are_all_numbers_stored_after_the_first_task_and_the_last():
    records = [a_run(seed=seed) for seed in (0, 1)]
    grown = [
        dataclasses.replace(task, n_deployed=1000 + 100 * t, n_training_state=7 * t)
        for t, task in enumerate(records[1].tasks)
    ]
    records[1] = dataclasses.replace(records[1], tasks=tuple(grown))
    # 1000 + 30 stay in the first run; the second has 1000 + 0, at the end 1200 + 14
    assert compare_records(records).rows[0].parameters == ((1030 + 1000) / 2, (1030 + 1214) / 2)


def test_bytes_are_those_of_the_array_files(comparison, tmp_path):
    a_run().save(tmp_path)
    on_disk = sum(path.stat().st_size for path in tmp_path.glob("*.safetensors"))
    assert comparison.row("fmlora").mean("bytes_on_disk") == on_disk > 0


def test_seconds_of_joint_training_are_shared_out_over_the_tasks(comparison):
    assert comparison.row("fmlora").mean("seconds_per_task") == 1.5
    assert comparison.row("joint").mean("seconds_per_task") == pytest.approx(1.5 / 3)


def test_what_was_not_recorded_is_said():
    row = compare_records([make_record()]).rows[0]
    assert (row.frozen, row.stores) == ("not recorded", "not recorded")
    assert compare_records([make_record()]).devices == ()


@pytest.mark.parametrize(
    ("partial", "end"), [(True, ", partial data"), ("50 of 200 classes", ": 50 of 200 classes")]
)
def test_partial_data_are_marked(partial, end):
    record = a_run(config=config("stream", partial=partial))
    assert compare_records([record]).stream.endswith(end)


def test_missing_seeds_are_left_out_of_the_difference():
    fewer = [run for run in runs() if not (run.method == "ewc_lora" and run.seed == 0)]
    row = compare_records(fewer).row("ewc_lora")
    assert row.seeds == (1, 2)
    assert row.gain.n == 2
    assert row.gain.mean == pytest.approx(0.115)
    assert row.gain.ci95 == pytest.approx(12.706204736432095 * 0.005)  # t of 1 degree, s / sqrt(2)


def test_one_common_seed_gives_no_interval_and_none_no_difference():
    one = compare_records([*runs(["fmlora"], joint=False), a_run("l2p", 2, 0.1)])
    assert one.row("l2p").gain.n == 1
    assert math.isnan(one.row("l2p").gain.ci95)
    none = compare_records([a_run("fmlora", 0), a_run("l2p", 1)])
    assert none.row("l2p").gain is None


def test_ties_are_paired_with_the_best(comparison):
    assert tied(comparison) == ("fmlora", "l2p")
    assert tied(comparison, among=["ewc_lora", "l2p"]) == ("l2p",)
    assert difference(comparison.rows[1], comparison.rows[2]).mean == pytest.approx(0.325 / 3)


def test_a_wide_interval_alone_makes_no_tie():
    # Both vary by 0.1 over the seeds, yet the second is lower by the same 0.02 in each.
    records = [a_run(m, s, f + 0.05 * s) for m, f in (("a", 0), ("b", 0.02)) for s in (0, 1, 2)]
    comparison = compare_records(records)
    assert comparison.rows[0].final_accuracy.low < comparison.rows[1].final_accuracy.mean
    assert tied(comparison) == ("a",)


def test_one_seed_ties_only_what_is_equal():
    records = [a_run("a"), a_run("b"), a_run("c", fall=0.001)]
    assert tied(compare_records(records)) == ("a", "b")
    assert tied(compare_records([joint_run()])) == ()


def test_a_tie_is_asked_of_what_is_compared(comparison):
    with pytest.raises(ValueError, match="compared, fmlora, l2p, ewc_lora, joint, got 'slca'"):
        tied(comparison, among=["slca"])


def test_each_metric_has_its_own_best_and_ties():
    low, high = THREE_TASKS.copy(), THREE_TASKS.copy()
    high[2, 0], low[0, 0] = 0.6, 0.5  # a higher end; and no fall, because it was never higher
    records = [a_run("a"), a_run("b"), a_run("c")]
    for k, accuracy in ((1, high), (2, low)):
        ones = zip(records[k].tasks, accuracy, strict=True)
        tasks = tuple(dataclasses.replace(task, accuracy=row) for task, row in ones)
        records[k] = dataclasses.replace(records[k], tasks=tasks)
    comparison = compare_records(records)
    assert tied(comparison) == ("b",)
    assert tied(comparison, name="forgetting") == ("c",)  # less is better
    assert set(tied(comparison, name="deployed_parameters_after_last_task")) == {"a", "b", "c"}
    assert tied(compare_records([joint_run(), a_run("a", n_done=3)]), name="forgetting") == ("a",)


def test_rounding_noise_is_no_difference():
    noisy = [a_run("a", 0), a_run("a", 1), a_run("b", 0, 1e-12), a_run("b", 1, 1e-12)]
    assert tied(compare_records(noisy)) == ("a", "b")


def test_variants_of_one_method_are_rows_by_their_labels():
    other = {**a_run().config, "method": {**CONFIG["method"], "lr": 0.1}}
    first = [a_run(seed=0), a_run(seed=1)]
    changed = [
        dataclasses.replace(run, config={**run.config, "method": other["method"]}) for run in first
    ]
    comparison = compare_records({"as it is": first, "lr 0.1": changed})
    assert [(row.label, row.method) for row in comparison.rows] == [
        ("as it is", "fmlora"),
        ("lr 0.1", "fmlora"),
    ]
    assert [row.gain for row in comparison.rows] == [None, None]
    assert tied(comparison) == ("as it is", "lr 0.1")


def test_records_by_name_without_the_bound():
    named = by_name(runs())
    assert list(named) == ["FM-LoRA", "L2P", "EWC on LoRA"]
    assert [record.seed for record in named["L2P"]] == [0, 1, 2]
    assert {record.method for record in named["EWC on LoRA"]} == {"ewc_lora"}


def test_records_by_name_in_the_order_that_is_asked_for():
    assert list(by_name(runs(), ("l2p", "ranpac", "fmlora"))) == ["L2P", "FM-LoRA"]


def test_strict_json_and_back():
    short = [dataclasses.replace(a_run("l2p"), seed=7, config=config("stream", seed=7, crc32="9"))]
    comparison = compare_records(runs() + short + [a_run("slca", 1)])
    text = json.dumps(comparison.to_json(), allow_nan=False)
    again = Comparison.from_json(json.loads(text))
    assert again.to_json() == comparison.to_json()
    assert again == comparison
    assert math.isnan(again.row("joint").mean("forgetting"))
    assert again.row("l2p").gain.n == 3
    assert tied(again) == tied(comparison)


@pytest.mark.parametrize(
    "change", [{"rows": [{"method": "a"}]}, {"rows": ["a"]}, {"rows": None}, {}]
)
def test_json_of_something_else_is_refused(change):
    with pytest.raises(ValueError, match="must be what Comparison.to_json gives"):
        Comparison.from_json({"stream": "a", "scenario": "b", "devices": [], **change})


BASE = "'fmlora' on 'hand made', seed 0"


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"stream": "glyphs"}, f"one stream, got {BASE} .* and 'l2p' on 'glyphs', seed 0"),
        ({"n_classes": 8}, "6 classes\\) and 'l2p' .*, 8 classes"),
        ({"config": config("stream", crc32="1234")}, "checksum, got '0000aaa0' of 'fmlora' .*1234"),
        ({"config": config("stream", seed=1)}, "stream seed, got 0 of 'fmlora' .* and 1 of 'l2p'"),
        ({"config": config("training", epochs=3)}, "budget: epochs, got 2 of 'fm.* and 3 of 'l2p'"),
        ({"config": config("method", weights="f")}, "weights, got '3c09dc20' of .* and 'f' of 'l2"),
    ],
)
def test_runs_that_do_not_compare_are_refused_with_both_names(other, message):
    with pytest.raises(ValueError, match=message):
        compare_records([a_run(), a_run("l2p", **other)])


def test_a_stream_of_another_length_is_refused():
    two = make_record(np.full((2, 2), 0.5), np.full((2, 2), 0.5), n_test=(20, 20), n_classes=6)
    with pytest.raises(ValueError, match="3 tasks, 6 classes.* 2 tasks, 6 classes"):
        compare_records([a_run(), dataclasses.replace(two, method="l2p")])


def test_the_same_stream_seed_has_the_same_images_in_all_runs():
    drawn_again = a_run(seed=1, config=config("stream", seed=0, crc32="1234"))
    with pytest.raises(ValueError, match="pixel checksum, got '0000aaa0' .*, seed 0 and '1234'"):
        compare_records([a_run(), drawn_again])


def test_a_joined_stream_must_be_made_of_the_same_images():
    with pytest.raises(
        ValueError, match="total of train_images, got 60 of 'fm.* and 80 of 'joint'"
    ):
        compare_records([a_run(), joint_run(train_images=[80])])
    other = dataclasses.replace(joint_run(), stream="glyphs, joined")
    with pytest.raises(ValueError, match="one stream, got .*'hand made', .*'glyphs, joined'"):
        compare_records([a_run(), other])


def test_one_method_has_one_configuration():
    other = a_run(seed=1, config={**a_run(seed=1).config, "method": {"lr": 0.1}})
    first = a_run(config={**a_run().config, "method": {"lr": 0.2}})
    with pytest.raises(ValueError, match="configuration: lr, got 0.2 of .* and 0.1 of .*, seed 1"):
        compare_records([first, other])


def test_runs_must_be_finished_and_told_apart():
    with pytest.raises(ValueError, match="finished runs, got 'l2p' .* with 2 of 3 tasks"):
        compare_records([a_run(), a_run("l2p", n_done=2)])
    with pytest.raises(ValueError, match="one per method and seed, got two of 'fmlora'"):
        compare_records([a_run(), a_run(fall=0.1)])
    with pytest.raises(ValueError, match="at least one record, got none"):
        compare_records([])


def test_another_device_is_shown_instead_of_refused():
    other = a_run("l2p", config=config("training", device="A GPU"))
    assert compare_records([a_run(), other]).devices == ("A GPU", "cpu")


def test_what_a_backbone_computes_is_compared_within_rounding():
    def seen(method, seed, number):
        return a_run(method, seed=seed, config=config("method", computes=[1.0, number]))

    other_machine = [seen("fmlora", 0, 0.3), seen("fmlora", 1, 0.1 + 0.2)]
    assert len(compare_records(other_machine).row("fmlora").seeds) == 2
    with pytest.raises(ValueError, match="agree in what the backbone computes, got .1.0, 0.3."):
        compare_records([seen("fmlora", 0, 0.3), seen("l2p", 0, 0.301)])
