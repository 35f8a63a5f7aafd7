"""The table of a comparison as a figure, cell by cell."""

import dataclasses

import pytest
from helpers.records import a_run, runs

from fmlora_kit.analysis import compare_records
from fmlora_kit.figures import comparison_table


def plain(text):
    """The text without line breaks and bold."""
    return text.replace("<br>", " ").replace("<b>", "").replace("</b>", "")


def cells(figure, column):
    return list(figure.data[0].cells["values"][column])


@pytest.fixture
def figure():
    return comparison_table(compare_records(runs()))


def test_the_columns(figure):
    assert [plain(head) for head in figure.data[0].header["values"]] == [
        "method",
        "final accuracy, %",
        "FM-LoRA minus it, points",
        "forgetting, %",
        "parameters, first → last task",
        "on disk",
        "s per task",
        "stores",
        "frozen",
    ]


def test_cells_by_hand_with_the_bound_last(figure):
    assert [plain(cell) for cell in cells(figure, 0)] == [
        "FM-LoRA",
        "L2P",
        "EWC on LoRA",
        "joint training (a bound)",
    ]
    assert [plain(cell) for cell in cells(figure, 1)] == [
        "67.5 ± 12.4",
        "67.3 ± 11.3",
        "56.5 ± 13.8",
        "95.0 ± 0.0",
    ]
    assert cells(figure, 2) == ["–", "+0.2 ± 1.9", "+11.0 ± 2.5", "−27.5 ± 12.4"]
    assert cells(figure, 3) == ["15.0 ± 0.0"] * 3 + ["–"]
    assert cells(figure, 8) == ["the backbone"] * 4


def test_the_first_and_those_tied_are_bold(figure):
    for column in (0, 1):
        bold = [cell.startswith("<b>") for cell in cells(figure, column)]
        assert bold == [True, True, False, False]


def test_the_second_may_be_fmlora():
    figure = comparison_table(compare_records([a_run(fall=0.1), a_run("l2p")]))
    assert cells(figure, 0) == ["<b>L2P</b>", "FM-LoRA"]
    assert cells(figure, 2) == ["−10.0", "–"]
    fills = figure.data[0].cells.fill.color[0]
    assert fills[0] == "white" != fills[1]  # FM-LoRA is found at a glance


def test_without_fmlora_there_is_no_difference():
    figure = comparison_table(compare_records(runs(["l2p"])))
    assert len(figure.data[0].cells["values"]) == len(figure.data[0].columnwidth) == 8


def test_long_words_are_broken_and_make_room(figure):
    comparison = compare_records(runs())
    longer = dataclasses.replace(comparison.rows[1], stores="one pair per map and task, " * 4)
    rows = (comparison.rows[0], longer, *comparison.rows[2:])
    tall = comparison_table(dataclasses.replace(comparison, rows=rows))
    lines = cells(tall, 7)[1].split("<br>")
    assert " ".join(lines) == longer.stores.strip()
    assert len(lines) > 2 and max(map(len, lines)) <= 31  # 187 pixels of 6 pixels a letter
    assert tall.layout.height > figure.layout.height


def test_title_and_note(figure):
    assert figure.layout.title.text == "hand made, 3 tasks, 6 classes, class-incremental"
    assert "Mean over 3 seeds" in figure.layout.title.subtitle.text
