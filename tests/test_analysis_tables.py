"""A comparison as Markdown, LaTeX and CSV: cell by cell, with escapes."""

import csv as reader
import dataclasses
import io
import math

import pytest
from helpers.records import a_run, joint_run, runs

from fmlora_kit.analysis import Interval, compare_records
from fmlora_kit.analysis.formats import parameters, percent, points, seconds, size
from fmlora_kit.analysis.tables import (
    ALL_METRICS,
    csv,
    difference_cells,
    latex,
    latex_escape,
    markdown,
    overview,
    table_cells,
)


@pytest.fixture
def comparison():
    return compare_records(runs())


def markdown_rows(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_markdown_cell_by_cell(comparison):
    header, rule, *rows = markdown_rows(markdown(comparison))
    assert header == [
        "method",
        "final accuracy, %",
        "FM-LoRA minus it, points",
        "forgetting, %",
        "parameters",
        "on disk",
        "s per task",
        "stores",
        "frozen",
    ]
    assert all(set(cell) <= set(":-") for cell in rule)
    ours, l2p, ewc, joint = rows
    assert ours[:5] == ["**FM-LoRA**", "**67.5 ± 12.4**", "–", "15.0 ± 0.0", "1.0k constant"]
    assert l2p[:3] == ["**L2P**", "**67.3 ± 11.3**", "+0.2 ± 1.9"]
    assert ewc[:3] == ["EWC on LoRA", "56.5 ± 13.8", "+11.0 ± 2.5"]
    assert joint[:4] == ["joint training (a bound)", "95.0 ± 0.0", "−27.5 ± 12.4", "–"]
    assert ours[6:] == ["1.5", "nothing", "the backbone"]


def test_markdown_says_what_the_numbers_are(comparison):
    text = markdown(comparison)
    assert text.startswith("**hand made, 3 tasks, 6 classes, class-incremental**\n\n|")
    assert "Mean over 3 seeds ± half-width of the 95\u00a0% Student-t interval." in text
    assert "without correction for the number of methods" in text
    assert "Device: cpu." in text
    assert "Joint training sees all tasks at once" in text


def test_one_seed_is_said_to_tell_nothing():
    text = markdown(compare_records([a_run(), a_run("l2p", fall=0.1)]))
    assert "One seed: no intervals" in text
    assert markdown_rows(text)[2][:2] == ["**FM-LoRA**", "**72.5**"]
    assert markdown_rows(text)[3][:3] == ["L2P", "62.5", "+10.0"]


def test_the_difference_is_left_out_without_fmlora():
    header, *_ = markdown_rows(markdown(compare_records(runs(["l2p", "ewc_lora"]))))
    assert header[:3] == ["method", "final accuracy, %", "forgetting, %"]


def test_fewer_seeds_are_said():
    fewer = [run for run in runs() if not (run.method == "ewc_lora" and run.seed == 0)]
    row = markdown_rows(markdown(compare_records(fewer)))[4]
    assert row[0] == "EWC on LoRA (2 seeds)"
    assert row[2] == "+11.5 ± 6.4 (n = 2)"


def test_a_bar_does_not_end_a_markdown_cell(comparison):
    row = dataclasses.replace(comparison.rows[0], stores="a|b")
    text = markdown(dataclasses.replace(comparison, rows=(row,)))
    assert r"a\|b" in text


def test_csv_is_plain_numbers(comparison):
    rows = list(reader.DictReader(io.StringIO(csv(comparison))))
    assert [row["method"] for row in rows] == ["fmlora", "l2p", "ewc_lora", "joint"]
    ewc, joint = rows[2], rows[3]
    assert float(ewc["final_accuracy"]) == pytest.approx(0.565)
    assert float(ewc["fmlora_minus_it"]) == pytest.approx(0.11)
    assert float(ewc["fmlora_minus_it_ci95"]) == pytest.approx(4.302652729911275 * 0.01 / 3**0.5)
    assert ewc["fmlora_minus_it_n_seeds"] == ewc["n_seeds"] == "3"
    assert float(ewc["parameters_after_last_task"]) == 1030
    assert float(ewc["bytes_on_disk"]) == comparison.row("ewc_lora").mean("bytes_on_disk")
    assert joint["forgetting"] == rows[0]["fmlora_minus_it"] == ""
    assert rows[0]["stream"] == "hand made, 3 tasks, 6 classes"


def test_latex_is_a_booktabs_table(comparison):
    text = latex(comparison)
    for line in (r"\toprule", r"\midrule", r"\bottomrule", r"\caption{hand made, 3 tasks"):
        assert line in text
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert [line.count(" & ") for line in rows] == [8] * 5
    assert rows[1].startswith(r"\textbf{FM-LoRA} & \textbf{67.5 $\pm$ 12.4} & --")
    assert rows[3].startswith(r"EWC on LoRA & 56.5 $\pm$ 13.8 & +11.0 $\pm$ 2.5")
    assert rows[4].startswith(r"joint training (a bound) & 95.0 $\pm$ 0.0 & $-$27.5 $\pm$ 12.4")
    assert r"final accuracy, \%" in rows[0]
    assert "{lrrrrrrp{40mm}p{40mm}}" in text
    assert text.isascii()


def test_latex_escapes_what_is_special():
    escaped = r"50\% of a\_b \& \{c\} \textbackslash{}d \textasciitilde{} x\textasciicircum{}2"
    assert latex_escape(r"50% of a_b & {c} \d ~ x^2") == escaped
    comparison = compare_records([a_run("my_method", stream="a_b & c")])
    assert r"\caption{a\_b \& c, 3 tasks" in latex(comparison)


@pytest.mark.parametrize(
    ("first", "last", "text"),
    [
        (1_340_000, 1_350_000, "1.34M → 1.35M"),
        (1_340_000, 1_340_000, "1.34M constant"),
        (1_340_000, 1_340_400, "1.34M + 400"),
        (1_340_400, 1_340_000, "1.34M − 400"),
        (950, 2_000, "950 → 2.0k"),
    ],
)
def test_parameters_for_people(first, last, text):
    assert parameters(first, last) == text


@pytest.mark.parametrize(
    ("n", "text"),
    [(0, "0 B"), (950, "950 B"), (412_345, "412 kB"), (999_700, "1.0 MB"), (2.55e9, "2.5 GB")],
)
def test_sizes_for_people(n, text):
    assert size(n) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.417, "0.42"), (4.17, "4.2"), (9.96, "10"), (41.7, "42"), (math.nan, "–")],
)
def test_seconds_for_people(value, text):
    assert seconds(value) == text


