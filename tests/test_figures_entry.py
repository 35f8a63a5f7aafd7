"""Every figure refuses what it cannot draw in one sentence, and shows names letter by letter."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from helpers import records as made

from fmlora_kit import figures
from fmlora_kit.figures.entry import plain
from fmlora_kit.figures.forgetting import forward_transfer
from fmlora_kit.figures.similarity import errors_to_nearest
from fmlora_kit.figures.style import short
from fmlora_kit.figures.table import Table
from fmlora_kit.figures.updates import earlier_span, singular_values

MORE = {"class_distances": (0, 1), "subspace_pair": (0, 1), "singular_values": (0, 1)}
MORE |= {"errors_to_nearest": ({},)}
DRAW = {name: getattr(figures, name) for name in figures.__all__ if name not in ("TEMPLATE",)}
DRAW |= {f.__name__: f for f in (forward_transfer, errors_to_nearest, earlier_span)}
DRAW |= {"singular_values": singular_values}
DRAW.pop("samples")  # takes any stream
UNKNOWN = made.make_record(*np.full((2, 3, 3), np.nan))
BAD = {
    "None": None,
    "a path": Path("runs/fmlora"),
    "a long text": "x" * 10**6,
    "a number": 3,
    "an array": np.zeros((3, 3)),
    "a list of None": [None],
    "None by label": {"a": None},
    "a long label": {"x" * 10**6: None},
    "nothing by label": {"a": []},
    "all NaN": UNKNOWN,
    "all NaN by label": {"a": [UNKNOWN]},
    "no task": made.make_record(n_done=0),
}
NEED_NO_ACCURACY = {"training_progress", "run_card_table"}


@pytest.mark.parametrize("name", DRAW)
def test_what_cannot_be_drawn_is_one_sentence(name):
    for what, value in BAD.items():
        if name in NEED_NO_ACCURACY and isinstance(value, type(UNKNOWN)):
            continue
        with pytest.raises(ValueError, match=r"must .*got ") as error:
            DRAW[name](value, *MORE.get(name, ()))
        assert len(str(error.value)) < 400, (what, str(error.value)[:500])


LINK, SUB = '<a href="https://x.example/">T', "R<sub>D"


def evil(record):
    """The record with markup in every name, the first task's and the first class's among them."""
    tasks = [
        replace(
            task,
            name=f"{LINK}{i}%{{x}}$z$",
            class_names=tuple(f"{SUB}{c}" for c in task.classes),
        )
        for i, task in enumerate(record.tasks)
    ]
    return replace(record, stream=f"s&lt;{SUB}", tasks=tuple(tasks))


def texts(value):
    """Every text of a figure."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from texts(each)


RANKED = evil(made.plausible_record(3))
CONFUSED, DOMAINS = evil(made.confused()), evil(made.confused(domains=True))
FLORA = evil(made.flora_record())
DRAWN = {
    **{f: RANKED for f in ("accuracy_matrix", "accuracy_curves", "accuracy_parts")},
    **{f: RANKED for f in ("forgetting_curves", "forgetting_definitions", "fall_per_step")},
    **{f: RANKED for f in ("rank_allocation", "training_progress", "run_card_table")},
    **{f: RANKED for f in ("metrics_table", "parameters_stored")},
    **{f: CONFUSED for f in ("task_confusion", "forgotten_to", "class_confusion")},
    **{f: FLORA for f in ("subspace_map", "core_energy", "core_contents", "subspace_pair")},
    **{f: FLORA for f in ("earlier_span", "singular_values")},
    "class_forgetting": DOMAINS,
}


@pytest.mark.parametrize("name", DRAWN)
def test_markup_in_names_is_text_escaped_once(name):
    for records in (DRAWN[name], {SUB: DRAWN[name]}):
        if records is not DRAWN[name]:
            if not DRAW[name].__annotations__.get("records"):
                continue
        figure = DRAW[name](records, *MORE.get(name, ()))
        table = isinstance(figure, Table)
        value = asdict(figure) if table else json.loads(figure.to_json())
        found = list(texts(value))
        bad = [t for t in found if "<a" in t or SUB in t or "$z" in t or "%{x}$" in t]
        assert not bad, bad[:3]
        assert any("&lt;" in t for t in found)
        assert not any("&amp;lt;a" in t or "&amp;lt;sub" in t for t in found)  # twice
        assert any(LINK[:8] in unescape(t) or SUB in unescape(t) for t in found)


def test_a_task_is_found_by_its_own_name_and_errors_say_it_as_it_is():
    first, second, _ = FLORA.task_names
    assert figures.subspace_pair(FLORA, first, second).data
    with pytest.raises(ValueError, match="R<b>"):
        figures.subspace_pair(FLORA, "R<b>", second)


def test_pictures_of_a_stream_show_markup_as_text():
    stream = made.make_stream()
    stream.tasks[0].name = LINK
    stream.tasks[0].class_names = (SUB, "b")
    found = list(texts(json.loads(figures.samples(stream).to_json())))
    assert not any("<a" in t or "<sub" in t for t in found)


def test_plain_leaves_what_has_no_markup_as_the_same_object():
    record = made.plausible_record(2)
    assert plain(record) is record
    assert plain(("a", 1)) == ("a", 1)
    assert unescape(plain("<a>&lt;%{x}$")) == "<a>&lt;%{x}$"


def test_a_name_is_never_cut_inside_an_escape():
    assert short(plain("<" * 30), 4) == "&lt;&lt;&lt;…"
    assert short("abcdef", 4) == "abc…"
