"""A task has one name wherever it is a label, whatever is drawn."""

import pytest
from helpers.records import plausible_record

from fmlora_kit import figures
from fmlora_kit.figures.labels import task_label, task_words

RECORD = plausible_record(3)
DRAWN = {
    "curves": lambda: figures.accuracy_curves(RECORD),
    "panels": lambda: figures.accuracy_curves(RECORD, by_task=True),
    "matrix": lambda: figures.accuracy_matrix(RECORD),
    "matrices": lambda: figures.accuracy_matrix({"a": RECORD, "b": RECORD}),
    "progress": lambda: figures.training_progress(RECORD),
    "falls": lambda: figures.fall_per_step(RECORD),
}


def labels_of(figure):
    """All ticks, legend entries and panel titles."""
    axes = [*figure.select_xaxes(), *figure.select_yaxes()]
    ticks = [text for axis in axes for text in axis.ticktext or ()]
    names = [trace.name for trace in figure.data if trace.name]
    return [*ticks, *names, *(note.text for note in figure.layout.annotations)]


def test_a_task_is_called_by_its_name_and_told_by_its_number_too():
    assert task_label("Latin") == "Latin"
    assert task_label("Canadian syllabics, barred", 8) == "Canadia…"
    assert task_words(2, "Cyrillic") == "task 3, Cyrillic"


@pytest.mark.parametrize("name", DRAWN)
def test_ticks_legends_and_panels_have_the_name_alone(name):
    labels = labels_of(DRAWN[name]())
    for task in RECORD.task_names:
        assert task_label(task) in labels
        mentioned = [label for label in labels if label.endswith(f" {task}")]
        assert not [label for label in mentioned if label.split()[0].isdigit()]
