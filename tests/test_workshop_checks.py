"""Each mistake is named by a message of its own, other right answers pass, nothing gets out."""

import re

import numpy as np
import pytest
import torch
from helpers.workshop_answers import MISTAKES, RIGHT, compiled, solutions

from fmlora_kit.workshop import checks
from fmlora_kit.workshop.checks import ALL, PROBES
from fmlora_kit.workshop.judge import LETTERS, NOT_WRITTEN

# What the workshop's design asks the checks to know: exercise -> the mistakes by name.
KNOWN = {
    "forgetting_max": {"first instead of max", "division by T", "sign", "NaN", "sum"},
    "fold": {"N M", "replaced", "in place"},
    "merge": {"scale forgotten", "merged twice", "in place"},
    "prefixes": {"one-hot", "reversed"},
    "choose": {"sign of the noise", "detach missing", "temperature multiplied"},
    "outer_step": {"ends swapped", "sign", "first not whole", "novelty forgotten"},
    "principal_angles": {"no QR", "radians", "cosines", "no clip"},
    "chance_overlap": {"wrong space"},
}
every_mistake = [(name, mistake) for name, table in MISTAKES.items() for mistake in table]


def no_two(*args):
    raise RuntimeError("two\nlines")


@pytest.mark.parametrize(("name", "mistake"), every_mistake)
def test_a_mistake_is_named(name, mistake):
    function, words = MISTAKES[name][mistake]
    found = checks.check(name, function)
    assert not found.passed and found.written
    assert words in found.message
    assert len(found.message) <= LETTERS and "\n" not in found.message


@pytest.mark.parametrize("name", MISTAKES)
def test_every_mistake_has_a_message_of_its_own(name):
    said = [checks.check(name, function).message for function, _ in MISTAKES[name].values()]
    # numbers do not make two messages different
    assert len({re.sub(r"[\d.]+", "#", message) for message in said}) == len(said)
    for mistake, (_, words) in MISTAKES[name].items():
        assert sum(words in message for message in said) == 1, (mistake, words)


def test_the_mistakes_of_the_design_are_known_and_many_more():
    assert {name: KNOWN[name] - MISTAKES[name].keys() for name in KNOWN if name in KNOWN} == {
        name: set() for name in KNOWN
    }
    assert MISTAKES.keys() == ALL.keys()
    assert len(every_mistake) >= 100


@pytest.mark.parametrize("name", ALL)
def test_other_right_answers_pass(name):
    failed = [f"{k}: {r}" for k, f in enumerate(RIGHT[name]) if not (r := checks.check(name, f))]
    assert failed == []


def test_each_exercise_takes_five_other_right_answers_at_least():
    counts = {e: min(len(RIGHT[name]) for name in names) for e, names in PROBES.items()}
    assert counts.keys() == {"E1", "E2", "E3", "E4", "E5"} and min(counts.values()) >= 5


@pytest.mark.parametrize("name", ALL)
def test_the_solutions_pass_and_no_message_shows_a_line_of_them(name):
    source = solutions()[name]
    assert checks.check(name, compiled(name, source)).passed
    body = re.search("### BEGIN SOLUTION(.*)### END SOLUTION", source, re.DOTALL)[1]
    lines = [line.strip().removeprefix("return ") for line in body.splitlines() if line.strip()]
    for function, _ in MISTAKES[name].values():
        message = checks.check(name, function).message
        assert not [line for line in lines if line in message]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("empty", [lambda *_: None, lambda *_: NotImplemented, lambda *_: ...])
def test_what_gives_nothing_is_not_written_yet(name, empty):
    assert checks.check(name, empty).message == NOT_WRITTEN


@pytest.mark.parametrize("name", ALL)
def test_what_says_so_is_not_written_yet(name):
    def empty(*_):
        raise NotImplementedError

    found = getattr(checks, name)(empty)
    assert not found.passed and not found.written and repr(found) == f"{name}: not written yet."


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (3, "should be a function, got 3"),
        (no_two, "raises RuntimeError: two lines (asked "),
        (lambda: 0, "raises TypeError"),
        (lambda *_: "0.3", "should give numbers; it gives '0.3'"),
        (lambda *_: 1j, "should give numbers"),
        (lambda *_: object(), "should give numbers"),
        (lambda *_: [[1], [2, 3]], "should give numbers"),
        (lambda *_: np.zeros((2, 2, 2)), "should be "),
        (lambda *_: np.full((1, 1), np.nan), ""),
        (lambda *_: exit(3), "raises SystemExit: 3"),
        (lambda *_: no_two.recurse(), "raises AttributeError"),
        (lambda *_: (lambda f: f(f))(lambda f: f(f)), "raises RecursionError"),
    ],
)
@pytest.mark.parametrize("name", ALL)
def test_whatever_a_function_does_the_check_says_it_in_one_line(name, function, words):
    found = getattr(checks, name)(function)
    assert not found.passed and words in found.message and "\n" not in repr(found)
    assert len(found.message) <= LETTERS


def test_an_error_is_told_with_the_input_of_its_probe():
    found = checks.forgetting_max(lambda a: a[7])
    assert "IndexError" in found.message and "a = [[0.9, nan], [0.6, 0.8]]" in found.message
    found = checks.fold(lambda core, m, n: core @ m.T @ n[:, :1] @ n)
    assert "asked core = [[" in found.message


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gates_may_have_any_precision(dtype):
    assert checks.prefixes(lambda r: torch.ones(len(r), int(r[-1]), dtype=dtype).tril()).written
