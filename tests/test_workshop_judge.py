"""A result reads the same in text and HTML; a fault of a probe is told, and is not a pass."""

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup

from fmlora_kit.workshop.judge import (
    NOT_WRITTEN,
    Asked,
    Mistake,
    Result,
    as_array,
    compare,
    judged,
    near,
)

RESULTS = [
    Result("fold", True, "It passes all 3 probes."),
    Result("fold", False, "You get <N M> & more."),
    Result("fold", False, NOT_WRITTEN),
]


@pytest.mark.parametrize("result", RESULTS)
def test_html_says_in_words_what_its_sign_and_colour_say(result):
    page = BeautifulSoup(result._repr_html_(), "html.parser").find(role="status")
    sign = page.find(attrs={"aria-hidden": "true"}).extract()
    assert page.get_text() == repr(result)
    assert sign.get_text().strip() in "✓✗…"


def test_the_three_outcomes_look_and_read_apart():
    assert len({r._repr_html_().split(";")[0] for r in RESULTS}) == 3
    assert [repr(r).split(". ")[0] for r in RESULTS] == [
        "fold: right",
        "fold: not yet",
        "fold: not written yet.",
    ]
    assert [bool(r) for r in RESULTS] == [True, False, False]


def test_a_fault_of_the_probes_is_no_pass_and_no_error():
    def broken(ask):
        raise KeyError("probe")

    found = judged("f", lambda: 1, broken)
    assert not found.passed and "check itself fails (KeyError: 'probe')" in found.message


@pytest.mark.parametrize("given", [np.zeros(3), torch.zeros(3), [0.0, 0.0, 0.0]])
def test_inputs_are_copies_and_must_stay(given):
    def spoil(x):
        x[0] = 1
        return x

    with pytest.raises(Mistake, match="`x` in place"):
        Asked("f", spoil)(given)
    assert float(given[0]) == 0


def test_what_asks_interrupt_is_let_through():
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judged("f", stop, lambda ask: ask() or 1)


@pytest.mark.parametrize(
    "value", [2, 2.0, np.float32(2), torch.tensor(2), torch.tensor(2.0).half()]
)
def test_numbers_of_all_kinds_are_one_number(value):
    assert as_array(value) == 2 and near(value, 2)
    assert near([value, value], np.array([2, 2])) and not near(value, [2, 2])


def test_the_first_cause_that_fits_is_named_and_else_the_last_sentence():
    causes = {"one": 1.0, "also one": 1.0, "two": 2.0}
    assert compare(np.array(0.0), 0.0, causes, "else") is None
    for got, words in ((1.0, "^one$"), (2.0, "^two$"), (3.0, "^else$")):
        with pytest.raises(Mistake, match=words):
            compare(np.array(got), 0.0, causes, "else")
