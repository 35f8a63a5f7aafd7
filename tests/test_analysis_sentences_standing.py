"""Where a method stands, in a sentence; records by what people call their method."""

import pytest
from helpers.records import a_run, runs

from fmlora_kit.analysis import by_name, compare_records, sentences


def test_tied_for_first():
    # L2P is 0.01, 0 and -0.005 below FM-LoRA: the interval of the difference has zero in it.
    found = sentences(compare_records(runs()))
    assert found == "FM-LoRA is 1st of 3 by mean; tied for first: FM-LoRA · L2P."


def test_first_alone_among_some():
    found = sentences(compare_records(runs()), "ewc_lora", among=("fmlora",))
    assert found == "EWC on LoRA is 2nd of 2 by mean; first alone: FM-LoRA."


def test_methods_that_are_not_compared_are_no_part_of_the_circle():
    found = sentences(compare_records(runs()), among=("ewc_lora", "ranpac"))
    assert found == "FM-LoRA is 1st of 2 by mean; first alone: FM-LoRA."


def test_one_seed_knows_no_ties():
    found = sentences(compare_records([a_run(), a_run("l2p", fall=0.1)]))
    assert "first (one seed: ties are not known): FM-LoRA" in found


@pytest.mark.parametrize(("n", "said"), [(2, "2nd"), (3, "3rd"), (11, "11th"), (21, "21st")])
def test_places_are_said_as_people_do(n, said):
    better = [a_run(f"m{k}", fall=0.001 * k) for k in range(n - 1)]
    found = sentences(compare_records([*better, a_run(fall=0.2)]))
    assert found.startswith(f"FM-LoRA is {said} of {n} ")


def test_joint_training_has_no_place():
    with pytest.raises(ValueError, match="not a bound"):
        sentences(compare_records(runs()), "joint")


def test_records_by_name_without_the_bound():
    named = by_name(runs())
    assert list(named) == ["FM-LoRA", "L2P", "EWC on LoRA"]
    assert [record.seed for record in named["L2P"]] == [0, 1, 2]
    assert {record.method for record in named["EWC on LoRA"]} == {"ewc_lora"}


def test_records_by_name_in_the_order_that_is_asked_for():
    assert list(by_name(runs(), ("l2p", "ranpac", "fmlora"))) == ["L2P", "FM-LoRA"]
