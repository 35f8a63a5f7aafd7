"""The table of metrics, cell by cell."""

import pytest
from helpers.records import THREE_TASKS, make_record

from fmlora_kit.analysis import DEFINITIONS
from fmlora_kit.analysis.formats import formula
from fmlora_kit.figures import metrics_table

RECORDS = {"fmlora": make_record(), "sequential_lora": make_record(THREE_TASKS - 0.1)}


def column(figure, k):
    return list(figure.blocks[0].columns[k])


def test_metrics_in_percent_and_the_best_in_bold():
    figure = metrics_table(RECORDS)
    assert column(figure, 0)[:3] == [
        "final accuracy",
        "average anytime accuracy",
        "forgetting",
    ]
    ours, theirs = column(figure, 2), column(figure, 3)
    assert (ours[0], theirs[0]) == ("<b>72.5 %</b>", "62.5 %")
    assert (ours[2], theirs[2]) == ("<b>15.0 %</b>", "<b>15.0 %</b>")  # the same
    assert list(figure.blocks[0].heads) == [
        "metric",
        "definition",
        "FM-LoRA",
        "sequential LoRA",
    ]


def test_the_definition_stands_beside_every_number():
    figure = metrics_table(RECORDS, names=["forgetting_step", "backward_transfer"])
    assert column(figure, 1)[:2] == [
        formula(DEFINITIONS["forgetting_step"]),
        formula(DEFINITIONS["backward_transfer"]),
    ]
    assert column(figure, 2)[:2] == ["<b>12.5 %</b>", "<b>−15.0 %</b>"]


def test_formulas_are_printed_as_formulas():
    text = formula("A_T with A_t = sum_{i<=t} n_i a[t,i] / sum_{i<T} n_i (micro)")
    assert text == (
        "A<sub>T</sub> with A<sub>t</sub> = Σ<sub>i≤t</sub> n<sub>i</sub> a<sub>t,i</sub> / "
        "Σ<sub>i&lt;T</sub> n<sub>i</sub> (micro)"
    )
    assert not any("_" in formula(each) or "[" in formula(each) for each in DEFINITIONS.values())


def test_less_forgetting_and_less_negative_transfer_are_better():
    worse = THREE_TASKS.copy()
    worse[2, 0] = 0.1
    records = {"a": make_record(), "b": make_record(worse)}
    names = ["forgetting", "forgetting_first", "forgetting_step", "competition"]
    figure = metrics_table(records, names=[*names, "backward_transfer"])
    assert all(cell.startswith("<b>") for cell in column(figure, 2)[:5])
    assert not any(cell.startswith("<b>") for cell in column(figure, 3)[:5])


def test_sizes_follow_the_metrics():
    figure = metrics_table(RECORDS, names=["forgetting"])
    assert column(figure, 0)[1:] == [
        "trained per task",
        "deployed after first",
        "deployed after last",
    ]
    assert column(figure, 2)[1:] == ["110", "1.0k", "1.0k"]


def test_several_seeds_give_intervals():
    runs = [make_record(THREE_TASKS - 0.05 * seed, seed=seed) for seed in range(3)]
    figure = metrics_table({"ours": runs}, names=["final_accuracy"])
    assert column(figure, 2)[0] == "67.5 ± 12.4 %"  # one method: nothing is best
    assert figure.blocks[0].heads[2] == "ours<br>3 seeds"
    assert "95 % interval" in figure.subtitle


def test_a_bound_is_called_one_and_never_best():
    figure = metrics_table(
        {"fmlora": make_record(THREE_TASKS - 0.1), "joint": make_record(method="joint")}
    )
    assert figure.blocks[0].heads[3] == "joint training<br>a bound"
    assert column(figure, 2)[0] == "<b>62.5 %</b>"
    assert column(figure, 3)[0] == "72.5 %"


def test_runs_on_different_streams_have_no_best():
    figure = metrics_table({"a": make_record(), "b": make_record(stream="another")})
    assert column(figure, 2)[0] == column(figure, 3)[0] == "72.5 %"
    assert figure.title == "Metrics: hand made, another"
    assert "Bold" not in figure.subtitle


def test_what_is_unknown_is_a_dash():
    figure = metrics_table(make_record(n_done=1), names=["forgetting", "forward_transfer"])
    assert column(figure, 2)[:2] == ["–", "–"]


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="names must be among .*, got 'speed'"):
        metrics_table(RECORDS, names=["forgetting", "speed"])
    with pytest.raises(ValueError, match=r"at least one record, got \{\}"):
        metrics_table({})
