"""The table of what is stored."""

from helpers.records import storing_runs

from fmlora_kit.figures import storage_table


def rows(figure):
    return {row[0]: row[1:] for row in zip(*figure.blocks[0].columns, strict=True)}


def test_sizes_and_growth():
    found = rows(storage_table(storing_runs()))
    assert found["FM-LoRA"] == ("statistics", "1.1k", "0", "40", "+ 3", "300 B", "100 B")
    assert found["SD-LoRA"] == ("modules per task", "1.0k", "+ 100", "0", "0", "20 B", "22 B")
    assert found["frozen backbone"] == ("nothing", "1.0k", "0", "0", "0", "10 B", "12 B")
    assert found["joint training (a bound)"][:5] == (
        "all training images",
        "1.1k",
        "0",
        "600",
        "+ 600",
    )


def test_a_row_per_method_kind_by_kind():
    figure = storage_table(storing_runs())
    assert [kind for kind, *_ in rows(figure).values()] == [
        "nothing",
        "statistics",
        "modules per task",
        "all training images",
    ]
    assert figure.title == "What is stored: hand made, 3 tasks"
