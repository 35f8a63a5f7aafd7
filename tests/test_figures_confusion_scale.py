"""Long streams with many classes: what is drawn is bounded, and sums stay what they were."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.records import confused

from fmlora_kit.analysis.confusion import class_confusion, class_history
from fmlora_kit.figures import confusion as figures


def test_with_too_many_classes_every_other_task_is_one_column():
    record = confused()
    whole = class_confusion(record, task=1).counts
    table = class_confusion(record, task=1, most=4)
    assert table.names == ("task A", "class 2", "class 3", "task C")
    np.testing.assert_array_equal(table.classes, [-1, 2, 3, -1])
    np.testing.assert_array_equal(table.tasks, [0, 1, 1, 2])
    rows = whole[2:4]
    merged = np.c_[rows[:, :2].sum(1), rows[:, 2:4], rows[:, 4:].sum(1)]
    np.testing.assert_array_equal(table.counts[1:3], merged)
    assert not table.counts[[0, 3]].any()
    same = class_confusion(record, task=1, most=6)  # no more than that: nothing is merged
    np.testing.assert_array_equal(same.counts, whole)


def test_a_matrix_of_too_many_classes_is_refused_in_a_sentence_and_a_task_of_it_drawn(monkeypatch):
    monkeypatch.setattr(figures, "_CLASSES", 4)
    with pytest.raises(ValueError, match="record must be of at most 4 classes .*task=.* got 6"):
        figures.class_confusion(confused())
    drawn = figures.class_confusion(confused(), task=1)
    assert [np.shape(trace.z) for trace in drawn.data] == [(2, 4)] * 2
    monkeypatch.setattr(figures, "_CLASSES", 1)
    with pytest.raises(ValueError, match="at most 1 classes"):
        figures.class_confusion(confused(domains=True), task=1)


def test_the_history_of_classes_grows_with_what_was_lost_and_not_with_classes_squared():
    record = replace(confused(), n_classes=10**6)
    history = class_history(record)
    assert sum(part.size for part in history.lost_to) == 3 * np.count_nonzero(history.lost)
    for p in range(6):
        columns, shares = history.takers(p)
        np.testing.assert_array_equal(history.lost[p, columns], shares)
        assert (np.diff(shares) <= 0).all() and shares.sum() == history.lost[p].sum()
