"""The table of a comparison, cell by cell."""

import pytest
from helpers.records import a_run, runs

from fmlora_kit.analysis import compare_records
from fmlora_kit.figures import comparison_table
from fmlora_kit.figures.describe import strip


def cells(table, column):
    return list(map(strip, table.blocks[0].columns[column]))


@pytest.fixture
def table():
    return comparison_table(compare_records(runs()))


def test_the_columns(table):
    assert list(map(strip, table.blocks[0].heads)) == [
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
    assert list(table.blocks[0].words) == [0, 7, 8]


def test_cells_by_hand_with_the_bound_last(table):
    assert cells(table, 0) == ["FM-LoRA", "L2P", "EWC on LoRA", "joint training (a bound)"]
    assert cells(table, 1) == ["67.5 ± 12.4", "67.3 ± 11.3", "56.5 ± 13.8", "95.0 ± 0.0"]
    assert cells(table, 2) == ["–", "+0.2 ± 1.9", "+11.0 ± 2.5", "−27.5 ± 12.4"]
    assert cells(table, 3) == ["15.0 ± 0.0"] * 3 + ["–"]
    assert cells(table, 8) == ["the backbone"] * 4


def test_the_first_and_those_tied_are_bold(table):
    for column in (0, 1):
        bold = [cell.startswith("<b>") for cell in table.blocks[0].columns[column]]
        assert bold == [True, True, False, False]


def test_the_second_may_be_fmlora():
    table = comparison_table(compare_records([a_run(fall=0.1), a_run("l2p")]))
    assert table.blocks[0].columns[0] == ["<b>L2P</b>", "FM-LoRA"]
    assert cells(table, 2) == ["−10.0", "–"]
    assert list(table.blocks[0].marked) == [1]  # FM-LoRA is found at a glance


def test_without_fmlora_there_is_no_difference():
    (block,) = comparison_table(compare_records(runs(["l2p"]))).blocks
    assert len(block.columns) == len(block.heads) == 8 and not block.marked


def test_title_and_note(table):
    assert table.title == "hand made, 3 tasks, 6 classes, class-incremental"
    assert "Mean over 3 seeds" in table.subtitle
