"""The one checker: types before ranges, numpy's numbers taken, errors that name what was asked."""

from pathlib import Path

import numpy as np
import pytest

from fmlora_kit import checks


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_whole_numbers_come_back_as_pythons(value):
    found = checks.integer("rank", value, 1, 4)
    assert found == 3 and type(found) is int


@pytest.mark.parametrize("value", ["3", 2.5, 3.0, True, np.True_, None, [3], np.nan])
def test_what_is_no_whole_number_is_refused_before_its_range_is_looked_at(value):
    with pytest.raises(ValueError, match="^rank must be a whole number .*, got "):
        checks.integer("rank", value, 1)


@pytest.mark.parametrize("value", [0, 5, np.int64(-1), 10**30])
def test_whole_numbers_out_of_range_are_named(value):
    with pytest.raises(ValueError, match=f"^rank must be between 1 and 4, got .*{int(value)}"):
        checks.integer("rank", value, 1, 4)


@pytest.mark.parametrize("value", [1, 0.5, np.float32(0.5), np.int64(1)])
def test_numbers_come_back_as_pythons(value):
    found = checks.number("lr", value, above=0)
    assert found == value and type(found) is float


@pytest.mark.parametrize("value", [np.nan, np.inf, "0.1", True, None, 1j, np.complex128(1)])
def test_what_is_no_finite_number_is_refused(value):
    with pytest.raises(ValueError, match="^lr must be a finite number above 0, got "):
        checks.number("lr", value, above=0)


def test_bounds_are_included_or_not_as_asked():
    assert checks.number("share", 0, 0, 1) == 0 and checks.number("share", 1, 0, 1) == 1
    for value, bounds in ((0, {"above": 0}), (1, {"below": 1}), (2, {"high": 1})):
        with pytest.raises(ValueError, match="^share must be (above|below|at most) "):
            checks.number("share", value, **bounds)


def test_flags_texts_and_choices():
    assert checks.flag("oracle", np.True_) is True
    for value in (1, 0, "yes", None):
        with pytest.raises(ValueError, match="^oracle must be True or False, got "):
            checks.flag("oracle", value)
    for value in ("", " ", 3, None, "\ud800"):
        with pytest.raises(ValueError, match="^name must be a text "):
            checks.text("name", value)
    assert checks.choice("head", "lda", ("lda", "ridge")) == "lda"
    for value in ("LDA", None, 1, ["lda"]):
        with pytest.raises(ValueError, match=r"^head must be one of \('lda', 'ridge'\), got "):
            checks.choice("head", value, ("lda", "ridge"))


def test_long_values_are_shortened_and_paths_keep_their_end():
    assert len(checks.shown("x" * 10**6)) < 90 and len(checks.shown(list(range(10**4)))) < 90
    assert "shape (1000, 1000)" in checks.shown(np.zeros((1000, 1000)))
    assert checks.shown(Path("a") / ("b" * 200) / "c.pt").endswith("c.pt'")
    assert checks.shown(Path("a.pt")) == "'a.pt'"


def test_a_repr_that_fails_is_no_second_error():
    class Bad:
        def __repr__(self):
            raise RuntimeError("no")

    assert checks.shown(Bad()) == "a Bad whose repr fails with RuntimeError"
