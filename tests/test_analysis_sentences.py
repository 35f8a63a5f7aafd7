"""Sentences about a comparison: computed from its numbers, so they flip when the numbers flip."""

import numpy as np
from helpers.records import make_record, make_task

from fmlora_kit.analysis import compare_records, tied
from fmlora_kit.analysis.sentences import against, bound, findings, size

UP = np.array([[0.9, np.nan], [0.8, 0.9]])  # final .85, forgetting .1, learning .9
DOWN = np.array([[0.8, np.nan], [0.4, 0.8]])  # final .6, forgetting .4, learning .8
HALF_UP = np.array([[0.9, np.nan], [0.8, 0.8]])


def a_run(accuracy, method="fmlora", seed=0):
    """A run on two tasks of ten images."""
    return make_record(accuracy, accuracy, n_test=(10, 10), method=method, seed=seed)


def two(ours, theirs, seeds=1, joint=None):
    """FM-LoRA and sequential LoRA compared, with given accuracies; perhaps joint training too."""
    pairs = (("fmlora", ours), ("sequential_lora", theirs))
    records = [a_run(a, method, seed) for method, a in pairs for seed in range(seeds)]
    if joint is not None:
        one = np.array([[joint]])
        changes = {"method": "joint", "stream": "hand made, joined", "classes_per_task": 4}
        records += [make_record(one, one, n_test=(20,), seed=k, **changes) for k in range(seeds)]
    return compare_records(records)


def test_sentences_flip_when_the_numbers_flip():
    won, lost = two(UP, DOWN), two(DOWN, UP)
    assert against(won, "sequential_lora") == (
        "FM-LoRA against sequential LoRA: better in final accuracy (+25.0 points), average "
        "anytime accuracy (+17.5 points), forgetting (−30.0 points), drift forgetting (−30.0 "
        "points) and learning accuracy (+10.0 points)."
    )
    assert against(lost, "sequential_lora") == (
        "FM-LoRA against sequential LoRA: worse in final accuracy (−25.0 points), average "
        "anytime accuracy (−17.5 points), forgetting (+30.0 points), drift forgetting (+30.0 "
        "points) and learning accuracy (−10.0 points)."
    )


def test_mixed_and_equal_metrics_are_told_apart():
    sentence = against(two(HALF_UP, UP), "sequential_lora")
    assert (
        "worse in final accuracy (−5.0 points), average anytime accuracy (−2.5 points)" in sentence
    )
    assert sentence.endswith(
        "the same in forgetting (0.0 points) and drift forgetting (0.0 points)."
    )


def test_several_seeds_decide_only_with_an_interval_that_excludes_zero():
    ours = [a_run(a, seed=k) for k, a in enumerate((UP, DOWN))]
    theirs = [a_run(a, "frozen_backbone", seed=k) for k, a in enumerate((DOWN, DOWN))]
    sentence = against(compare_records(ours + theirs), "frozen_backbone")
    assert sentence.startswith("FM-LoRA against frozen backbone: not told apart in final")
    assert "final accuracy (+12.5 ± 158.8 points)" in sentence  # t(0.975, 1) = 12.706, times 12.5
    clear = against(two(UP, DOWN, seeds=3), "sequential_lora")
    assert "better in final accuracy (+25.0 ± 0.0 points)" in clear


def test_rounding_noise_is_no_difference():
    sentence = against(two(UP, UP + 1e-12, seeds=2), "sequential_lora")
    assert "better" not in sentence and "worse" not in sentence


def test_the_leaders_are_found_and_the_bound_is_no_competitor():
    comparison = two(DOWN, UP, joint=0.95)
    assert tied(comparison) == tied(comparison, name="forgetting") == ("sequential_lora",)
    first, *rest = findings(comparison)
    assert first == (
        "Of the 2 methods that learned the stream: highest final accuracy: sequential LoRA, "
        "85.0 %; least forgetting: sequential LoRA, 10.0 %; least drift forgetting: sequential "
        "LoRA, 10.0 %."
    )
    assert bound(comparison) in rest
    assert "reaches 95.0 %, and FM-LoRA ends 35.0 points below that" in bound(comparison)
    assert not any("against joint" in sentence for sentence in rest)


def test_those_tied_for_the_lead_are_named():
    assert "forgetting: FM-LoRA, 10.0 % (tied with it: sequential LoRA)" in findings(two(UP, UP))[0]


def test_one_seed_is_said_to_prove_little():
    warned = [any("One seed" in s for s in findings(two(UP, DOWN, seeds=n))) for n in (1, 2)]
    assert warned == [True, False]


def test_growth_of_the_deployed_size_is_said():
    record = a_run(UP)
    assert size(compare_records([record])).startswith("FM-LoRA needs 1.0k numbers to run")
    grown = make_task(1, UP[1], UP[1], (10, 10), n_deployed=2500)
    record = make_record(UP, UP, n_test=(10, 10), n_done=1).with_task(grown)
    assert size(compare_records([record])).endswith(
        "go from 1.0k after the first task to 2.5k after the last."
    )
