"""The summary's numbers, recomputed by hand."""

import pytest

from fmlora_kit.commands.bench_report import cifar100_hours, inference_rows, step_rows, targets

COUNTED = {
    "frozen_limit@1": {"flops": 100, "peak_bytes": 10, "resident_bytes": 90},
    "frozen_limit_class_token@1": {"flops": 98, "peak_bytes": 10, "resident_bytes": 88},
    "peft_lora_r32@1": {"flops": 101, "peak_bytes": 20, "resident_bytes": 80},
    "fmlora_r32_no_prompt@1": {"flops": 102, "peak_bytes": 15, "resident_bytes": 85},
    "fmlora_r32_no_prompt@50": {"flops": 102, "peak_bytes": 13, "resident_bytes": 90},
}
LIMITS = [2.0, 4.0, 3.0]
SIDES = tuple(COUNTED)[1:]
TOOK = dict(zip(SIDES, ([2.9], [3.0], [2.2], [2.5]), strict=True))
RATIOS = dict(zip(SIDES, ([0.95], [1.1], [1.02], [1.06]), strict=True))


def rows():
    return step_rows(LIMITS, TOOK, RATIOS, COUNTED)


def test_rows_of_steps():
    limit, _, peft, first, last = rows()
    assert (limit["side"], limit["task"], limit["ratio"]["median"]) == ("frozen_limit", 1, 1.0)
    assert limit["seconds"]["median"] == 3.0 and limit["ratio_of_fastest"] == 1.0
    assert (last["side"], last["task"]) == ("fmlora_r32_no_prompt", 50)
    assert first["flops_ratio"] == 1.02 and first["ratio_of_fastest"] == pytest.approx(1.1)
    assert last["peak_bytes"] == 103 and last["peak_bytes_of_step"] == 13


def test_rows_of_inference():
    plain, fast = inference_rows([0.5], {"a": [0.6]}, {"a": [1.2]}, {"plain_timm": 50, "a": 55}, 4)
    assert plain["images_per_second"] == 8 and plain["ratio"]["median"] == 1
    assert fast["images_per_second"] == pytest.approx(4 / 0.6) and fast["flops_ratio"] == 1.1


def test_hours_are_those_of_50_000_images_in_every_epoch():
    hours = cifar100_hours(rows(), batch_size=8, epochs=20)
    assert hours["peft_lora_r32@1"] == pytest.approx(3.0 * 50_000 / 8 * 20 / 3600)
    hours = cifar100_hours(rows(), batch_size=128, epochs=20)  # 390.6 batches are 391 steps
    assert hours["peft_lora_r32@1"] == pytest.approx(3.0 * 391 * 20 / 3600)


def test_targets():
    inference = inference_rows(
        [0.5],
        {"fmlora_no_prompt_merged": [0.5]},
        {"fmlora_no_prompt_merged": [1.005]},
        {"plain_timm": 50, "fmlora_no_prompt_merged": 50},
        4,
    )
    found = {t["what"]: (t["value"], t["at_most"], t["met"]) for t in targets(rows(), inference)}
    step, limit = "fmlora_r32_no_prompt, step at task", "frozen_limit_class_token"
    assert found == {
        f"{step} 1 / {limit}": (1.02 / 0.95, 1.02, False),
        f"{step} 50 / {limit}": (1.06 / 0.95, 1.02, False),
        "fmlora_r32_no_prompt, step at task 50 / task 1": (1.06 / 1.02, 1.02, False),
        "fmlora_r32_no_prompt, peak memory / peft_lora_r32": (1.03, 1.02, False),
        "fmlora_no_prompt_merged, inference / plain timm": (1.005, 1.01, True),
    }


def test_on_all_maps_the_peer_of_the_same_rank_is_the_bound():
    small, large = "fmlora_r32_no_prompt", "fmlora"
    names = {"peft_lora_r32": "peft_lora_r64", small: large}

    def renamed(by_side):
        found = {}
        for key, value in by_side.items():
            name, _, task = key.partition("@")
            found[f"{names.get(name, name)}@{task}"] = value
        return found

    rows = step_rows(LIMITS, *map(renamed, (TOOK, RATIOS, COUNTED)))
    found = {t["what"]: t["value"] for t in targets(rows, [])}
    assert found == {
        "fmlora, step at task 1 / peft_lora_r64": pytest.approx(1.02 / 1.1),
        "fmlora, step at task 50 / peft_lora_r64": pytest.approx(1.06 / 1.1),
        "fmlora, step at task 50 / task 1": pytest.approx(1.06 / 1.02),
        "fmlora, peak memory / peft_lora_r64": 1.03,
    }
