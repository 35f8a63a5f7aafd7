"""The bench as a program: one call, one whole summary."""

import json
import re

import pytest

from fmlora_kit.commands import bench

METHODS = ["fmlora_no_prompt", "sd_lora", "l2p", "full_finetuning"]


@pytest.fixture(scope="module")
def summary(tmp_path_factory):
    out = tmp_path_factory.mktemp("bench")
    bench.main(["--quick", "--methods", *METHODS, "--out", str(out)])
    tables = (out / "tables.md").read_text()
    return json.loads((out / "summary.json").read_text()), tables


def test_every_side_is_in_the_summary(summary):
    found, _ = summary
    assert [f"{row['side']}@{row['task']}" for row in found["steps"]] == [
        "frozen_limit@1",
        "frozen_limit_class_token@1",
        *(f"{name}@{k}" for name in METHODS[:2] for k in (1, 2, 3)),
        "l2p@1",  # no task changes its step
        "full_finetuning@1",
    ]
    for row in found["steps"]:
        assert row["seconds"]["min"] > 0 and row["ratio"]["median"] > 0
        assert row["peak_bytes"] > row["peak_bytes_of_step"] > 0
    assert found["expected_hours"].keys() == {f"{r['side']}@{r['task']}" for r in found["steps"]}
    assert [row["side"] for row in found["inference"]] == [
        "plain_timm",
        "fmlora_no_prompt_merged",
        "fmlora_no_prompt_merged_timm",
        "l2p",
        "plain_timm_class_token",
    ]


def test_what_is_counted_is_in_order(summary):
    rows = {f"{row['side']}@{row['task']}": row for row in summary[0]["steps"]}
    products = {key: row["flops_ratio"] for key, row in rows.items()}
    assert products["sd_lora@1"] < products["sd_lora@2"] < products["sd_lora@3"]
    assert products["fmlora_no_prompt@2"] == products["fmlora_no_prompt@3"]
    short = products["frozen_limit_class_token@1"]
    assert short < 1 and products["full_finetuning@1"] > 1.4 * short
    others = (key for key in rows if "fmlora" not in key)  # whose rank is the tiny ViT's width
    most = max(others, key=lambda key: rows[key]["peak_bytes"])
    assert most == "full_finetuning@1"  # gradients and moments of every weight
    inference = {row["side"]: row["flops_ratio"] for row in summary[0]["inference"]}
    assert inference["fmlora_no_prompt_merged_timm"] == 1
    assert inference["fmlora_no_prompt_merged"] == inference["plain_timm_class_token"] < 0.95


def test_a_profile_shows_where_the_time_goes(summary):
    found, tables = summary
    keys = ["frozen_limit@1", "frozen_limit_class_token@1", "fmlora_no_prompt@3"]
    assert list(found["profile"]) == keys
    for took in found["profile"].values():
        assert took["aten::mm"] > 0 and list(took.values()) == sorted(took.values(), reverse=True)
    assert f"| ms of one step, profiled | {' | '.join(keys)} |" in tables
    longest = max(found["profile"]["fmlora_no_prompt@3"], key=found["profile"][keys[2]].get)
    assert f"| `{longest}` |" in tables


def test_the_summary_says_how_it_was_made(summary):
    made = summary[0]["made"]
    assert made["command"].startswith("python -m fmlora_kit bench --quick --methods")
    assert made["device"] == "cpu" and made["batch_size"] == 4 and made["rounds"] == 2
    assert made["versions"].keys() >= {"python", "torch", "timm", "fmlora_kit"}
    assert any(t["what"].startswith("fmlora_no_prompt_merged") for t in summary[0]["targets"])


def test_the_tables_show_what_the_summary_holds(summary):
    found, tables = summary
    last = next(row for row in found["steps"] if row["side"] == "sd_lora" and row["task"] == 3)
    assert f"| sd_lora | 3 | {last['ratio']['median']:.3f} |" in tables
    plain = found["inference"][0]
    assert f"| plain_timm | {plain['images_per_second']:.3g} | 1.000 |" in tables
    assert "first_task_lora as sequential_lora" in tables


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--methods", "fmlra"], "--methods must be one of .*'fmlra'; did you mean 'fmlora'"),
        (["--rounds", "0"], "--rounds must be a whole number at least 1, got 0"),
        (["--tasks", "0", "5"], "--tasks must be a whole number at least 1, got 0"),
        (["--backbone", "vit_base_patch16_24"], "must be a timm ViT.*mean 'vit_base_patch16_224'"),
        (["--device", "tpu"], "--device: device must be .*got 'tpu'"),
        (["--out", __file__], "--out must be a folder, got .* is a file"),
    ],
)
def test_bad_arguments(wrong, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        bench.main(wrong)
    said = capsys.readouterr().err
    assert re.search(message, said) and said.count("\n") == 1


def test_without_peft_its_lora_is_left_out(monkeypatch, capsys):
    monkeypatch.setattr(bench.importlib.util, "find_spec", lambda name: None)
    assert bench._names(["peft_lora", "fmlora"]) == ["fmlora"]
    assert "peft is not installed" in capsys.readouterr().err
