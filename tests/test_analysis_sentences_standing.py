"""Where a method stands, in a sentence."""

import pytest
from helpers.records import a_run, runs

from fmlora_kit.analysis import compare_records, tied
from fmlora_kit.analysis.sentences import leaders, lost_to, not_above, paired_gaps, standing


def test_tied_for_first():
    # L2P is 0.01, 0 and -0.005 below FM-LoRA: the interval of the difference has zero in it.
    found = standing(compare_records(runs()))
    assert found == "FM-LoRA is 1st of 3 by mean; tied for first: FM-LoRA · L2P."


def test_first_alone_among_some():
    found = standing(compare_records(runs()), "ewc_lora", among=("fmlora",))
    assert found == "EWC on LoRA is 2nd of 2 by mean; first alone: FM-LoRA."


def test_methods_that_are_not_compared_are_no_part_of_the_circle():
    found = standing(compare_records(runs()), among=("ewc_lora", "ranpac"))
    assert found == "FM-LoRA is 1st of 2 by mean; first alone: FM-LoRA."


def test_one_seed_knows_no_ties():
    found = standing(compare_records([a_run(), a_run("l2p", fall=0.1)]))
    assert "first (one seed: ties are not known): FM-LoRA" in found


@pytest.mark.parametrize(("n", "said"), [(2, "2nd"), (3, "3rd"), (11, "11th"), (21, "21st")])
def test_places_are_said_as_people_do(n, said):
    better = [a_run(f"m{k}", fall=0.001 * k) for k in range(n - 1)]
    found = standing(compare_records([*better, a_run(fall=0.2)]))
    assert found.startswith(f"FM-LoRA is {said} of {n} ")


def test_equal_means_share_a_place():
    same = compare_records([a_run("a"), a_run("b"), a_run("c", fall=0.1)])
    firsts = [standing(same, method)[:21] for method in "abc"]
    assert firsts == ["a is 1st of 3 by mean", "b is 1st of 3 by mean", "c is 3rd of 3 by mean"]


def test_joint_training_and_what_is_not_compared_have_no_place():
    with pytest.raises(ValueError, match="not a bound, got 'joint'"):
        standing(compare_records(runs()), "joint")
    with pytest.raises(ValueError, match="compared, fmlora, l2p, ewc_lora, joint, got 'slca'"):
        standing(compare_records(runs()), "slca")


def test_who_is_ahead_and_who_was_not_shown_to_be():
    found = compare_records(runs())
    assert lost_to(found) == () and lost_to(found, "ewc_lora") == ("fmlora", "l2p")
    assert not_above(found, "ewc_lora") == () and not_above(found, "fmlora") == ("l2p", "ewc_lora")


def test_gaps_are_paired_and_a_missing_method_has_none():
    pairs = {"ours - EWC": ("fmlora", "ewc_lora"), "ours - nobody": ("fmlora", "slca")}
    (gaps,) = paired_gaps({"s": compare_records(runs())}, pairs).values()
    assert gaps == {"ours - EWC": "+11.0 ± 2.5", "ours - nobody": "–"}  # 10, 11 and 12 points


def test_ties_that_allow_for_the_number_of_methods_are_more():
    falls = {"l2p": (0.08, 0.14, 0.1), "ewc_lora": (0.2, 0.36, 0.25), "inflora": (0.5, 0.3, 0.35)}
    theirs = [a_run(m, seed, fall) for m, each in falls.items() for seed, fall in enumerate(each)]
    found = compare_records([*(a_run(seed=seed) for seed in range(3)), *theirs])
    assert tied(found) == ("fmlora",)  # each p is between 0.02 and 0.03
    assert tied(found, corrected=True) == ("fmlora", "l2p", "ewc_lora", "inflora")
    assert tied(found, corrected=True, among=("fmlora", "l2p")) == ("fmlora",)
    assert "first alone" in standing(found) and "tied" in standing(found, corrected=True)


def test_the_leaders_of_some():
    found = compare_records(runs())
    mean = 100 * found.row("fmlora").mean("final_accuracy")
    assert leaders(found, among=("fmlora", "l2p", "joint")).startswith(f"FM-LoRA, {mean:.1f} ± ")
    assert leaders(found, among=("fmlora", "l2p", "joint")).endswith(" %; tied: L2P")
    assert "tied" not in leaders(found, among=("ewc_lora",))