def test_percent_and_points():
    assert percent(Interval(0.7132, 0.0081, 3)) == "71.3 ± 0.8"
    assert percent(Interval(-0.0001, math.nan, 1)) == "0.0"
    assert percent(Interval(math.nan, math.nan, 1), " %") == "–"
    assert percent(Interval(0.7132, 0.0081, 3), " %") == "71.3 ± 0.8 %"
    assert points(Interval(-0.031, math.nan, 1), " points") == "−3.1 points"
    assert points(Interval(0.031, 0.008, 3)) == "+3.1 ± 0.8"
    assert points(Interval(-0.031, math.nan, 1)) == "−3.1"
    assert points(Interval(0.0001, 0.001, 3)) == "0.0 ± 0.1"
    assert points(None) == "–"


def test_a_bound_alone_is_rendered_too():
    comparison = compare_records([joint_run()])
    assert "Bold" not in markdown(comparison)
    assert markdown_rows(markdown(comparison))[2][0] == "joint training (a bound)"


def test_the_overview_has_a_column_per_stream(comparison):
    small = compare_records(runs(["fmlora", "ewc_lora"], joint=False))
    header, _, *rows = markdown_rows(overview({"all": comparison, "small": small}))
    assert header == ["final accuracy, %", "all", "small"]
    assert rows == [
        ["FM-LoRA", "**67.5 ± 12.4**", "**67.5 ± 12.4**"],
        ["L2P", "**67.3 ± 11.3**", "–"],
        ["EWC on LoRA", "56.5 ± 13.8", "56.5 ± 13.8"],
        ["joint training (a bound)", "95.0 ± 0.0", "–"],
    ]


def test_every_metric_has_its_best_in_bold_and_those_tied(comparison):
    cells = table_cells(comparison, ALL_METRICS, strong=lambda text: f"<{text}>")
    assert cells["final accuracy, %"][:2] == ["<67.5 ± 12.4>", "<67.3 ± 11.3>"]
    assert cells["final accuracy, %"][2:] == ["56.5 ± 13.8", "95.0 ± 0.0"]
    assert cells["forgetting, %"] == ["<15.0 ± 0.0>"] * 3 + ["–"]  # all fall by the same
    assert cells["deployed after last"] == ["1.0k"] * 4
    assert cells["method"] == ["<FM-LoRA>", "<L2P>", "EWC on LoRA", "joint training (a bound)"]


def test_differences_of_all_metrics_are_bold_if_they_are_told_apart(comparison):
    cells = difference_cells(comparison, strong=lambda text: f"<{text}>")
    assert cells["difference"] == ["FM-LoRA − L2P", "FM-LoRA − EWC on LoRA"]
    assert cells["final accuracy"] == ["+0.2 ± 1.9", "<+11.0 ± 2.5>"]
    assert difference_cells(compare_records([a_run(), a_run("l2p", fall=0.1)])) == {}
    assert difference_cells(compare_records(runs(["l2p"]))) == {}


def test_csv_of_several_streams_has_one_header(comparison):
    rows = list(reader.DictReader(io.StringIO(csv(comparison, comparison))))
    assert len(rows) == 8 and float(rows[0]["learning_accuracy"]) == pytest.approx(
        0.71667, abs=1e-4
    )
