"""The afternoon's small runs write out what they are, and refuse what cannot be changed."""

import pytest

import fmlora_kit as fk
from fmlora_kit.workshop import runs


def test_the_small_runs_say_every_option_that_bears_on_a_number():
    described = runs.model().describe()
    assert described["flora"] == {
        "max_rank": 16,
        "alpha": None,
        "bases": "task1",
        "protect": 0.0,
        "fold": 0.25,
        "maps": ("q", "v"),
    }
    assert described["step"] == "novelty" and described["head"]["kind"] == "lda"
    assert described["precision"] == "float64"
    assert runs.model(rank=4, protect=0.5).flora == fk.FLoRA(4, protect=0.5, maps=("q", "v"))
    assert runs.model(head="cosine").head.kind == "cosine"
    assert runs.model("sequential_lora").name == "sequential_lora"
    assert [task.name for task in runs.stream()] == ["Latin", "Georgian", runs.REPEATED]


@pytest.mark.parametrize("wrong", [{"method": "ewc_lora"}, {"step": "2"}, {"rank": 0}, {"head": 3}])
def test_a_change_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        runs.model(**wrong)
