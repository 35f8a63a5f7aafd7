"""What a record, a result and a method look like in a notebook, and a record as a table."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import models
from helpers.records import make_record

from fmlora_kit.methods import METHODS


def test_a_record_is_one_line_and_a_small_table():
    record = make_record()
    assert len(repr(record)) < 200 and "\n" not in repr(record)
    html = record._repr_html_()
    assert html.count("<tr") >= len(record.tasks) and "color" not in html and len(html) < 20_000
    assert f"{100 * record.accuracy[0, 0]:.1f}" in html


def test_names_are_escaped():
    record = make_record()
    first = replace(record.tasks[0], name="<b>&")
    record = replace(record, tasks=(first, *record.tasks[1:]))
    assert "<b>" not in record._repr_html_() and "&lt;b&gt;&amp;" in record._repr_html_()
    assert "<b>" not in first._repr_html_() and len(repr(first)) < 300


def test_a_record_as_a_table_holds_its_matrices():
    record = make_record()
    frame = record.to_frame()
    t, i = frame["task_learned"].to_numpy(), frame["task_tested"].to_numpy()
    np.testing.assert_array_equal(frame["accuracy"], record.accuracy[t, i])
    np.testing.assert_array_equal(frame["oracle_accuracy"], record.oracle_accuracy[t, i])
    assert len(frame) == np.isfinite(record.accuracy).sum()


@pytest.mark.parametrize("name", METHODS)
def test_a_method_says_what_is_trained_and_frozen(name):
    model = models.build(name)
    assert len(repr(model)) < 120
    html = model._repr_html_()
    assert f"{model.n_deployed:,} deployed" in html and len(html) < 1500
