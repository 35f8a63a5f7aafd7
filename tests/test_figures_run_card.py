"""Run cards side by side: what differs, and what is the same."""

from dataclasses import replace

import pytest
from helpers.records import make_record

from fmlora_kit.figures import run_card_table
from fmlora_kit.record import run_card

LINES = list(run_card(make_record()))


def made(*, lr=0.1, **facts):
    """A hand-made record with some facts of its method."""
    record = make_record()
    method = {"lr": lr, "frozen": "the backbone", **facts}
    return replace(record, config={**record.config, "method": method})


def cells(table):
    """The lines of a table: name and texts."""
    return {row[0]: row[1:] for row in zip(*table.columns, strict=True)}


def heads(table):
    return list(table.heads)


def test_one_record_is_its_card_line_by_line():
    figure = run_card_table(made())
    (table,) = figure.blocks
    card = run_card(made())
    assert cells(table) == {line: (text,) for line, text in card.items()}
    assert heads(table) == ["line", "FM-LoRA"]
    assert figure.title == "Run card"


def test_what_differs_is_bold_and_first_and_what_is_the_same_is_said_once():
    figure = run_card_table({"fmlora": made(), "sequential_lora": made(lr=0.2, frozen="nothing")})
    differs, same = figure.blocks
    assert heads(differs) == ["what differs", "FM-LoRA", "sequential LoRA"]
    assert cells(differs) == {
        "<b>frozen</b>": ("the backbone", "nothing"),
        "<b>learning rates</b>": ("lr 0.1", "lr 0.2"),
    }
    assert heads(same) == ["the same in all", "of each run"]
    alike = [line for line in LINES if line not in ("frozen", "learning rates")]
    assert list(cells(same)) == alike
    assert cells(same)["versions"] == ("numpy 2.0.0",)
    assert figure.title == "Run cards"


def test_where_nothing_differs_all_is_said_once():
    (table,) = run_card_table({"a": made(), "b": made()}).blocks
    assert list(cells(table)) == LINES and heads(table) == ["the same in all", "of each run"]


def test_many_labels_stand_beside_one_another():
    records = {f"run {k}": made(lr=0.1 * (k + 1)) for k in range(6)}
    differs, same = run_card_table(records).blocks
    assert heads(differs)[1:] == [f"run {k}" for k in range(6)]
    assert cells(differs)["<b>learning rates</b>"][3:] == ("lr 0.4", "lr 0.5", "lr 0.6")
    assert len(cells(same)) == len(LINES) - 1


def test_seeds_of_a_label_share_a_column():
    stream = {"name": "hand made", "crc32": "0a", "seed": 0}
    runs = []
    for seed in range(3):
        config = {"method": {"lr": 0.1}, "stream": {**stream, "crc32": f"0{seed}", "seed": seed}}
        runs.append(replace(make_record(seed=seed), config=config))
    (table,) = run_card_table({"fmlora": runs}).blocks
    said = cells(table)
    assert said["seed"] == ("0, 1, 2",) and said["learning rates"] == ("lr 0.1",)
    assert said["pixels"] == ("CRC-32 00, CRC-32 01, CRC-32 02",)
    text = "hand made, class-incremental, 3 tasks, 6 classes, seed 0"
    assert said["stream"] == (f"{text} (and 2 other values over the seeds)",)
    assert heads(table)[1] == "FM-LoRA<br>3 seeds"
    said = cells(run_card_table({"fmlora": runs[:2]}).blocks[0])
    assert said["stream"] == (f"{text} (and 1 other value over the seeds)",)


def test_names_of_classes_are_no_markup():
    record = made(frozen="<b>&")
    assert cells(run_card_table(record).blocks[0])["frozen"] == ("&lt;b&gt;&amp;",)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="records must be at least one record, got"):
        run_card_table({})
    with pytest.raises(
        ValueError, match=r"records\['a'\] must be of a run with a finished task, got 0"
    ):
        run_card_table({"a": make_record(n_done=0)})
